"""Headers have an end, in bytes and in time, and nobody else waits for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from crm_testing.raw_http import Listener, served
from service_kit import http_bounds
from service_kit.http_bounds import MAX_HEADER_BYTES
from starlette.types import Message, Receive, Scope, Send

GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n"
END = b"Connection: close\r\n\r\n"


class Application:
    """Answers with how long the body is; `/late` once it is let go."""

    def __init__(self) -> None:
        self.late = asyncio.Event()
        self.waits = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length, more = 0, True
        while more:
            message: Message = await receive()
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
        if scope["path"] == "/late":
            self.waits.set()
            await self.late.wait()
        body = str(length).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
async def wire(application: Application) -> AsyncIterator[Listener]:
    async with served(application) as wire:
        yield wire


class TestSize:
    @pytest.mark.parametrize("one", [True, False], ids=["one header", "many headers"])
    async def test_headers_without_an_end_are_cut(self, wire: Listener, one: bool) -> None:
        reader, writer = await wire.connect()
        answer = asyncio.create_task(reader.read())
        writer.write(GET % b"" + b"X: ")
        sent = 0
        while not answer.done() and sent < 64 * MAX_HEADER_BYTES:
            sent += 2**14
            writer.write(b"a" * (2**14 - 5) + (b"aaaaa" if one else b"\r\nX: "))
            with suppress(ConnectionError):
                await writer.drain()
            await asyncio.sleep(0)
        # What the kernel holds between us comes on top.
        assert sent < 32 * MAX_HEADER_BYTES
        with suppress(ConnectionError):
            assert (await answer).startswith(b"HTTP/1.1 400")
        assert (await wire.send(GET % b"" + END)).startswith(b"HTTP/1.1 200")
        writer.close()

    async def test_they_may_be_long_and_bodies_longer(self, wire: Listener) -> None:
        long = b"X: " + b"a" * (MAX_HEADER_BYTES - 1000) + b"\r\n"
        assert (await wire.send(GET % b"" + long + END)).startswith(b"HTTP/1.1 200")
        body = b"x" * 4 * MAX_HEADER_BYTES
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
        assert (await wire.send(head + END + body)).endswith(b"\r\n%d" % len(body))

    async def test_of_each_request_are_counted_anew(self, wire: Listener) -> None:
        long = b"X: " + b"a" * (MAX_HEADER_BYTES // 2) + b"\r\n"
        answers = await wire.send(3 * (GET % b"" + long + b"\r\n") + GET % b"" + END)
        assert answers.count(b"HTTP/1.1 200") == 4


class TestTime:
    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http_bounds, "HEADER_SECONDS", 0.2)

    @pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET", GET % b"", GET % b"" + b"X: a"])
    async def test_who_does_not_come_to_an_end_is_not_waited_for(
        self, wire: Listener, begun: bytes
    ) -> None:
        assert await wire.send(begun) == b""

    async def test_nor_who_begins_another_request(self, wire: Listener) -> None:
        answers = await wire.send(GET % b"" + b"\r\n" + GET % b"")
        assert answers.count(b"HTTP/1.1") == 1

    async def test_an_answer_takes_as_long_as_it_takes(
        self, wire: Listener, application: Application
    ) -> None:
        asked = asyncio.create_task(wire.send(GET % b"late" + END))
        await application.waits.wait()
        assert await wire.send(b"") == b""  # longer than headers may take
        application.late.set()
        assert (await asked).startswith(b"HTTP/1.1 200")


class TestConnections:
    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http_bounds, "MAX_CONNECTIONS", 3)

    async def test_that_wait_longest_make_room(self, wire: Listener) -> None:
        first, second, third = [await wire.connect() for _ in range(3)]
        for reader, writer in (second, third, first):  # so the second has waited longest
            writer.write(GET % b"" + b"\r\n")
            assert await reader.readuntil(b"\r\n\r\n0")
        assert (await wire.send(GET % b"" + END)).startswith(b"HTTP/1.1 200")
        assert await second[0].read() == b""
        for reader, writer in (first, third):
            writer.write(GET % b"" + END)
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
        for _, writer in (first, second, third):
            writer.close()

    async def test_at_work_are_left_at_it(self, wire: Listener, application: Application) -> None:
        asked = []
        for _ in range(3):
            application.waits.clear()
            asked.append(asyncio.create_task(wire.send(GET % b"late" + END)))
            await application.waits.wait()
        assert await wire.send(b"") == b""  # closed at once
        application.late.set()
        answers = await asyncio.gather(*asked)
        assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 3
        assert (await wire.send(GET % b"" + END)).startswith(b"HTTP/1.1 200")

    async def test_of_a_pipeline_are_at_work_until_its_end(
        self, wire: Listener, application: Application
    ) -> None:
        asked = asyncio.create_task(wire.send(GET % b"" + b"\r\n" + GET % b"late" + END))
        await application.waits.wait()
        waiting = [await wire.connect() for _ in range(4)]
        assert await waiting[0][0].read() == b""
        application.late.set()
        assert (await asked).count(b"HTTP/1.1 200") == 2
        for _, writer in waiting:
            writer.close()
