"""What can go wrong, by kind. Each edge maps the kind once: HTTP status, retry or dead letter."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import ValidationError
from shared_events.requests import FieldError, Problem, ProblemKind

ExpectedVersion: TypeAlias = int | frozenset[int] | None
"""The version that a caller has seen of what is changed, or those it may be at; None for any."""


class ProblemError(Exception):
    """An expected failure with a stable code; safe to show to the caller."""

    kind: ProblemKind = "internal"

    may_come = False
    """Whether what is missing may be on its way: worth another look in a moment."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: list[FieldError] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.problem = Problem(
            kind=self.kind, code=code, detail=detail, errors=errors or [], extra=extra
        )


def json_pointer(*parts: object) -> str:
    """Where something stands in a JSON document (RFC 6901): the names and indexes on the way."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def field_errors(error: ValidationError) -> list[FieldError]:
    """Pydantic's findings as field errors with JSON pointers."""
    return [
        FieldError(
            pointer=json_pointer(*e["loc"]),
            code=e["type"],
            message=e["msg"],
            params=params_of(e),
        )
        for e in error.errors(include_input=False, include_url=False)
    ]


def params_of(error: Mapping[str, Any]) -> dict[str, int | float | str]:
    """The numbers that Pydantic's message of an error names, such as a greatest length."""
    named = error.get("ctx", {}).items()
    return {name: value for name, value in named if type(value) in (int, float)}


class NotFoundError(ProblemError):
    """Missing, or another tenant's: the two are told apart by nobody."""

    kind = "not_found"

    def __init__(self, noun: str, *, may_come: bool = False) -> None:
        super().__init__(f"{noun}_not_found", f"There is no such {noun.replace('_', ' ')}.")
        self.may_come = may_come


class GoneError(ProblemError):
    """It was there and never will be again."""

    kind = "gone"


class ConflictError(ProblemError):
    """The state does not allow it."""

    kind = "conflict"


class InvalidError(ProblemError):
    """Well formed, but not acceptable; names the fields."""

    kind = "invalid"

    @classmethod
    def field(
        cls,
        name: str | Sequence[object],
        code: str,
        message: str,
        *,
        may_come: bool = False,
        **params: float | str,
    ) -> "InvalidError":
        """One wrong field of the request body.

        `name` is a path in words of ours, such as `waha/base_url`, or the parts of one, which may
        be anything a customer wrote. `params` are the numbers that `message` names.
        """
        pointer = f"/{name}" if isinstance(name, str) else json_pointer(*name)
        error = cls(
            "validation_failed",
            message,
            errors=[FieldError(pointer=pointer, code=code, message=message, params=params)],
        )
        error.may_come = may_come
        return error


class MalformedError(ProblemError):
    """The request cannot be read."""

    kind = "malformed"


class ForbiddenError(ProblemError):
    """Known caller, no permission."""

    kind = "forbidden"


class UnauthenticatedError(ProblemError):
    """Nobody we know."""

    kind = "unauthenticated"


class PreconditionFailedError(ProblemError):
    """The caller changed a version that is no longer the newest."""

    kind = "precondition_failed"

    @classmethod
    def check(cls, expected: ExpectedVersion, version: int) -> None:
        """Raise it when the caller expects another version than this; None expects nothing."""
        fits = version in expected if isinstance(expected, frozenset) else expected == version
        if expected is not None and not fits:
            raise cls(
                "stale_version", f"It is at version {version} by now.", current_version=version
            )


class ThrottledError(ProblemError):
    """More than may be asked for in a time; `retry_after_seconds` says when to come back."""

    kind = "throttled"

    def __init__(self, code: str, detail: str, *, retry_after_seconds: int, **extra: Any) -> None:
        super().__init__(code, detail, retry_after_seconds=retry_after_seconds, **extra)


class UnavailableError(ProblemError):
    """A dependency is down; worth trying again."""

    kind = "unavailable"


class DeadlineError(ProblemError):
    """No answer in time; the outcome is unknown."""

    kind = "timeout"


class UnknownEventError(Exception):
    """An event this code does not know. In a rolling update the next replica may: it is delayed."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class PoisonError(Exception):
    """A message no retry can help: it goes to the dead letters at once, with this reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
