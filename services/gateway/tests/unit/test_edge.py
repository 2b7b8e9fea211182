"""What pages of others may do from within a browser."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
from crm_gateway.app import create_service
from crm_gateway.problems.edge import answer_with, install
from crm_gateway.settings import GatewaySettings
from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
OURS = "https://crm.example.com"
PREFLIGHT = {
    "Origin": OURS,
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,if-match",
}


@pytest.fixture
def serve(make_settings: Callable[..., GatewaySettings]) -> Serve:
    """A client of a gateway that is connected to nothing."""

    @asynccontextmanager
    async def client(**overrides: object) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(create_service(make_settings(**overrides)).app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield client

    return client


class TestOrigins:
    async def test_those_that_are_named_may_ask_and_read_everything(self, serve: Serve) -> None:
        async with serve(cors_allowed_origins=f"{OURS},http://localhost:3000") as client:
            preflight = await client.options("/api/v1/contacts/x", headers=PREFLIGHT)
            assert preflight.status_code == 200
            assert "PATCH" in preflight.headers["access-control-allow-methods"]
            allowed = preflight.headers["access-control-allow-headers"].lower()
            assert set(PREFLIGHT["Access-Control-Request-Headers"].split(",")) <= set(
                allowed.split(", ")
            )
            answers = [
                preflight,
                await client.get("/api/v1/contacts", headers={"Origin": OURS}),
                await client.get("/nothing", headers={"Origin": OURS}),
                await client.put("/api/v1/auth/me", headers={"Origin": OURS}),
                await client.post("/api/v1/webhooks/waha/x", headers={"Origin": OURS}),
                # Without a database: what raises is answered within the same layers.
                await client.post(
                    "/api/v1/auth/logout", json={"refresh_token": "x"}, headers={"Origin": OURS}
                ),
            ]
        assert [answer.status_code for answer in answers] == [200, 401, 404, 405, 401, 503]
        for answer in answers:
            assert answer.headers["access-control-allow-origin"] == OURS
            assert "access-control-allow-credentials" not in answer.headers
            assert "Origin" in answer.headers["vary"]
            assert answer.headers["x-request-id"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["strict-transport-security"]
        for answer in answers[1:]:
            seen = set(answer.headers["access-control-expose-headers"].split(", "))
            assert {"ETag", "Link", "RateLimit", "RateLimit-Policy", "X-Request-Id"} <= seen
        assert answers[-1].headers["retry-after"] == "1"

    @pytest.mark.parametrize("origins", ["", OURS])
    async def test_others_may_not(self, serve: Serve, origins: str) -> None:
        other = {**PREFLIGHT, "Origin": "https://crm.example.com.evil.example"}
        async with serve(cors_allowed_origins=origins) as client:
            preflight = await client.options("/api/v1/contacts/x", headers=other)
            answer = await client.get("/api/v1/contacts", headers=other)
        assert preflight.status_code == (400 if origins else 405)
        assert answer.status_code == 401
        for each in (preflight, answer):
            assert "access-control-allow-origin" not in each.headers
            assert each.headers["x-request-id"]
            assert each.headers["x-frame-options"] == "DENY"

    @pytest.mark.parametrize(
        "wrong",
        ["*", "crm.example.com", "https://crm.example.com/", "https://*.example.com"],
    )
    def test_are_whole_origins(
        self, make_settings: Callable[..., GatewaySettings], wrong: str
    ) -> None:
        with pytest.raises(ValidationError):
            make_settings(cors_allowed_origins=f"{OURS},{wrong}")

    def test_are_named_as_browsers_do(self, make_settings: Callable[..., GatewaySettings]) -> None:
        settings = make_settings(cors_allowed_origins="HTTPS://CRM.example.com, http://[::1]:3000")
        assert settings.cors_allowed_origins == (OURS, "http://[::1]:3000")


class TestHeaders:
    async def test_of_the_request_stand_beside_those_of_the_answer(self) -> None:
        app = FastAPI()

        @app.get("/list")
        async def answer(http: Request) -> Response:
            answer_with(http.scope, {"Link": '</page>; rel="deprecation"'})
            answer_with(http.scope, {"RateLimit": '"tenant";r=1;t=1'})
            return Response(headers={"Link": '</list?cursor=1>; rel="next"'})

        install(app)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            answered = await client.get("/list")
        assert answered.links.keys() == {"next", "deprecation"}
        assert answered.headers["ratelimit"] == '"tenant";r=1;t=1'


class TestLanguage:
    @pytest.mark.parametrize(
        ("asked", "spoken", "title"),
        [
            ("pt-BR,en;q=0.5", "pt-BR", "Não encontrado"),
            ("de, pt;q=0.1", "pt-BR", "Não encontrado"),
            ("en, pt;q=0.9", "en", "Not Found"),
            ("de", "en", "Not Found"),
        ],
    )
    async def test_of_a_refusal_is_the_one_asked_for(
        self, serve: Serve, asked: str, spoken: str, title: str
    ) -> None:
        async with serve() as client:
            answer = await client.get("/api/v1/nothing", headers={"Accept-Language": asked})
        assert answer.headers["content-language"] == spoken
        assert answer.json()["title"] == title
        assert answer.json()["code"] == "route_not_found"

    async def test_the_type_leads_to_a_page(self, serve: Serve) -> None:
        async with serve() as client:
            refused = await client.get("/api/v1/nothing")
            path, _, anchor = refused.json()["type"].partition("#")
            page = await client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert f'id="{anchor}"' in page.text
        assert "unsafe-inline" in page.headers["content-security-policy"]
