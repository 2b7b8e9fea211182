"""The hostile receiver, as a client of the ordinary kind sees it."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from crm_fakes import hostile
from crm_fakes.certificates import Authority
from crm_fakes.hostile import Fault, HostileReceiver, most_within
from crm_fakes.names import Names

HEADERS = {"webhook-id": "e1"}


@pytest.fixture
async def receiver() -> AsyncIterator[HostileReceiver]:
    async with HostileReceiver() as receiver:
        yield receiver


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
        yield http


async def posted(http: aiohttp.ClientSession, url: str, seconds: float = 60) -> int:
    async with http.post(
        url, data=b"{}", headers=HEADERS, timeout=aiohttp.ClientTimeout(total=seconds)
    ) as response:
        await response.read()
        return response.status


class TestVisits:
    async def test_tell_what_came_on_which_connection(
        self, receiver: HostileReceiver, http: aiohttp.ClientSession
    ) -> None:
        last = hostile.OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n"
        receiver.answer(hostile.saying(hostile.EMPTY), hostile.saying(last, close=True))
        for _ in range(3):
            assert await posted(http, receiver.url + "a") == 200
        assert [(v.path, v.id, v.body, v.connection) for v in receiver.visits] == [
            ("/a", "e1", b"{}", 1),
            ("/a", "e1", b"{}", 1),
            ("/a", "e1", b"{}", 2),
        ]
        assert receiver.connections == 2

    async def test_tell_who_hung_up_and_how_many_there_were_at_once(
        self, receiver: HostileReceiver, http: aiohttp.ClientSession
    ) -> None:
        receiver.default = hostile.silent
        waiting = [asyncio.create_task(posted(http, receiver.url)) for _ in range(3)]
        await receiver.visits.wait_for_count(lambda _: True, 3)
        for task in waiting:
            task.cancel()
        await receiver.visits.wait_for_count(lambda visit: visit.hung_up, 3)
        receiver.default = hostile.saying(hostile.EMPTY)
        assert await posted(http, receiver.url) == 200
        assert receiver.most_at_once() == 3
        assert receiver.most_within(60) == 4

    def test_windows_slide_and_leave_out_their_end(self) -> None:
        assert most_within([0.0, 0.5, 0.9, 1.0, 1.4, 5.0], 1.0) == 4
        assert most_within([0.0, 1.0], 1.0) == 1
        assert most_within([], 1.0) == 0


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (hostile.silent, TimeoutError),
            (hostile.DRIPPING_HEADERS, TimeoutError),
            (hostile.DRIPPING_BODY, TimeoutError),
            (hostile.ENDLESS_BODY, TimeoutError),
            (hostile.INTERIM_FLOOD, TimeoutError),
            (hostile.resetting(), aiohttp.ClientError),
            (hostile.resetting(hostile.OK), aiohttp.ClientError),
            (hostile.HUGE_HEADER, aiohttp.ClientError),
            (hostile.MANY_HEADERS, aiohttp.ClientError),
            (hostile.BAD_CHUNKS, aiohttp.ClientError),
            (hostile.NO_HTTP, aiohttp.ClientError),
        ],
    )
    async def test_break_a_request(
        self,
        receiver: HostileReceiver,
        http: aiohttp.ClientSession,
        fault: Fault,
        error: type[Exception],
    ) -> None:
        receiver.answer(fault)
        with pytest.raises(error):
            await posted(http, receiver.url, seconds=0.5)
        assert await posted(http, receiver.url) == 200

    async def test_a_late_answer_comes_when_it_is_told_to(
        self, receiver: HostileReceiver, http: aiohttp.ClientSession
    ) -> None:
        release = asyncio.Event()
        receiver.answer(hostile.late(release, hostile.EMPTY))
        asked = asyncio.create_task(posted(http, receiver.url))
        await receiver.visits.wait_for(lambda _: True)
        assert not asked.done()
        release.set()
        assert await asked == 200


class TestTls:
    async def test_may_be_right_wrong_and_mended(self) -> None:
        authority = Authority()
        trusting = aiohttp.TCPConnector(ssl=authority.trusting())
        async with (
            HostileReceiver(tls=authority.expired()) as receiver,
            aiohttp.ClientSession(connector=trusting) as http,
        ):
            for wrong, why in (
                (authority.expired(), "expired"),
                (authority.of_another_host(), "mismatch"),
                (authority.unknown(), "local issuer"),
            ):
                receiver.tls = wrong
                with pytest.raises(aiohttp.ClientConnectorCertificateError, match=why):
                    await posted(http, receiver.url)
            assert not len(receiver.visits)
            receiver.tls = authority.right()
            assert await posted(http, receiver.url) == 200

    async def test_may_stall(self, http: aiohttp.ClientSession) -> None:
        async with HostileReceiver(stall=True) as receiver:
            assert receiver.url.startswith("https:")
            with pytest.raises(TimeoutError):
                await posted(http, receiver.url, seconds=0.5)
            assert not len(receiver.visits)


class TestNames:
    async def test_change_between_two_looks(self) -> None:
        loop = asyncio.get_running_loop()

        async def look(name: str) -> list[str]:
            return [str(found[4][0]) for found in await loop.getaddrinfo(name, 80)]

        with Names() as names:
            names.answer("shop.test", ["127.0.0.2"], ["127.0.0.1", "::1"])
            names.answer("gone.test", [])
            assert await look("shop.test") == ["127.0.0.2"]
            assert await look("shop.test") == ["127.0.0.1", "::1"]
            assert await look("shop.test") == ["127.0.0.1", "::1"]
            with pytest.raises(OSError, match="not known"):
                await look("gone.test")
            assert await look("127.0.0.3") != []
            assert names.looks == ["shop.test"] * 3 + ["gone.test"]
        with pytest.raises(OSError):
            await look("shop.test")
