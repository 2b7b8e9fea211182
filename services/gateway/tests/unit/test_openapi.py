import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from crm_gateway.access.jwks import PATH as JWKS
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


def answers(
    openapi: dict[str, Any], method: str, path: str, prefix: str = PREFIX
) -> dict[str, Any]:
    """The answers of an operation by status, shared ones put in their places."""
    shared = openapi["components"]["responses"]
    return {
        status: shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        for status, answer in openapi["paths"][prefix + path][method]["responses"].items()
    }


class TestDocument:
    def test_is_openapi_3_1(self, openapi: dict[str, Any]) -> None:
        OpenAPIV31SpecValidator(openapi).validate()

    def test_describes_nothing_but_the_api(self, openapi: dict[str, Any]) -> None:
        served = {PREFIX + row.path for row in ROUTES}
        assert openapi["paths"].keys() - served == {
            f"{PREFIX}/webhooks/waha/{{channel_token}}",
            JWKS,
        }

    def test_refusals_are_problem_documents(self, openapi: dict[str, Any]) -> None:
        for path, methods in openapi["paths"].items():
            for method in methods:
                for status, answer in answers(openapi, method, path, "").items():
                    if status >= "400":
                        assert answer["content"].keys() == {"application/problem+json"}

    def test_answers_name_their_headers(self, openapi: dict[str, Any]) -> None:
        created = answers(openapi, "post", "/contacts")
        assert created["201"]["headers"].keys() >= {"ETag", "Location", "Idempotent-Replayed"}
        assert "Retry-After" in created["503"]["headers"]
        assert "Retry-After" in created["504"]["headers"]
        assert {"Retry-After", "RateLimit"} <= created["429"]["headers"].keys()
        assert "WWW-Authenticate" in created["401"]["headers"]
        read = answers(openapi, "get", "/contacts/{contact_id}")
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

    @pytest.mark.parametrize(
        ("method", "path", "refusals"),
        [
            ("get", "/media/{media_id}/file", {"403", "404"}),  # a link that proves nothing
            ("get", "/contacts/{contact_id}", {"404", "410"}),
            ("post", "/messages/send", {"404", "410"}),  # of a contact nobody knows
            ("put", "/contacts/{contact_id}", {"404", "410", "412"}),
            ("patch", "/settings", {"412"}),
            ("post", "/custom-fields", set()),
            ("get", "/messages", set()),  # of a contact nobody knows there are none
        ],
    )
    def test_refusals_are_those_of_the_route(
        self, openapi: dict[str, Any], method: str, path: str, refusals: set[str]
    ) -> None:
        named = {"404", "410", "412"} | ({"403"} if path.startswith("/media") else set())
        assert answers(openapi, method, path).keys() & named == refusals

    def test_what_is_made_or_listed_links_to_what_can_be_asked_of_it(
        self, openapi: dict[str, Any]
    ) -> None:
        created = answers(openapi, "post", "/pipelines/{pipeline_id}/statuses")["201"]["links"]
        assert created["contacts_status_patch"]["parameters"] == {
            "pipeline_id": "$request.path.pipeline_id",
            "status_id": "$response.body#/id",
        }
        listed = answers(openapi, "get", "/conversations")["200"]["links"]
        assert listed["messaging_conversation_read"]["parameters"] == {
            "conversation_id": "$response.body#/data/0/id"
        }
        assert "links" not in answers(openapi, "post", "/auth/register")["201"]

    def test_links_lead_to_operations_and_their_parameters(self, openapi: dict[str, Any]) -> None:
        operations = {
            operation["operationId"]: {p["name"] for p in operation.get("parameters", ())}
            for path in openapi["paths"].values()
            for operation in path.values()
        }
        links = [
            link
            for path in openapi["paths"].values()
            for operation in path.values()
            for answer in operation["responses"].values()
            for link in answer.get("links", {}).values()
        ]
        assert len(links) > 100
        for link in links:
            assert link["parameters"].keys() <= operations[link["operationId"]]

    def test_every_reference_leads_somewhere(self, openapi: dict[str, Any]) -> None:
        known = {
            f"#/components/{kind}/{name}"
            for kind, shared in openapi["components"].items()
            for name in shared
        }
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
