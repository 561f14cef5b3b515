"""The service, run until a signal ends it."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from ipaddress import ip_address

from imgcls.errors import RunError
from imgcls.inference import Classifier

__all__ = ["names_of", "require_packages", "serve"]

_LOCAL = ("127.0.0.1", "localhost", "[::1]", "[")  # the last is what earlier versions of Starlette read of [::1]:8000
_BACKLOG = 16  # connections that are accepted before one of them is looked at
_PACKAGES = {"fastapi": "fastapi", "python_multipart": "python-multipart", "uvicorn": "uvicorn"}


def require_packages() -> None:
    """Raise where what a service needs is not installed.

    Raises:
        RunError: names the extra that installs it.
    """
    if missing := [package for module, package in _PACKAGES.items() if find_spec(module) is None]:
        raise RunError(f"serving needs {', '.join(missing)}: pip install 'imgcls[serve]'")


def serve(classifier: Classifier, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Load the network and answer requests until a signal ends it.

    Args:
        classifier: of a finished run.
        host: the address to listen on.
        port: 0 for any that is free.
        ready: is told the service's address, once it answers.

    Raises:
        RunError: packages are missing, or the address cannot be had.
        DataError: the network cannot be loaded.
    """
    require_packages()
    import uvicorn

    from imgcls.serving.connections import impatient, most_connections
    from imgcls.serving.service import build_service

    with _listener(host, port) as listener, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files
        classifier.warm_up()
        bound = listener.getsockname()[1]
        ready(f"http://{f'[{host}]' if ':' in host else host}:{bound}/")
        most = most_connections()
        config = uvicorn.Config(
            build_service(classifier, names_of(host)),
            http=impatient(2 * most),
            log_level="warning",
            access_log=False,
            limit_concurrency=most,
            backlog=_BACKLOG,
        )
        uvicorn.Server(config).run(sockets=[listener])


def names_of(host: str) -> tuple[str, ...]:
    """Return the names that a service may be asked for by: where this machine alone reaches it, none but its own.

    A page elsewhere whose name is made to lead to this machine must not be answered (DNS rebinding).

    Args:
        host: the address that it listens on.
    """
    try:
        is_local = ip_address(host).is_loopback
    except ValueError:  # a name
        is_local = host == "localhost"
    return (*_LOCAL, host) if is_local else ("*",)


def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that is bound at once: before the network is loaded a taken port is found out."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # Python's addition repeats the address
        raise RunError(f"cannot listen on {host}, port {port}: {reason}") from error
