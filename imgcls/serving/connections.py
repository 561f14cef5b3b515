"""How many connections a service answers, and how long it waits for one that does not say what it wants.

uvicorn has no such limits of its own: it counts connections only when a request is whole.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["impatient", "most_connections"]

_PATIENCE_S = 20.0  # without a byte of a request that has begun, or not even that
_MOST = 64  # more are told to come again: each may lay a request's files on the disk


def most_connections() -> int:
    """Return how many are answered: few enough that the files which the process may open do not run out."""
    try:
        import resource
    except ImportError:  # Windows
        return _MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(1, min(_MOST, soft // 8))


def impatient(most: int, patience_s: float = _PATIENCE_S) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol for a service that has at most so many connections, and closes those that stand still.

    Args:
        most: a connection beyond is closed at once.
        patience_s: seconds without a byte, while a request is awaited or not whole yet.
    """

    class Impatient(H11Protocol):
        _heard = 0.0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
            super().connection_made(transport)
            if len(self.connections) > most:
                transport.abort()
                return
            self._heard = self.loop.time()
            self._look()

        def data_received(self, data: bytes) -> None:
            self._heard = self.loop.time()
            super().data_received(data)

        def _look(self) -> None:
            if self.transport.is_closing():
                return
            cycle = self.cycle  # of the last request that began; its successor's head may be on the way
            is_awaited = cycle is None or cycle.more_body or cycle.response_complete
            if is_awaited and self.loop.time() - self._heard > patience_s:
                self.transport.abort()
            else:
                self.loop.call_later(patience_s / 4, self._look)

    return Impatient
