"""Calling WAHA. Bodies are never logged: they are people's messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import httpx

from crm_channels_waha.waha.answers import (
    NotSent,
    Refused,
    Rejected,
    Unknown,
    Verdict,
    excerpt,
    judge,
    judge_failure,
    lacks_method,
    read_answer,
    read_json,
    waits_for_session,
)
from crm_channels_waha.waha.ids import bare_id, person_id
from crm_channels_waha.waha.reading import Json, items, mapping, number, text
from crm_channels_waha.waha.sending import Outgoing, compose

_HISTORY_PAGE = 50
_CLOCK_SKEW_SECONDS = 30


class WahaError(Exception):
    """A call other than a send did not succeed."""


class WahaAwayError(WahaError):
    """WAHA cannot be reached or is failing; worth trying again."""


class WahaRefusedError(WahaError):
    """WAHA does not take our key."""


class WahaRejectedError(WahaError):
    """WAHA understood and said no; `status` is its HTTP status.

    `waits_for_session`: only because its session is not in the status the call needs.
    """

    def __init__(self, status: int, reason: str, *, waits_for_session: bool) -> None:
        super().__init__(f"WAHA answered {status}: {reason}")
        self.status = status
        self.waits_for_session = waits_for_session


@dataclass(frozen=True, slots=True)
class WahaTimeouts:
    """Seconds each kind of call may take."""

    text: float
    media: float
    control: float


@dataclass(frozen=True, slots=True)
class WahaSession:
    """A session as WAHA describes it. `phone` is digits, None before pairing."""

    status: str | None
    engine: str | None
    phone: str | None
    config: Json

    @property
    def keeps_history(self) -> bool:
        """Whether a message missing from its history was really never sent.

        NOWEB keeps none without its store, GOWS may be told not to (WAHA contract, sessions).
        """
        if self.engine == "GOWS":
            return mapping(self.config, "gows", "storage").get("messages") is not False
        if self.engine == "NOWEB":
            return mapping(self.config, "noweb", "store").get("enabled") is True
        return False


class Waha:
    """One WAHA session on one server, with the key to it."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        session: str,
        api_key: str,
        timeouts: WahaTimeouts,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._headers = {"X-Api-Key": api_key}
        self._timeouts = timeouts
        self.session = session

    async def send(self, message: Outgoing, message_id: str | None) -> Verdict:
        """Send a message; `message_id` is the id WAHA gave us for it, where it takes one."""
        composed = compose(message, self.session, message_id)
        if isinstance(composed, Rejected):
            return composed
        path, body, has_file = composed
        try:
            response = await self._http.post(
                self._base_url + path,
                json=body,
                headers=self._headers,
                timeout=self._timeouts.media if has_file else self._timeouts.text,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return judge_failure(error)
        return judge(response)

    async def new_message_id(self) -> str | NotSent | Refused | None:
        """An id to send under, or None where the engine has no such thing; nothing is sent."""
        try:
            response = await self._request("GET", f"/api/{self.session}/new-message-id")
        except WahaAwayError as error:
            return NotSent(str(error))
        if response.is_success:
            return bare_id(read_answer(response).get("id"))
        if lacks_method(response):
            return None
        verdict = judge(response)
        if isinstance(verdict, Refused | NotSent):
            return verdict
        if isinstance(verdict, Unknown):
            return NotSent(verdict.reason)
        return None  # let the send itself say what is wrong

    async def has_message(self, chat_id: str, external_id: str) -> bool:
        """Whether this message is in the chat's history. Raises WahaError when WAHA cannot say."""
        path = f"/api/{self.session}/chats/{quote(chat_id, '')}/messages/{quote(external_id, '')}"
        response = await self._request("GET", path, params={"downloadMedia": "false"})
        if response.status_code == 404 and "message not found" in excerpt(response).lower():
            return False
        _raise_unless_ok(response)
        return bare_id(read_answer(response).get("id")) is not None

    async def find_sent(self, message: Outgoing, since_seconds: float) -> list[str]:
        """Bare ids of our messages like this one in its chat since then, oldest first.

        Raises WahaError when WAHA cannot say.
        """
        since = since_seconds - _CLOCK_SKEW_SECONDS
        response = await self._request(
            "GET",
            f"/api/{self.session}/chats/{quote(message.chat_id, '')}/messages",
            params={
                "limit": str(_HISTORY_PAGE),
                "downloadMedia": "false",
                "sortBy": "timestamp",
                "sortOrder": "desc",
                "filter.fromMe": "true",
                "filter.timestamp.gte": str(int(since)),
            },
        )
        _raise_unless_ok(response)
        found = [
            bare_id(candidate.get("id"))
            for candidate in map(mapping, items(read_json(response)))
            if candidate.get("fromMe") is True
            and (candidate.get("hasMedia") is True) == (message.content_type != "text")
            and (text(candidate.get("body")) or "").strip() == (message.content or "").strip()
            and (number(candidate.get("timestamp")) or 0) >= int(since)
        ]
        return [external_id for external_id in reversed(found) if external_id]

    async def phone_of_lid(self, lid: str) -> str | None:
        """The phone's digits behind a hidden id's digits; None while WAHA does not know."""
        response = await self._request("GET", f"/api/{self.session}/lids/{quote(lid + '@lid', '')}")
        _raise_unless_ok(response)
        found = person_id(read_answer(response).get("pn"))
        return found.value if found and found.kind == "phone" else None

    async def describe(self) -> WahaSession | None:
        """The session, or None if WAHA has none of this name."""
        response = await self._request("GET", f"/api/sessions/{self.session}")
        if response.status_code == 404:
            return None
        _raise_unless_ok(response)
        return _described(read_answer(response))

    async def create(self, config: Mapping[str, Any]) -> WahaSession:
        """Create and start the session."""
        body = {"name": self.session, "config": config, "start": True}
        response = await self._request("POST", "/api/sessions", body=body)
        _raise_unless_ok(response)
        return _described(read_answer(response))

    async def configure(self, config: Mapping[str, Any]) -> None:
        """Replace the whole config; WAHA restarts a running session for it."""
        response = await self._request(
            "PUT", f"/api/sessions/{self.session}", body={"config": config}
        )
        _raise_unless_ok(response)

    async def drive(self, action: Literal["start", "stop", "restart", "logout"]) -> WahaSession:
        """Drive the session; start and stop may be repeated."""
        response = await self._request("POST", f"/api/sessions/{self.session}/{action}")
        _raise_unless_ok(response)
        return _described(read_answer(response))

    async def qr_code(self) -> tuple[str, str]:
        """Mimetype and base64 image of the QR code to scan now."""
        response = await self._request(
            "GET",
            f"/api/{self.session}/auth/qr",
            params={"format": "image"},
            headers={"Accept": "application/json"},
        )
        _raise_unless_ok(response)
        answer = read_answer(response)
        return text(answer.get("mimetype")) or "image/png", text(answer.get("data")) or ""

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return await self._http.request(
                method,
                self._base_url + path,
                json=body,
                params=params,
                headers={**self._headers, **(headers or {})},
                timeout=self._timeouts.control,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise WahaAwayError(f"WAHA did not answer: {type(error).__name__}") from error


def _raise_unless_ok(response: httpx.Response) -> None:
    if response.is_success:
        return
    said = excerpt(response)
    if response.status_code in (401, 403):
        raise WahaRefusedError(f"WAHA answered {response.status_code}: {said}")
    if response.status_code >= 500:
        raise WahaAwayError(f"WAHA answered {response.status_code}: {said}")
    raise WahaRejectedError(
        response.status_code, said, waits_for_session=waits_for_session(response)
    )


def _described(answer: Json) -> WahaSession:
    me = person_id(mapping(answer.get("me")).get("id"))
    return WahaSession(
        status=text(answer.get("status")),
        engine=text(mapping(answer.get("engine")).get("engine")),
        phone=me.value if me and me.kind == "phone" else None,
        config=mapping(answer.get("config")),
    )


def make_http_client() -> httpx.AsyncClient:
    """The process's HTTP client.

    Idle connections are dropped before WAHA would: a request on one just closed would leave its
    outcome unknown.
    """
    return httpx.AsyncClient(
        limits=httpx.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=2.0)
    )
