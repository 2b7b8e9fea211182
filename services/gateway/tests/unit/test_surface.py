"""Every rule of the REST surface's compatibility, on a document of one route."""

import copy
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from crm_gateway.surface.__main__ import kept
from crm_gateway.surface.compatibility import findings

Document = dict[str, Any]
Change = Callable[[Document], Any]

TODAY = date(2027, 1, 31)
REF = {"schema": {"$ref": "#/components/schemas/Contact"}}


def released() -> Document:
    """One route that takes a contact and gives it."""
    return {
        "paths": {
            "/contacts": {
                "post": {
                    "operationId": "contact_create",
                    "security": [{"bearer": ["contacts.create"]}, {"api_key": []}],
                    "parameters": [
                        {"in": "query", "name": "sort", "schema": {"enum": ["name", "age"]}},
                    ],
                    "requestBody": {"content": {"application/json": copy.deepcopy(REF)}},
                    "responses": {
                        "201": {
                            "headers": {"ETag": {}},
                            "content": {"application/json": copy.deepcopy(REF)},
                        },
                        "404": {"$ref": "#/components/responses/Problem404"},
                    },
                }
            }
        },
        "components": {
            "schemas": {
                "Contact": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string"},
                        "kind": {"type": "string", "enum": ["person", "firm"]},
                    },
                }
            }
        },
    }


def route(document: Document) -> Document:
    found: Document = document["paths"]["/contacts"]["post"]
    return found


def contact(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["Contact"]
    return found


def parameter(**more: Any) -> Document:
    return {"in": "query", "name": "tags", "schema": {"type": "string"}, **more}


BREAKS: dict[str, tuple[Change, str]] = {
    "route": (lambda d: d["paths"].clear(), "the route is gone"),
    "name": (lambda d: route(d).update(operationId="create"), "operationId contact_create is"),
    "permission": (
        lambda d: route(d).update(security=[{"bearer": ["contacts.update"]}]),
        "asks for contacts.update",
    ),
    "parameter": (lambda d: route(d)["parameters"].clear(), "query sort: removed"),
    "new required parameter": (
        lambda d: route(d)["parameters"].append(parameter(required=True)),
        "query tags: newly required",
    ),
    "required parameter": (
        lambda d: route(d)["parameters"][0].update(required=True),
        "query sort: newly required",
    ),
    "values of a parameter": (
        lambda d: route(d)["parameters"][0]["schema"]["enum"].pop(),
        "query sort/: narrower enum, without age",
    ),
    "body": (
        lambda d: route(d)["requestBody"].update(required=True),
        "body: newly required",
    ),
    "kind of body": (
        lambda d: route(d)["requestBody"]["content"].clear(),
        "body: application/json is not taken any more",
    ),
    "required field": (
        lambda d: contact(d)["required"].append("kind"),
        "body /kind: newly required",
    ),
    "narrower field": (lambda d: contact(d)["properties"]["kind"]["enum"].pop(), "without firm"),
    "type of a field": (
        lambda d: contact(d)["properties"]["name"].update(type="integer"),
        "/name: retyped from string to integer",
    ),
    "field of an answer": (
        lambda d: contact(d)["properties"].pop("kind"),
        "answer 201 /kind: removed",
    ),
    "field that was always there": (
        lambda d: contact(d)["required"].clear(),
        "answer 201 /name: no longer always there",
    ),
    "answer": (lambda d: route(d)["responses"].pop("201"), "answer 201: gone"),
    "kind of answer": (
        lambda d: route(d)["responses"]["201"]["content"].clear(),
        "answer 201: is application/json no more",
    ),
    "header": (lambda d: route(d)["responses"]["201"]["headers"].clear(), "header ETag is gone"),
}

KEEPS: dict[str, Change] = {
    "nothing": lambda d: None,
    "new route": lambda d: d["paths"].update({"/notes": {"get": {}}}),
    "new parameter": lambda d: route(d)["parameters"].append(parameter()),
    "new field": lambda d: contact(d)["properties"].update(note={"type": "string"}),
    "more values": lambda d: route(d)["parameters"][0]["schema"]["enum"].append("tags"),
    "other refusals": lambda d: route(d)["responses"].pop("404"),
    "fewer permissions": lambda d: route(d)["security"][0]["bearer"].clear(),
}


class TestChanges:
    @pytest.mark.parametrize(("change", "told"), BREAKS.values(), ids=BREAKS)
    def test_that_break_callers_are_named_with_route_and_cure(
        self, change: Change, told: str
    ) -> None:
        document = released()
        change(document)
        found = findings(released(), document, TODAY)
        assert any(told in each for each in found), found
        assert all(each.startswith("POST /contacts: ") and "; " in each for each in found)

    @pytest.mark.parametrize("change", KEEPS.values(), ids=KEEPS)
    def test_that_add_break_nobody(self, change: Change) -> None:
        document = released()
        change(document)
        assert findings(released(), document, TODAY) == []


class TestDeprecated:
    @pytest.mark.parametrize(
        ("sunset", "told"),
        [("2027-02-01", "the route is gone; deprecate it"), ("2027-01-31", "")],
    )
    def test_a_route_may_go_when_its_sunset_has_come(self, sunset: str, told: str) -> None:
        before = released()
        route(before)["x-sunset"] = sunset
        gone = released()
        gone["paths"].clear()
        assert told in "".join(findings(before, gone, TODAY))
        assert bool(findings(before, gone, TODAY)) == bool(told)

    def test_a_route_does_not_outlive_its_sunset(self) -> None:
        late = released()
        route(late)["x-sunset"] = "2027-01-30"
        assert findings(released(), late, TODAY) == [
            "POST /contacts: its sunset was on 2027-01-30; take it away, or name a later day"
        ]

    def test_a_sunset_may_be_put_off_but_not_brought_forward(self) -> None:
        before, earlier, later = released(), released(), released()
        route(before)["x-sunset"] = "2027-06-01"
        route(earlier)["x-sunset"] = "2027-05-31"
        route(later)["x-sunset"] = "2027-06-02"
        assert "earlier than 2027-06-01" in findings(before, earlier, TODAY)[0]
        assert findings(before, later, TODAY) == []


class TestKeptDocument:
    def test_is_written_unless_it_breaks_callers(self, tmp_path: Path) -> None:
        file = tmp_path / "openapi.json"
        assert kept(released(), file, check=False) == []
        grown = released()
        KEEPS["new field"](grown)
        assert kept(grown, file, check=True) == [
            "openapi.json: not up to date; run `make contracts` and commit"
        ]
        assert kept(grown, file, check=False) == kept(grown, file, check=True) == []
        assert "field" in kept(released(), file, check=False)[0]
        assert json.loads(file.read_text()) == grown
