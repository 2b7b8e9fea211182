"""Filters: which contacts are meant, said by rules in groups.

Two levels are enough for whatever rules can say together: any of groups that hold whole, or all of
groups that hold in part.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from shared_events.requests import Given, Moment

MAX_GROUPS = 10
"""Groups of a filter."""
MAX_RULES = 20
"""Rules of a group."""
MAX_VALUES = 100
"""Values of one rule."""

Match = Literal["all", "any"]
Operator = Literal[
    "eq",
    "ne",
    "gt",
    "gte",
    "lt",
    "lte",
    "contains",
    "not_contains",
    "starts_with",
    "ends_with",
    "in",
    "not_in",
    "is_null",
    "is_not_null",
]

TEXTS = ("name", "email", "phone", "source", "language", "timezone")
IDS = ("pipeline_id", "pipeline_status_id")
MOMENTS = ("created_at", "updated_at", "first_interaction_at", "last_interaction_at")
TAGS = "tags"
CUSTOM = "custom_fields."
"""What stands before the key of a custom field."""

_NOTHING = {"is_null", "is_not_null"}
_MANY = {"in", "not_in"}
_SAME = {"eq", "ne"}
_ORDER = {"gt", "gte", "lt", "lte"}
_WITHIN = {"contains", "not_contains"}
_PARTS = {*_WITHIN, "starts_with", "ends_with"}
_OPERATORS: dict[str, set[str]] = {
    **dict.fromkeys(TEXTS, _SAME | _MANY | _PARTS | _NOTHING),
    **dict.fromkeys(IDS, _SAME | _MANY | _NOTHING),
    **dict.fromkeys(MOMENTS, _ORDER | _NOTHING),
    TAGS: _WITHIN | _MANY | _NOTHING,
}
_OF_CUSTOM_FIELDS = _SAME | _MANY | _ORDER | _PARTS | _NOTHING

_ID = TypeAdapter[UUID](UUID)
_MOMENT = TypeAdapter[datetime](Moment)

_Text = Annotated[str, StringConstraints(min_length=1, max_length=255)]
# Beyond this, readers of JSON take one whole number for another.
_Whole = Annotated[StrictInt, Field(ge=-(10**15), le=10**15)]
_Decimal = Annotated[StrictFloat, Field(ge=-(10**15), le=10**15)]
Value = StrictBool | _Whole | _Decimal | _Text
"""What a contact's value is compared with."""


class Rule(Given):
    """Something that is so of a contact, or is not.

    `in` and `not_in` take `values`, `is_null` and `is_not_null` nothing, the others `value`; times
    take `value` or `days_ago`. What is negated holds of whoever has no value, too.

    Tags and names are compared without case, names without accents and by their first 64
    characters; other texts as they are written. A custom field is compared with what is of its own
    type: nothing is greater than a text but another text. Of one that holds several values, and of
    tags, `contains` means one whole value.
    """

    field: Annotated[str, StringConstraints(max_length=255)] = Field(
        description="A field of a contact, or `custom_fields.` with a key."
    )
    operator: Operator
    value: Value | None = None
    values: Annotated[list[Value], Field(max_length=MAX_VALUES)] = Field(default_factory=list)
    days_ago: int | None = Field(default=None, ge=0, le=36_500)

    @property
    def custom_key(self) -> str | None:
        """The key of the custom field it is about, if it is about one."""
        return self.field.removeprefix(CUSTOM) if self.field.startswith(CUSTOM) else None

    @property
    def texts(self) -> list[str]:
        """What it compares with, as text."""
        return [str(value) for value in self.given]

    @property
    def ids(self) -> list[UUID]:
        """What it compares with, as ids; raises ValueError when they are none."""
        return [_ID.validate_python(value) for value in self.given]

    @property
    def given(self) -> Sequence[Any]:
        """What it compares with, unless that is some days ago."""
        return self.values if self.value is None else [self.value]

    def moment(self, now: datetime) -> datetime:
        """The time it compares with; raises ValueError when it names none."""
        if self.days_ago is not None:
            return now - timedelta(days=self.days_ago)
        return _MOMENT.validate_python(self.value)

    @model_validator(mode="after")
    def _says_something(self) -> "Rule":
        allowed = _OF_CUSTOM_FIELDS if self.custom_key else _OPERATORS.get(self.field)
        if allowed is None:
            raise ValueError("contacts have no such field")
        if self.operator not in allowed:
            raise ValueError(f"{self.field} is not compared by {self.operator}")
        takes = self._takes()
        if self._has() not in takes:
            wanted = " or ".join(" ".join(names) or "nothing" for names in takes)
            raise ValueError(f"{self.operator} on {self.field} takes {wanted}")
        self._check_types()
        return self

    def _has(self) -> set[str]:
        names = ("value", "values", "days_ago")
        return {name for name in names if getattr(self, name) not in (None, [])}

    def _takes(self) -> list[set[str]]:
        if self.operator in _NOTHING:
            return [set()]
        if self.operator in _MANY:
            return [{"values"}]
        return [{"value"}, {"days_ago"}] if self.field in MOMENTS else [{"value"}]

    def _check_types(self) -> None:
        if self.custom_key:
            ordered = self.operator in _ORDER and isinstance(self.value, bool)
            part = self.operator in _PARTS and not isinstance(self.value, str)
            if ordered or part:
                raise ValueError(f"{self.operator} does not go with this value")
        elif any(not isinstance(value, str) for value in self.given):
            raise ValueError(f"{self.field} is compared with text")
        elif self.field in IDS:
            _ = self.ids
        elif self.field in MOMENTS and self.value is not None:
            _MOMENT.validate_python(self.value)


class Group(Given):
    """Rules of which all must hold, or any."""

    match: Match = "all"
    rules: list[Rule] = Field(min_length=1, max_length=MAX_RULES)


class Filter(Given):
    """Groups of rules of which all must hold, or any."""

    match: Match = "all"
    groups: list[Group] = Field(min_length=1, max_length=MAX_GROUPS)
