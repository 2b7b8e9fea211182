"""Filters against an oracle that knows no SQL: whatever is asked, both find the same contacts."""

import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

from crm_contacts.contact_lists.filters import condition
from crm_contacts.contact_lists.narrowing import having
from crm_contacts.contacts import repository
from crm_contacts.contacts.models import Contact
from crm_testing.scenes.contacts import Shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_kit.ids import uuid7
from shared_events.contacts.contact_filter import Filter, Group, Rule
from sqlalchemy import Uuid, column, select

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
TEXTS = ["Ana", "ana", "ÂNA", "a%", "a_b", "a\\", "'; --", "é", "a/b", "João Ana", "x" * 70]
VALUES = [*TEXTS, 0, 1, 1.0, -2.5, 10**15, True, False, "2026-01-31"]
DATA: list[Any] = [*VALUES, None, [], ["Ana", "é"], [1, "a%"], {"Ana": 1}, "1", "true"]
IDS = [UUID(int=1), UUID(int=2)]
MOMENTS = [NOW, NOW - timedelta(days=1), NOW - timedelta(days=2, microseconds=1)]
NEGATED = {"ne": "eq", "not_contains": "contains", "not_in": "in", "is_not_null": "is_null"}
SAME = ["eq", "ne", "in", "not_in", "is_null", "is_not_null"]
PARTS = ["contains", "not_contains", "starts_with", "ends_with"]
ORDER = ["gt", "gte", "lt", "lte"]

FIELDS: dict[str, tuple[list[str], list[Any]]] = {
    "name": (SAME + PARTS, [*TEXTS, "\u0301", "an"]),
    "email": (SAME + PARTS, ["ANA@example.com", "a_", "@example.com", "%"]),
    "phone": (SAME + PARTS, ["+55 11 90000-0003", "55119", "(0000)", "0007", "()", "%"]),
    "source": (SAME + PARTS, ["api", "API", "imp", "t"]),
    "language": (SAME + PARTS, ["pt", "PT", "_US", "n_"]),
    "timezone": (SAME + PARTS, ["America/Bahia", "america", "/", "%"]),
    "tags": ([*SAME[2:], *PARTS[:2]], ["Vip", "STRASSE", "lead", "nobody"]),
    **dict.fromkeys(("pipeline_id", "pipeline_status_id"), (SAME, [str(one) for one in IDS])),
    **dict.fromkeys(
        ("created_at", "updated_at", "first_interaction_at", "last_interaction_at"),
        ([*ORDER, *SAME[4:]], [moment.isoformat() for moment in MOMENTS]),
    ),
}
"""What contacts are compared by, how, and with what; custom fields aside."""
CUSTOM: list[tuple[list[str], list[Any]]] = [
    (SAME, VALUES),
    (PARTS, TEXTS),
    (ORDER, [value for value in VALUES if not isinstance(value, bool)]),
]

maybe = st.none()
moments = st.sampled_from(MOMENTS)
people: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    name=st.sampled_from(TEXTS),
    email=maybe | st.sampled_from(["ana@example.com", "a_b@example.com", "joao@example.com"]),
    source=st.sampled_from(["api", "import", "inbound"]),
    language=maybe | st.sampled_from(["pt-BR", "pt", "en_US"]),
    timezone=maybe | st.sampled_from(["America/Bahia", "UTC"]),
    tags=st.lists(st.sampled_from(["VIP", "vip", "Straße", "lead"]), max_size=2),
    custom_fields=st.dictionaries(st.sampled_from(["a", "b'"]), st.sampled_from(DATA)),
    pipeline_id=maybe | st.sampled_from(IDS),
    pipeline_status_id=maybe | st.sampled_from(IDS),
    created_at=moments,
    updated_at=moments,
    first_interaction_at=maybe | moments,
    last_interaction_at=maybe | moments,
)


def rule_of(field: str, operator: str, one: Any, many: list[Any]) -> Rule:
    given_: dict[str, Any] = {"value": one}
    if operator in ("in", "not_in"):
        given_ = {"values": many}
    elif operator.endswith("null"):
        given_ = {}
    return Rule.model_validate({"field": field, "operator": operator, **given_})


def rules_on(field: str, operators: list[str], values: list[Any]) -> Any:
    many = st.lists(st.sampled_from(values), min_size=1, max_size=3)
    operator, one = st.sampled_from(operators), st.sampled_from(values)
    return st.builds(rule_of, st.just(field), operator, one, many)


days = st.builds(
    lambda operator, ago: Rule(field="last_interaction_at", operator=operator, days_ago=ago),
    st.sampled_from(ORDER),
    st.integers(0, 3),
)
custom = st.one_of(
    *(rules_on(f"custom_fields.{key}", *how) for key in ("a", "b'") for how in CUSTOM)
)
rules = st.one_of(*(rules_on(field, *how) for field, how in FIELDS.items()), days, custom)
match = st.sampled_from(["all", "any"])
groups = st.builds(
    lambda match, rules: Group(match=match, rules=rules),
    match,
    st.lists(rules, min_size=1, max_size=3),
)
filters = st.builds(
    lambda match, groups: Filter(match=match, groups=groups),
    match,
    st.lists(groups, min_size=1, max_size=3),
)


def each() -> Iterator[Filter]:
    """Every operator of every field with every value, alone."""
    ways = [*FIELDS.items(), *(("custom_fields.a", how) for how in CUSTOM)]
    for field, (operators, values) in ways:
        for operator, value in product(operators, values):
            yield Filter(groups=[Group(rules=[rule_of(field, operator, value, [value])])])


def wildcards() -> Iterator[Filter]:
    """What LIKE would take for more than it says, wherever a part of a text is looked for."""
    for field in ("name", "email", "custom_fields.a"):
        for operator, value in product(PARTS, ("%", "_", "\\", "a_", "/")):
            rule = Rule.model_validate({"field": field, "operator": operator, "value": value})
            yield Filter(groups=[Group(rules=[rule])])


def folded(text: str) -> str:
    apart = unicodedata.normalize("NFD", text).lower()
    return "".join(c for c in apart if unicodedata.category(c) != "Mn")


def compare(operator: str, mine: Any, theirs: Any) -> bool:
    match operator:
        case "gt":
            return bool(mine > theirs)
        case "gte":
            return bool(mine >= theirs)
        case "lt":
            return bool(mine < theirs)
        case "lte":
            return bool(mine <= theirs)
        case "starts_with":
            return bool(mine.startswith(theirs))
        case "ends_with":
            return bool(mine.endswith(theirs))
        case "contains":
            return bool(theirs in mine)
        case _:
            return bool(mine == theirs)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def holds_of_custom(operator: str, mine: Any, theirs: Any) -> bool:
    if isinstance(mine, list) and operator == "contains":
        return any(type(one) is type(theirs) and one == theirs for one in mine)
    if isinstance(mine, str) and isinstance(theirs, str):
        return compare(operator, mine, theirs)
    if is_number(mine) and is_number(theirs):
        return compare(operator, mine, theirs)
    return operator in ("eq", "in") and type(mine) is type(theirs) and bool(mine == theirs)


def affirmed(rule: Rule, operator: str, person: dict[str, Any]) -> bool:
    if rule.custom_key is not None:
        mine = person["custom_fields"].get(rule.custom_key)
        if operator == "is_null":
            return mine is None
        return any(holds_of_custom(operator, mine, theirs) for theirs in rule.given)
    mine = person[rule.field]
    if operator == "is_null":
        return not mine
    if mine is None:
        return False
    match rule.field:
        case "phone":
            digits = ["".join(c for c in str(t) if c in "+0123456789") for t in rule.given]
            return any(one and compare(operator, mine, one) for one in digits)
        case "created_at" | "updated_at" | "first_interaction_at" | "last_interaction_at":
            ago = NOW - timedelta(days=rule.days_ago or 0)
            then = ago if rule.value is None else datetime.fromisoformat(str(rule.value))
            return compare(operator, mine, then)
        case "tags":
            return any(tag.casefold() == str(t).casefold() for tag in mine for t in rule.given)
        case "pipeline_id" | "pipeline_status_id":
            return str(mine) in rule.given
        case "name":
            whole = [folded(str(theirs)) for theirs in rule.given]
            shown = folded(mine)[:64]
            if operator in ("eq", "in"):
                return any(one and shown == one[:64] for one in whole)
            return any(one and compare(operator, shown, one) for one in whole)
        case "email":
            return any(compare(operator, mine, str(theirs).lower()) for theirs in rule.given)
        case _:
            return any(compare(operator, mine, theirs) for theirs in rule.given)


def holds(rule: Rule, person: dict[str, Any]) -> bool:
    operator = NEGATED.get(rule.operator, rule.operator)
    return affirmed(rule, operator, person) is (operator == rule.operator)


def found(filter_: Filter, person: dict[str, Any]) -> bool:
    together = {"all": all, "any": any}
    return together[filter_.match](
        together[group.match](holds(rule, person) for rule in group.rules)
        for group in filter_.groups
    )


class TestFilters:
    async def test_find_whom_the_oracle_finds(self, company: Shop, other_company: Shop) -> None:
        """One crowd, in two companies, and many filters: each is asked for in a statement."""
        crowd: list[dict[str, Any]] = []
        asked: list[Filter] = []

        @settings(
            max_examples=60,
            database=None,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(people, filters, st.lists(rules, min_size=4, max_size=4))
        def draw(person: dict[str, Any], filter_: Filter, alone: list[Rule]) -> None:
            number = len(crowd)
            crowd.append(person | {"phone": f"+55119{number:08}" if number % 3 else None})
            asked.append(filter_)
            asked.extend(Filter(groups=[Group(rules=[rule])]) for rule in alone)

        draw()
        asked.extend(wildcards())
        asked.extend(each())
        by_id = await self.settle(company, crowd)
        await self.settle(other_company, crowd)
        hits = narrowed = 0
        async with company.database.tenant(company.id) as tx:
            for filter_ in asked:
                wanted = {one for one, person in by_id.items() if found(filter_, person)}
                query = select(repository.LISTED.c.id).where(condition(filter_, NOW))
                assert {row["id"] for row in await tx.fetch(query)} == wanted, filter_
                if (known := having(filter_)) is not None:
                    among = select(column("id", Uuid)).select_from(known.contacts)
                    assert {row["id"] for row in await tx.fetch(among)} >= wanted, filter_
                    narrowed += 1
                hits += 0 < len(wanted) < len(crowd)
        assert hits > len(asked) / 3
        assert narrowed > len(asked) / 20

    @staticmethod
    async def settle(company: Shop, crowd: list[dict[str, Any]]) -> dict[UUID, dict[str, Any]]:
        """The crowd as contacts of a company, by id."""
        by_id = {uuid7(): person for person in crowd}
        contacts = [
            Contact(**person, id=one, tenant_id=company.id) for one, person in by_id.items()
        ]
        async with company.database.tenant(company.id) as tx:
            await repository.insert(tx, contacts)
        return by_id
