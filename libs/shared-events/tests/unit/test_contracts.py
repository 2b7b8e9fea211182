import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shared_events.contracts.__main__ import SCHEMAS, broken, outdated, write
from shared_events.contracts.asyncapi import SERVICES, topic_matches
from shared_events.contracts.compatibility import Schema, findings
from shared_events.contracts.documents import all_documents

COMMITTED = json.loads((SCHEMAS / "events/contact.created.v1.json").read_text())


def _rename(schema: Schema) -> None:
    fields = schema["$defs"]["Contact"]["properties"]
    fields["full_name"] = fields.pop("name")


def _retype(schema: Schema) -> None:
    schema["$defs"]["Contact"]["properties"]["version"] = {"type": "string"}


def _no_longer_null(schema: Schema) -> None:
    schema["$defs"]["Contact"]["properties"]["email"] = {"type": "string"}


def _require(schema: Schema) -> None:
    schema["$defs"]["Contact"]["required"].append("email")


def _require_anew(schema: Schema) -> None:
    schema["properties"]["region"] = {"type": "string"}
    schema["required"].append("region")


def _narrow(schema: Schema) -> None:
    schema["$defs"]["Identity"]["properties"]["kind"]["enum"].remove("group")


def _retype_items(schema: Schema) -> None:
    schema["$defs"]["Contact"]["properties"]["tags"]["items"] = {"type": "integer"}


def _limit(schema: Schema) -> None:
    schema["$defs"]["Contact"]["properties"]["name"]["maxLength"] = 10


def _require_more(schema: Schema) -> None:
    schema["$defs"]["Contact"]["properties"]["name"]["minLength"] = 1


def _add_pattern(schema: Schema) -> None:
    schema["$defs"]["Contact"]["properties"]["name"]["pattern"] = "^[a-z]+$"


def _add_optional(schema: Schema) -> None:
    schema["$defs"]["Contact"]["properties"]["nickname"] = {"type": "string"}


def _widen(schema: Schema) -> None:
    schema["$defs"]["Identity"]["properties"]["kind"]["enum"].append("username")


def _describe(schema: Schema) -> None:
    schema["$defs"]["Contact"]["description"] = "Said better."


class TestFindings:
    @pytest.mark.parametrize(
        ("change", "finding"),
        [
            (_rename, "/data/contact/name: removed (or renamed)"),
            (_retype, "/data/contact/version: retyped from integer to string"),
            (_no_longer_null, "/data/contact/email: retyped from null or string to string"),
            (_require, "/data/contact/email: newly required"),
            (_require_anew, "/region: newly required"),
            (_narrow, "/data/contact/identities/*/kind: narrower enum, without group"),
            (_retype_items, "/data/contact/tags/*: retyped from string to integer"),
            (_limit, "/data/contact/name: tighter maxLength"),
            (_require_more, "/data/contact/name: tighter minLength"),
            (_add_pattern, "/data/contact/name: another pattern"),
        ],
    )
    def test_names_the_field_that_breaks(
        self, change: Callable[[Schema], None], finding: str
    ) -> None:
        changed = copy.deepcopy(COMMITTED)
        change(changed)
        assert findings(COMMITTED, changed) == [finding]

    @pytest.mark.parametrize("change", [_add_optional, _widen, _describe])
    def test_passes_what_breaks_nobody(self, change: Callable[[Schema], None]) -> None:
        changed = copy.deepcopy(COMMITTED)
        change(changed)
        assert findings(COMMITTED, changed) == []


class TestCommittedContract:
    def test_is_what_the_code_says(self) -> None:
        generated = all_documents()
        assert broken(generated, SCHEMAS) == []
        assert outdated(generated, SCHEMAS) == []

    def test_refuses_a_contract_that_is_gone(self, tmp_path: Path) -> None:
        generated = all_documents()
        write(generated, tmp_path)
        del generated["events/contact.created.v1.json"]
        assert broken(generated, tmp_path) == [
            "events/contact.created.v1.json: the contract is gone; keep it until nobody uses it"
        ]

    def test_reports_a_file_that_is_not_up_to_date(self, tmp_path: Path) -> None:
        generated = all_documents()
        write(generated, tmp_path)
        (tmp_path / "topology.json").write_text("{}")
        (tmp_path / "requests/contacts.contact.get.json").unlink()
        assert [line.partition(":")[0] for line in outdated(generated, tmp_path)] == [
            "requests/contacts.contact.get.json",
            "topology.json",
        ]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


class TestAsyncapi:
    @pytest.mark.parametrize("service", SERVICES)
    def test_every_reference_leads_somewhere(self, service: str) -> None:
        document = all_documents()[f"asyncapi/{service}.json"]
        assert document["asyncapi"] == "3.0.0"
        assert document["operations"]
        for reference in _references(document):
            found: Any = document
            for step in reference.removeprefix("#/").split("/"):
                found = found[step]

    @pytest.mark.parametrize("service", SERVICES)
    def test_every_operation_has_an_action_and_a_channel_with_messages(self, service: str) -> None:
        document = all_documents()[f"asyncapi/{service}.json"]
        for operation in document["operations"].values():
            assert operation["action"] in ("send", "receive")
        for channel in document["channels"].values():
            assert channel["messages"]


class TestTopicMatches:
    @pytest.mark.parametrize(
        ("pattern", "key", "matches"),
        [
            ("#", "message.received", True),
            ("message.#", "message", True),
            ("message.#", "message.any", True),
            ("contact.*", "contact.created", True),
            ("contact.*", "contact", False),
            ("contact.*", "contact.a.b", False),
            ("contact.created", "contact.updated", False),
        ],
    )
    def test_matches_as_the_broker_does(self, pattern: str, key: str, matches: bool) -> None:
        assert topic_matches(pattern, key) is matches
