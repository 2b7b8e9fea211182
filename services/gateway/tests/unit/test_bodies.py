"""How much of bodies is held at once, whoever sends them."""

import asyncio
from collections.abc import Callable

import pytest
from crm_gateway.body import (
    LARGE_AT_ONCE,
    MAX_BODY_BYTES,
    SMALL_BODY_BYTES,
    Bodies,
)
from crm_gateway.problems.errors import HttpError
from crm_gateway.settings import GatewaySettings
from crm_testing.scenes.gateway import Rest
from service_kit.errors import UnavailableError
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

CHUNK = b"x" * 2**14
CHUNKS = MAX_BODY_BYTES // len(CHUNK)


class Sender:
    """Sends a body by and by; `taken` are the chunks that were wanted of it."""

    def __init__(self, chunks: int = CHUNKS) -> None:
        self.taken, self._chunks = 0, chunks
        self.goes_on = asyncio.Event()

    def request(self) -> Request:
        return Request({"type": "http", "headers": []}, self._receive)

    async def _receive(self) -> Message:
        if self.taken == self._chunks - 1:
            await self.goes_on.wait()  # the last one does not come
        self.taken += 1
        more = self.taken < self._chunks
        return {"type": "http.request", "body": CHUNK, "more_body": more}


async def read(bodies: Bodies, sender: Sender, seconds: float = 60, whose: str = "a") -> int:
    async with bodies.room() as room:
        return len(await room.read(sender.request(), whose, seconds=seconds))


async def all_wait(senders: list[Sender]) -> None:
    """Until nobody is given more than before."""
    taken = -1
    while taken != (taken := sum(sender.taken for sender in senders)):
        for _ in range(2 * CHUNKS):
            await asyncio.sleep(0)


class TestRoom:
    async def test_of_400_that_are_slow_a_few_are_held_and_small_ones_go_by(self) -> None:
        bodies, senders = Bodies(), [Sender() for _ in range(400)]
        reading = [asyncio.create_task(read(bodies, sender)) for sender in senders]
        await all_wait(senders)
        held = sum(sender.taken for sender in senders) * len(CHUNK)
        assert held <= 400 * (SMALL_BODY_BYTES + len(CHUNK)) + LARGE_AT_ONCE * MAX_BODY_BYTES
        assert held < 64 * 2**20 < 400 * MAX_BODY_BYTES
        small = Sender(chunks=1)
        small.goes_on.set()
        assert await read(bodies, small) == len(CHUNK)
        # Who goes on makes room, and all come through.
        for sender in senders:
            sender.goes_on.set()
        assert set(await asyncio.gather(*reading)) == {MAX_BODY_BYTES}

    async def test_that_does_not_come_free_is_told_as_ours_and_not_as_slow(self) -> None:
        bodies, slow = Bodies(), [Sender() for _ in range(LARGE_AT_ONCE // 2)]
        reading = [asyncio.create_task(read(bodies, sender)) for sender in slow]
        await all_wait(slow)
        late = Sender()
        late.goes_on.set()
        with pytest.raises(UnavailableError) as refused:
            await read(bodies, late, seconds=0.01)
        assert refused.value.problem.code == "too_busy"
        slow[0].goes_on.set()
        assert await reading[0] == MAX_BODY_BYTES
        later = Sender()
        later.goes_on.set()
        assert await read(bodies, later) == MAX_BODY_BYTES
        for task in reading:
            task.cancel()

    async def test_is_left_for_others_by_a_company_with_many_slow_ones(self) -> None:
        bodies = Bodies()
        slow = [(whose, Sender()) for whose in "ab" for _ in range(2 * LARGE_AT_ONCE)]
        reading = [asyncio.create_task(read(bodies, each, whose=whose)) for whose, each in slow]
        await all_wait([each for _, each in slow])
        other = Sender()
        other.goes_on.set()
        assert await read(bodies, other, whose="c") == MAX_BODY_BYTES
        for task in reading:
            task.cancel()

    @pytest.mark.parametrize("reason", ["late", "gone", "too much"])
    async def test_is_made_however_a_body_ends(self, reason: str) -> None:
        bodies = Bodies()

        class Broken(Sender):
            async def _receive(self) -> Message:
                if self.taken < CHUNKS - 1:
                    return await super()._receive()
                if reason == "gone":
                    return {"type": "http.disconnect"}
                if reason == "late":
                    await asyncio.Future()
                return {"type": "http.request", "body": CHUNK * 2, "more_body": True}

        for _ in range(LARGE_AT_ONCE + 1):
            with pytest.raises((HttpError, ClientDisconnect)):
                await read(bodies, Broken(), seconds=0.05)
        whole = Sender()
        whole.goes_on.set()
        assert await read(bodies, whole) == MAX_BODY_BYTES


class TestStrangers:
    async def test_have_little_to_say(self, make_settings: Callable[..., GatewaySettings]) -> None:
        """Whoever logs in or registers is nobody yet, and takes the room of nobody."""
        rest = Rest(make_settings())
        body = b'{"email": "' + b"a" * SMALL_BODY_BYTES + b'"}'
        for path in ("/auth/login", "/auth/register", "/auth/email/verify"):
            assert await rest.refuses("POST", path, body) == (413, "body_too_large")
        answer = await rest.send("POST", "/contacts", b'{"name": "' + b"a" * 2**17 + b'"}')
        assert answer.status_code == 422


class TestRepeatedNames:
    @pytest.mark.parametrize(
        "body",
        [
            b'{"name": "Ana", "name": "Eva"}',
            b'{"name": "Ana", "\\u006eame": "Eva"}',
            b'{"name": "Ana", "custom_fields": {"a": 1, "b": 2, "a": 3}}',
            b'{"name": "Ana", "tags": [{"x": {"y": 1, "y": 1}}]}',
        ],
    )
    async def test_are_malformed(
        self, make_settings: Callable[..., GatewaySettings], body: bytes
    ) -> None:
        rest = Rest(make_settings())
        assert await rest.refuses("POST", "/contacts", body) == (400, "repeated_name")

    async def test_in_different_objects_are_none(
        self, make_settings: Callable[..., GatewaySettings]
    ) -> None:
        body = {"name": "Ana", "custom_fields": {"name": "Ana", "n": 0.5, "of": {"name": 1}}}
        await Rest(make_settings()).asks("POST", "/contacts", body)
