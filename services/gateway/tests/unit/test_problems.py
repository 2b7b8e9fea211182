from typing import get_args

import pytest
from crm_gateway.problems.errors import STATUS, HttpError, of_error, of_problem, too_many_attempts
from crm_gateway.problems.words import PAGE, in_language, page
from service_kit.errors import (
    DeadlineError,
    InvalidError,
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


class TestWords:
    def test_a_problem_leads_to_where_it_is_explained(self) -> None:
        document = HttpError(409, "contact_exists", "d").document("r1", "/x")
        path, _, anchor = document["type"].partition("#")
        assert path == PAGE
        assert f'id="{anchor}"' in page()

    def test_are_those_of_the_language_that_is_asked_for(self) -> None:
        error = InvalidError.field("name", "string_too_long", "The text is too long.")
        document = of_error(error).document("r1", "/x")
        assert in_language(document, "en") == document
        told = in_language(document, "pt-BR")
        assert told["title"] == "Conteúdo inválido"
        assert told["detail"] == "A requisição tem campos inválidos; `errors` diz quais."
        assert told["errors"] == [
            {"pointer": "/name", "code": "string_too_long", "message": "O texto é longo demais."}
        ]
        assert {**document, "title": 0, "detail": 0, "errors": 0} == {
            **told,
            **{"title": 0, "detail": 0, "errors": 0},
        }

    def test_what_we_have_no_words_for_stays(self) -> None:
        document = HttpError(409, "of_a_newer_service", "Said in English.").document("r1", "/x")
        assert in_language(document, "pt-BR")["detail"] == "Said in English."

    @pytest.mark.parametrize("status", [*STATUS.values(), 405, 408, 413, 415, 416, 429])
    def test_every_status_has_a_title(self, status: int) -> None:
        title = HttpError(status, "c", "d").title
        document = HttpError(status, "c", "d").document("r1", "/x")
        assert in_language(document, "pt-BR")["title"] not in ("", title)
