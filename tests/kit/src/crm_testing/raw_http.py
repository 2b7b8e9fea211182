"""An application behind real sockets, and requests as bytes: what no HTTP client would send."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from service_kit.http_bounds import BoundedHttp
from starlette.types import ASGIApp

_SECONDS = 30


@dataclass(frozen=True)
class Listener:
    """Where an application listens."""

    port: int

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection of one's own."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, raw: bytes) -> bytes:
        """All that is answered to these bytes until the connection is closed; TimeoutError."""
        reader, writer = await self.connect()
        try:
            async with asyncio.timeout(_SECONDS):
                writer.write(raw)
                return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[Listener]:
    """Serve an application as our processes do."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http=BoundedHttp,
        lifespan="off",
        log_config=None,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started:  # noqa: ASYNC110 - it says so by this alone
            await asyncio.sleep(0)
        yield Listener(listening.getsockname()[1])
    finally:
        server.should_exit = True
        await serving
