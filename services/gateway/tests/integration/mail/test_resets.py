"""Who forgot a password, or never had one, gets in by mail: once, and nobody else."""

import asyncio
import re
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from crm_fakes.mail import MailServer
from service_kit.database import Transaction
from service_kit.service import Service

from services.gateway.tests.integration.conftest import (
    Account,
    http_client,
    register,
)
from services.gateway.tests.integration.mail.letters import (
    PASSWORD,
    forgot,
    forgotten,
    knows,
    letters_to,
    log_in,
    nothing_waits,
    refreshes,
    reset,
    token_in,
)


class TestForgot:
    async def test_an_unknown_account_looks_like_any_other_down_to_the_statements(
        self,
        client: httpx.AsyncClient,
        mail: MailServer,
        mailing: Service,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        account = await register(client)
        said: list[str] = []
        us = asyncio.current_task()

        def spied(name: str) -> Any:
            original = getattr(Transaction, name)

            async def spy(tx: Transaction, statement: Any, *values: Any) -> Any:
                if asyncio.current_task() is us:
                    said.append(str(statement))
                return await original(tx, statement, *values)

            return spy

        for name in ("fetch", "fetchrow", "execute", "act_for"):
            monkeypatch.setattr(Transaction, name, spied(name))
        answers, done = [], []
        for email in (account.email, f"{uuid4().hex}@example.com"):
            said.clear()
            answers.append(await forgot(client, email, **{"X-Request-Id": "r"}))
            done.append([re.sub(r"[0-9a-f-]{36}", "", statement) for statement in said])
        known, unknown = answers
        assert (known.status_code, known.content) == (202, b"{}")
        assert unknown.status_code == 202 and unknown.content == known.content
        assert unknown.headers == known.headers
        assert len(done[0]) > 4 and done[0] == done[1]
        await letters_to(mail, account.email)
        await nothing_waits(mailing)
        assert all(letter.recipients != (email,) for letter in mail.received)

    async def test_speaks_the_accounts_language_and_else_the_browsers(
        self, client: httpx.AsyncClient, mail: MailServer
    ) -> None:
        english = await register(client)
        client.headers["Accept-Language"] = "pt-BR"
        brazilian = await register(client, email=f"é-{uuid4().hex}@example.com", name="João")
        for account, header in ((english, "pt"), (english, "de"), (brazilian, "en")):
            await forgot(client, account.email, **{"Accept-Language": header})
            await letters_to(mail, account.email)
        told = [
            letter.text.partition(",")[0] for letter in await letters_to(mail, english.email, 2)
        ]
        assert told == ["Olá", "Hello Ana"]
        (letter,) = await letters_to(mail, brazilian.email)
        assert letter.text.startswith("Olá, João,")

    async def test_mails_nobody_who_may_not_come_in(
        self, client: httpx.AsyncClient, mailing: Service, mail: MailServer
    ) -> None:
        account = await register(client)
        email = f"bia-{uuid4().hex}@example.com"
        body = {"name": "Bia", "email": email, "role": "agent", "password": PASSWORD}
        agent = (await client.post("/agents", json=body, headers=account.bearer)).json()
        await forgot(client, email)
        (letter,) = await letters_to(mail, email)
        path, off = f"/agents/{agent['id']}", {"active": False}
        await client.put(path, json=off, headers=account.bearer)
        assert await reset(client, token_in(letter)) == "invalid_reset_token"
        assert (await forgot(client, email)).status_code == 202
        await nothing_waits(mailing)
        assert await letters_to(mail, email) == [letter]

    async def test_so_many_are_mailed_and_not_one_more(
        self, client: httpx.AsyncClient, mailing: Service, mail: MailServer
    ) -> None:
        account, unknown = await register(client), f"{uuid4().hex}@example.com"
        async with http_client(mailing) as stranger, http_client(mailing) as other:
            for email in (account.email, unknown):
                tried = await asyncio.gather(*(forgot(stranger, email) for _ in range(12)))
                assert Counter(answer.status_code for answer in tried) == {202: 5, 429: 7}
                assert (await forgot(other, email)).status_code == 429  # strangers together
            late = await forgot(stranger, account.email)
            assert late.json()["code"] == "too_many_attempts"
            assert 0 < int(late.headers["retry-after"]) <= 900
            assert (await forgot(stranger, (await register(other)).email)).status_code == 202
        # Who has been here is no stranger.
        assert await log_in(client, account.email, PASSWORD) == 200
        token = await forgotten(client, mail, account)
        assert await reset(client, token) == 204

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"email": f"{'l' * 64}@{'d' * 63}.{'e' * 63}.{'f' * 57}.com"}, 202),
            ({"email": f"{'l' * 64}@{'d' * 63}.{'e' * 63}.{'f' * 58}.com"}, 422),
            ({"email": "ana"}, 422),
            ({"email": "ana@example.com", "tenant": "x"}, 422),
            ({}, 422),
        ],
    )
    async def test_takes_an_email(
        self, client: httpx.AsyncClient, body: dict[str, str], status: int
    ) -> None:
        assert (await client.post("/auth/password/forgot", json=body)).status_code == status


class TestReset:
    async def test_gives_its_owner_another_password_once_and_ends_every_login(
        self, client: httpx.AsyncClient, mailing: Service, mail: MailServer
    ) -> None:
        account, other = await register(client), await register(client)
        token, others = [await forgotten(client, mail, each) for each in (account, other)]
        assert token != others
        for _ in range(6):
            await log_in(client, account.email, "wrong")
        assert await log_in(client, account.email, PASSWORD) == 429
        new = "ç" * 128
        assert await reset(client, token, new) == 204
        assert await knows(client, account) == await refreshes(client, account) == 401
        assert await log_in(client, account.email, PASSWORD) == 401
        assert await log_in(client, account.email, new) == 200
        assert await knows(client, other) == await refreshes(client, other) == 200
        assert await log_in(client, other.email, PASSWORD) == 200
        for stale in (token, token.swapcase(), "x" * 500):
            assert await reset(client, stale) == "invalid_reset_token"
        assert await log_in(client, account.email, new) == 200
        async with mailing.database.tenant(account.tenant_id) as tx:
            (act,) = await tx.fetch("SELECT * FROM audit_log")
            stored = await tx.fetchval("SELECT users::text FROM users")
        assert act["action"] == "agent.reset_password"
        assert act["actor_id"] == act["target_id"] == UUID(account.user_id)
        assert token not in stored
        assert await reset(client, others) == 204

    async def test_of_two_at_once_one_wins(
        self, client: httpx.AsyncClient, mail: MailServer
    ) -> None:
        account = await register(client)
        token = await forgotten(client, mail, account)
        passwords = [f"another horse {number}" for number in range(5)]
        done = await asyncio.gather(*(reset(client, token, each) for each in passwords))
        assert Counter(done) == {204: 1, "invalid_reset_token": 4}
        assert await log_in(client, account.email, passwords[done.index(204)]) == 200

    async def test_a_stale_link_opens_nothing(
        self, client: httpx.AsyncClient, mailing: Service, mail: MailServer
    ) -> None:
        account = await register(client)
        older = await forgotten(client, mail, account)
        newer = await forgotten(client, mail, account)
        assert await reset(client, older) == "invalid_reset_token"
        async with mailing.database.tenant(account.tenant_id) as tx:
            await tx.execute("UPDATE users SET reset_expires_at = now()")
        assert await reset(client, newer) == "invalid_reset_token"
        # Who logs everything out, or writes to another address, ends what was mailed.
        token = await forgotten(client, mail, account)
        await client.post("/auth/logout-everywhere", headers=account.bearer)
        assert await reset(client, token) == "invalid_reset_token"
        body = {"email": account.email, "password": PASSWORD}
        tokens = (await client.post("/auth/login", json=body)).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        token = await forgotten(client, mail, account)
        path = f"/agents/{account.user_id}"
        await client.put(path, json={"name": "Ana Maria"}, headers=bearer)
        moved = {"email": f"{uuid4().hex}@example.com"}
        await client.put(path, json=moved, headers=bearer)
        assert await reset(client, token) == "invalid_reset_token"
        assert await log_in(client, moved["email"], PASSWORD) == 200

    @pytest.mark.parametrize(
        ("changed", "status"),
        [
            ({"reset_token": "x" * 501}, 422),
            ({"reset_token": ""}, 422),
            ({"password": "1234567"}, 422),
            ({"password": "ç" * 129}, 422),
            ({"password": "a\0bcdefgh"}, 422),
        ],
    )
    async def test_takes_what_fits(
        self, client: httpx.AsyncClient, changed: dict[str, str], status: int
    ) -> None:
        body = {"reset_token": "x", "password": PASSWORD, **changed}
        answer = await client.post("/auth/password/reset", json=body)
        assert answer.status_code == status


class TestInvitations:
    async def test_are_mailed_and_mailed_again_until_they_are_accepted(
        self, client: httpx.AsyncClient, mailing: Service, mail: MailServer
    ) -> None:
        client.headers["Accept-Language"] = "pt"
        account, stranger = await register(client, organization="Ç" * 255), await register(client)
        email = f"bia-{uuid4().hex}@example.com"
        body = {"name": "Bia", "email": email, "role": "agent"}
        agent = (await client.post("/agents", json=body, headers=account.bearer)).json()
        assert (await forgot(client, email)).status_code == 202  # without a password, for nothing
        (first,) = await letters_to(mail, email, page="accept-invitation")
        assert f"{'Ç' * 255} criou uma conta" in first.text

        async def again(who: Account, **headers: str) -> httpx.Response:
            path = f"/agents/{agent['id']}/resend-invitation"
            return await client.post(path, headers={**who.bearer, **headers})

        stale = await again(account, **{"If-Match": '"7"'})
        assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
        hidden = await again(stranger)
        assert (hidden.status_code, hidden.json()["code"]) == (404, "agent_not_found")
        key = {"Idempotency-Key": "k", "If-Match": '"1"'}
        repeated = [await again(account, **key) for _ in range(2)]
        assert [answer.status_code for answer in repeated] == [200, 200]
        assert repeated[0].json() == repeated[1].json()
        assert repeated[1].headers["idempotent-replayed"] == "true"
        await letters_to(mail, email, 2, page="accept-invitation")
        assert repeated[0].json()["invitation_token"] != agent["invitation_token"]

        async def accept(token: str) -> int:
            body = {"invitation_token": token, "password": PASSWORD}
            return (await client.post("/auth/accept-invitation", json=body)).status_code

        assert await accept(agent["invitation_token"]) == 401
        assert await accept(token_in(first, "accept-invitation")) == 401
        more = await asyncio.gather(*(again(account) for _ in range(6)))
        assert Counter(answer.status_code for answer in more) == {200: 4, 429: 2}
        moved = {"email": f"moved-{email}"}
        path = f"/agents/{agent['id']}"
        await client.put(path, json=moved, headers=account.bearer)
        await nothing_waits(mailing)
        newest = [r for r in mail.received if r.recipients == (email,)]
        assert {await accept(token_in(letter, "accept-invitation")) for letter in newest} == {401}
        off = {"active": False}
        await client.put(path, json=off, headers=account.bearer)
        assert (await again(account)).json()["code"] == "agent_inactive"
        in_already = await client.post(
            f"/agents/{account.user_id}/resend-invitation", headers=account.bearer
        )
        assert (in_already.status_code, in_already.json()["code"]) == (409, "invitation_accepted")

    async def test_of_a_company_are_so_many(self, client: httpx.AsyncClient) -> None:
        account, other = await register(client), await register(client)

        async def invite(who: Account, **more: str) -> int:
            body = {"name": "B", "email": f"{uuid4().hex}@example.com", "role": "agent", **more}
            return (await client.post("/agents", json=body, headers=who.bearer)).status_code

        tried = await asyncio.gather(*(invite(account) for _ in range(11)))
        assert Counter(tried) == {201: 8, 429: 3}
        assert await invite(account, password=PASSWORD) == await invite(other) == 201
