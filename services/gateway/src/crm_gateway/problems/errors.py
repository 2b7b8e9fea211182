"""What goes wrong at the HTTP edge: each kind of problem has one status."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from service_kit.database import is_infrastructure
from service_kit.errors import ProblemError, UnavailableError
from shared_events.requests import FieldError, Problem, ProblemKind

from crm_gateway.problems.words import PAGE

STATUS: dict[ProblemKind, int] = {
    "malformed": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "gone": 410,
    "precondition_failed": 412,
    "invalid": 422,
    "throttled": 429,
    "internal": 500,
    "unavailable": 503,
    "timeout": 504,
}
_HEADERS: dict[ProblemKind, dict[str, str]] = {
    "unauthenticated": {"WWW-Authenticate": "Bearer"},
    "unavailable": {"Retry-After": "1"},
    "timeout": {"Retry-After": "1"},
}
_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}


class HttpError(Exception):
    """An answer that is a problem document (RFC 9457)."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: list[FieldError] | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors or []
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    @property
    def title(self) -> str:
        """The status in words, the same for every problem of this status."""
        return _PHRASES.get(self.status) or HTTPStatus(self.status).phrase

    def document(self, request_id: str, path: str) -> dict[str, Any]:
        """The problem document; what it names itself cannot be overwritten by extra members."""
        return {
            **self.extra,
            "type": f"{PAGE}#{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": path,
            "code": self.code,
            "request_id": request_id,
            "errors": [error.model_dump(exclude_defaults=True) for error in self.errors],
        }


def of_problem(problem: Problem) -> HttpError:
    """The HTTP form of a service's problem.

    A 404 tells nothing but what is missing: another tenant's thing must look like no thing.
    """
    return HttpError(
        STATUS[problem.kind],
        problem.code,
        problem.detail,
        errors=problem.errors,
        extra=None if problem.kind == "not_found" else problem.extra,
        headers=_headers(problem),
    )


def _headers(problem: Problem) -> Mapping[str, str] | None:
    if problem.kind == "throttled" and "retry_after_seconds" in problem.extra:
        return {"Retry-After": str(problem.extra["retry_after_seconds"])}
    return _HEADERS.get(problem.kind)


def of_error(error: ProblemError) -> HttpError:
    """The HTTP form of an expected failure in this process."""
    return of_problem(error.problem)


def judged(error: Exception) -> Exception:
    """What to raise instead of a failure of the gateway's own database: worth another try."""
    if is_infrastructure(error):
        return UnavailableError("database_unavailable", "Try again shortly.")
    return error


def too_large(limit: int) -> HttpError:
    """The body is longer than `limit` bytes."""
    return HttpError(
        413, "body_too_large", f"The body may have at most {limit} bytes.", extra={"limit": limit}
    )


def too_slow() -> HttpError:
    """The body did not come in time; what may still come of it is not waited for."""
    return HttpError(
        408, "body_too_slow", "The body did not arrive in time.", headers={"Connection": "close"}
    )


def unsupported_media_type(wanted: str = "application/json") -> HttpError:
    """The body is of another kind."""
    return HttpError(
        415,
        "unsupported_media_type",
        f"Send {wanted}.",
        headers={"Accept": wanted.partition(" ")[0]},
    )


def method_not_allowed(allowed: list[str]) -> HttpError:
    """The path exists, the method does not."""
    return HttpError(
        405,
        "method_not_allowed",
        "This path does not know that method.",
        headers={"Allow": ", ".join(sorted(allowed))},
    )


def too_many_attempts(retry_after_seconds: int, *, most: int, seconds: float) -> HttpError:
    """More than `most` attempts to get in, or to have mail sent, within so many seconds.

    The answer says when to come back (draft-ietf-httpapi-ratelimit-headers).
    """
    wait = max(1, retry_after_seconds)
    return HttpError(
        429,
        "too_many_attempts",
        "Too many attempts; try again later.",
        headers={
            "Retry-After": str(wait),
            "RateLimit-Policy": f'"attempts";q={most};w={seconds:.0f}',
            "RateLimit": f'"attempts";r=0;t={wait}',
        },
    )
