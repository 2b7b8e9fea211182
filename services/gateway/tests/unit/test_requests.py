"""From HTTP to a request of the bus: path, query and body, each refused in its own way."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_gateway.auth.schemas import WithPassword
from crm_gateway.body import MAX_BODY_BYTES, Bodies
from crm_gateway.problems import edge
from crm_gateway.problems.errors import HttpError
from crm_gateway.rest.strictness import MAX_NESTING
from crm_gateway.rest.table import Row
from crm_gateway.settings import GatewaySettings
from crm_testing.scenes.gateway import ID, Rest
from shared_events.contacts.note import ListSessionNotes
from shared_events.messaging.session import GetSession
from shared_events.requests import Command, Nothing, Problem
from starlette.requests import Request
from starlette.types import Message


class SetPassword(Command[Nothing], WithPassword, key="contacts.contact.set_password"):
    """A request of its own settings, with a field of the path."""

    contact_id: UUID
    password: str


@pytest.fixture(scope="module")
def api_alone(make_settings: Callable[..., GatewaySettings]) -> Rest:
    return Rest(make_settings())


@pytest.fixture
def rest(api_alone: Rest) -> Rest:
    api_alone.bus.asked.clear()
    api_alone.log_in()
    return api_alone


class TestQuery:
    async def test_reads_filters_aliases_and_repeated_lists(self, rest: Rest) -> None:
        query = "tags=vip&tags=b2b&created_at[gte]=2026-01-02T03:04:05Z&limit=7&sort=-name"
        request = await rest.asks("GET", f"/contacts?{query}")
        body = request.model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert body == {
            "tags": ["vip", "b2b"],
            "created_at[gte]": "2026-01-02T03:04:05Z",
            "limit": 7,
            "sort": "-name",
        }

    @pytest.mark.parametrize(
        "query", ["nmae=x", "created_at_gte=2026-01-01T00:00:00Z", "limit=1&", "given=x"]
    )
    async def test_an_unknown_parameter_is_malformed(self, rest: Rest, query: str) -> None:
        if query.endswith("&"):
            query += "x=1"
        assert await rest.refuses("GET", f"/contacts?{query}") == (400, "unknown_parameter")

    async def test_a_path_field_is_no_parameter(self, rest: Rest) -> None:
        path = f"/contacts/{ID}/sessions?contact_id={uuid4()}"
        assert await rest.refuses("GET", path) == (400, "unknown_parameter")

    async def test_a_list_below_a_path_takes_its_filters(self, rest: Rest) -> None:
        request = await rest.asks("GET", f"/contacts/{ID}/sessions?status=active&limit=2")
        body = request.model_dump(mode="json", exclude_unset=True)
        assert body == {"contact_id": ID, "status": "active", "limit": 2}

    async def test_a_repeated_single_parameter_is_malformed(self, rest: Rest) -> None:
        path = "/contacts?search=a&search=b"
        assert await rest.refuses("GET", path) == (400, "repeated_parameter")

    @pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "sort=shoe_size"])
    async def test_an_unfit_value_is_invalid(self, rest: Rest, query: str) -> None:
        assert await rest.refuses("GET", f"/contacts?{query}") == (422, "validation_failed")

    @pytest.mark.parametrize("cursor", ["", "%00", "%20", "a" * 501])
    async def test_a_cursor_no_list_gives_is_malformed(self, rest: Rest, cursor: str) -> None:
        assert await rest.refuses("GET", f"/agents?cursor={cursor}") == (400, "invalid_cursor")

    async def test_a_nul_character_is_invalid(self, rest: Rest) -> None:
        response = await rest.send("GET", "/contacts?search=a%00b")
        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"] == "/search"
        assert rest.bus.asked == []

    @pytest.mark.parametrize(
        ("given", "read"),
        [
            ("2026-01-02T03:04:05-03:00", "2026-01-02T06:04:05Z"),
            ("2026-01-02T03:04:05", "2026-01-02T03:04:05Z"),
            ("2026-01-02", "2026-01-02T00:00:00Z"),
        ],
    )
    async def test_a_time_is_read_in_utc(self, rest: Rest, given: str, read: str) -> None:
        request = await rest.asks("GET", f"/contacts?created_at[lt]={given}")
        assert request.model_dump(mode="json")["created_at_lt"] == read

    @pytest.mark.parametrize(
        "given", ["2026", "-1", "x", "", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"]
    )
    async def test_what_is_no_time_in_utc_is_invalid(self, rest: Rest, given: str) -> None:
        path = f"/contacts?created_at[gte]={given}"
        assert await rest.refuses("GET", path) == (422, "validation_failed")

    async def test_other_methods_take_no_parameters(self, rest: Rest) -> None:
        refused = await rest.refuses("POST", "/contacts?dry=1", {"name": "Zé"})
        assert refused == (400, "unknown_parameter")


class TestFourEyes:
    async def test_only_who_asks_for_it_is_told_whether_there_is_another_admin(
        self, rest: Rest
    ) -> None:
        await rest.asks("POST", f"/erasures/{ID}/approve")
        assert rest.bus.said["principal"].sole_admin
        await rest.asks("GET", f"/erasures/{ID}")
        assert not rest.bus.said["principal"].sole_admin


class TestBehind:
    async def test_notes_are_of_a_session_that_is_seen(self, rest: Rest) -> None:
        """Contacts keeps them, and does not know which sessions there are, and whose."""
        path = f"/sessions/{ID}/notes"
        await rest.asks("GET", path)
        assert [type(one) for one in rest.bus.asked] == [GetSession, ListSessionNotes]
        unseen = Problem(kind="not_found", code="session_not_found", detail="")
        rest.bus.refuses[GetSession] = unseen
        response = await rest.send("GET", path)
        assert (response.status_code, response.json()["code"]) == (404, "session_not_found")
        assert rest.bus.asked[2:] == [GetSession(session_id=UUID(ID))]


class TestBody:
    async def test_keeps_apart_what_was_set_and_what_was_left_out(self, rest: Rest) -> None:
        merge_patch = "application/merge-patch+json"
        request = await rest.asks("PATCH", f"/contacts/{ID}", {"email": None}, merge_patch)
        assert request.model_fields_set == {"contact_id", "email"}

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "/contacts", {"name": "Zé", "a/b~c": 1}),
            ("POST", f"/channels/{ID}/start", {"a/b~c": 1}),
        ],
    )
    async def test_a_name_of_whatever_letters_is_a_pointer_all_the_same(
        self, rest: Rest, method: str, path: str, body: dict[str, Any]
    ) -> None:
        response = await rest.send(method, path, body)
        assert [e["pointer"] for e in response.json()["errors"]] == ["/a~1b~0c"]

    async def test_names_every_wrong_field(self, rest: Rest) -> None:
        response = await rest.send("POST", "/contacts", {"nmae": "x", "email": "no"})
        pointers = {error["pointer"] for error in response.json()["errors"]}
        assert pointers == {"/name", "/nmae", "/email"}

    async def test_rules_between_fields_hold_below_a_path_too(self, rest: Rest) -> None:
        response = await rest.send("PATCH", f"/contacts/{ID}", {"name": None})
        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == ["/name"]

    async def test_what_a_request_makes_of_blanks_holds_below_a_path_too(
        self, make_settings: Callable[..., GatewaySettings]
    ) -> None:
        path = "/contacts/{contact_id}/password"
        rest = Rest(make_settings(), [Row("POST", path, "contacts.update", SetPassword)])
        request = await rest.asks("POST", path.format(contact_id=ID), {"password": " s p "})
        assert request.model_dump()["password"] == " s p "

    async def test_names_a_field_within_a_field(self, rest: Rest) -> None:
        body = {"name": "Loja", "waha": {"base_url": "http://w", "api_key": "k", "sesion": "s"}}
        response = await rest.send("POST", "/channels", body)
        assert [e["pointer"] for e in response.json()["errors"]] == ["/waha/sesion"]

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", f"/channels/{ID}/start", {"action": "logout"}),
            ("POST", f"/channels/{ID}/start", {"channel_id": ID}),
            ("PATCH", f"/contacts/{ID}", {"contact_id": ID}),
            ("DELETE", f"/contacts/{ID}", {"contact_id": ID}),
        ],
    )
    async def test_a_path_field_cannot_come_in_the_body(
        self, rest: Rest, method: str, path: str, body: Any
    ) -> None:
        assert await rest.refuses(method, path, body) == (422, "validation_failed")

    @pytest.mark.parametrize("content_type", ["application/json", "text/plain", "x"])
    @pytest.mark.parametrize("action", ["/sessions/{}/close", "/channels/{}/start"])
    async def test_an_action_needs_no_body(
        self, rest: Rest, action: str, content_type: str
    ) -> None:
        await rest.asks("POST", action.format(ID), b"", content_type)

    async def test_an_action_knows_what_its_path_says(self, rest: Rest) -> None:
        request = await rest.asks("POST", f"/channels/{ID}/start")
        assert request.model_dump(mode="json") == {"channel_id": ID, "action": "start"}

    @pytest.mark.parametrize("body", [b"{", b'{"name": NaN}', b"\xff", b"{'a': 1}"])
    async def test_what_is_not_json_is_malformed(self, rest: Rest, body: bytes) -> None:
        assert await rest.refuses("POST", "/contacts", body) == (400, "invalid_json")

    @pytest.mark.parametrize("body", [[1], "x", 7, None])
    async def test_json_that_is_no_object_is_invalid(self, rest: Rest, body: Any) -> None:
        assert await rest.refuses("POST", "/contacts", body) == (422, "validation_failed")

    async def test_other_media_types_are_refused(self, rest: Rest) -> None:
        refused = await rest.refuses("POST", "/contacts", b"name=x", "text/plain")
        assert refused == (415, "unsupported_media_type")

    async def test_a_body_beyond_the_limit_is_refused(self, rest: Rest) -> None:
        body = b" " * (MAX_BODY_BYTES + 1)
        assert await rest.refuses("POST", "/contacts", body) == (413, "body_too_large")

    @pytest.mark.parametrize("opening, closing", [(b'{"a":', b"}"), (b"[", b"]")])
    async def test_a_body_nested_too_deep_is_malformed(
        self, rest: Rest, opening: bytes, closing: bytes
    ) -> None:
        def nested(levels: int) -> bytes:
            inner = opening * (levels - 1) + b"1" + closing * (levels - 1)
            return b'{"name": "Z", "custom_fields": {"f": ' + inner + b"}}"

        refused = await rest.refuses("POST", "/contacts", nested(MAX_NESTING))
        assert refused == (400, "nested_too_deep")
        await rest.asks("POST", "/contacts", nested(MAX_NESTING - 1))

    async def test_a_body_that_does_not_come_is_not_waited_for(self) -> None:
        pieces: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}]

        async def receive() -> Message:
            return pieces.pop() if pieces else await asyncio.Future()

        scope = {"type": "http", "headers": [(b"content-length", b"50")]}
        with pytest.raises(HttpError) as caught:
            async with Bodies().room() as room:
                await room.read(Request(scope, receive), "", seconds=0.01)
        assert caught.value.status == 408

    async def test_a_channel_can_be_put_as_it_was_posted(self, rest: Rest) -> None:
        path, channel = f"/channels/{ID}", {"name": "Vendas", "type": "waha"}
        assert await rest.refuses("PUT", path, {"type": "sms"}) == (422, "validation_failed")
        assert (await rest.asks("PUT", path, channel)).model_dump()["type"] == "waha"

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"name": "Z\0é"}, "/name"),
            ({"name": "Zé", "tags": ["vip", "\0"]}, "/tags/1"),
            ({"name": "Zé", "custom_fields": {"a": {"b": "\0"}}}, "/custom_fields/a/b"),
            ({"name": "Zé", "custom_fields": {"\0": 1}}, "/custom_fields"),
            ({"name": "Zé", "custom_fields": {"a/b~1": ["\0"]}}, "/custom_fields/a~1b~01/0"),
            ({"custom_fields": {"n": 1.5, "b": True, "t": "\0"}}, "/custom_fields/t"),
        ],
    )
    async def test_a_nul_character_is_invalid(
        self, rest: Rest, body: dict[str, Any], pointer: str
    ) -> None:
        response = await rest.send("POST", "/contacts", body)
        assert response.status_code == 422
        assert [e["pointer"] for e in response.json()["errors"]] == [pointer]
        assert rest.bus.asked == []


class TestPath:
    @pytest.mark.parametrize("name", ["7", "%00", "not-an-id"])
    async def test_that_names_nothing_is_not_found(self, rest: Rest, name: str) -> None:
        assert await rest.refuses("GET", f"/contacts/{name}") == (404, "contact_not_found")


class TestOrder:
    async def test_of_refusals_is_method_then_caller_then_permission_then_request(
        self, rest: Rest
    ) -> None:
        assert await rest.refuses("POST", "/contacts/7?x=1", b"{") == (405, "method_not_allowed")
        admin, rest.token = rest.token, "x"
        assert (await rest.refuses("POST", "/contacts?x=1", b"{"))[0] == 401
        rest.token = admin
        assert await rest.refuses("POST", "/contacts?x=1", b"{") == (400, "unknown_parameter")
        assert await rest.refuses("PATCH", "/contacts/7", b"{") == (400, "invalid_json")
        assert (await rest.refuses("PATCH", "/contacts/7", {"x": 1}))[0] == 404

    async def test_a_stranger_has_no_body_read(self, rest: Rest) -> None:
        rest.token = "x"

        async def never() -> Message:
            raise AssertionError("the body was read")

        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/api/v1/contacts",
            "raw_path": b"/api/v1/contacts",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
        }
        await rest.app(scope, never, keep)
        assert sent[0]["status"] == 401


class TestMethods:
    async def test_the_first_path_that_fits_decides(self, rest: Rest) -> None:
        rest.token = "x"
        for method in ("GET", "HEAD", "PATCH", "BREW"):
            response = await rest.send(method, "/messages/send")
            assert (response.status_code, response.headers["allow"]) == (405, "POST")

    @pytest.mark.parametrize("method", ["POST", "OPTIONS", "BREW"])
    async def test_a_path_names_all_that_it_has(self, rest: Rest, method: str) -> None:
        response = await rest.send(method, f"/contacts/{ID}")
        assert response.status_code == 405
        assert response.headers["allow"] == "DELETE, GET, PATCH, PUT"

    async def test_paths_beside_the_api_name_theirs(self, rest: Rest) -> None:
        response = await rest.send("POST", "http://api/openapi.json")
        assert response.status_code == 405
        assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}
        assert response.json()["code"] == "method_not_allowed"

    async def test_that_callers_make_up_are_not_counted(self, rest: Rest) -> None:
        await rest.send("GET", f"/contacts/{ID}")
        await rest.send("BREW", f"/contacts/{ID}")
        await rest.send("BREW", "http://api/health")
        methods = {s.labels.get("method") for m in edge.SECONDS.collect() for s in m.samples}
        assert "GET" in methods
        assert "BREW" not in methods


class TestHeaders:
    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    async def test_every_command_takes_an_idempotency_key_and_a_version(
        self, rest: Rest, method: str
    ) -> None:
        body = b"" if method == "DELETE" else {"name": "Zé"}
        headers = {"Idempotency_Key": "k1", "If_Match": '"3"'}
        response = await rest.send(method, f"/contacts/{ID}", body, **headers)
        assert response.is_success
        assert rest.bus.said["idempotency_key"] == "k1"
        assert rest.bus.said["expected_version"] == frozenset({3})
        refused = await rest.send(method, f"/contacts/{ID}", body, Idempotency_Key="a b")
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_idempotency_key")

    async def test_what_is_made_below_another_is_found_there(
        self, make_settings: Callable[..., GatewaySettings]
    ) -> None:
        path = "/contacts/{contact_id}/passwords"
        rest = Rest(make_settings(), [Row("POST", path, "contacts.update", SetPassword, 201)])
        other = str(uuid4())
        made = await rest.send("POST", f"/contacts/{other}/passwords", {"password": "12345678"})
        assert made.headers["location"] == f"/api/v1/contacts/{other}/passwords/{ID}"

    async def test_a_query_has_no_use_for_them(self, rest: Rest) -> None:
        headers = {"Idempotency_Key": "a b", "If_Match": "x"}
        assert (await rest.send("GET", f"/contacts/{ID}", **headers)).status_code == 200


class TestHead:
    async def test_is_answered_as_get(self, rest: Rest) -> None:
        got = await rest.send("GET", f"/contacts/{ID}")
        headed = await rest.send("HEAD", f"/contacts/{ID}")
        assert (headed.status_code, headed.headers["etag"]) == (200, got.headers["etag"])
