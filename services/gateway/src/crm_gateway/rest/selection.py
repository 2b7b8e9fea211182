"""What of an answer its caller wants to see: these `fields` only, and what it names, `expand`ed.

A relation is read by one request for all that an answer names of it, however long the list. What
the caller could not read alone stays as it is without `expand`, or null: nothing tells why.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

from pydantic import BaseModel
from service_kit.errors import InvalidError
from shared_events.channels.channel import GetChannels
from shared_events.contacts.contact import GetContacts
from shared_events.messaging.session import GetSessions
from shared_events.permissions import permits
from shared_events.requests import BatchQuery, FieldError, Principal, Reply
from starlette.requests import Request

from crm_gateway.agents.schemas import GetAgents
from crm_gateway.problems.errors import of_problem
from crm_gateway.rest.table import Row

MAX_EXPANDED = 3
"""Relations of one answer: each is a request more."""
_OF_LISTS = frozenset({"data", "has_more"})
_SELECTION = "selection"
_PARAMETERS = ("fields", "expand")

Ask = Callable[[BatchQuery[Any]], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Relation:
    """What is named by an id: the permission to read it, and the request that reads many."""

    permission: str
    request: type[BatchQuery[Any]]


RELATIONS: Mapping[str, Relation] = {
    "agent": Relation("agents.read", GetAgents),
    "channel": Relation("channels.read", GetChannels),
    "contact": Relation("contacts.read", GetContacts),
    "session": Relation("sessions.read", GetSessions),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """What one request selects: `fields`, or None for all, and where the ids of relations stand.

    `asked` are the query parameters that said so.
    """

    fields: frozenset[str] | None
    relations: Mapping[str, str]
    asked: Sequence[tuple[str, str]]

    async def of(self, value: dict[str, Any], principal: Principal, ask: Ask) -> dict[str, Any]:
        """The answer, or the page of a list, as it is to be shown.

        Raises what `ask` raises, and HttpError for what a service refuses.
        """
        is_list = value.keys() >= _OF_LISTS
        items: list[dict[str, Any]] = value["data"] if is_list else [value]
        found = await asyncio.gather(
            *(
                _found(RELATIONS[name], items, place, principal, ask)
                for name, place in self.relations.items()
            )
        )
        expanded = dict(zip(self.relations, found, strict=True))
        shown = [self._shown(item, expanded) for item in items]
        return {**value, "data": shown} if is_list else shown[0]

    def _shown(
        self, item: Mapping[str, Any], expanded: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        kept = self.fields
        shown = {n: v for n, v in item.items() if kept is None or n in kept}
        for name, place in self.relations.items():
            shown[name] = expanded[name].get(_at(item, place), item.get(name))
        return shown


class Selectable:
    """What may be selected of one route's answers."""

    def __init__(self, row: Row) -> None:
        self._names = frozenset(_fields(item_of(row.request.reply_model())))
        self._expands = row.expands
        names = _PARAMETERS if row.expands else _PARAMETERS[:1]
        self.parameters = dict.fromkeys(names, False)

    def read(self, http: Request) -> Request:
        """The request without what it selects, which `selected` gives.

        Raises InvalidError that names every unknown field and relation.
        """
        query = http.query_params
        if not any(name in query for name in self.parameters):
            return http
        given = query.multi_items()
        fields, relations = _listed(query.get("fields")), _listed(query.get("expand"))
        errors = [
            *_unknown("fields", fields or (), self._names),
            *_unknown("expand", relations or (), self._expands),
        ]
        if len(relations or ()) > MAX_EXPANDED:
            message = f"At most {MAX_EXPANDED} at once."
            most = {"max_length": MAX_EXPANDED}
            errors.append(
                FieldError(pointer="/expand", code="too_long", message=message, params=most)
            )
        if errors:
            raise InvalidError("validation_failed", "It selects what is not there.", errors=errors)
        selection = Selection(
            None if fields is None else frozenset((*fields, "id")),
            {name: self._expands[name] for name in relations or ()},
            [each for each in given if each[0] in _PARAMETERS],
        )
        rest = urlencode([each for each in given if each[0] not in _PARAMETERS])
        scope = {**http.scope, "query_string": rest.encode(), _SELECTION: selection}
        return Request(scope, http.receive)


def selected(http: Request) -> Selection | None:
    """What a request selects; None for all, as it comes."""
    found: Selection | None = http.scope.get(_SELECTION)
    return found


def item_of(model: type[BaseModel]) -> type[BaseModel]:
    """What an answer shows: itself, or one of the list it is."""
    if not model.model_fields.keys() >= _OF_LISTS:
        return model
    item: type[BaseModel]
    (item,) = get_args(model.model_fields["data"].annotation)
    return item


def described(row: Row) -> list[dict[str, Any]]:
    """The query parameters, for OpenAPI."""
    only = "Only these fields, separated by commas; `id` stays. An ETag is of what is shown."
    whole = (
        f"Show these whole, at most {MAX_EXPANDED}, separated by commas:"
        f" {', '.join(f'`{name}` (of `{place}`)' for name, place in row.expands.items())}."
        " What you could not read alone is null, or as it is without."
    )
    texts = {"fields": only, **({"expand": whole} if row.expands else {})}
    words = {"type": "string", "pattern": "^[a-z0-9_]+(,[a-z0-9_]+)*$", "maxLength": 1000}
    return [
        {"name": name, "in": "query", "required": False, "description": text, "schema": words}
        for name, text in texts.items()
    ]


def describe_expanded(row: Row, schemas: dict[str, Any]) -> None:
    """Say in the schema of what a route shows, what it may show whole."""
    shown = schemas[item_of(row.request.reply_model()).__name__]
    for name in row.expands:
        model = item_of(RELATIONS[name].request.reply_model()).__name__
        whole = {"anyOf": [{"$ref": f"#/components/schemas/{model}"}, {"type": "null"}]}
        told = {**whole, "description": f"With `expand={name}`."}
        shown["properties"].setdefault(name, told)


async def _found(
    relation: Relation,
    items: Iterable[Mapping[str, Any]],
    place: str,
    principal: Principal,
    ask: Ask,
) -> dict[str, Any]:
    """What the items name of a relation, by id, as far as the caller may read it."""
    ids = {id_ for item in items if (id_ := _at(item, place)) is not None}
    if not ids or not permits(principal.permissions, relation.permission):
        return {}
    reply = await ask(relation.request.model_validate({"ids": sorted(ids)}))
    if reply.problem is not None:
        raise of_problem(reply.problem)
    return {each["id"]: each for each in (reply.value or {})["data"]}


def _at(item: Mapping[str, Any], place: str) -> Any:
    """What stands there, such as `active_session.id`; None where there is nothing."""
    found: Any = item
    for name in place.split("."):
        found = found and found.get(name)
    return found


def _listed(value: str | None) -> list[str] | None:
    return None if value is None else value.split(",")


def _unknown(parameter: str, names: Iterable[str], known: Iterable[str]) -> list[FieldError]:
    known = set(known)
    return [
        FieldError(
            pointer=f"/{parameter}",
            code="extra_forbidden",
            message=f"There is no {name[:100]!r} here.",
        )
        for name in names
        if name not in known
    ]


def _fields(model: type[BaseModel]) -> list[str]:
    return [field.serialization_alias or name for name, field in model.model_fields.items()]
