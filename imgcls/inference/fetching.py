"""An image from the web: of bounded size, in bounded time."""

from __future__ import annotations

import http.client
import time
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from imgcls.wording import first_line, size

__all__ = ["FetchError", "fetch"]

_CHUNK_BYTES = 1 << 16


class FetchError(Exception):
    """The address gives no file; the message says why in a few words."""


def fetch(url: str, *, max_bytes: int, timeout_s: float) -> bytes:
    """Return what an ``http`` or ``https`` address gives; redirections lead to others of these alone.

    Args:
        url: the address; characters that may not stand in one are encoded.
        max_bytes: of the file, at most.
        timeout_s: seconds without an answer, and for all of it.

    Raises:
        FetchError: there is no such host or file, or it is too large or too slow.
    """
    deadline = time.monotonic() + timeout_s
    try:
        request = Request(_encoded(url), headers={"User-Agent": "imgcls"})  # noqa: S310 - the opener has no other scheme
        with _opener().open(request, timeout=timeout_s) as answer:
            return _body(answer, max_bytes, deadline)
    except HTTPError as error:
        raise FetchError(f"the server answers {error.code} {error.reason}") from error
    except TimeoutError as error:
        raise FetchError(f"no answer within {timeout_s:g} s") from error
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise FetchError(f"no answer within {timeout_s:g} s") from error
        raise FetchError(f"cannot be fetched: {getattr(error.reason, 'strerror', None) or error.reason}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise FetchError(f"cannot be fetched: {first_line(error)}") from error


def _body(answer: http.client.HTTPResponse, max_bytes: int, deadline: float) -> bytes:
    declared = answer.headers.get("Content-Length", "")
    parts, total = [], int(declared) if declared.isdecimal() else 0
    if total > max_bytes:
        raise FetchError(f"larger than {size(max_bytes)}")
    total = 0
    while part := answer.read1(_CHUNK_BYTES):
        total += len(part)
        if total > max_bytes:
            raise FetchError(f"larger than {size(max_bytes)}")
        if time.monotonic() > deadline:  # a server that sends a byte now and then never runs into the other limit
            raise TimeoutError
        parts.append(part)
    if declared.isdecimal() and total < int(declared):
        raise FetchError("the connection broke off")
    return b"".join(parts)


def _encoded(url: str) -> str:
    """Return an address with its path and query as they may be sent: blanks and umlauts are encoded."""
    parts = urlsplit(url)
    host = parts.netloc.encode("idna").decode() if not parts.netloc.isascii() else parts.netloc
    path, query = (quote(text, safe="/%:=&?~#+!$,;'@()*[]") for text in (parts.path, parts.query))
    return urlunsplit((parts.scheme, host, path, query, ""))


def _opener() -> OpenerDirector:
    """Return an opener without ``file:`` and ``ftp:``, which a redirection could lead to."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler, HTTPHandler, HTTPSHandler, HTTPDefaultErrorHandler, HTTPRedirectHandler, HTTPErrorProcessor,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener
