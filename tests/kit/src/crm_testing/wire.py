"""A wire between a client and a server, that can fall silent without being cut."""

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class Wire:
    """Passes bytes on, both ways; `url` is the server's, through the wire.

    Once silent, what is connected stays connected and hears nothing any more, as behind a firewall
    that forgot it; whoever connects anew gets through.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._connected: list[_Line] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        credentials = self._parts.netloc.rpartition("@")[0]
        self.url = urlunsplit(self._parts._replace(netloc=f"{credentials}@127.0.0.1:{port}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """Cut off whoever is connected."""
        for line in self._connected:
            line.cut()

    def fall_silent(self) -> None:
        """Swallow whatever is said from here on by whoever is connected."""
        for line in self._connected:
            line.is_silent = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        line = _Line((writer, far[1]))
        self._connected.append(line)
        with suppress(ConnectionError):
            await asyncio.gather(line.carry(reader, far[1]), line.carry(far[0], writer))
        line.cut()


class _Line:
    def __init__(self, ends: tuple[asyncio.StreamWriter, ...]) -> None:
        self.is_silent = False
        self._ends = ends

    async def carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if not self.is_silent:
                target.write(data)
                await target.drain()
        if not self.is_silent:
            target.close()

    def cut(self) -> None:
        for end in self._ends:
            end.close()
