"""The bus API: how a request and its reply travel (docs/architecture.md, "Requests")."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, cast
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from shared_events.bounds import CorrelationId, Cursor, TenantId
from shared_events.envelope import Contract
from shared_events.identity import visible

Kind = Literal["query", "command"]
ProblemKind = Literal[
    "invalid",
    "malformed",
    "unauthenticated",
    "forbidden",
    "not_found",
    "gone",
    "conflict",
    "precondition_failed",
    "throttled",
    "unavailable",
    "timeout",
    "internal",
]


class Principal(Contract):
    """Who asks. The tenant here, never one from a body, decides what the caller can see.

    A person has a `user_id`; a system of the customer's has the id of its API key instead.
    """

    tenant_id: TenantId
    user_id: UUID | None = None
    api_key_id: UUID | None = None
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    sole_admin: bool = False
    """The company has no other active admin. Said only where the route table asks for it."""
    own_only: bool = False
    """Of sessions, and what is said in them, it sees those it has and those nobody has."""


def _written_out(value: Any) -> Any:
    # Pydantic would also take a number for seconds since 1970, so that "2026" meant 00:33:46.
    if isinstance(value, str) and "-" not in value[1:]:
        raise ValueError("write the time as in RFC 3339, such as 2026-01-31T12:00:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("this time lies outside the years 1 to 9999") from None


Moment = Annotated[datetime, BeforeValidator(_written_out), AfterValidator(_in_utc)]
"""A time a customer gives (RFC 3339), in UTC; without an offset it is UTC already."""


def seen(name: Any) -> Any:
    """The name, empty where nothing of it can be seen."""
    return name if not isinstance(name, str) or visible(name) else ""


Name = Annotated[str, StringConstraints(min_length=1, max_length=255), BeforeValidator(seen)]
"""What somebody calls a thing of theirs. Fillers alone, which pass for letters, are no name."""

Value = TypeVar("Value", bound=BaseModel)
Item = TypeVar("Item")


class Given(BaseModel):
    """What a caller gives, or a part of it. A field nobody knows is refused: it may be a typo."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Request(Given, Generic[Value]):
    """Base of all requests; a class names its key where it is declared:

        class GetNote(Query[Note], key="contacts.note.get"):
            \"\"\"Read one note.\"\"\"

    The key is `<service>.<resource>.<verb>` and also the routing key. The same class is the body,
    path and query of a REST route, the message on the bus and the documentation of both.
    """

    key: ClassVar[str]
    kind: ClassVar[Kind]

    def __init_subclass__(cls, *, key: str | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if key is not None:
            cls.key = key

    @classmethod
    def reply_model(cls) -> type[Value]:
        """The class of the value that comes back."""
        for base in cls.__mro__:
            generic = base.__dict__.get("__pydantic_generic_metadata__")
            if generic and generic["args"]:
                (argument,) = generic["args"]
                is_list = issubclass(generic["origin"], (ListQuery, BatchQuery))
                found = Page.__class_getitem__(argument) if is_list else argument
                return cast(type[Value], found)
        raise TypeError(f"{cls.__name__} names no class of its reply")


class Query(Request[Value], Generic[Value]):
    """A request that only reads."""

    kind = "query"


class Command(Request[Value], Generic[Value]):
    """A request that changes something and honours the caller's idempotency key."""

    kind = "command"


class Page(Contract, Generic[Item]):
    """One page of a list, in the list's stable order."""

    data: list[Item]
    has_more: bool = False
    next_cursor: str | None = None


class ListQuery(Query[Page[Item]], Generic[Item]):
    """What every list takes. `cursor` is opaque; `offset` suits small pages only."""

    limit: int = Field(default=50, ge=1, le=100)
    cursor: Cursor | None = None
    offset: int = Field(default=0, ge=0, le=10_000)


MAX_BATCH = 100


class BatchQuery(Query[Page[Item]], Generic[Item]):
    """Several by their ids, as many as a page names, in no order. What the caller could not read
    alone is left out.
    """

    ids: list[UUID] = Field(min_length=1, max_length=MAX_BATCH)


class Nothing(Contract):
    """The value of a command that has nothing to say."""


Body = TypeVar("Body")


MAX_EXPECTED_VERSIONS = 100
"""Versions a caller may name of which what is changed must be at one."""


class RequestEnvelope(Contract, Generic[Body]):
    """A request on the wire. `timeout_ms` is how long its caller waits: nobody works for longer.

    It counts from the arrival, by the clock of who carries the request out; while the request waits
    in a queue, the broker counts (its expiration). `deadline` says the same by the caller's clock,
    for a service that knows no `timeout_ms`.
    `expected_version` comes from If-Match, which may name several: those are `expected_versions`,
    and the highest is the one that a service is told that knows no list. `body` holds only the
    fields the caller set.
    """

    key: str
    principal: Principal
    deadline: datetime
    timeout_ms: int | None = Field(default=None, ge=1)
    correlation_id: CorrelationId
    idempotency_key: str | None = None
    expected_version: int | None = None
    expected_versions: list[int] | None = Field(
        default=None, min_length=2, max_length=MAX_EXPECTED_VERSIONS
    )
    body: Body


class FieldError(Contract):
    """One wrong field; `pointer` is a JSON pointer into the request body.

    `params` are what `message` names, for who says it in other words.
    """

    pointer: str
    code: str
    message: str
    params: dict[str, int | float | str] = Field(default_factory=dict)


class Problem(Contract):
    """Why a request was not carried out. `code` is stable, `detail` is for people."""

    kind: ProblemKind
    code: str
    detail: str
    errors: list[FieldError] = Field(default_factory=list)
    extra: dict[str, Any] = Field(default_factory=dict)


class Reply(Contract):
    """A value or a problem; `replayed` marks the stored answer of an earlier, equal command."""

    value: dict[str, Any] | None = None
    problem: Problem | None = None
    replayed: bool = False
