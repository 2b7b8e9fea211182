"""HTTP/1.1 for load on loopback: the generator must not use up the processor it measures."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

import httptools

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class SinkConnection(asyncio.Protocol):
    """One connection of a server that answers 200 to everything and hands on each body."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: somebody connected."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """httptools: a part of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """httptools: the request is whole."""
        self._take(self._body)
        self._body = b""
        if self._transport is not None:
            self._transport.write(_OK)


class _Connection(asyncio.Protocol):
    """A client's connection, kept alive: one request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.WriteTransport | None = None
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("closed by the server"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._parser.get_status_code())

    @property
    def alive(self) -> bool:
        return self._transport is not None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def ask(self, request: bytes) -> int:
        if self._transport is None:
            raise ConnectionResetError("closed by the server")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


class Client:
    """Asks one server over as many connections as there are requests at once."""

    def __init__(self, source: str | None = None) -> None:
        """`source`: the address to come from, where it matters who asks."""
        self._idle: deque[_Connection] = deque()
        self._source = None if source is None else (source, 0)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer; raises OSError when there is none."""
        return await self._ask("POST", url, {**headers, "Content-Length": str(len(body))}, body)

    async def get(self, url: str, headers: Mapping[str, str]) -> int:
        """The status of the answer; raises OSError when there is none."""
        return await self._ask("GET", url, headers, b"")

    def close(self) -> None:
        """Close what is open."""
        for connection in self._idle:
            connection.close()

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> int:
        target = urlsplit(url)
        lines = [
            f"{method} {target.path} HTTP/1.1",
            f"Host: {target.netloc}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        connection = await self._connection(str(target.hostname), target.port or 80)
        try:
            status = await connection.ask("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        except BaseException:  # an answer that comes after all must not be the next one's
            connection.close()
            raise
        self._idle.append(connection)
        return status

    async def _connection(self, host: str, port: int) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            _Connection, host, port, local_addr=self._source
        )
        return connection
