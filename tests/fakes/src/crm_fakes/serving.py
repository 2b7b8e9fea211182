"""Small servers on loopback, of HTTP and of anything, started and stopped like context managers."""

import asyncio
from abc import ABC, abstractmethod
from typing import Self

from aiohttp import web


class _Startable(ABC):
    """`async with` starts it and stops it."""

    @abstractmethod
    async def start(self) -> None:
        """Listen; returns once connections are accepted."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop listening. Idempotent."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class TcpServer(_Startable):
    """Hears what `listen` opens; stopping and starting again keeps the port.

    `port=0` takes a free one.
    """

    host: str = "127.0.0.1"
    port: int = 0
    _server: asyncio.Server | None = None

    @abstractmethod
    async def listen(self) -> asyncio.Server:
        """Open the port; called at each start."""

    async def cut(self) -> None:
        """End the connections there are; called at each stop, when no new ones come."""

    async def start(self) -> None:
        """Listen; returns once connections are accepted."""
        self._server = await self.listen()
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Refuse connections, and cut those there are if it knows how. Idempotent."""
        if self._server is not None:
            self._server.close()
            await self.cut()
            await self._server.wait_closed()
            self._server = None


class LocalServer(_Startable):
    """Serves the application of `build_app`; stopping and starting again keeps the port.

    `port=0` takes a free one. Handlers are cancelled when their client hangs up.
    """

    max_body = 50 * 1024 * 1024

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()

    @property
    def url(self) -> str:
        """Base url of the server, without a trailing slash."""
        return f"http://{self.host}:{self.port}"

    @abstractmethod
    def build_app(self) -> web.Application:
        """Return the application to serve; called at each start."""

    async def start(self) -> None:
        """Listen; returns once connections are accepted."""
        self._closing = asyncio.Event()
        self._runner = web.AppRunner(
            self.build_app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.2
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port, backlog=1024).start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and end every request still open. Idempotent."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def hang(self, request: web.Request, seconds: float) -> web.Response:
        """Answer nothing for `seconds` (or until stopped), then cut the connection."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
