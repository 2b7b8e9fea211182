"""What the tests of the gateway's REST API share: the API with a bus that only listens."""

import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any
from uuid import uuid4

import httpx
from crm_gateway.access.callers import Callers, bearer_token
from crm_gateway.access.lacks import Lack
from crm_gateway.access.quotas import Quotas
from crm_gateway.access.tokens import AccessTokens
from crm_gateway.audit.service import Act
from crm_gateway.auth.guards import Guards
from crm_gateway.auth.repeats import Repeats
from crm_gateway.body import Bodies
from crm_gateway.live.streams import SharedPages, Streams
from crm_gateway.media.files import Files
from crm_gateway.problems import edge
from crm_gateway.rest import api
from crm_gateway.rest.endpoint import Backing
from crm_gateway.rest.own import OwnCall, OwnRequests
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.table import Row
from crm_gateway.settings import GatewaySettings
from fastapi import FastAPI
from service_kit.database import Database
from service_kit.request_client import RequestClient
from shared_events.requests import Principal, Problem, Reply
from shared_events.requests import Request as BusRequest
from starlette.requests import HTTPConnection

from crm_testing.services import SIGNATURES

ID = str(uuid4())


class Bus(RequestClient):
    """Keeps what is asked, and answers nothing, but for what it is to refuse."""

    def __init__(self) -> None:
        super().__init__("amqp://nobody", SIGNATURES)
        self.asked: list[BusRequest[Any]] = []
        self.said: dict[str, Any] = {}
        self.refuses: dict[type[BusRequest[Any]], Problem] = {}

    async def call(self, request: BusRequest[Any], **said: Any) -> Reply:
        self.asked.append(request)
        self.said = said
        if problem := self.refuses.get(type(request)):
            return Reply(problem=problem)
        return Reply(value={"id": ID, "version": 3})


class Bearers:
    """Believes the token whatever has become of its bearer."""

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens

    async def principal(self, http: HTTPConnection, *, despite: Collection[Lack]) -> Principal:
        del despite
        proof = self._tokens.read(bearer_token(http))
        return Principal(tenant_id=proof.tenant_id, user_id=proof.user_id, permissions=("*",))

    async def alone(self, principal: Principal) -> Principal:
        return principal.model_copy(update={"sole_admin": True})


class Blind:
    """Sees nothing of what is done."""

    async def watch(self, act: Act, call: OwnCall, do: Callable[[], Awaitable[Reply]]) -> Reply:
        return await do()


class Rest:
    """The REST API by itself: what it asks the bus, and how it refuses."""

    def __init__(
        self,
        settings: GatewaySettings,
        rows: Sequence[Row] = ROUTES,
        *,
        streams: Streams | None = None,
        callers: Callers | None = None,
    ) -> None:
        self.bus = Bus()
        self.app = FastAPI(openapi_url=None)
        self._tokens = AccessTokens(settings)
        database = Database("postgresql://nobody", "gateway")
        seal, key = settings.seal, settings.fingerprint_key
        own = OwnRequests(database, seal, Repeats(database, Guards(settings), seal, key))
        callers = callers or Bearers(self._tokens)
        quotas = Quotas(database, per_tenant=settings.rate_limit_per_tenant, per_key=1)
        self.files = Files(
            settings.media_store, settings.media_links, max_bytes=2**20, seconds=1, at_once=2
        )
        streams = streams or Streams(SharedPages(self.bus), per_tenant=1, at_most=1)
        backing = Backing(callers, quotas, Blind(), own, self.bus, self.files, streams, Bodies())
        api.add_to(self.app, rows, backing)
        edge.install(self.app)
        self.log_in()

    def log_in(self) -> None:
        """Ask as a company's admin from now on."""
        self.token = self._tokens.issue(user_id=uuid4(), tenant_id=str(uuid4()), role="admin")

    async def send(
        self,
        method: str,
        path: str,
        body: Any = b"",
        content_type: str = "application/json",
        **more: str,
    ) -> httpx.Response:
        """One request of a company's admin; `more` are headers."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api/api/v1") as client:
            headers = {
                "Authorization": f"Bearer {self.token}",
                "Content-Type": content_type,
                **{name.replace("_", "-"): value for name, value in more.items()},
            }
            return await client.request(method, path, content=raw, headers=headers)

    async def asks(self, method: str, path: str, *given: Any) -> BusRequest[Any]:
        """What the bus is asked by a request that is in order."""
        response = await self.send(method, path, *given)
        assert response.is_success, response.text
        return self.bus.asked[-1]

    async def refuses(self, method: str, path: str, *given: Any) -> tuple[int, str]:
        """Status and code of a refusal; nothing is asked."""
        response = await self.send(method, path, *given)
        assert response.headers["content-type"] == "application/problem+json"
        assert self.bus.asked == []
        return response.status_code, response.json()["code"]
