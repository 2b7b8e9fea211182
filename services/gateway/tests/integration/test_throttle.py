"""What is tried too often, by many at once: refused, and nobody else with it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import count
from uuid import uuid4

import httpx
import pytest
from crm_gateway.access.quotas import Quotas
from crm_gateway.problems.errors import HttpError
from service_kit.service import Service
from shared_events.requests import Principal

from services.gateway.tests.integration.conftest import RunGateway, register

From = Callable[[str], httpx.AsyncClient]
_LAST = count(1)
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
async def strict(gateway: Service, run_gateway: RunGateway) -> AsyncIterator[Service]:
    """A gateway that soon has enough."""
    async with run_gateway(
        gateway.settings.amqp_url,
        login_failures_per_address=12,
        login_failures_of_strangers=14,
        registrations_per_address=4,
        refreshes_per_user=3,
        rate_limit_per_tenant=8,
        rate_limit_per_key=3,
    ) as service:
        yield service


@pytest.fixture
def at(strict: Service) -> From:
    """A client at an address."""

    def client(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(strict.app, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url="http://gateway/api/v1")

    return client


def somewhere() -> str:
    """An address nobody has come from."""
    return f"198.18.{next(_LAST)}.1"


async def log_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> int:
    body = {"email": email, "password": password}
    return (await client.post("/auth/login", json=body)).status_code


async def guess(client: httpx.AsyncClient, email: str, times: int) -> Counter[int]:
    """How so many wrong passwords, all at once, are answered."""
    return Counter(await asyncio.gather(*(log_in(client, email, "wrong") for _ in range(times))))


class TestLogin:
    async def test_of_many_guesses_at_once_no_more_than_the_limit_are_tried(self, at: From) -> None:
        owner, stranger = at(somewhere()), at(somewhere())
        account, other = await register(owner), await register(owner)
        tried = await guess(stranger, account.email, 300)
        assert tried[401] == 5
        # For so many at once there may be no connection in time: those were not tried either.
        assert tried.keys() <= {401, 429, 503}
        assert await log_in(stranger, account.email) == 429
        # What was refused counted nowhere: neither for the address nor for all strangers.
        assert await guess(stranger, other.email, 3) == {401: 3}
        assert await guess(stranger, f"{uuid4()}@example.com", 9) == {401: 4, 429: 5}
        assert await log_in(at(somewhere()), account.email) == 200

    async def test_keys_of_their_own_give_no_more_guesses(self, at: From) -> None:
        account, stranger = await register(at(somewhere())), at(somewhere())

        async def guess_by(key: int) -> int:
            body = {"email": account.email, "password": f"wrong {key}"}
            headers = {"Idempotency-Key": f"{key}"}
            return (await stranger.post("/auth/login", json=body, headers=headers)).status_code

        tried = Counter(await asyncio.gather(*(guess_by(key) for key in range(60))))
        tried += Counter([await guess_by(60 + key) for key in range(6)])
        assert tried[401] == 5 and tried.keys() <= {401, 429, 503}
        # Nor does one key, with the words of before or with others.
        assert [await guess_by(key) for key in (0, 1, 0)] == [429] * 3

    async def test_strangers_lock_out_strangers_and_not_the_owner(self, at: From) -> None:
        home = somewhere()
        account, other = await register(at(home)), await register(at(home))
        assert await log_in(at(home), account.email) == 200
        tried = [await guess(at(somewhere()), account.email, 5) for _ in range(4)]
        assert sum(tried, Counter()) == {401: 14, 429: 6}
        assert await log_in(at(somewhere()), account.email) == 429
        assert await log_in(at(somewhere()), other.email) == 200
        assert [await log_in(at(home), account.email) for _ in range(8)] == [200] * 8
        assert await guess(at(home), account.email, 8) == {401: 5, 429: 3}

    async def test_what_a_stranger_says_of_its_address_is_not_believed(self, at: From) -> None:
        here = at(somewhere())

        async def fail(number: int) -> int:
            said = f"192.0.2.{number}"
            spoofed = {"X-Forwarded-For": said, "X-Real-Ip": said, "Forwarded": f"for={said}"}
            body = {"email": f"{uuid4()}@example.com", "password": "wrong"}
            return (await here.post("/auth/login", json=body, headers=spoofed)).status_code

        assert [await fail(number) for number in range(14)] == [401] * 12 + [429] * 2

    async def test_an_ipv6_network_is_one_address(self, at: From) -> None:
        account = await register(at(somewhere()))
        for last in range(5):
            assert await log_in(at(f"2001:db8:ff::{last:x}:1"), account.email, "wrong") == 401
        assert await log_in(at("2001:db8:ff::99"), account.email) == 429
        assert await log_in(at("2001:db8:ff:1::1"), account.email) == 200


class TestOthers:
    async def test_an_address_opens_so_many_accounts(self, at: From) -> None:
        async def open_one(client: httpx.AsyncClient) -> int:
            body = {"name": "A", "email": f"{uuid4()}@example.com", "password": PASSWORD}
            return (await client.post("/auth/register", json=body)).status_code

        here = at(somewhere())
        opened = await asyncio.gather(*(open_one(here) for _ in range(12)))
        assert Counter(opened) == {201: 4, 429: 8}
        assert await open_one(at(somewhere())) == 201

    @pytest.mark.parametrize(
        ("path", "token"),
        [
            ("/auth/refresh", {"refresh_token": "x"}),
            ("/auth/accept-invitation", {"invitation_token": "x", "password": PASSWORD}),
            ("/auth/password/reset", {"reset_token": "x", "password": PASSWORD}),
            ("/auth/email/verify", {"token": "x"}),
        ],
    )
    async def test_an_address_makes_up_so_many_tokens(
        self, at: From, path: str, token: dict[str, str]
    ) -> None:
        here = at(somewhere())
        tried = await asyncio.gather(*(here.post(path, json=token) for _ in range(20)))
        assert Counter(answer.status_code for answer in tried) == {401: 12, 429: 8}
        late = next(answer for answer in tried if answer.status_code == 429)
        assert 0 < int(late.headers["retry-after"]) <= 900
        assert late.headers["ratelimit-policy"] == '"attempts";q=12;w=900'
        assert late.headers["ratelimit"] == f'"attempts";r=0;t={late.headers["retry-after"]}'
        assert (await at(somewhere()).post(path, json=token)).status_code == 401

    async def test_a_user_exchanges_so_many_good_ones(self, at: From) -> None:
        here = at(somewhere())
        account, other = await register(here), await register(here)
        tokens = account.body
        for expected in (200, 200, 200, 429):
            body = {"refresh_token": tokens["refresh_token"]}
            answer = await here.post("/auth/refresh", json=body)
            assert answer.status_code == expected
            tokens = answer.json()
        body = {"refresh_token": other.body["refresh_token"]}
        assert (await here.post("/auth/refresh", json=body)).status_code == 200

    async def test_who_holds_a_token_does_not_guess_the_password(
        self, client: httpx.AsyncClient
    ) -> None:
        account = await register(client)
        body = {"current_password": "wrong", "new_password": "another horse"}

        async def change() -> int:
            answer = await client.post("/auth/password", json=body, headers=account.bearer)
            return answer.status_code

        tried = await asyncio.gather(*(change() for _ in range(12)))
        assert Counter(tried) == {422: 5, 429: 7}


class TestQuotas:
    async def test_a_company_and_its_key_have_so_many_requests(self, at: From) -> None:
        here = at(somewhere())
        account, other = await register(here), await register(here)
        made = await here.post("/api-keys", json={"name": "k"}, headers=account.bearer)
        assert made.headers["ratelimit-policy"] == '"tenant";q=8;w=60'
        assert made.headers["ratelimit"].startswith('"tenant";r=7;t=')
        by = {"X-Api-Key": made.json()["key"]}
        answers = [await here.get("/auth/me", headers=by) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        policy = '"tenant";q=8;w=60, "key";q=3;w=60'
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {policy}
        assert '"key";r=0;t=' in answers[-1].headers["ratelimit"]
        assert answers[-1].json()["code"] == "rate_limited"
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        # The key's limit is not the company's, and what is refused does not count.
        rest = [await here.get("/nothing-here", headers=account.bearer)]
        rest += [await here.get("/agents?limit=0", headers=account.bearer) for _ in range(5)]
        assert [answer.status_code for answer in rest] == [404, 422, 422, 422, 422, 429]
        assert (await here.get("/auth/me", headers=other.bearer)).status_code == 200

    async def test_gateways_add_up_what_they_count(self, gateway: Service) -> None:
        now = [1_900_000_000.0]
        one, two = (
            Quotas(gateway.database, per_tenant=10, per_key=99, now=lambda: now[0])
            for _ in range(2)
        )
        ours, theirs = (Principal(tenant_id=str(uuid4())) for _ in range(2))

        def left(quotas: Quotas, who: Principal) -> str:
            return quotas.take(who)["RateLimit"]

        for _ in range(4):
            left(one, ours)
            left(two, ours)
        await one.share()
        await two.share()
        await one.share()  # nothing new: nothing is told, nothing is learnt
        assert left(two, ours).startswith('"tenant";r=1;')
        assert left(one, ours).startswith('"tenant";r=5;')
        await asyncio.gather(two.share(), one.share())
        for quotas in (one, two):
            left(quotas, theirs)
            await quotas.share()
        with pytest.raises(HttpError, match="rate_limited"):
            left(two, ours), left(two, ours)
        assert left(one, theirs).startswith('"tenant";r=8;')
        now[0] += 60
        assert left(two, ours).startswith('"tenant";r=9;t=20')
        await two.share()
        assert left(one, ours).startswith('"tenant";r=9;')
        await one.share()
        assert left(one, ours).startswith('"tenant";r=7;')
