"""A route that will go, on a gateway that is connected to nothing: none of ours will."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest
from crm_gateway.app import create_service
from crm_gateway.rest.deprecation import Deprecation
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.table import Row
from crm_gateway.settings import GatewaySettings
from shared_events.contacts.contact import Contact
from shared_events.requests import Query


class GetOldContact(Query[Contact], key="contacts.contact.get_old"):
    """Read a contact as of old."""

    contact_id: UUID


GOING = Deprecation(date(2027, 1, 31), date(2028, 2, 29), "/docs/changes#old-contacts")
OLD = Row("GET", "/old-contacts/{contact_id}", "contacts.read", GetOldContact, deprecation=GOING)


@pytest.fixture
async def client(make_settings: Callable[..., GatewaySettings]) -> AsyncIterator[httpx.AsyncClient]:
    service = create_service(make_settings(), [*ROUTES, OLD])
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


class TestAnswers:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_say_it_where_they_refuse_as_well(
        self, client: httpx.AsyncClient, method: str
    ) -> None:
        answer = await client.request(method, "/api/v1/old-contacts/x")
        assert answer.status_code == 401
        assert answer.headers["deprecation"] == "@1801353600"  # RFC 9745, 2.1
        assert answer.headers["sunset"] == "Tue, 29 Feb 2028 00:00:00 GMT"
        for kind in ("deprecation", "sunset"):
            assert answer.links[kind]["url"] == "/docs/changes#old-contacts"

    async def test_of_other_routes_do_not(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/api/v1/contacts/x")
        assert not {"deprecation", "sunset", "link"} & answer.headers.keys()


class TestDocument:
    async def test_says_it_of_the_route_and_of_each_of_its_answers(
        self, client: httpx.AsyncClient
    ) -> None:
        document: dict[str, Any] = (await client.get("/openapi.json")).json()
        operation = document["paths"]["/api/v1/old-contacts/{contact_id}"]["get"]
        assert operation["deprecated"] is True
        assert operation["x-sunset"] == "2028-02-29"
        assert "from 2028-02-29 on" in operation["description"]
        for answer in operation["responses"].values():
            assert {"Deprecation", "Sunset", "Link"} <= answer["headers"].keys()
        assert re.findall("deprecated", str(document["paths"]["/api/v1/contacts"])) == []


class TestDeprecation:
    def test_nothing_is_gone_before_it_is_deprecated(self) -> None:
        with pytest.raises(ValueError, match="cannot be gone before"):
            Deprecation(date(2027, 1, 31), date(2027, 1, 30), "/docs")
