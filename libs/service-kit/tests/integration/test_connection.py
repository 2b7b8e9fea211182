"""Connections that never come to be; what becomes of others: `test_*_outages`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
from crm_scratch import eventually
from service_kit import bus
from service_kit.bus import make_broker
from service_kit.connection import connect

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CHANNEL_OPEN = b"\x00\x14\x00\x0a"
"""Class and method in AMQP 0-9-1."""


class Server:
    """Who answers at a broker's address; ends a line once it has answered."""

    def __init__(self, vhost: str, answer: Answer) -> None:
        self._vhost = urlsplit(vhost)
        self._answer = answer
        self.url = ""
        self.dialled: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Server"]:
        async with await asyncio.start_server(self._accept, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            login = self._vhost.netloc.rpartition("@")[0]
            self.url = urlunsplit(self._vhost._replace(netloc=f"{login}@127.0.0.1:{port}"))
            yield self
            self.hang_up()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled.append(writer)
        await self._answer(reader, writer)
        writer.close()

    def hang_up(self) -> None:
        for line in self.dialled:
            line.close()


async def _says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def silent() -> AbstractAsyncContextManager[Server]:
    return Server("amqp://crm:x@127.0.0.1/", _says_nothing).listening()


def gone_after_the_welcome(vhost: str) -> AbstractAsyncContextManager[Server]:
    """The broker itself, until somebody asks it for a channel."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = urlsplit(vhost)
        answers, asked = await asyncio.open_connection(there.hostname, there.port)

        async def back() -> None:
            while said := await answers.read(65536):
                writer.write(said)

        going_back = asyncio.create_task(back())
        while (said := await reader.read(65536)) and CHANNEL_OPEN not in said:
            asked.write(said)
        asked.close()
        await going_back

    return Server(vhost, answer).listening()


def at_work(before: set["asyncio.Task[object]"]) -> list[str]:
    """The tasks of connections that are there and were not before."""
    return [str(task) for task in asyncio.all_tasks() - before if "aio_pika" in str(task)]


class TestOpening:
    async def test_leaves_nothing_behind_of_who_was_told_to_stop(self) -> None:
        before = asyncio.all_tasks()
        async with silent() as server:
            connecting = asyncio.create_task(connect(make_broker(server.url)))
            await eventually(lambda: bool(server.dialled))
            connecting.cancel()
            await asyncio.wait({connecting}, timeout=0.1)
            server.hang_up()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await eventually(lambda: not at_work(before))
            assert len(server.dialled) == 1

    async def test_of_a_broker_that_says_nothing_is_given_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bus, "OPEN_SECONDS", 0.2)
        before = asyncio.all_tasks()
        async with silent() as server:
            with pytest.raises(bus.BROKER_ERRORS):
                await connect(make_broker(server.url))
            await eventually(lambda: not at_work(before))
            assert len(server.dialled) == 1

    async def test_leaves_nothing_behind_of_what_was_lost_before_anybody_had_it(
        self, vhost: str
    ) -> None:
        before = asyncio.all_tasks()
        async with gone_after_the_welcome(vhost) as server:
            with pytest.raises(bus.BROKER_ERRORS):
                await connect(make_broker(server.url))
            await eventually(lambda: not at_work(before))
            assert len(server.dialled) == 1
