"""Which changes of a JSON Schema break somebody (design section 3, "Contracts").

Within a version only optional fields are added. Removing, renaming or retyping a field, a new
required field, a narrower enum or a tighter limit each give a finding that names the field.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_UPPER_LIMITS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER_LIMITS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")


def findings(old: Schema, new: Schema) -> list[str]:
    """What in `new` breaks those who hold to `old`; empty when they are compatible."""
    return list(dict.fromkeys(_Comparison(old, new).compare("", old, new)))


class _Comparison:
    """Walks two schemas side by side, following references within each."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str]] = set()

    def compare(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        refs = (old.get("$ref", ""), new.get("$ref", ""))
        if all(refs):
            if refs in self._seen:
                return
            self._seen.add(refs)
        old, new = _resolved(self._old, old), _resolved(self._new, new)
        before, after = self._kinds(self._old, old), self._kinds(self._new, new)
        if before.keys() != after.keys():
            yield f"{path or '/'}: retyped from {_names(before)} to {_names(after)}"
            return
        for kind, schema in before.items():
            yield from self._compare_kind(path, schema, after[kind])

    def _compare_kind(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        yield from _narrowed(path, old, new)
        yield from self._compare_fields(path, old, new)
        for keyword, step in (("items", "/*"), ("additionalProperties", "/*")):
            if isinstance(old.get(keyword), dict) and isinstance(new.get(keyword), dict):
                yield from self.compare(path + step, old[keyword], new[keyword])

    def _compare_fields(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        before: Schema = old.get("properties", {})
        after: Schema = new.get("properties", {})
        for name, schema in before.items():
            if name not in after:
                yield f"{path}/{name}: removed (or renamed)"
            else:
                yield from self.compare(f"{path}/{name}", schema, after[name])
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            yield f"{path}/{name}: newly required"

    def _kinds(self, root: Schema, schema: Schema) -> dict[str, Schema]:
        """The alternatives of a schema by what they are, e.g. `string(uuid)` and `null`."""
        kinds: dict[str, Schema] = {}
        for alternative in schema.get("anyOf", [schema]):
            found = _resolved(root, alternative)
            kinds[_kind(found)] = found
        return kinds


def _resolved(root: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _kind(schema: Schema) -> str:
    kind = str(schema.get("type") or _type_of_values(schema))
    return f"{kind}({schema['format']})" if "format" in schema else kind


def _type_of_values(schema: Schema) -> str:
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    names = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}
    return "/".join(sorted({names.get(type(v).__name__, "null") for v in values})) or "any"


def _names(kinds: dict[str, Schema]) -> str:
    return " or ".join(sorted(kinds))


def _narrowed(path: str, old: Schema, new: Schema) -> Iterator[str]:
    before, after = _values(old), _values(new)
    if after is not None and (before is None or before - after):
        lost = "any value" if before is None else ", ".join(sorted(before - after))
        yield f"{path or '/'}: narrower enum, without {lost}"
    if new.get("pattern") not in (None, old.get("pattern")):
        yield f"{path or '/'}: another pattern"
    for limit in _UPPER_LIMITS:
        if limit in new and new[limit] < old.get(limit, float("inf")):
            yield f"{path or '/'}: tighter {limit}"
    for limit in _LOWER_LIMITS:
        # Every length is at least 0, so a new limit of 0 says nothing.
        if limit in new and new[limit] > old.get(limit, 0 if "min" in limit else float("-inf")):
            yield f"{path or '/'}: tighter {limit}"


def _values(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {str(schema["const"])}
    return {str(v) for v in schema["enum"]} if "enum" in schema else None
