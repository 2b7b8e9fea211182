from typing import get_args

import pytest
from crm_gateway.problems.errors import STATUS, HttpError, of_error, of_problem, too_many_attempts
from crm_gateway.problems.words import PAGE, in_language, page
from pydantic import BaseModel, Field, ValidationError
from service_kit.errors import (
    ConflictError,
    DeadlineError,
    InvalidError,
    NotFoundError,
    PreconditionFailedError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
    field_errors,
)
from shared_events.requests import Problem, ProblemKind


class Limited(BaseModel):
    """A field of each kind that has a limit."""

    short: str = Field(min_length=2)
    long: str = Field(max_length=3)
    few: list[int] = Field(min_length=1)
    many: list[int] = Field(max_length=1)
    gt: float = Field(gt=0.5)
    ge: int = Field(ge=1)
    lt: float = Field(lt=9.5)
    le: int = Field(le=8)


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
        error = InvalidError.field("name", "nul_character", "A text cannot hold NUL.")
        document = of_error(error).document("r1", "/x")
        assert in_language(document, "en") == document
        told = in_language(document, "pt-BR")
        assert told["title"] == "Conteúdo inválido"
        assert told["detail"] == "A requisição tem campos inválidos; `errors` diz quais."
        assert told["errors"] == [
            {
                "pointer": "/name",
                "code": "nul_character",
                "message": "Um texto não pode conter o caractere NUL.",
            }
        ]
        assert {**document, "title": 0, "detail": 0, "errors": 0} == {
            **told,
            **{"title": 0, "detail": 0, "errors": 0},
        }

    def test_name_what_the_problem_names(self) -> None:
        full = ConflictError("too_many_jobs", "At most 10 may be at work; wait.", limit=10)
        told = in_language(of_error(full).document("r1", "/x"), "pt-BR")
        assert told["detail"] == "No máximo 10 podem estar em andamento; aguarde."
        assert told["limit"] == 10
        for stale, said in (
            (
                PreconditionFailedError("stale_version", "d", current_version=3),
                "Agora está na versão 3.",
            ),
            (
                PreconditionFailedError("stale_version", "d"),
                "If-Match não corresponde a nenhuma versão disto.",
            ),
        ):
            told = in_language(of_error(stale).document("r1", "/x"), "pt-BR")
            assert told["detail"] == said

    def test_name_what_a_field_may_have(self) -> None:
        """In the numbers that Pydantic says in English, whatever the limit."""
        given = {"short": "", "long": "abcd", "few": [], "many": [1, 2], "gt": 0, "ge": 0}
        with pytest.raises(ValidationError) as found:
            Limited.model_validate({**given, "lt": 9.5, "le": 9})
        error = InvalidError("validation_failed", "d", errors=field_errors(found.value))
        document = of_error(error).document("r1", "/x")
        told = in_language(document, "pt-BR")["errors"]
        assert [each["message"] for each in told] == [
            "O texto deve ter no mínimo 2 caracteres.",
            "O texto pode ter no máximo 3 caracteres.",
            "São poucos: no mínimo 1.",
            "São demais: no máximo 1.",
            "O número deve ser maior que 0.5.",
            "O número deve ser no mínimo 1.",
            "O número deve ser menor que 9.5.",
            "O número deve ser no máximo 8.",
        ]
        for english, portuguese in zip(document["errors"], told, strict=True):
            number = next(each for each in portuguese["message"].split() if each[0].isdigit())
            assert number.rstrip(".") in english["message"]

    def test_of_a_service_that_tells_no_number_stay_english(self) -> None:
        full = ConflictError("too_many_jobs", "At most 10 may be at work; wait.")
        told = in_language(of_error(full).document("r1", "/x"), "pt-BR")
        assert told["detail"] == "At most 10 may be at work; wait."

    def test_what_we_have_no_words_for_stays(self) -> None:
        document = HttpError(409, "of_a_newer_service", "Said {so}.").document("r1", "/x")
        assert in_language(document, "pt-BR")["detail"] == "Said {so}."

    @pytest.mark.parametrize("status", [*STATUS.values(), 405, 408, 413, 415, 416, 429])
    def test_every_status_has_a_title(self, status: int) -> None:
        title = HttpError(status, "c", "d").title
        document = HttpError(status, "c", "d").document("r1", "/x")
        assert in_language(document, "pt-BR")["title"] not in ("", title)
