"""Forwarding the event stream: signed, in order, without a gap, until it ends for good."""

import json
from datetime import UTC, datetime

import httpx
import pytest
from crm_dev.cli import parser
from crm_dev.listen import Listener, credentials, new_secret
from standardwebhooks.webhooks import Webhook

END = 'event: end\ndata: {"code": "%s", "detail": ""}\n\n'


def placed(cursor: int, text: str = "") -> str:
    event = {"id": f"event-{cursor}", "type": "contact.created", "data": {"text": text}}
    event["timestamp"] = datetime.now(UTC).isoformat()
    return f"id: {cursor}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"


class Scene:
    """An API that gives these streams one after the other, and a program that takes webhooks."""

    def __init__(self, *streams: httpx.Response | Exception, takes: int = 200) -> None:
        self.streams, self.takes = list(streams), takes
        self.asked: list[httpx.Request] = []
        self.taken: list[httpx.Request] = []
        self.said: list[str] = []
        self.secret = new_secret()

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/hook":
            self.taken.append(request)
            if not self.takes:
                raise httpx.ConnectError("nobody listens")
            return httpx.Response(self.takes)
        self.asked.append(request)
        stream = self.streams.pop(0)
        if isinstance(stream, Exception):
            raise stream
        return stream

    async def run(self, *types: str) -> int:
        who = {"X-Api-Key": "key"}
        async with httpx.AsyncClient(transport=httpx.MockTransport(self.answer)) as client:
            to = "http://localhost:3000/hook"
            listener = Listener(
                client, "http://api/api/v1", to, self.secret, who, list(types), self.said.append
            )
            return await listener.run()


class TestListener:
    async def test_goes_on_behind_the_last_it_read(self) -> None:
        scene = Scene(
            httpx.Response(200, text="retry: 0\n\n: \nid: 3\n\n" + placed(4, "é" * 4096)),
            httpx.ConnectError("gone"),
            httpx.Response(503, text="{}"),
            httpx.Response(200, text=placed(5) + END % "moving"),
            httpx.Response(200, text=": \nid: 9\n\n" + END % "token_expired"),
        )
        assert await scene.run("contact.*", "message.read") == 1
        asked = [one.headers.get("last-event-id") for one in scene.asked]
        assert asked == [None, "4", "4", "4", "5"]
        assert {one.headers["x-api-key"] for one in scene.asked} == {"key"}
        assert {one.url.params["types"] for one in scene.asked} == {"contact.*,message.read"}
        assert [one.headers["webhook-id"] for one in scene.taken] == ["event-4", "event-5"]
        for one in scene.taken:
            assert Webhook(scene.secret).verify(one.content, dict(one.headers))
            assert "x-api-key" not in one.headers
        assert "token_expired" in scene.said[-1]

    async def test_says_what_is_not_taken_and_goes_on(self) -> None:
        scene = Scene(httpx.Response(200, text=placed(1) + placed(2) + END % "x"), takes=0)
        await scene.run()
        assert len(scene.taken) == 2
        assert "ConnectError" in scene.said[0]

    async def test_stops_when_it_is_refused(self) -> None:
        scene = Scene(httpx.Response(401, text='{"code": "invalid_api_key"}'))
        assert await scene.run() == 1
        assert "invalid_api_key" in scene.said[0]


class TestCredentials:
    def test_are_a_key_or_a_token(self) -> None:
        assert credentials({"CRM_API_KEY": "k", "CRM_TOKEN": "t"}) == {"X-Api-Key": "k"}
        assert credentials({"CRM_TOKEN": "t"}) == {"Authorization": "Bearer t"}
        with pytest.raises(LookupError):
            credentials({})


def test_the_command_line_says_where_to() -> None:
    given = parser().parse_args(["listen", "--to", "http://localhost:3000/hook", "--types", "a.*"])
    assert (given.to, given.types, given.api) == (
        "http://localhost:3000/hook",
        ["a.*"],
        "http://127.0.0.1:8080/api/v1",
    )
