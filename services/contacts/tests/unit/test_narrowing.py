"""What of a filter an index is asked for: what everybody has whom it finds, and never more."""

from typing import Any

import pytest
from crm_contacts.contact_lists.narrowing import MOST_ALTERNATIVES, Having, having
from shared_events.contacts.contact_filter import Filter

PLAN = {"field": "custom_fields.plan", "operator": "eq", "value": "pro"}
CITY = {"field": "custom_fields.city", "operator": "in", "values": ["Rio", "Recife"]}
VIP = {"field": "tags", "operator": "contains", "value": "VIP"}
NAME = {"field": "name", "operator": "eq", "value": "Ana"}
MANY = {**CITY, "values": list(range(MOST_ALTERNATIVES // 2 + 1))}
PRO = Having(fields=({"plan": "pro"},))
OF_CITIES = Having(fields=({"city": "Rio"}, {"city": "Recife"}))


def all_of(*rules: Any) -> dict[str, Any]:
    return {"match": "all", "rules": rules}


def any_of(*rules: Any) -> dict[str, Any]:
    return {"match": "any", "rules": rules}


@pytest.mark.parametrize(
    ("match", "groups", "known"),
    [
        ("all", [all_of(PLAN)], PRO),
        ("all", [all_of(NAME, CITY)], OF_CITIES),
        ("all", [all_of(NAME), any_of(VIP)], Having(tags=("vip",))),
        ("all", [all_of(CITY, VIP, PLAN)], PRO),
        (
            "all",
            [all_of(PLAN, {**PLAN, "field": "custom_fields.size", "value": 3})],
            Having(fields=({"plan": "pro", "size": 3},)),
        ),
        ("any", [all_of(PLAN, NAME), any_of(CITY)], Having(fields=PRO.fields + OF_CITIES.fields)),
        ("any", [all_of(PLAN), all_of(NAME)], None),
        ("any", [all_of(PLAN), all_of(VIP)], None),
        ("all", [any_of(PLAN, NAME)], None),
        ("all", [all_of({**PLAN, "operator": "ne"})], None),
        ("all", [all_of({**CITY, "operator": "not_in"})], None),
        ("all", [all_of({**PLAN, "operator": "gt"}, NAME)], None),
        ("all", [all_of({**VIP, "operator": "not_contains"})], None),
        ("any", [all_of(MANY), all_of(MANY)], None),
    ],
)
def test_is_what_everybody_has(match: str, groups: list[Any], known: Having | None) -> None:
    assert having(Filter.model_validate({"match": match, "groups": groups})) == known
