"""The operator's commands of the gateway, and keys turned from one process to the next."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import orjson
import pytest
from crm_gateway.erasures.command import OPERATOR
from crm_testing.commands import Said, crm
from crm_testing.servers import RabbitServer
from crm_testing.services import SIGNATURES, answering
from service_kit.calls import Call
from service_kit.database import Database, Transaction
from service_kit.errors import ConflictError
from service_kit.request_server import RequestServer
from shared_events.contacts.erasure import ApproveErasure, Erasure, RequestErasure
from shared_events.requests import Principal
from shared_events.services import CONTACTS

from services.gateway.tests.conftest import SECRETS
from services.gateway.tests.integration.conftest import (
    Account,
    RunGateway,
    http_client,
    register,
)
from services.gateway.tests.integration.waha_session import WahaSession, take

pytestmark = pytest.mark.timeout(600)  # each command is a process of its own

_REST = "-secret-of-the-gateway-of-this-test-0123456789"
OLD = {"jwt_secret": f"old{_REST}", "ingress_master_key": f"old-master{_REST}"}
NEW = {"jwt_secret": f"new{_REST}", "ingress_master_key": f"new-master{_REST}"}


def beside(keys: dict[str, str], others: dict[str, str]) -> dict[str, str]:
    """These keys in use, the others believed."""
    return keys | {f"{name}_previous": key for name, key in others.items()}


STEPS = (OLD, beside(OLD, NEW), beside(NEW, OLD), NEW)


class TestTurning:
    @pytest.mark.parametrize(
        ("before", "after"), list(pairwise(STEPS)), ids=["known", "used", "alone"]
    )
    async def test_no_process_meets_what_it_does_not_know(
        self,
        rabbitmq_server: RabbitServer,
        run_gateway: RunGateway,
        before: dict[str, str],
        after: dict[str, str],
    ) -> None:
        """In the middle of each step both run, and each is given what the other has made."""
        vhost = await rabbitmq_server.create_vhost("turning")
        async with AsyncExitStack() as stack:
            gateways = [
                await stack.enter_async_context(run_gateway(vhost, **keys))
                for keys in (before, after)
            ]
            clients = [await stack.enter_async_context(http_client(one)) for one in gateways]
            account = await register(clients[0])
            for maker, other in (clients, clients[::-1]):
                answer = await maker.post(
                    "/auth/login", json={"email": account.email, "password": account.password}
                )
                bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
                assert (await other.get("/settings", headers=bearer)).status_code == 200
            for gateway, other in zip(gateways, clients[::-1], strict=True):
                waha = WahaSession(gateway, other)
                body = orjson.dumps({"event": "message", "n": str(uuid4())})
                assert (await waha.post(body)).status_code == 200
                (arrived,) = await take(vhost, waha, 1)
                assert arrived.body == body

    async def test_in_one_step_does_break_something(
        self, rabbitmq_server: RabbitServer, run_gateway: RunGateway
    ) -> None:
        vhost = await rabbitmq_server.create_vhost("turning")
        async with (
            run_gateway(vhost, **OLD) as old,
            run_gateway(vhost, **beside(NEW, OLD)) as new,
            http_client(old) as client,
            http_client(new) as other,
        ):
            account = await register(other)
            refused = await client.get("/settings", headers=account.bearer)
            assert refused.status_code == 401
            assert (await WahaSession(new, client).post(b"{}")).status_code == 401


class TestPair:
    async def test_takes_the_place_of_a_secret_while_both_are_at_work(
        self, rabbitmq_server: RabbitServer, run_gateway: RunGateway
    ) -> None:
        """The pair as it is drawn for operators; those of another place judge by what we tell."""
        drawn = await crm("gateway", "keys", "new", "--ed25519")
        private, begin, rest = drawn.out.partition("-----BEGIN PUBLIC KEY-----")
        vhost = await rabbitmq_server.create_vhost("pair")
        async with (
            run_gateway(vhost, jwt_public_keys=begin + rest) as before,
            run_gateway(vhost, jwt_private_key=private) as after,
            http_client(before) as client,
            http_client(after) as other,
        ):
            account, later = await register(client), await register(other)
            for each in (client, other):
                for who in (account, later):
                    answer = await each.get("/settings", headers=who.bearer)
                    assert answer.status_code == 200
            told = [
                await each.get("http://gateway/.well-known/jwks.json") for each in (client, other)
            ]
            assert told[0].json() == told[1].json()
            token = later.body["access_token"]
            key = jwt.PyJWKSet.from_dict(told[0].json())[jwt.get_unverified_header(token)["kid"]]
            read = jwt.decode(token, key, algorithms=["EdDSA"], audience="ventros-crm-api")
            assert read["tenant_id"] == later.tenant_id


class Asked:
    """Contacts, as far as erasures go."""

    def __init__(self) -> None:
        self.principals: list[Principal] = []
        self.erasure: Erasure | None = None
        self.held = False

    async def request(self, tx: Transaction, request: RequestErasure, call: Call) -> Erasure:
        self.principals.append(call.principal)
        if self.held:
            raise ConflictError("legal_hold", "A legal hold keeps this contact.")
        if self.erasure is not None:
            raise ConflictError("erasure_exists", "Known.", existing_id=str(self.erasure.id))
        self.erasure = Erasure(
            id=uuid4(),
            contact_id=request.contact_id,
            state="requested",
            requested_at=datetime.now(UTC),
            version=1,
        )
        return self.erasure

    async def approve(self, tx: Transaction, request: ApproveErasure, call: Call) -> Erasure:
        self.principals.append(call.principal)
        assert self.erasure is not None and self.erasure.id == request.erasure_id
        self.erasure = self.erasure.model_copy(update={"state": "running"})
        return self.erasure

    def server(self, database: Database) -> RequestServer:
        server = RequestServer(CONTACTS, database, SIGNATURES)
        server.answer(RequestErasure, self.request)
        server.answer(ApproveErasure, self.approve)
        return server


class TestErase:
    @pytest.fixture
    async def vhost(self, rabbitmq_server: RabbitServer) -> str:
        return await rabbitmq_server.create_vhost("erase")

    @pytest.fixture
    async def company(
        self, vhost: str, run_gateway: RunGateway
    ) -> AsyncIterator[tuple[Account, Database, httpx.AsyncClient]]:
        async with run_gateway(vhost) as gateway, http_client(gateway) as client:
            yield await register(client), gateway.database, client

    async def erase(self, vhost: str, url: str, tenant_id: str, contact_id: UUID) -> Said:
        environment: dict[str, Any] = {n.upper(): s.get_secret_value() for n, s in SECRETS.items()}
        return await crm(
            *("gateway", "erase", tenant_id, str(contact_id)),
            **{"CRM_ENV": "test", "DATABASE_URL": url, "RABBITMQ_URL": vhost, **environment},
        )

    async def test_asks_and_approves_as_nobody_and_leaves_an_entry(
        self, vhost: str, company: tuple[Account, Database, httpx.AsyncClient]
    ) -> None:
        (account, database, client), asked, contact = company, Asked(), uuid4()
        said = await self.erase(vhost, database.dsn, account.tenant_id, contact)
        assert said.code == 1
        assert said.documents[0]["code"] == "service_unavailable"
        async with answering(asked.server(database), vhost):
            said = await self.erase(vhost, database.dsn, account.tenant_id, contact)
            assert (said.code, said.documents[0]["state"]) == (0, "running")
            again = await self.erase(vhost, database.dsn, account.tenant_id, contact)
            assert again.documents == said.documents
            asked.held = True
            held = await self.erase(vhost, database.dsn, account.tenant_id, contact)
            assert (held.code, held.documents[0]["code"]) == (1, "legal_hold")
        assert {(p.tenant_id, p.user_id, p.sole_admin) for p in asked.principals} == {
            (account.tenant_id, OPERATOR, True)
        }
        log = (await client.get("/audit-log", headers=account.bearer)).json()["data"]
        acts = [entry for entry in log if entry["action"] == "erasure.approve"]
        assert len(acts) == 2
        assert {entry["address"] for entry in acts} == {"command line"}
