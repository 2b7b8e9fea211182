"""How a request and its reply travel."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from shared_events.envelope import Contract

Kind = Literal["query", "command"]
ProblemKind = Literal[
    "invalid",
    "malformed",
    "unauthenticated",
    "forbidden",
    "not_found",
    "conflict",
    "gone",
    "precondition_failed",
    "unavailable",
    "timeout",
    "internal",
]


class Principal(Contract):
    """Who asks. The tenant here, never one from a body, decides what the caller can see."""

    tenant_id: str
    user_id: UUID | None = None
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


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


class Request(BaseModel):
    """Base of all requests. Unknown fields are refused: a typo must not be silently ignored.

    `key` is `<service>.<resource>.<verb>`; `reply` is the class of the value that comes back;
    `path` names the fields a REST route takes from its path. A query only reads; a command
    changes something and honours the caller's idempotency key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    key: ClassVar[str]
    kind: ClassVar[Kind]
    reply: ClassVar[type[BaseModel]]
    path: ClassVar[tuple[str, ...]] = ()


class RequestEnvelope(Contract):
    """A request on the wire. `deadline` is absolute: after it nobody waits, so nobody works.

    `expected_version` comes from If-Match; `body` holds only the fields the caller set.
    """

    key: str
    principal: Principal
    deadline: datetime
    correlation_id: str
    idempotency_key: str | None = None
    expected_version: int | None = None
    body: dict[str, Any]


class FieldError(Contract):
    """One wrong field; `pointer` is a JSON pointer into the request body."""

    pointer: str
    code: str
    message: str


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


class Nothing(Contract):
    """The value of a command that has nothing to say."""


Item = TypeVar("Item")


class Page(Contract, Generic[Item]):
    """One page of a list, in the list's stable order."""

    data: list[Item]
    has_more: bool = False
    next_cursor: str | None = None


class ListRequest(Request):
    """What every list takes. `cursor` is opaque; `offset` suits small pages only."""

    limit: int = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=500)
    offset: int = Field(default=0, ge=0, le=10_000)
