"""The supervisor's ear: a unix socket, one JSON line asked, one JSON line answered."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

Answer = Callable[[str, str], Awaitable[str]]


class RefusedError(Exception):
    """The supervisor could not do what was asked; the message says why."""


def _reachable(path: Path) -> str:
    # A socket's address holds 107 bytes: from inside the checkout the relative path is short.
    return min(str(path), os.path.relpath(path), key=len)


@asynccontextmanager
async def listening(path: Path, answer: Answer) -> AsyncIterator[None]:
    """Answer requests while the context lasts; `answer(verb, name)` returns a text or raises."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.readline())
        try:
            reply = {"ok": await answer(request["verb"], request["name"])}
        except Exception as error:
            reply = {"error": str(error)}
        writer.write(json.dumps(reply).encode() + b"\n")
        await writer.drain()
        writer.close()

    listener = _listener(path)
    server = await asyncio.start_unix_server(serve, sock=listener)
    try:
        yield
    finally:
        server.close()


def _listener(path: Path) -> socket.socket:
    """Bind the socket anew, for the owner only: one left by a killed supervisor is in the way."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(_reachable(path))
    path.chmod(0o600)
    return listener


def ask(path: Path, verb: str, name: str = "", timeout: float = 240.0) -> str:
    """Send one request and return the answer; raises RefusedError, or OSError when nobody hears."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(_reachable(path))
        connection.sendall(json.dumps({"verb": verb, "name": name}).encode() + b"\n")
        reply: dict[str, str] = json.loads(connection.makefile().readline())
    if "error" in reply:
        raise RefusedError(reply["error"])
    return reply["ok"]
