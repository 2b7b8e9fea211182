"""Attempts against a receiver that breaks TCP, TLS and HTTP: each fault has its name."""

import asyncio
import resource
from collections.abc import AsyncIterator
from ipaddress import ip_network

import aiohttp
import pytest
from crm_fakes import hostile
from crm_fakes.certificates import Authority
from crm_fakes.hostile import Fault, HostileReceiver
from crm_fakes.names import Names
from crm_webhooks.deliveries import attempt
from service_kit.dialling import open_session
from service_kit.egress import Egress

LOOPBACK = Egress([ip_network("127.0.0.0/8")])
KIND, CANARY = "127.0.0.2", "127.0.0.1"
MEGABYTE = 1 << 20


@pytest.fixture
async def receiver() -> AsyncIterator[HostileReceiver]:
    async with HostileReceiver() as receiver:
        yield receiver


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(LOOPBACK) as session:
        yield session


async def post(session: aiohttp.ClientSession, url: str, seconds: float = 0.5) -> attempt.Result:
    return await attempt.post(session, url, {}, b"{}", timeout=seconds)


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "status", "error"),
        [
            (hostile.silent, None, "timeout"),
            (hostile.DRIPPING_HEADERS, None, "timeout"),
            (hostile.INTERIM_FLOOD, None, "timeout"),
            (hostile.resetting(), None, "reset"),
            (hostile.resetting(hostile.OK), None, "reset"),
            (hostile.HUGE_HEADER, None, "protocol"),
            (hostile.MANY_HEADERS, None, "protocol"),
            (hostile.NO_HTTP, None, "protocol"),
            (hostile.saying(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), 101, "http_1xx"),
            (hostile.saying(b"HTTP/1.1 100 Continue\r\n\r\n", hostile.EMPTY), 200, None),
            (hostile.resetting(hostile.OK + b"Content-Length: 9\r\n\r\nhalf"), 200, None),
            (hostile.DRIPPING_BODY, 200, None),
            (hostile.ENDLESS_BODY, 200, None),
        ],
    )
    async def test_have_their_name_and_cost_no_connection(
        self,
        receiver: HostileReceiver,
        session: aiohttp.ClientSession,
        fault: Fault,
        status: int | None,
        error: str | None,
    ) -> None:
        receiver.answer(fault)
        result = await post(session, receiver.url)
        assert (result.status, result.error) == (status, error)
        await receiver.visits.wait_for(lambda visit: visit.ended_at is not None)
        assert (await post(session, receiver.url, seconds=60)).delivered

    async def test_a_broken_body_after_a_2xx_is_delivered_unless_it_came_with_the_headers(
        self, receiver: HostileReceiver, session: aiohttp.ClientSession
    ) -> None:
        """In one packet they are read as one, and nobody can tell the status."""
        receiver.answer(hostile.BAD_CHUNKS)
        result = await post(session, receiver.url, 60)
        assert (result.status, result.error) in ((200, None), (None, "protocol"))

    async def test_a_connection_the_other_side_closed_is_an_attempt_with_a_name(
        self, receiver: HostileReceiver, session: aiohttp.ClientSession
    ) -> None:
        receiver.answer(hostile.saying(hostile.EMPTY, close=True))
        assert (await post(session, receiver.url)).delivered
        await receiver.visits.wait_for(lambda visit: visit.ended_at is not None)
        result = await post(session, receiver.url, seconds=60)
        assert result.error in (None, "reset")

    async def test_a_late_answer_is_nobodys(
        self, receiver: HostileReceiver, session: aiohttp.ClientSession
    ) -> None:
        release = asyncio.Event()
        receiver.answer(hostile.late(release, hostile.EMPTY))
        result = await post(session, receiver.url)
        assert (result.status, result.error) == (None, "timeout")
        release.set()
        assert (await post(session, receiver.url, seconds=60)).delivered
        assert {visit.connection for visit in receiver.visits} == {1, 2}

    async def test_fifty_endless_bodies_take_no_memory(
        self, receiver: HostileReceiver, session: aiohttp.ClientSession
    ) -> None:
        bomb = hostile.flooding(hostile.OK + b"Content-Encoding: gzip\r\n\r\n")
        receiver.answer(*[hostile.ENDLESS_BODY, bomb] * 30)
        await post(session, receiver.url)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        results = await asyncio.gather(*(post(session, receiver.url, 60) for _ in range(50)))
        assert all(result.delivered for result in results)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert (after - before) * 1024 < 40 * MEGABYTE  # of both sides: the receiver is here too


class TestTls:
    async def test_what_nobody_vouches_for_gets_nothing_in_plain_text_either(
        self, session: aiohttp.ClientSession
    ) -> None:
        authority = Authority()
        async with HostileReceiver(tls=authority.right()) as receiver:
            # Whom our client trusts is the machine's affair: here nobody.
            assert (await post(session, receiver.url, 60)).error == "tls_untrusted"
            assert not len(receiver.visits)

    async def test_each_fault_of_a_certificate_has_its_own(self) -> None:
        authority = Authority()
        trusting = aiohttp.TCPConnector(ssl=authority.trusting())
        async with (
            HostileReceiver(tls=authority.right()) as receiver,
            aiohttp.ClientSession(connector=trusting) as session,
        ):
            found = {}
            for name in ("expired", "of_another_host", "unknown", "right"):
                receiver.tls = getattr(authority, name)()
                found[name] = (await post(session, receiver.url, 60)).error
            assert len(receiver.visits) == 1
        assert found == {
            "expired": "tls_expired",
            "of_another_host": "tls_wrong_host",
            "unknown": "tls_untrusted",
            "right": None,
        }

    async def test_plain_text_instead_of_a_handshake_is_a_fault_of_tls(
        self, session: aiohttp.ClientSession
    ) -> None:
        def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(greet, CANARY, 0)
        async with server:
            url = f"https://{CANARY}:{server.sockets[0].getsockname()[1]}/"
            assert (await post(session, url, 60)).error == "tls"

    async def test_a_handshake_that_stalls_is_a_timeout(
        self, session: aiohttp.ClientSession
    ) -> None:
        async with HostileReceiver(stall=True) as receiver:
            assert (await post(session, receiver.url)).error == "timeout"


class TestNames:
    async def test_that_lead_elsewhere_at_the_next_look_are_not_followed(self) -> None:
        """A name is judged at each dialling, by all its addresses; a good one is dialled again."""
        rule = Egress([ip_network(f"{KIND}/32")])
        async with HostileReceiver(host=CANARY) as canary, HostileReceiver(host=KIND) as kind:
            url = f"http://shop.test:{kind.port}/"
            inside = f"http://shop.test:{canary.port}/"
            with Names() as names:
                names.answer("shop.test", [CANARY], [KIND, CANARY], [], ["10.0.0.1"], [KIND])
                async with open_session(rule) as session:
                    errors = [
                        (await post(session, where, 60)).error
                        for where in (inside, url, url, url, url)
                    ]
            assert errors == ["ssrf_blocked", "ssrf_blocked", "dns", "ssrf_blocked", None]
            assert canary.connections == 0
            assert len(kind.visits) == 1

    async def test_of_many_addresses_are_reached_at_one_that_answers(self) -> None:
        async with HostileReceiver() as receiver:
            with Names() as names:
                names.answer("many.test", [f"127.0.0.{n}" for n in range(9, 0, -1)])
                async with open_session(LOOPBACK) as session:
                    url = f"http://many.test:{receiver.port}/"
                    assert (await post(session, url, 60)).delivered
