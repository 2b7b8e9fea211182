"""Which changes of the contract break somebody (docs/architecture.md, "Contracts").

Within a version only optional fields are added. What is read by others (an event, a reply, a
frame) may not lose a field, nor make one optional that its readers count on; what is asked may not
ask for more than before. Each finding names the field.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_UPPER_LIMITS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER_LIMITS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")


def contract_findings(old: Schema, new: Schema) -> list[str]:
    """What in the new `contract.json` breaks those who hold to the old one."""
    found = []
    for entry in _entries(old):
        path, before, asked = entry
        after = _entry(new, path)
        if after is None:
            found.append(f"{path}: the contract is gone; keep it until nobody uses it")
        else:
            changes = schema_changes(old, new, before, after, asked=asked)
            found += [f"{path}: {change}; give it a new version" for change in changes]
    return list(dict.fromkeys(found))


def schema_changes(
    old: Schema, new: Schema, before: Schema, after: Schema, *, asked: bool
) -> Iterator[str]:
    """What one schema of the old document loses as it becomes another of the new one.

    References lead into the `$defs` of each. `asked`: it is asked of others, and not told them.
    """
    return _Comparison(old, new, asked=asked).compare("", before, after)


def topology_findings(old: Schema, new: Schema) -> list[str]:
    """Queues whose arguments changed: a broker refuses to declare them so.

    One that is split since is not declared any more: its partitions have names of their own.
    """
    after = {queue["name"]: queue for queue in new["queues"]}
    return [
        f"topology.json: {queue['name']}: other arguments; give the queue a new name"
        for queue in old["queues"]
        if queue["name"] in after and _clash(queue, after[queue["name"]])
    ]


def _clash(before: Schema, after: Schema) -> bool:
    is_split_since = before["ordered_by"] is None and after["ordered_by"] is not None
    kept = ("dead_letters",) if is_split_since else ("arguments", "dead_letters")
    return any(before[part] != after[part] for part in kept)


def _entries(document: Schema) -> Iterator[tuple[str, Schema, bool]]:
    """Path, schema and whether it is asked of others, of all that the document holds."""
    for name, schema in document["frames"].items():
        yield f"frames/{name}", schema, False
    for name, event in document["events"].items():
        yield f"events/{name}/data", event["data"], False
    for name, request in document["requests"].items():
        yield f"requests/{name}/body", request["body"], True
        yield f"requests/{name}/reply", request["reply"], False


def _entry(document: Schema, path: str) -> Schema | None:
    found: Schema | None = document
    for step in path.split("/"):
        found = found.get(step) if found is not None else None
    return found


class _Comparison:
    """Walks two schemas side by side, following references within each."""

    def __init__(self, old: Schema, new: Schema, *, asked: bool) -> None:
        self._old, self._new, self._asked = old, new, asked
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
        was_required, is_required = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(is_required - was_required):
            yield f"{path}/{name}: newly required"
        if not self._asked:
            for name in sorted((was_required - is_required) & after.keys()):
                yield f"{path}/{name}: no longer always there"

    def _kinds(self, root: Schema, schema: Schema) -> dict[str, Schema]:
        """The alternatives of a schema by what they are, e.g. `string(uuid)` and `null`."""
        kinds: dict[str, Schema] = {}
        for alternative in schema.get("anyOf") or schema.get("oneOf") or [schema]:
            found = _resolved(root, alternative)
            kind = _kind(found)
            kinds[kind if kind not in kinds else f"{kind} {len(kinds)}"] = found
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
    if before:
        old = {"minLength": min(map(len, before)), "maxLength": max(map(len, before)), **old}
    for keyword in ("pattern", "multipleOf", "uniqueItems"):
        if new.get(keyword) not in (None, False, old.get(keyword)):
            yield f"{path or '/'}: another {keyword}"
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield f"{path or '/'}: takes no other fields any more"
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
