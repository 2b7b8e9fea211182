"""What the handler of a request is given, and what handlers look like."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel
from shared_events.requests import Principal, Request

from service_kit.database import Transaction
from service_kit.errors import ExpectedVersion

Asked = TypeVar("Asked", bound=Request[Any])
Asked_co = TypeVar("Asked_co", bound=Request[Any], covariant=True)
Value = TypeVar("Value", bound=BaseModel)
Value_co = TypeVar("Value_co", bound=BaseModel, covariant=True)


@dataclass(frozen=True, slots=True)
class Call:
    """What a request handler may need to know beside the request itself."""

    principal: Principal
    correlation_id: str
    expected_version: ExpectedVersion = None

    @property
    def user_id(self) -> UUID | None:
        """Who asks, when it is a person."""
        return self.principal.user_id


class RequestType(Protocol[Asked_co, Value_co]):
    """A request class, as `type[Request]` that remembers what answers it.

    It is what lets mypy prove that a handler fits its request and its reply.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Asked_co:
        """Make a request."""
        ...

    def reply_model(self) -> type[Value_co]:
        """The class of the value that comes back."""
        ...


RequestHandler = Callable[[Transaction, Asked, Call], Awaitable[Value]]
"""Carries out one request in the caller's transaction; raises ProblemError to refuse it."""

ExternalHandler = Callable[[Asked, Call], Awaitable[Value]]
"""As above, for requests that talk to somebody outside: it opens its own, short transactions."""
