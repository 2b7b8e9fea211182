from collections.abc import Iterator
from typing import Any

import pytest
from crm_gateway.rest.openapi import document
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.table import PREFIX, PUBLIC
from jsonschema import Draft202012Validator


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return document(ROUTES)


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
    def test_describes_every_route(self, openapi: dict[str, Any]) -> None:
        for row in ROUTES:
            operation = openapi["paths"][PREFIX + row.path][row.method.lower()]
            assert str(row.status) in operation["responses"]
            assert operation["security"] == ([] if row.permission == PUBLIC else [{"bearer": []}])

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
        assert {"contact_id", "If-Match"} == {p["name"] for p in operation["parameters"]}
        body = openapi["components"]["schemas"]["ReplaceContactBody"]
        assert "contact_id" not in body["properties"]
        assert body["required"] == ["name"]

    def test_filters_are_query_parameters_under_their_public_names(
        self, openapi: dict[str, Any]
    ) -> None:
        operation = openapi["paths"][PREFIX + "/contacts"]["get"]
        names = {p["name"] for p in operation["parameters"]}
        assert {"search", "tags", "created_at[gte]", "limit", "cursor"} <= names
