"""What the handler of a request is given, and what handlers look like (design section 3)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from shared_events.requests.base import Principal

from service_kit.database import Transaction


@dataclass(frozen=True, slots=True)
class Call:
    """What a request handler may need to know beside the request itself."""

    principal: Principal
    correlation_id: str
    expected_version: int | None = None

    @property
    def user_id(self) -> UUID | None:
        """Who asks, when it is a person."""
        return self.principal.user_id


RequestHandler = Callable[[Transaction, Any, Call], Awaitable[BaseModel]]
"""Carries out one request in the caller's transaction; raises ProblemError to refuse it."""

ExternalHandler = Callable[[Any, Call], Awaitable[BaseModel]]
"""As above, for requests that talk to somebody outside: it opens its own, short transactions."""
