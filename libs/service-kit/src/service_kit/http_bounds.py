"""Bounds for connections and for the headers of requests, which uvicorn takes without end.

Its own `limit_concurrency` closes no connection, and refuses whoever comes next, WAHA too.
"""

import asyncio
from collections import OrderedDict
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADER_BYTES = 2**18
HEADER_SECONDS = 20.0
MAX_CONNECTIONS = 4096
"""Of a process: some 80 MB of memory, and as many open files."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol. A request line with its headers that is longer than `MAX_HEADER_BYTES`
    (and what one reading takes) is answered 400; one that is not there after `HEADER_SECONDS`, or
    does not begin, has its connection closed. Beyond `MAX_CONNECTIONS` the one that has waited
    longest for a request makes room; where all are at work, the new one does."""

    idle: ClassVar[OrderedDict["BoundedHttp", None]] = OrderedDict()
    """Those of this process that wait for a request, the longest first."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._awaiting: asyncio.TimerHandle | None = None
        self._header_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Await the first request."""
        super().connection_made(transport)
        self._await_headers()
        self.idle[self] = None
        if len(self.connections) > MAX_CONNECTIONS:
            longest, _ = self.idle.popitem(last=False)
            longest.transport.close()

    def on_message_begin(self) -> None:
        """Await the headers of a request that has begun."""
        super().on_message_begin()
        self._await_headers()

    def on_headers_complete(self) -> None:
        """Bodies are bounded by who reads them."""
        self._await_nothing()
        self.idle.pop(self, None)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Await the next request, unless it is there already."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self.idle[self] = None

    def data_received(self, data: bytes) -> None:
        """Take in what has come."""
        super().data_received(data)
        if self._awaiting is not None:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._await_nothing()
                self.send_400_response("The headers are too large.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes any more."""
        self._await_nothing()
        self.idle.pop(self, None)
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        self._await_nothing()
        self._awaiting = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _await_nothing(self) -> None:
        self._header_bytes = 0
        if self._awaiting is not None:
            self._awaiting.cancel()
            self._awaiting = None
