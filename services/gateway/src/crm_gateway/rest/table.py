"""The shape of the route table: what a row says, and what makes a table unfit to serve."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from service_kit.settings import ConfigurationError
from shared_events.jobs import FilePart
from shared_events.requests import Request

from crm_gateway.access.lacks import Lack
from crm_gateway.access.roles import PERMISSIONS
from crm_gateway.rest.deprecation import Deprecation

PREFIX = "/api/v1"
PUBLIC = "public"
"""For everybody: the route finds out by itself who asks."""
AUTHENTICATED = "authenticated"
"""For everybody with a valid access token."""


@dataclass(frozen=True, slots=True)
class Row:
    """One route: its method and path, the permission it needs, and the request it stands for.

    Path parameters are fields of the request, and so are `fixed` ones, which the path spells
    out. `file`: it takes one as a form (`in`), or gives one by a link (`out`), or many in one
    (`archive`). `location` is where a created thing is found, when not below the path itself. A
    `live` one answers with a stream. `pieces` is the request that brings the file of a form, piece
    by piece, before this one is made of it, or what an archive holds beside what this one brings.
    `audited`: an administrative act, though its permission is not one to manage something.
    `four_eyes`: who carries it out is told whether the caller is the company's only admin.
    `behind`: what this finds by the same fields, if they are given, must be there, and be the
    caller's to see; its service is not the one that carries the row out.
    `despite`: who lacks one of these may use it as well. `keyed_by`: the field of a public one that
    says whose Idempotency-Key it is; without it there is none.
    `expands`: relations (of `rest/selection.py`) that may be shown whole, with where their ids are.
    `deprecation`: it will go, and every answer says so.
    """

    method: str
    path: str
    permission: str
    request: type[Request[Any]]
    status: int = 200
    fixed: Mapping[str, str] = field(default_factory=dict)
    location: str | None = None
    four_eyes: bool = False
    file: Literal["in", "out", "archive"] | None = None
    live: bool = False
    pieces: type[Request[Any]] | None = None
    audited: bool = False
    behind: type[Request[Any]] | None = None
    despite: tuple[Lack, ...] = ()
    keyed_by: str | None = None
    expands: Mapping[str, str] = field(default_factory=dict)
    deprecation: Deprecation | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The fields its path spells as `{...}`."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def by_query(self) -> bool:
        """Whether the caller gives the rest by the query: there is no body to speak of."""
        return self.method in ("GET", "DELETE")

    @property
    def takes_version(self) -> bool:
        """Whether If-Match may name the version that is changed.

        What has no path of its own to tell it from others can be changed, but not made.
        """
        if self.permission == PUBLIC or self.method == "GET":
            return False
        return self.method == "PATCH" or bool(self.from_path)

    @property
    def is_selectable(self) -> bool:
        """Whether a caller may say which fields of the answer to show."""
        is_file = self.gives_file or self.file is not None
        return self.method == "GET" and self.permission != PUBLIC and not is_file and not self.live

    @property
    def takes_key(self) -> bool:
        """Whether an Idempotency-Key may come with it."""
        return self.method != "GET" and (self.permission != PUBLIC or self.keyed_by is not None)

    @property
    def goes_on_at(self) -> str | None:
        """The query parameter that says where a list goes on; None for what is no such list."""
        is_list = "has_more" in self.request.reply_model().model_fields
        if self.method != "GET" or self.live or not is_list:
            return None
        return next((n for n in ("cursor", "after") if n in self.request.model_fields), None)

    @property
    def gives_file(self) -> bool:
        """Whether the answer is a file."""
        return issubclass(self.request.reply_model(), FilePart)

    @property
    def from_path(self) -> frozenset[str]:
        """Fields the caller gives by the path and cannot give otherwise."""
        return frozenset(self.parameters) | frozenset(self.fixed)

    @property
    def act(self) -> str | None:
        """What it does, `<noun>.<verb>`, when that is an administrative act."""
        is_act = self.audited or self.permission.endswith(".manage")
        if self.method == "GET" or not is_act:
            return None
        _, noun, verb = self.request.key.split(".")
        return f"{noun}.{self.fixed.get('action', verb)}"


def check(rows: Sequence[Row]) -> None:
    """Refuse a table with a row that declares no permission, an unknown one, or what cannot be.

    Raises ConfigurationError, so that the process does not start.
    """
    declared = PERMISSIONS | {PUBLIC, AUTHENTICATED}
    problems = [
        f"{row.method} {row.path} declares no known permission ({row.permission!r})"
        for row in rows
        if row.permission not in declared
    ]
    problems += [
        f"{row.method} {row.path} has no field {row.keyed_by!r} to tell whose a key is"
        for row in rows
        if row.keyed_by is not None and row.keyed_by not in row.request.model_fields
    ]
    problems += [
        f"{row.method} {row.path} has not every field of {row.behind.key} to find it by"
        for row in rows
        if row.behind is not None
        and not row.behind.model_fields.keys() <= row.request.model_fields.keys()
    ]
    seen = [(row.method, row.path) for row in rows]
    problems += [
        f"{m} {p} is declared twice" for m, p in sorted({r for r in seen if seen.count(r) > 1})
    ]
    if problems:
        raise ConfigurationError(problems)
