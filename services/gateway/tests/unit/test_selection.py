"""What the route table says may be selected, against the document and the routes of one thing."""

from collections.abc import Callable
from typing import Any

import pytest
from crm_gateway.rest import openapi
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.selection import RELATIONS, item_of
from crm_gateway.rest.table import PUBLIC, Row
from crm_gateway.settings import GatewaySettings
from crm_testing.scenes.gateway import ID, Rest

EXPANDING = [row for row in ROUTES if row.expands]


def parameters(row: Row) -> set[str]:
    described = openapi.operation(row).get("openapi_extra", {}).get("parameters", ())
    return {each["name"] for each in described}


def test_a_relation_needs_the_permission_of_reading_one() -> None:
    for name, relation in RELATIONS.items():
        (one,) = [
            row for row in ROUTES if (row.method, row.path) == ("GET", f"/{name}s/{{{name}_id}}")
        ]
        assert relation.permission == one.permission
        assert item_of(relation.request.reply_model()) is one.request.reply_model()


@pytest.mark.parametrize("row", EXPANDING, ids=lambda row: row.path)
def test_a_relation_stands_where_its_row_says(row: Row) -> None:
    for name, place in row.expands.items():
        assert name in RELATIONS
        model: Any = item_of(row.request.reply_model())
        for part in place.split("."):
            annotation = model.model_fields[part].annotation
            model = getattr(annotation, "__args__", (annotation,))[0]


def test_every_read_of_json_takes_fields_and_nothing_else_does() -> None:
    for row in ROUTES:
        expected = {"fields", "expand"} if row.expands else {"fields"}
        is_read = row.method == "GET" and row.permission != PUBLIC
        is_json = row.file is None and not row.gives_file and not row.live
        assert parameters(row) == (expected if is_read and is_json else set()), row.path


async def test_what_is_selected_is_no_part_of_the_question(
    make_settings: Callable[..., GatewaySettings],
) -> None:
    rest = Rest(make_settings())
    asked = await rest.asks("GET", "/messages?limit=3&fields=id,content&expand=contact")
    assert asked.model_dump(exclude_unset=True) == {"limit": 3}


async def test_a_reply_of_a_services_next_release_is_trimmed_as_well(
    make_settings: Callable[..., GatewaySettings],
) -> None:
    rest = Rest(make_settings())
    answer = await rest.send("GET", f"/contacts/{ID}?fields=version")
    assert answer.json() == {"id": ID, "version": 3}
