import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from crm_gateway.body import MAX_BODY_BYTES, read_body
from crm_gateway.problems.errors import HttpError
from crm_gateway.rest.parsing import (
    MAX_NESTING,
    expected_version,
    idempotency_key,
    parse,
    unchanged,
)
from crm_gateway.rest.routes import ROUTES
from service_kit.errors import (
    InvalidError,
    MalformedError,
    NotFoundError,
    PreconditionFailedError,
    ProblemError,
)
from shared_events.requests import Request as BusRequest
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Message

ID = str(uuid4())


async def parsed(
    method: str,
    path: str,
    *,
    ids: dict[str, str] | None = None,
    query: str = "",
    body: Any = b"",
    content_type: str = "application/json",
) -> BusRequest[Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    (row,) = [r for r in ROUTES if (r.method, r.path) == (method, path)]

    async def receive() -> Message:
        return {"type": "http.request", "body": raw, "more_body": False}

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "path_params": ids or {},
        "headers": [(b"content-type", content_type.encode())],
    }
    return await parse(row, Request(scope, receive))


class TestQuery:
    async def test_reads_filters_aliases_and_repeated_lists(self) -> None:
        request = await parsed(
            "GET",
            "/contacts",
            query="tags=vip&tags=b2b&created_at[gte]=2026-01-02T03:04:05Z&limit=7&sort=-name",
        )
        body = request.model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert body == {
            "tags": ["vip", "b2b"],
            "created_at[gte]": "2026-01-02T03:04:05Z",
            "limit": 7,
            "sort": "-name",
        }

    @pytest.mark.parametrize("query", ["nmae=x", "created_at_gte=2026-01-01T00:00:00Z"])
    async def test_an_unknown_parameter_is_malformed(self, query: str) -> None:
        with pytest.raises(MalformedError, match="unknown_parameter"):
            await parsed("GET", "/contacts", query=query)

    async def test_a_path_field_is_no_parameter(self) -> None:
        with pytest.raises(MalformedError, match="unknown_parameter"):
            await parsed(
                "GET",
                "/contacts/{contact_id}/sessions",
                ids={"contact_id": ID},
                query=f"contact_id={uuid4()}",
            )

    async def test_a_repeated_single_parameter_is_malformed(self) -> None:
        with pytest.raises(MalformedError, match="repeated_parameter"):
            await parsed("GET", "/contacts", query="search=a&search=b")

    @pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "sort=shoe_size"])
    async def test_an_unfit_value_is_invalid(self, query: str) -> None:
        with pytest.raises(InvalidError):
            await parsed("GET", "/contacts", query=query)

    @pytest.mark.parametrize("cursor", ["", "%00", "a" * 501])
    async def test_a_cursor_no_list_gives_is_malformed(self, cursor: str) -> None:
        with pytest.raises(MalformedError, match="invalid_cursor"):
            await parsed("GET", "/agents", query=f"cursor={cursor}")

    @pytest.mark.parametrize(
        ("given", "read"),
        [
            ("2026-01-02T03:04:05-03:00", "2026-01-02T06:04:05Z"),
            ("2026-01-02T03:04:05", "2026-01-02T03:04:05Z"),
            ("2026-01-02", "2026-01-02T00:00:00Z"),
        ],
    )
    async def test_a_time_is_read_in_utc(self, given: str, read: str) -> None:
        request = await parsed("GET", "/contacts", query=f"created_at[lt]={given}")
        assert request.model_dump(mode="json")["created_at_lt"] == read

    @pytest.mark.parametrize(
        "given", ["2026", "-1", "x", "", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"]
    )
    async def test_what_is_no_time_in_utc_is_invalid(self, given: str) -> None:
        with pytest.raises(InvalidError):
            await parsed("GET", "/contacts", query=f"created_at[gte]={given}")

    async def test_other_methods_take_no_parameters(self) -> None:
        with pytest.raises(MalformedError):
            await parsed("POST", "/contacts", query="dry=1", body={"name": "Zé"})


class TestBody:
    async def test_keeps_apart_what_was_set_and_what_was_left_out(self) -> None:
        request = await parsed(
            "PATCH",
            "/contacts/{contact_id}",
            ids={"contact_id": ID},
            body={"email": None},
            content_type="application/merge-patch+json",
        )
        assert request.model_fields_set == {"contact_id", "email"}

    async def test_names_every_wrong_field(self) -> None:
        with pytest.raises(InvalidError) as caught:
            await parsed("POST", "/contacts", body={"nmae": "x", "email": "no"})
        pointers = {error.pointer for error in caught.value.problem.errors}
        assert pointers == {"/name", "/nmae", "/email"}

    async def test_a_path_field_cannot_come_in_the_body(self) -> None:
        with pytest.raises(InvalidError):
            await parsed(
                "POST",
                "/channels/{channel_id}/start",
                ids={"channel_id": ID},
                body={"action": "logout"},
            )

    async def test_an_action_needs_no_body(self) -> None:
        request = await parsed("POST", "/channels/{channel_id}/start", ids={"channel_id": ID})
        assert request.model_dump(mode="json") == {"channel_id": ID, "action": "start"}

    @pytest.mark.parametrize("body", [b"{", b'{"name": NaN}', b"\xff", b"{'a': 1}"])
    async def test_what_is_not_json_is_malformed(self, body: bytes) -> None:
        with pytest.raises(MalformedError, match="invalid_json"):
            await parsed("POST", "/contacts", body=body)

    async def test_json_that_is_no_object_is_invalid(self) -> None:
        with pytest.raises(InvalidError):
            await parsed("POST", "/contacts", body=[1])

    async def test_other_media_types_are_refused(self) -> None:
        with pytest.raises(HttpError) as caught:
            await parsed("POST", "/contacts", body=b"name=x", content_type="text/plain")
        assert caught.value.status == 415

    async def test_a_body_beyond_the_limit_is_refused(self) -> None:
        with pytest.raises(HttpError) as caught:
            await parsed("POST", "/contacts", body=b" " * (MAX_BODY_BYTES + 1))
        assert caught.value.status == 413

    @pytest.mark.parametrize("opening, closing", [(b'{"a":', b"}"), (b"[", b"]")])
    async def test_a_body_nested_too_deep_is_malformed(
        self, opening: bytes, closing: bytes
    ) -> None:
        def nested(levels: int) -> bytes:
            inner = opening * (levels - 1) + b"1" + closing * (levels - 1)
            return b'{"name": "Z", "custom_fields": {"f": ' + inner + b"}}"

        await parsed("POST", "/contacts", body=nested(MAX_NESTING - 1))
        with pytest.raises(MalformedError, match="nested_too_deep"):
            await parsed("POST", "/contacts", body=nested(MAX_NESTING))

    async def test_a_body_that_does_not_come_is_not_waited_for(self) -> None:
        pieces: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}]

        async def receive() -> Message:
            return pieces.pop() if pieces else await asyncio.Future()

        scope = {"type": "http", "headers": [(b"content-length", b"50")]}
        with pytest.raises(HttpError) as caught:
            await read_body(Request(scope, receive), seconds=0.01)
        assert caught.value.status == 408

    async def test_a_channel_can_be_put_as_it_was_posted(self) -> None:
        path, channel = "/channels/{channel_id}", {"name": "Vendas", "type": "waha"}
        request = await parsed("PUT", path, ids={"channel_id": ID}, body=channel)
        assert request.model_dump()["type"] == "waha"
        with pytest.raises(InvalidError):
            await parsed("PUT", path, ids={"channel_id": ID}, body={"type": "sms"})

    async def test_nul_characters_are_dropped(self) -> None:
        request = await parsed("POST", "/contacts", body={"name": "Z\0é", "tags": ["\0a"]})
        assert request.model_dump()["name"] == "Zé"
        assert request.model_dump()["tags"] == ["a"]

    async def test_a_path_that_names_nothing_is_not_found(self) -> None:
        with pytest.raises(NotFoundError, match="contact_not_found"):
            await parsed("GET", "/contacts/{contact_id}", ids={"contact_id": "7"})


class TestExpectedVersion:
    @pytest.mark.parametrize(
        ("value", "version"), [("", None), ("*", None), ('"3"', 3), ('W/"12"', 12)]
    )
    def test_reads_an_entity_tag(self, value: str, version: int | None) -> None:
        assert expected_version(Headers({"if-match": value})) == version

    @pytest.mark.parametrize("value", ["3", '"x"', '"1", "2"'])
    def test_what_is_no_version_matches_nothing(self, value: str) -> None:
        with pytest.raises(PreconditionFailedError):
            expected_version(Headers({"if-match": value}))


class TestUnchanged:
    @pytest.mark.parametrize("value", ['"3"', 'W/"3"', '"1", "3"', "*"])
    def test_the_caller_has_it(self, value: str) -> None:
        assert unchanged(Headers({"if-none-match": value}), '"3"')

    @pytest.mark.parametrize("value", ["", '"4"', "3"])
    def test_the_caller_has_it_not(self, value: str) -> None:
        assert not unchanged(Headers({"if-none-match": value}), '"3"')


class TestIdempotencyKey:
    @pytest.mark.parametrize("value", ["", "a b", "x" * 256])
    def test_an_unfit_key_is_refused(self, value: str) -> None:
        with pytest.raises(ProblemError):
            idempotency_key(Headers({"idempotency-key": value}))

    def test_no_key_is_fine(self) -> None:
        assert idempotency_key(Headers({})) is None
