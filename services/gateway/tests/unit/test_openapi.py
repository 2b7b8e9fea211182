import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from crm_gateway.app import create_service
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.table import AUTHENTICATED, PREFIX, PUBLIC
from crm_gateway.settings import GatewaySettings
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator


@pytest.fixture(scope="module")
async def openapi(make_settings: Callable[..., GatewaySettings]) -> dict[str, Any]:
    """The document as it is served."""
    service = create_service(make_settings())
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        document: dict[str, Any] = json.loads((await client.get("/openapi.json")).content)
    return document


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


class TestDocument:
    def test_is_openapi_3_1(self, openapi: dict[str, Any]) -> None:
        OpenAPIV31SpecValidator(openapi).validate()

    def test_describes_nothing_but_the_api(self, openapi: dict[str, Any]) -> None:
        served = {PREFIX + row.path for row in ROUTES}
        assert openapi["paths"].keys() - served == {f"{PREFIX}/webhooks/waha/{{channel_token}}"}

    def test_refusals_are_problem_documents(self, openapi: dict[str, Any]) -> None:
        for path in openapi["paths"].values():
            for operation in path.values():
                for status, response in operation["responses"].items():
                    if status >= "400":
                        assert response["content"].keys() == {"application/problem+json"}

    def test_answers_name_their_headers(self, openapi: dict[str, Any]) -> None:
        created = openapi["paths"][PREFIX + "/contacts"]["post"]["responses"]
        assert created["201"]["headers"].keys() >= {"ETag", "Location", "Idempotent-Replayed"}
        assert "Retry-After" in created["503"]["headers"]
        assert "Retry-After" in created["504"]["headers"]
        assert {"Retry-After", "RateLimit"} <= created["429"]["headers"].keys()
        assert "WWW-Authenticate" in created["401"]["headers"]
        read = openapi["paths"][PREFIX + "/contacts/{contact_id}"]["get"]["responses"]
        assert "ETag" in read["200"]["headers"]
        assert "304" in read

    def test_bodies_have_examples_that_fit_them(self, openapi: dict[str, Any]) -> None:
        shown = 0
        for path in openapi["paths"].values():
            for operation in path.values():
                content = operation.get("requestBody", {}).get("content", {})
                body = content.get("application/json", {})
                for example in body.get("examples", {}).values():
                    shown += 1
                    schema = {**body["schema"], "components": openapi["components"]}
                    Draft202012Validator(schema).validate(example["value"])
        assert shown >= 10

    def test_describes_every_route(self, openapi: dict[str, Any]) -> None:
        for row in ROUTES:
            operation = openapi["paths"][PREFIX + row.path][row.method.lower()]
            assert str(row.status) in operation["responses"]
            scopes = [] if row.permission == AUTHENTICATED else [row.permission]
            expected = None if row.permission == PUBLIC else [{"bearer": scopes}, {"api_key": []}]
            assert operation.get("security") == expected

    def test_every_reference_leads_somewhere(self, openapi: dict[str, Any]) -> None:
        known = {f"#/components/schemas/{name}" for name in openapi["components"]["schemas"]}
        assert set(references(openapi)) <= known

    def test_every_schema_is_a_json_schema(self, openapi: dict[str, Any]) -> None:
        for schema in openapi["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)

    def test_operations_have_names_of_their_own(self, openapi: dict[str, Any]) -> None:
        names = [
            operation["operationId"]
            for path in openapi["paths"].values()
            for operation in path.values()
        ]
        assert len(names) == len(set(names))

    def test_path_fields_are_parameters_and_not_in_the_body(self, openapi: dict[str, Any]) -> None:
        operation = openapi["paths"][PREFIX + "/contacts/{contact_id}"]["put"]
        assert {"contact_id", "If-Match", "Idempotency-Key"} == {
            p["name"] for p in operation["parameters"]
        }
        body = openapi["components"]["schemas"]["ReplaceContactBody"]
        assert "contact_id" not in body["properties"]
        assert body["required"] == ["name"]

    def test_filters_are_query_parameters_under_their_public_names(
        self, openapi: dict[str, Any]
    ) -> None:
        operation = openapi["paths"][PREFIX + "/contacts"]["get"]
        names = {p["name"] for p in operation["parameters"]}
        assert {"search", "tags", "created_at[gte]", "limit", "cursor"} <= names
