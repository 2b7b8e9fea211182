"""Opening a connection to a broker that does not answer; later silence: `test_*_outages`."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from crm_scratch import eventually
from service_kit import bus
from service_kit.bus import make_broker
from service_kit.connection import connect


class Dumb:
    """A server that hears and says nothing."""

    def __init__(self) -> None:
        self.dialled: list[asyncio.StreamWriter] = []

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled.append(writer)
        await reader.read()
        writer.close()

    async def once_dialled(self) -> None:
        await eventually(lambda: bool(self.dialled))

    def hang_up(self) -> None:
        for line in self.dialled:
            line.close()


@pytest.fixture
async def dumb() -> AsyncIterator[tuple[Dumb, str]]:
    server = Dumb()
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    async with listening:
        yield server, f"amqp://crm:x@{host}:{port}/"
        server.hang_up()


class TestDumbBroker:
    async def test_leaves_nothing_behind_of_who_was_told_to_stop(
        self, dumb: tuple[Dumb, str]
    ) -> None:
        server, url = dumb
        before = asyncio.all_tasks()
        connecting = asyncio.create_task(connect(make_broker(url)))
        await server.once_dialled()
        connecting.cancel()
        await asyncio.wait({connecting}, timeout=0.1)
        server.hang_up()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await eventually(lambda: not _ours(before))
        assert len(server.dialled) == 1

    async def test_is_given_up(
        self, dumb: tuple[Dumb, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bus, "OPEN_SECONDS", 0.2)
        server, url = dumb
        before = asyncio.all_tasks()
        with pytest.raises(bus.BROKER_ERRORS):
            await connect(make_broker(url))
        await eventually(lambda: not _ours(before))
        assert len(server.dialled) == 1


def _ours(before: set["asyncio.Task[object]"]) -> list[str]:
    """The tasks of connections that are at work and were not before."""
    return [str(task) for task in asyncio.all_tasks() - before if "aio_pika" in str(task)]
