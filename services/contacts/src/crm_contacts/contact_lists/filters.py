"""Filters as SQL: what customers wrote travels as parameters and nothing else of it.

A rule that compares with nothing it knows is unknown to SQL, and so is not so; its negation is.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from service_kit.search import fold
from shared_events.contacts.contact_filter import IDS, MOMENTS, TAGS, Filter, Group, Match, Rule
from sqlalchemy import Text, Uuid, and_, any_, false, func, literal, or_, true
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

from crm_contacts.contacts.repository import LISTED
from crm_contacts.contacts.search import SORT_NAME_LENGTH, tag_key

Condition = ColumnElement[bool]

_C = LISTED.c
_NEGATED = {"ne": "eq", "not_contains": "contains", "not_in": "in", "is_not_null": "is_null"}
_NOT_OF_A_PHONE = re.compile(r"[^0-9+]")
_STORED: dict[str, Callable[[str], str]] = {
    "name": fold,
    "email": str.lower,
    "phone": lambda text: _NOT_OF_A_PHONE.sub("", text),
}
"""How a text is written in its column, where that is not how it is shown."""


def condition(filter_: Filter, now: datetime) -> Condition:
    """What is so of the contacts a filter finds; days are counted back from `now`."""
    return _together(filter_.match, [_of_group(group, now) for group in filter_.groups])


def _of_group(group: Group, now: datetime) -> Condition:
    return _together(group.match, [_of_rule(rule, now) for rule in group.rules])


def _together(match: Match, conditions: Sequence[Condition]) -> Condition:
    return and_(*conditions) if match == "all" else or_(*conditions)


def _of_rule(rule: Rule, now: datetime) -> Condition:
    operator = _NEGATED.get(rule.operator, rule.operator)
    found = _affirmed(rule, operator, now)
    return found if operator == rule.operator else found.is_not(true())


def _affirmed(rule: Rule, operator: str, now: datetime) -> Condition:
    if rule.custom_key is not None:
        return _of_custom_field(rule.custom_key, operator, rule.given)
    if rule.field == TAGS:
        return _of_tags(operator, [tag_key(tag) for tag in rule.texts])
    column: ColumnElement[Any] = _C[rule.field]
    if operator == "is_null":
        return column.is_(None)
    if rule.field in MOMENTS:
        return _ordered(column, operator, rule.moment(now))
    if rule.field in IDS:
        return _among(column, rule.ids, Uuid())
    return _of_text(rule.field, operator, rule.texts)


def _of_text(field: str, operator: str, texts: Sequence[str]) -> Condition:
    column = _C.sort_name if field == "name" else _C[field]
    wanted = [stored for text in texts if (stored := _STORED.get(field, str)(text))]
    if not wanted:  # nothing but accents, say: it means nobody, not everybody
        return false()
    if operator in ("eq", "in"):
        # Names are kept, for order and search, as far as a cursor holds them.
        length = SORT_NAME_LENGTH if field == "name" else None
        return _among(column, [text[:length] for text in wanted], Text())
    return _part(column, operator, wanted[0])


def _of_tags(operator: str, keys: Sequence[str]) -> Condition:
    if operator == "is_null":
        return func.cardinality(_C.tag_keys) == 0
    has_one: Condition = _C.tag_keys.overlap(keys)
    return has_one


def _of_custom_field(key: str, operator: str, given: Sequence[Any]) -> Condition:
    """JSON of one type is compared with JSON of the same: no value can make this fail."""
    named = literal(key, Text)
    value = _C.custom_fields.op("->", return_type=JSONB())(named)
    text = _C.custom_fields.op("->>", return_type=Text())(named).collate("C")
    kind = func.jsonb_typeof(value)
    if operator == "is_null":
        return or_(value.is_(None), kind == "null")
    if operator in ("eq", "in"):
        return _among(value, given, JSONB())
    (one,) = given
    if not isinstance(one, str):
        return and_(kind == "number", _ordered(value, operator, literal(one, JSONB)))
    if operator in _ORDERS:
        return and_(kind == "string", _ordered(text, operator, one))
    is_part = and_(kind == "string", _part(text, operator, one))
    if operator != "contains":
        return is_part
    return or_(is_part, and_(kind == "array", value.op("@>")(literal(one, JSONB))))


def _among(column: ColumnElement[Any], values: Sequence[Any], kind: TypeEngine[Any]) -> Condition:
    """One parameter, however many values: PostgreSQL takes 32,767 of them in a statement."""
    return column.bool_op("=")(any_(literal(list(values), ARRAY(kind))))


_ORDERS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _ordered(column: ColumnElement[Any], operator: str, value: Any) -> Condition:
    return column.bool_op(_ORDERS[operator])(value)


def _part(column: ColumnElement[Any], operator: str, text: str) -> Condition:
    if operator == "starts_with":
        return column.startswith(text, autoescape=True)
    if operator == "ends_with":
        return column.endswith(text, autoescape=True)
    return column.contains(text, autoescape=True)
