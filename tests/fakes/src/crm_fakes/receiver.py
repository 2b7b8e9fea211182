"""A webhook receiver: records and verifies what our customers would get."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from crm_fakes.journal import PATIENCE_SECONDS, Journal
from crm_fakes.serving import LocalServer
from crm_fakes.signatures import legacy_valid, secret_bytes, standard_valid

LONG_POLL_LIMIT = 60.0


@dataclass(frozen=True)
class Answer:
    """How to answer a request: after `delay` seconds, or never when `hang`.

    `echo` answers a `webhook.challenge` with what it challenges with, in place of `body`.
    """

    status: int = 200
    delay: float = 0.0
    hang: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    echo: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Answer":
        """Return an answer from plain values; `retry_after` and `location` set headers."""
        known = dict(values)
        headers = dict(known.pop("headers", {}))
        if (retry_after := known.pop("retry_after", None)) is not None:
            headers["Retry-After"] = str(retry_after)
        if (location := known.pop("location", None)) is not None:
            headers["Location"] = location
        return cls(headers=headers, **known)


@dataclass(frozen=True)
class ReceivedRequest:
    """One webhook as it arrived.

    `id` is the `webhook-id`, `type` the body's `type` (or `event`, as WAHA's), both empty when
    missing. `arrived_at` is Unix seconds, `arrived_monotonic` seconds of the monotonic clock. The
    two `valid` flags are None while no secret is trusted for the path. `answered` is the status of
    the answer, 0 for none.
    """

    seq: int
    path: str
    id: str
    type: str
    body: bytes
    headers: Mapping[str, str]
    arrived_at: float
    arrived_monotonic: float
    signature_valid: bool | None
    legacy_valid: bool | None
    answered: int

    @property
    def json(self) -> Any:
        """The decoded body; raises when it is not JSON."""
        return orjson.loads(self.body)


class WebhookReceiver(LocalServer):
    """Accepts POST on every path: `async with WebhookReceiver() as receiver: receiver.url`.

    Answers 200 unless told otherwise by `answer`. With `limit` only the latest requests are kept.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        secret: str | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__(host, port)
        self.requests: Journal[ReceivedRequest] = Journal(limit)
        self.by_type: Counter[str] = Counter()
        self.by_id: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        """How many requests were under way at the same time at the most, by path."""
        self._at_once: Counter[str] = Counter()
        self.default = Answer()
        self._answers: dict[str | None, deque[Answer]] = {}
        self._keys: dict[str | None, list[bytes]] = {}
        self._seq = 0
        if secret is not None:
            self.trust(secret)

    def build_app(self) -> web.Application:
        """Return the receiver and its control API."""
        app = web.Application(client_max_size=self.max_body)
        app.add_routes(
            [
                web.get("/_control/requests", self._control_requests),
                web.get("/_control/counters", self._control_counters),
                web.post("/_control/answers", self._control_answers),
                web.post("/_control/secrets", self._control_secrets),
                web.post("/_control/reset", self._control_reset),
                web.post("/{path:.*}", self._receive),
            ]
        )
        return app

    def url_for(self, path: str) -> str:
        """Return the url of one endpoint of many."""
        return f"{self.url}/{path.lstrip('/')}"

    def trust(self, secret: str, path: str | None = None) -> None:
        """Verify by this `whsec_` secret too, on one path or on all. Raises ValueError."""
        self._keys.setdefault(_slashed(path), []).append(secret_bytes(secret))

    def answer(self, *answers: Answer, path: str | None = None) -> None:
        """Answer the next requests (of one path) so, one after the other, then as `default`."""
        self._answers.setdefault(_slashed(path), deque()).extend(answers)

    def duplicates(self) -> dict[str, int]:
        """Return each `webhook-id` that came more than once, with its count."""
        return {event_id: count for event_id, count in self.by_id.items() if count > 1}

    def of_type(self, event_type: str) -> list[ReceivedRequest]:
        """Return the requests of one event type, in order of arrival."""
        return [request for request in self.requests if request.type == event_type]

    async def wait_for(
        self, predicate: Callable[[ReceivedRequest], bool], timeout: float = PATIENCE_SECONDS
    ) -> ReceivedRequest:
        """Return the first request, past or coming, for which the predicate holds.

        `timeout` in seconds; raises TimeoutError naming the types that did arrive.
        """
        return (await self.wait_for_count(1, predicate, timeout=timeout))[0]

    async def wait_for_count(
        self,
        count: int,
        predicate: Callable[[ReceivedRequest], bool] = lambda _: True,
        timeout: float = PATIENCE_SECONDS,
    ) -> list[ReceivedRequest]:
        """Return the matching requests once there are `count` of them."""
        try:
            return await self.requests.wait_for_count(predicate, count, timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {dict(self.by_type)}") from None

    def reset(self) -> None:
        """Forget what came and how to answer; trusted secrets stay."""
        self.requests.clear()
        self.by_type.clear()
        self.by_id.clear()
        self.most_at_once.clear()
        self._answers.clear()
        self.default = Answer()

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self._at_once[path] += 1
        self.most_at_once[path] = max(self.most_at_once[path], self._at_once[path])
        try:
            return await self._answered(request)
        finally:
            self._at_once[path] -= 1

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        answer = self._next_answer(request.path)
        self._record(request, body, answer)
        if answer.hang:
            return await self.hang(request, 3600.0)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        said = orjson.loads(body)["data"]["challenge"] if answer.echo else answer.body
        return web.Response(status=answer.status, headers=answer.headers, text=said)

    def _next_answer(self, path: str) -> Answer:
        for key in (path, None):
            if answers := self._answers.get(key):
                return answers.popleft()
        return self.default

    def _record(self, request: web.Request, body: bytes, answer: Answer) -> None:
        keys = self._keys.get(request.path, []) + self._keys.get(None, [])
        headers, now = request.headers, time.time()
        self._seq += 1
        received = ReceivedRequest(
            seq=self._seq,
            path=request.path,
            id=headers.get("webhook-id", ""),
            type=_type(body),
            body=body,
            headers=headers,
            arrived_at=now,
            arrived_monotonic=time.monotonic(),
            signature_valid=any(standard_valid(k, headers, body, now) for k in keys)
            if keys
            else None,
            legacy_valid=any(legacy_valid(k, headers, body) for k in keys) if keys else None,
            answered=0 if answer.hang else answer.status,
        )
        self.by_type[received.type] += 1
        if received.id:
            self.by_id[received.id] += 1
        self.requests.append(received)

    async def _control_requests(self, request: web.Request) -> web.Response:
        """List requests after `?since=seq`; with `?wait=seconds` wait for the first of them."""
        since = int(request.query.get("since", 0))
        wait = min(float(request.query.get("wait", 0)), LONG_POLL_LIMIT)
        if wait:
            try:
                await self.requests.wait_for(lambda r: r.seq > since, wait)
            except TimeoutError:
                return _json([])
        return _json([_plain(r) for r in self.requests if r.seq > since])

    async def _control_counters(self, _: web.Request) -> web.Response:
        """Count requests by type, and duplicates by `webhook-id`."""
        return _json(
            {
                "requests": self._seq,
                "by_type": self.by_type,
                "ids": len(self.by_id),
                "duplicates": self.duplicates(),
            }
        )

    async def _control_answers(self, request: web.Request) -> web.Response:
        """Program `{answers?: [{status, delay, hang, retry_after, ...}], default?, path?}`."""
        body = orjson.loads(await request.read())
        try:
            self.answer(*(Answer.of(a) for a in body.get("answers", [])), path=body.get("path"))
            if "default" in body:
                self.default = Answer.of(body["default"])
        except TypeError as error:
            return _json({"error": str(error)}, 400)
        return _json({}, 201)

    async def _control_secrets(self, request: web.Request) -> web.Response:
        """Trust `{secret, path?}`."""
        body = orjson.loads(await request.read())
        try:
            self.trust(body["secret"], body.get("path"))
        except (KeyError, ValueError) as error:
            return _json({"error": str(error)}, 400)
        return _json({}, 201)

    async def _control_reset(self, _: web.Request) -> web.Response:
        """Forget what came and how to answer."""
        self.reset()
        return _json({})


def _slashed(path: str | None) -> str | None:
    return None if path is None else "/" + path.lstrip("/")


def _type(body: bytes) -> str:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(value, dict):
        return ""
    return str(value.get("type") or value.get("event") or "")


def _plain(received: ReceivedRequest) -> dict[str, Any]:
    return {
        "seq": received.seq,
        "path": received.path,
        "id": received.id,
        "type": received.type,
        "body": received.body.decode("utf-8", "replace"),
        "headers": {str(name): value for name, value in received.headers.items()},
        "arrived_at": received.arrived_at,
        "arrived_monotonic": received.arrived_monotonic,
        "signature_valid": received.signature_valid,
        "legacy_valid": received.legacy_valid,
        "answered": received.answered,
    }


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(value), status=status, content_type="application/json", charset="utf-8"
    )
