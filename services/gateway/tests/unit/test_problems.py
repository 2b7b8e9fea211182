from typing import get_args

import pytest
from crm_gateway.problems.errors import STATUS, HttpError, of_error, of_problem, too_many_attempts
from service_kit.errors import (
    DeadlineError,
    NotFoundError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
)
from shared_events.requests import Problem, ProblemKind


class TestOfProblem:
    def test_every_kind_has_a_status(self) -> None:
        assert STATUS.keys() == set(get_args(ProblemKind))

    @pytest.mark.parametrize(("kind", "status"), STATUS.items())
    def test_status_follows_from_kind(self, kind: ProblemKind, status: int) -> None:
        error = of_problem(Problem(kind=kind, code="c", detail="d"))
        document = error.document("r1", "/api/v1/x")
        assert document["status"] == error.status == status
        assert document.keys() == {
            "type",
            "title",
            "status",
            "detail",
            "instance",
            "code",
            "request_id",
            "errors",
        }

    def test_says_how_to_authenticate_and_when_to_come_back(self) -> None:
        assert of_error(UnauthenticatedError("c", "d")).headers == {"WWW-Authenticate": "Bearer"}
        assert of_error(UnavailableError("c", "d")).headers == {"Retry-After": "1"}
        assert of_error(DeadlineError("c", "d")).headers == {"Retry-After": "1"}
        throttled = ThrottledError("c", "d", retry_after_seconds=7)
        assert of_error(throttled).headers == {"Retry-After": "7"}
        assert too_many_attempts(0, most=5, seconds=900.0).headers == {
            "Retry-After": "1",
            "RateLimit-Policy": '"attempts";q=5;w=900',
            "RateLimit": '"attempts";r=0;t=1',
        }

    def test_extra_members_are_shown_but_cannot_overwrite(self) -> None:
        problem = Problem(
            kind="conflict",
            code="contact_exists",
            detail="d",
            extra={"existing_id": "7", "code": 1},
        )
        document = of_problem(problem).document("r1", "/x")
        assert document["existing_id"] == "7"
        assert document["code"] == "contact_exists"

    def test_not_found_tells_nothing_more(self) -> None:
        error = NotFoundError("contact")
        error.problem = error.problem.model_copy(update={"extra": {"tenant": "other"}})
        assert "tenant" not in of_error(error).document("r1", "/x")


class TestHttpError:
    @pytest.mark.parametrize("status", [405, 413, 415, 422, 429])
    def test_has_a_title(self, status: int) -> None:
        assert HttpError(status, "c", "d").title
