"""Values at the limits of the contract, and whether tables hold them.

What no test had is where messages were lost: a producer's bound wider than a consumer's column.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar, get_args
from uuid import uuid4

from pydantic import BaseModel
from shared_events.channels.channel import LocalTime
from sqlalchemy import String, Table

Model = TypeVar("Model", bound=BaseModel)

_LONGEST_MOMENT = datetime(2026, 12, 31, 23, 59, 59, 999999, UTC).isoformat()
_FORMATS: dict[str, Callable[[], str]] = {
    "uuid": lambda: str(uuid4()),
    "date-time": lambda: _LONGEST_MOMENT,
    "date": lambda: _LONGEST_MOMENT[:10],
    "uri": lambda: "https://example.com/",
    "email": lambda: "a@example.com",
}
_PATTERNS = {get_args(LocalTime)[1].pattern: "23:59"}
_LONG_UNBOUNDED = 10_000


def largest(model: type[Model], **changes: Any) -> Model:
    """The model with every field given and every text as long as its bound allows.

    Texts are of a letter that takes two bytes, and without a bound 10,000 letters long.
    """
    schema = model.model_json_schema()
    return model.model_validate({**_largest(schema, schema.get("$defs", {})), **changes})


def _largest(schema: dict[str, Any], shared: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return _largest(shared[schema["$ref"].rpartition("/")[2]], shared)
    if "anyOf" in schema:
        return max((_largest(option, shared) for option in schema["anyOf"]), key=_size)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return max(schema["enum"], key=_size)
    match schema.get("type"):
        case "object":
            named = schema.get("properties", {})
            return {name: _largest(value, shared) for name, value in named.items()}
        case "array":
            count = min(schema.get("maxItems", 3), 3)
            return [_largest(schema["items"], shared) for _ in range(count)]
        case "integer" | "number":
            return schema.get("maximum", 2**31 - 1)
        case "boolean":
            return True
        case "null":
            return None
    if make := _FORMATS.get(schema.get("format", "")):
        return make()
    if (pattern := schema.get("pattern")) in _PATTERNS:
        return _PATTERNS[pattern]
    letter = "a" if pattern else "ã"
    return letter * schema.get("maxLength", _LONG_UNBOUNDED)


def _size(value: Any) -> int:
    return -1 if value is None else len(str(value))


def assert_columns_hold(model: type[BaseModel], table: Table) -> None:
    """Every text of the model fits the column of its name; fails where the model states no bound.

    Columns of unbounded text hold anything; fields without a column are not looked at.
    """
    schema = model.model_json_schema()
    wrong = []
    for name, described in schema["properties"].items():
        column = table.c.get(name)
        if column is None or not isinstance(column.type, String) or column.type.length is None:
            continue
        longest = _longest(described, schema.get("$defs", {}))
        if longest is None or longest > column.type.length:
            wrong.append(f"{name}: {longest} characters, the column has {column.type.length}")
    assert not wrong, f"{model.__name__} does not fit {table.name}: {'; '.join(wrong)}"


def _longest(schema: dict[str, Any], shared: dict[str, Any]) -> int | None:
    """The most characters a field's text can have; None when nothing bounds it."""
    if "$ref" in schema:
        return _longest(shared[schema["$ref"].rpartition("/")[2]], shared)
    if "anyOf" in schema:
        lengths = [_longest(option, shared) for option in schema["anyOf"]]
        bounded = [length for length in lengths if length is not None]
        return max(bounded) if len(bounded) == len(lengths) else None
    if schema.get("type") == "null":
        return 0
    if "const" in schema or "enum" in schema:
        return max(len(str(value)) for value in schema.get("enum", [schema.get("const")]))
    if schema.get("format") == "uuid":
        return 36
    length: int | None = schema.get("maxLength")
    return length
