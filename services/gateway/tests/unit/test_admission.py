"""Who is refused when too much is asked for, and that webhooks of WAHA do not wait for it."""

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest
from crm_gateway import admission
from crm_gateway.admission import IN_HAND, IN_HAND_LATE, Admission
from crm_gateway.app import create_service
from crm_gateway.problems.edge import Answers, Edge
from crm_gateway.settings import GatewaySettings
from fastapi.routing import APIRoute
from prometheus_client import REGISTRY
from service_kit.errors import ForbiddenError, UnavailableError
from service_kit.lag import Lag
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

READ, WEBHOOK = "/api/v1/contacts/1", "/api/v1/webhooks/waha/token"


class Late(Lag):
    """A loop that is as late as it is told."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.said = seconds

    @property
    def seconds(self) -> float:
        return self.said


class Application:
    """Answers when it is let go; `held` are the requests that wait for that."""

    def __init__(self) -> None:
        self.held = 0
        self.go = asyncio.Event()
        self.ends = asyncio.Event()
        self.ends.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.held += 1
        await self.go.wait()
        if scope["path"].endswith("/broken"):
            raise RuntimeError("a fault of ours")
        await Response()(scope, receive, send)
        await self.ends.wait()


@pytest.fixture
def application() -> Application:
    return Application()


def client(admitted: Admission, address: str = "192.0.2.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Edge(Answers(admitted)), client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


async def held(application: Application, count: int) -> None:
    async with asyncio.timeout(30):
        while application.held < count:  # noqa: ASYNC110 - it says so by this alone
            await asyncio.sleep(0)


async def answered(client: httpx.AsyncClient) -> httpx.Response:
    """What is answered at once; fails for a request that waits with those in hand."""
    async with asyncio.timeout(30):
        return await client.get(READ)


def told() -> float:
    """How many refusals the metric tells of."""
    return REGISTRY.get_sample_value("crm_http_requests_shed_total") or 0


ROUTE = APIRoute("/api/v1/contacts/{contact_id}", lambda: None, methods=["GET"])


def failures() -> float:
    """How many failures of the route the metric tells of."""
    labels = {"method": "GET", "route": ROUTE.path, "status": "503"}
    name = "crm_http_request_duration_seconds_count"
    return REGISTRY.get_sample_value(name, labels) or 0


class TestInHand:
    @pytest.mark.parametrize(("late", "most"), [(0.0, IN_HAND), (1.0, IN_HAND_LATE)])
    async def test_are_so_many_and_others_are_told_to_come_back(
        self, application: Application, late: float, most: int
    ) -> None:
        admitted, shed = Admission(application, lag=Late(late)), told()
        ours = client(admitted)
        asked = [asyncio.create_task(ours.get(READ)) for _ in range(most // 2)]
        await held(application, most // 2)
        refused = await answered(ours)
        assert (refused.status_code, refused.json()["code"]) == (503, "too_busy")
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-request-id"]
        assert told() == shed + 1
        # Others have a share, wherever the first come from.
        asked.append(asyncio.create_task(client(admitted, "2001:db8::1").get(READ)))
        await held(application, most // 2 + 1)
        application.go.set()
        assert {each.status_code for each in await asyncio.gather(*asked)} == {200}
        assert (await ours.get(READ)).status_code == 200

    async def test_of_an_ipv6_network_are_one_callers(self, application: Application) -> None:
        admitted = Admission(application, lag=Late(1))
        asked = [
            asyncio.create_task(client(admitted, f"2001:db8::{n:x}").get(READ))
            for n in range(IN_HAND_LATE // 2)
        ]
        await held(application, len(asked))
        assert (await answered(client(admitted, "2001:db8::ffff"))).status_code == 503
        application.go.set()
        await asyncio.gather(*asked)

    async def test_are_counted_until_their_answer_begins_or_they_fail(
        self, application: Application
    ) -> None:
        admitted = Admission(application, lag=Late(1))
        ours = client(admitted)
        application.go.set()
        for _ in range(IN_HAND_LATE):
            assert (await ours.get(READ + "/broken")).status_code == 500
        application.ends.clear()  # as event streams do
        asked = [asyncio.create_task(ours.get(READ)) for _ in range(IN_HAND_LATE)]
        await held(application, 2 * IN_HAND_LATE)
        application.ends.set()
        await asyncio.gather(*asked)

    async def test_are_only_requests_of_the_api(self, application: Application) -> None:
        ours = client(Admission(application, lag=Late(1)))
        asked = [asyncio.create_task(ours.get("/health/ready")) for _ in range(2 * IN_HAND_LATE)]
        await held(application, len(asked))
        application.go.set()
        await asyncio.gather(*asked)


class Away:
    """Has no room for anybody, and counts who asked in vain."""

    def __init__(self) -> None:
        self.read = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.read += 1
        scope["route"] = ROUTE
        if scope["path"].startswith("/api/v1/messages"):
            await Response()(scope, receive, send)
        elif scope["query_string"] == b"forbidden":
            raise ForbiddenError("permission_missing", "Not yours.")
        else:
            raise UnavailableError("service_unavailable", "It is away.")


class TestToldBefore:
    """Who was told that it is in vain is told so again for a moment, unread."""

    @pytest.fixture
    def away(self) -> Away:
        return Away()

    @pytest.fixture
    def ours(self, away: Away) -> httpx.AsyncClient:
        return client(Admission(away, lag=Late(0)))

    @pytest.mark.parametrize("name", ["Authorization", "X-Api-Key"])
    async def test_is_told_the_same(
        self, away: Away, ours: httpx.AsyncClient, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 100.0
        monkeypatch.setattr(admission, "time", SimpleNamespace(monotonic=lambda: now))
        before, failed = told(), failures()
        for number in range(3):
            # What is asked for is of one kind, whichever it is.
            refused = await ours.get(f"/api/v1/contacts/{uuid4()}", headers={name: "a"})
            assert (refused.status_code, refused.json()["code"]) == (503, "service_unavailable")
            assert refused.headers["retry-after"] == "1"
            # Not for want of room here: it is the route that fails.
            assert (away.read, told() - before, failures() - failed) == (1, 0, number + 1)
        now += admission.AGAIN_SECONDS + 0.01
        await ours.get(f"/api/v1/contacts/{uuid4()}", headers={name: "a"})
        assert away.read == 2

    @pytest.mark.parametrize(
        ("path", "credential"),
        [
            ("/api/v1/messages/send", "a"),  # another service's, perhaps
            (READ + "/messages", "a"),
            (READ + "?expand=contact", "a"),
            (READ, "b"),
        ],
    )
    async def test_is_nobody_else_and_for_nothing_else(
        self, away: Away, ours: httpx.AsyncClient, path: str, credential: str
    ) -> None:
        for _ in range(2):
            await ours.get(READ, headers={"X-Api-Key": "a"})
        await ours.get(path, headers={"X-Api-Key": credential})
        assert away.read == 2

    async def test_is_nobody_who_does_something_else_there(
        self, away: Away, ours: httpx.AsyncClient
    ) -> None:
        """Whether they may is not known."""
        await ours.get(READ, headers={"X-Api-Key": "a"})
        await ours.delete(READ, headers={"X-Api-Key": "a"})
        assert away.read == 2

    async def test_is_nobody_unknown_or_refused_for_another_reason(
        self, away: Away, ours: httpx.AsyncClient
    ) -> None:
        for _ in range(2):
            await ours.get(READ)
            await ours.get(READ + "?forbidden", headers={"X-Api-Key": "a"})
        assert away.read == 4


class TestGateway:
    @pytest.fixture(autouse=True)
    def full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admission, "IN_HAND", 0)

    async def test_refuses_before_it_asks_who_it_is_and_takes_webhooks(
        self, make_settings: Callable[..., GatewaySettings]
    ) -> None:
        transport = httpx.ASGITransport(create_service(make_settings()).app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as ours:
            refused = await ours.get(READ, headers={"Accept-Language": "pt-BR"})
            webhook = await ours.post(WEBHOOK, content=b"{}")
            health = await ours.get("/health/live")
        assert refused.status_code == 503
        assert "requisições" in refused.json()["detail"]
        assert refused.headers["content-type"] == "application/problem+json"
        assert (webhook.status_code, webhook.json()["code"]) == (401, "invalid_token")
        assert health.status_code == 200


_READS = 2500
_TURNS = 4 * (IN_HAND_LATE + 100)
"""Of reads, within four turns of the loop: those in hand, and who came before it was late."""


class Busy:
    """Answers reads after three turns of 2 ms each, and counts them."""

    def __init__(self) -> None:
        self.turns = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(3):
            self.turns += 1
            until = time.perf_counter() + 0.002
            while time.perf_counter() < until:
                pass
            await asyncio.sleep(0)
        await Response()(scope, receive, send)


class TestOverload:
    async def test_what_goes_by_waits_for_few_of_many_reads(self) -> None:
        """Counted in work and not in time: the machine may be as slow as it likes."""
        busy, lag = Busy(), Lag()
        watching = asyncio.create_task(lag.run())
        admitted = Admission(busy, lag=lag)
        asked = [
            asyncio.create_task(client(admitted, f"192.0.2.{n % 10}").get(READ))
            for n in range(_READS)
        ]
        for _ in range(4):  # as a webhook, which waits for its confirm
            await asyncio.sleep(0)
        assert busy.turns < _TURNS < _READS
        answers = await asyncio.gather(*asked)
        watching.cancel()
        statuses = [each.status_code for each in answers]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) < _TURNS
        assert (await client(admitted).get(READ)).status_code == 200
