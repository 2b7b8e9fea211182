import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared_events.contracts.__main__ import FOLDER, broken, outdated, write
from shared_events.contracts.compatibility import Schema, contract_findings, topology_findings
from shared_events.contracts.documents import all_documents

CONTRACT: Schema = json.loads((FOLDER / "contract.json").read_text())
TOPOLOGY: Schema = json.loads((FOLDER / "topology.json").read_text())
CREATED = "events/contact.created.v1/data"
SEND = "requests/messaging.message.send/body"


def _contact(document: Schema) -> Schema:
    schema: Schema = document["$defs"]["Contact"]
    return schema


def _rename(document: Schema) -> None:
    fields = _contact(document)["properties"]
    fields["full_name"] = fields.pop("name")
    _contact(document)["required"].remove("name")


def _retype(document: Schema) -> None:
    _contact(document)["properties"]["version"] = {"type": "string"}


def _no_longer_null(document: Schema) -> None:
    _contact(document)["properties"]["email"] = {"type": "string"}


def _require(document: Schema) -> None:
    _contact(document)["required"].append("email")


def _no_longer_require(document: Schema) -> None:
    _contact(document)["required"].remove("version")


def _narrow(document: Schema) -> None:
    document["$defs"]["Identity"]["properties"]["kind"]["enum"].remove("group")


def _retype_items(document: Schema) -> None:
    _contact(document)["properties"]["tags"]["items"] = {"type": "integer"}


def _limit(document: Schema) -> None:
    _contact(document)["properties"]["name"]["maxLength"] = 10


def _require_more(document: Schema) -> None:
    _contact(document)["properties"]["name"]["minLength"] = 1


def _add_pattern(document: Schema) -> None:
    _contact(document)["properties"]["name"]["pattern"] = "^[a-z]+$"


def _count_in_tens(document: Schema) -> None:
    _contact(document)["properties"]["version"]["multipleOf"] = 10


def _close(document: Schema) -> None:
    _contact(document)["additionalProperties"] = False


def _add_optional(document: Schema) -> None:
    _contact(document)["properties"]["nickname"] = {"type": "string"}


def _widen(document: Schema) -> None:
    document["$defs"]["Identity"]["properties"]["kind"]["enum"].append("username")


def _take_any_word(document: Schema) -> None:
    kind = document["$defs"]["Identity"]["properties"]["kind"]
    del kind["enum"]
    kind.update(type="string", minLength=1, maxLength=64)


def _describe(document: Schema) -> None:
    _contact(document)["description"] = "Said better."


def _ask_for_less(document: Schema) -> None:
    document["$defs"]["SendMessage"]["required"].remove("channel_id")


def _ask_for_more(document: Schema) -> None:
    document["$defs"]["SendMessage"]["required"].append("content")


def _drop_an_alternative(document: Schema) -> None:
    asked = document["$defs"]["ListSessions"]["properties"]["assigned_agent_id"]
    asked["anyOf"] = [one for one in asked["anyOf"] if "enum" not in one]


def _rename_in_the_frame(document: Schema) -> None:
    fields = document["$defs"]["Principal"]["properties"]
    fields["tenant"] = fields.pop("tenant_id")


def _answer_otherwise(document: Schema) -> None:
    document["requests"]["contacts.contact.get"]["reply"] = {"$ref": "#/$defs/Nothing"}


def _changed(change: Callable[[Schema], None]) -> Schema:
    changed = copy.deepcopy(CONTRACT)
    change(changed)
    return changed


class TestContractFindings:
    @pytest.mark.parametrize(
        ("change", "where", "finding"),
        [
            (_rename, CREATED, "/contact/name: removed (or renamed)"),
            (_retype, CREATED, "/contact/version: retyped from integer to string"),
            (_no_longer_null, CREATED, "/contact/email: retyped from null or string to string"),
            (_require, CREATED, "/contact/email: newly required"),
            (_no_longer_require, CREATED, "/contact/version: no longer always there"),
            (_narrow, CREATED, "/contact/identities/*/kind: narrower enum, without group"),
            (_retype_items, CREATED, "/contact/tags/*: retyped from string to integer"),
            (_limit, CREATED, "/contact/name: tighter maxLength"),
            (_require_more, CREATED, "/contact/name: tighter minLength"),
            (_add_pattern, CREATED, "/contact/name: another pattern"),
            (_count_in_tens, CREATED, "/contact/version: another multipleOf"),
            (_close, CREATED, "/contact: takes no other fields any more"),
            (_ask_for_more, SEND, "/content: newly required"),
            (
                _drop_an_alternative,
                "requests/messaging.session.list/body",
                "/assigned_agent_id: retyped from null or string or string(uuid)"
                " to null or string(uuid)",
            ),
            (
                _rename_in_the_frame,
                "frames/Request",
                "/principal/tenant_id: removed (or renamed)",
            ),
            (
                _answer_otherwise,
                "requests/contacts.contact.get/reply",
                "/name: removed (or renamed)",
            ),
        ],
    )
    def test_name_the_field_that_breaks(
        self, change: Callable[[Schema], None], where: str, finding: str
    ) -> None:
        found = contract_findings(CONTRACT, _changed(change))
        assert f"{where}: {finding}; give it a new version" in found

    @pytest.mark.parametrize(
        "change", [_add_optional, _widen, _take_any_word, _describe, _ask_for_less]
    )
    def test_pass_what_breaks_nobody(self, change: Callable[[Schema], None]) -> None:
        assert contract_findings(CONTRACT, _changed(change)) == []

    @pytest.mark.parametrize(
        ("kind", "name", "path"),
        [
            ("events", "contact.created.v1", CREATED),
            ("requests", "messaging.message.send", SEND),
            ("frames", "Reply", "frames/Reply"),
        ],
    )
    def test_refuse_what_is_gone(self, kind: str, name: str, path: str) -> None:
        def remove(document: Schema) -> None:
            del document[kind][name]

        found = contract_findings(CONTRACT, _changed(remove))
        assert f"{path}: the contract is gone; keep it until nobody uses it" in found


class TestTopologyFindings:
    @pytest.mark.parametrize("of", ["queue", "dead letters"])
    def test_refuse_other_arguments_under_the_same_name(self, of: str) -> None:
        changed = copy.deepcopy(TOPOLOGY)
        queue = changed["queues"][0]
        arguments = queue["arguments"] if of == "queue" else queue["dead_letters"]["arguments"]
        arguments["x-delivery-limit"] = 5
        assert topology_findings(TOPOLOGY, changed) == [
            f"topology.json: {queue['name']}: other arguments; give the queue a new name"
        ]

    @pytest.mark.parametrize(
        ("before", "after", "passed"),
        [
            (None, "aggregate_id", True),
            ("aggregate_id", "aggregate_id", False),
            ("aggregate_id", None, False),
        ],
    )
    def test_pass_other_arguments_of_a_queue_that_is_split_since(
        self, before: str | None, after: str | None, passed: bool
    ) -> None:
        """Its partitions are declared under names that no broker knows."""
        old, new = copy.deepcopy(TOPOLOGY), copy.deepcopy(TOPOLOGY)
        old["queues"][0]["ordered_by"], new["queues"][0]["ordered_by"] = before, after
        new["queues"][0]["arguments"]["x-single-active-consumer"] = "another"
        assert (topology_findings(old, new) == []) is passed

    def test_pass_a_new_queue_and_another_binding(self) -> None:
        changed = copy.deepcopy(TOPOLOGY)
        changed["queues"].append({**changed["queues"][0], "name": "another"})
        changed["queues"][1]["keys"].append("thing.*")
        assert topology_findings(TOPOLOGY, changed) == []


class TestCommittedContract:
    def test_is_what_the_code_says(self) -> None:
        generated = all_documents()
        assert broken(generated, FOLDER) == []
        assert outdated(generated, FOLDER) == []

    def test_reports_a_file_that_is_not_up_to_date(self, tmp_path: Path) -> None:
        generated = all_documents()
        write(generated, tmp_path)
        assert outdated(generated, tmp_path) == []
        (tmp_path / "topology.json").write_text("{}")
        (tmp_path / "contract.json").unlink()
        assert [line.partition(":")[0] for line in outdated(generated, tmp_path)] == [
            "contract.json",
            "topology.json",
        ]

    def test_refers_only_to_what_it_defines(self) -> None:
        for reference in _references(CONTRACT):
            assert reference.removeprefix("#/$defs/") in CONTRACT["$defs"]


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        inner = set().union(*map(_references, value.values()))
        return inner | ({value["$ref"]} if isinstance(value.get("$ref"), str) else set())
    return set().union(*map(_references, value)) if isinstance(value, list) else set()
