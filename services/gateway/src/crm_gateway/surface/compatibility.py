"""Which changes of the REST API break its callers (docs/architecture.md, "Contracts").

Routes, parameters and fields may be added, but not what has to be given. A route may go once it
was deprecated and its sunset has come. Each finding names the route, what broke, and the cure.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

from shared_events.contracts.compatibility import schema_changes

from crm_gateway.rest.openapi import SUNSET

Schema = dict[str, Any]


def findings(old: Schema, new: Schema, today: date) -> list[str]:
    """What in the new OpenAPI document breaks those who were given the old one, and which of its
    routes should have gone."""
    comparison = _Comparison(old, new)
    found = []
    for route, before in _operations(old).items():
        after = _operations(new).get(route)
        if after is not None:
            found += [f"{route}: {change}" for change in comparison.compare(before, after)]
        elif _sunset(before) > today:
            found.append(f"{route}: the route is gone; deprecate it, and keep it until its sunset")
    for route, operation in _operations(new).items():
        if (sunset := _sunset(operation)) < today:
            found.append(f"{route}: its sunset was on {sunset}; take it away, or name a later day")
    return list(dict.fromkeys(found))


def _sunset(operation: Schema) -> date:
    """The day from which on it may be gone: for what is not deprecated, never."""
    return date.fromisoformat(operation[SUNSET]) if SUNSET in operation else date.max


def _operations(document: Schema) -> dict[str, Schema]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


class _Comparison:
    """Of two documents, operation by operation."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = ({"$defs": each["components"]["schemas"]} for each in (old, new))

    def compare(self, before: Schema, after: Schema) -> Iterator[str]:
        if before["operationId"] != after["operationId"]:
            yield (
                f"operationId {before['operationId']} is {after['operationId']} now, as is the"
                " method of generated clients; keep the request's key"
            )
        if needed := _needed(after) - _needed(before):
            yield (
                f"asks for {', '.join(sorted(needed))}, which callers need not have;"
                " keep the permission, or make another route"
            )
        if _sunset(after) < _sunset(before) < date.max:
            yield f"its sunset is earlier than {_sunset(before)}; keep the day that was told"
        yield from self._parameters(before, after)
        yield from self._body(before, after)
        yield from self._answers(before["responses"], after["responses"])

    def _parameters(self, before: Schema, after: Schema) -> Iterator[str]:
        known, found = _parameters(before), _parameters(after)
        for name, parameter in known.items():
            if name not in found:
                yield f"{name}: removed (or renamed); keep it, if only to ignore it"
                continue
            if found[name].get("required") and not parameter.get("required"):
                yield f"{name}: newly required; give it a default"
            for change in self._changes(parameter, found[name], asked=True):
                yield f"{name}{change}; take what was taken"
        for name in found.keys() - known.keys():
            if found[name].get("required"):
                yield f"{name}: newly required; give it a default"

    def _body(self, before: Schema, after: Schema) -> Iterator[str]:
        known, found = before.get("requestBody", {}), after.get("requestBody", {})
        if found.get("required") and not known.get("required"):
            yield "body: newly required; let its fields have defaults"
        for kind, content in known.get("content", {}).items():
            if kind not in found.get("content", {}):
                yield f"body: {kind} is not taken any more; take it as well"
                continue
            for change in self._changes(content, found["content"][kind], asked=True):
                yield f"body {change}; let new fields be optional and old ones as they were"

    def _answers(self, before: Schema, after: Schema) -> Iterator[str]:
        for status, answer in before.items():
            if not status.startswith("2"):
                continue  # what is refused, and how, may change
            if status not in after:
                yield f"answer {status}: gone; answer as before, or make another route"
                continue
            headers = after[status].get("headers", {})
            for header in sorted(answer.get("headers", {}).keys() - headers.keys()):
                yield f"answer {status}: header {header} is gone; keep it"
            for kind, content in answer.get("content", {}).items():
                if kind not in after[status].get("content", {}):
                    yield f"answer {status}: is {kind} no more; make another route"
                    continue
                new = after[status]["content"][kind]
                for change in self._changes(content, new, asked=False):
                    yield f"answer {status} {change}; keep it, and add a field beside it"

    def _changes(self, before: Schema, after: Schema, *, asked: bool) -> Iterator[str]:
        return schema_changes(
            self._old, self._new, before.get("schema", {}), after.get("schema", {}), asked=asked
        )


def _needed(operation: Schema) -> set[str]:
    """The permissions a caller needs, and `a login` where there must be one."""
    schemes: list[dict[str, list[str]]] = operation.get("security", [])
    scopes = {scope for scheme in schemes for scope in scheme.get("bearer", ())}
    return scopes | ({"a login"} if schemes else set())


def _parameters(operation: Schema) -> dict[str, Schema]:
    return {f"{p['in']} {p['name']}": p for p in operation.get("parameters", ())}
