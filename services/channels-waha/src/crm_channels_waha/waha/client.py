"""Calling WAHA. Bodies are never logged: they are people's messages."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal
from urllib.parse import quote

import aiohttp
from service_kit.egress import ForbiddenAddressError
from shared_events.channels.label import Label
from shared_events.identity import WhatsAppId
from yarl import URL

from crm_channels_waha.waha.answers import (
    Answer,
    NotSent,
    Refused,
    Rejected,
    Unknown,
    Verdict,
    excerpt,
    is_forbidden,
    judge,
    judge_failure,
    lacks_method,
    read_answer,
    read_json,
    waits_for_session,
    what_failed,
)
from crm_channels_waha.waha.changing import Change, compose_change
from crm_channels_waha.waha.content import reachable
from crm_channels_waha.waha.groups import subject_of
from crm_channels_waha.waha.http import WahaHttp, WahaTimeouts
from crm_channels_waha.waha.ids import bare_id, person_id
from crm_channels_waha.waha.labels import label_of
from crm_channels_waha.waha.likeness import is_like
from crm_channels_waha.waha.reading import Json, items, mapping, number, text
from crm_channels_waha.waha.sending import Outgoing, compose
from crm_channels_waha.waha.session import WahaSession

_HISTORY_PAGE = 50
_CLOCK_SKEW_SECONDS = 30


class WahaError(Exception):
    """A call other than a send did not succeed."""


class WahaAwayError(WahaError):
    """WAHA cannot be reached or is failing; worth trying again."""


class WahaForbiddenError(WahaAwayError):
    """Its address may not be dialled: the name leads elsewhere, or an operator has to allow it."""


class WahaRefusedError(WahaError):
    """WAHA does not take our key, or we have none that could be sent."""


class WahaRejectedError(WahaError):
    """WAHA understood and said no; `status` is its HTTP status.

    `waits_for_session`: only because its session is not in the status the call needs.
    """

    def __init__(self, status: int, reason: str, *, waits_for_session: bool) -> None:
        super().__init__(f"WAHA answered {status}: {reason}")
        self.status = status
        self.waits_for_session = waits_for_session


class Waha:
    """One WAHA session on one server, with the key to it."""

    def __init__(
        self,
        http: WahaHttp,
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
        seconds = self._timeouts.media if has_file else self._timeouts.text
        return await self._judged("POST", path, body, seconds)

    async def change(self, change: Change) -> Verdict:
        """Change a message that is on WhatsApp."""
        method, path, body = compose_change(change, self.session)
        return await self._judged(method, path, body, self._timeouts.text)

    async def _judged(
        self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float
    ) -> Verdict:
        try:
            answer = await self._http.call(
                method,
                self._base_url + path,
                headers=self._headers,
                seconds=seconds,
                body=body,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return judge_failure(error)
        return judge(answer)

    async def find_number(self, phone: str) -> str | None:
        """The chat of a phone's digits as WhatsApp writes it, None where nobody has that number.

        Raises WahaError when WAHA cannot say. Asking much of this may cost the number.
        """
        answer = await self._request(
            "GET",
            "/api/contacts/check-exists",
            params={"phone": phone, "session": self.session},
        )
        _raise_unless_ok(answer)
        found = read_answer(answer)
        match found.get("numberExists"):
            case False:
                return None
            case True:
                who = person_id(found.get("chatId")) or WhatsAppId("phone", phone)
                return who.chat_id
        raise WahaAwayError("WAHA did not say whether the number exists")

    async def send_seen(self, chat_id: str) -> None:
        """Show that all that was said in a chat lately was read. Raises WahaError."""
        await self._show("/api/sendSeen", chat_id)

    async def show_typing(self, chat_id: str, *, typing: bool) -> None:
        """Show in a chat that we type, or do no longer. Raises WahaError."""
        await self._show("/api/startTyping" if typing else "/api/stopTyping", chat_id)

    async def reject_call(self, chat_id: str, call_id: str) -> None:
        """Reject what rings. Raises WahaError."""
        path, body = f"/api/{self.session}/calls/reject", {"from": chat_id, "id": call_id}
        _raise_unless_ok(await self._request("POST", path, body=body))

    async def _show(self, path: str, chat_id: str) -> None:
        body = {"session": self.session, "chatId": chat_id}
        _raise_unless_ok(await self._request("POST", path, body=body))

    async def text_of(self, chat_id: str, external_id: str) -> str | None:
        """What a message in the chat's history says. Raises WahaError when WAHA cannot say."""
        path = f"/api/{self.session}/chats/{quote(chat_id, '')}/messages/{quote(external_id, '')}"
        answer = await self._request("GET", path, params={"downloadMedia": "false"})
        _raise_unless_ok(answer)
        return text(read_answer(answer).get("body"))

    async def download(self, url: str, into: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand on the file a link leads to; our key goes to WAHA itself and to nobody else.

        Raises WahaRejectedError for a link that is dead, WahaError, and what `into` raises.
        """
        try:
            ours = URL(url, encoded=True).origin() == URL(self._base_url).origin()
            answer = await self._http.download(
                url,
                into,
                headers=self._headers if ours else {},
                seconds=self._timeouts.download,
            )
        except (aiohttp.ClientError, TimeoutError, ForbiddenAddressError, ValueError) as error:
            # Other errors of the system are of our own disk and store.
            kind = WahaForbiddenError if is_forbidden(error) else WahaAwayError
            raise kind(f"WAHA gave no file: {what_failed(error)}") from error
        if answer.status in (401, 403) and not ours:
            raise WahaRejectedError(answer.status, "expired", waits_for_session=False)
        _raise_unless_ok(answer)
        if answer.status != 200:
            raise WahaAwayError(f"WAHA gave no file: {answer.status}")

    async def file_of(self, chat_id: str, external_id: str) -> str | None:
        """A new link to a message's file, which WAHA loads again; None when it gives none.

        Raises WahaError when WAHA cannot say.
        """
        path = f"/api/{self.session}/chats/{quote(chat_id, '')}/messages/{quote(external_id, '')}"
        answer = await self._request(
            "GET", path, params={"downloadMedia": "true"}, seconds=self._timeouts.download
        )
        _raise_unless_ok(answer)
        url = text(mapping(read_answer(answer).get("media")).get("url"))
        return reachable(url, self._base_url) if url else None

    async def profile_picture(self, chat_id: str) -> str | None:
        """A link to somebody's picture, as WAHA has it or asks WhatsApp; None where they show none.

        WAHA keeps its answer for a day: asking it to look anew (`refresh`) may cost the number.
        Raises WahaError when WAHA cannot say.
        """
        answer = await self._request(
            "GET",
            "/api/contacts/profile-picture",
            params={"contactId": chat_id, "session": self.session},
        )
        _raise_unless_ok(answer)
        url = text(read_answer(answer).get("profilePictureURL"))
        return reachable(url, self._base_url) if url else None

    async def group_subject(self, chat_id: str) -> str | None:
        """What a group is called; None where WAHA does not say. Raises WahaError when it cannot."""
        answer = await self._request("GET", f"/api/{self.session}/groups/{quote(chat_id, '')}")
        _raise_unless_ok(answer)
        return subject_of(read_answer(answer))

    async def new_message_id(self) -> str | NotSent | Refused | None:
        """An id to send under, or None where the engine has no such thing; nothing is sent."""
        try:
            answer = await self._request("GET", f"/api/{self.session}/new-message-id")
        except WahaAwayError as error:
            return NotSent(str(error))
        if answer.is_success:
            return bare_id(read_answer(answer).get("id"))
        if lacks_method(answer):
            return None
        verdict = judge(answer)
        if isinstance(verdict, Refused | NotSent):
            return verdict
        if isinstance(verdict, Unknown):
            return NotSent(verdict.reason)
        return None  # let the send itself say what is wrong

    async def has_message(self, chat_id: str, external_id: str) -> bool:
        """Whether this message is in the chat's history. Raises WahaError when WAHA cannot say."""
        path = f"/api/{self.session}/chats/{quote(chat_id, '')}/messages/{quote(external_id, '')}"
        answer = await self._request("GET", path, params={"downloadMedia": "false"})
        if answer.status == 404 and "message not found" in excerpt(answer).lower():
            return False
        _raise_unless_ok(answer)
        return bare_id(read_answer(answer).get("id")) is not None

    async def find_sent(self, message: Outgoing, since_seconds: float) -> list[str]:
        """Bare ids of our messages like this one in its chat since then, oldest first.

        Raises WahaError when WAHA cannot say.
        """
        since = since_seconds - _CLOCK_SKEW_SECONDS
        answer = await self._request(
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
        _raise_unless_ok(answer)
        found = [
            bare_id(candidate.get("id"))
            for candidate in map(mapping, items(read_json(answer)))
            if candidate.get("fromMe") is True
            and is_like(message, candidate)
            and (number(candidate.get("timestamp")) or 0) >= int(since)
        ]
        return [external_id for external_id in reversed(found) if external_id]

    async def chats(self, *, offset: int, limit: int) -> list[Json]:
        """A page of the session's chats, newest first. Raises WahaError when WAHA cannot say."""
        return await self._page("chats/overview", {"offset": str(offset), "limit": str(limit)})

    async def history(
        self, chat_id: str, *, offset: int, limit: int, since: float | None, until: float
    ) -> list[Json]:
        """A page of what was said in a chat between two times, newest first, without files.

        Some engines leave out after paging what is not wanted: a page with less than `limit`, or
        with nothing, need not be the last. Raises WahaError when WAHA cannot say.
        """
        params = {
            "offset": str(offset),
            "limit": str(limit),
            "downloadMedia": "false",
            "sortBy": "timestamp",
            "sortOrder": "desc",
            "filter.timestamp.lte": str(int(until)),
        }
        if since is not None:
            params["filter.timestamp.gte"] = str(int(since))
        return await self._page(f"chats/{quote(chat_id, '')}/messages", params)

    async def labels(self) -> list[Label]:
        """The account's labels. Raises WahaError when WAHA cannot say."""
        return [label for one in await self._page("labels", {}) if (label := label_of(one))]

    async def _page(self, path: str, params: Mapping[str, str]) -> list[Json]:
        answer = await self._request(
            "GET",
            f"/api/{self.session}/{path}",
            params=params,
            seconds=self._timeouts.text,
        )
        _raise_unless_ok(answer)
        found = read_json(answer)
        if not isinstance(found, list):  # somebody else answered: nothing is not the end
            raise WahaAwayError("WAHA gave no list")
        return [mapping(one) for one in found]

    async def phone_of_lid(self, lid: str) -> str | None:
        """The phone's digits behind a hidden id's digits; None while WAHA does not know."""
        answer = await self._request("GET", f"/api/{self.session}/lids/{quote(lid + '@lid', '')}")
        _raise_unless_ok(answer)
        found = person_id(read_answer(answer).get("pn"))
        return found.value if found and found.kind == "phone" else None

    async def describe(self) -> WahaSession | None:
        """The session, or None if WAHA has none of this name."""
        answer = await self._request("GET", f"/api/sessions/{self.session}")
        if answer.status == 404:
            return None
        _raise_unless_ok(answer)
        described = read_answer(answer)
        if text(described.get("status")) is None:
            # Somebody else answered. Its config would read as empty, and be written back so.
            raise WahaAwayError("WAHA did not describe its session")
        return WahaSession.read(described)

    async def create(self, config: Mapping[str, Any]) -> WahaSession:
        """Create and start the session."""
        body = {"name": self.session, "config": config, "start": True}
        answer = await self._request("POST", "/api/sessions", body=body)
        _raise_unless_ok(answer)
        return WahaSession.read(read_answer(answer))

    async def configure(self, config: Mapping[str, Any]) -> None:
        """Replace the whole config; WAHA restarts a running session for it."""
        answer = await self._request(
            "PUT", f"/api/sessions/{self.session}", body={"config": config}
        )
        _raise_unless_ok(answer)

    async def drive(self, action: Literal["start", "stop", "restart", "logout"]) -> WahaSession:
        """Drive the session; start and stop may be repeated."""
        answer = await self._request("POST", f"/api/sessions/{self.session}/{action}")
        _raise_unless_ok(answer)
        return WahaSession.read(read_answer(answer))

    async def qr_code(self) -> tuple[str, str]:
        """Mimetype and base64 image of the QR code to scan now."""
        answer = await self._request(
            "GET",
            f"/api/{self.session}/auth/qr",
            params={"format": "image"},
            headers={"Accept": "application/json"},
        )
        _raise_unless_ok(answer)
        code = read_answer(answer)
        return text(code.get("mimetype")) or "image/png", text(code.get("data")) or ""

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Answer:
        try:
            return await self._http.call(
                method,
                self._base_url + path,
                headers={**self._headers, **(headers or {})},
                seconds=seconds or self._timeouts.control,
                params=params,
                body=body,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            kind = WahaForbiddenError if is_forbidden(error) else WahaAwayError
            raise kind(f"WAHA did not answer: {what_failed(error)}") from error


def _raise_unless_ok(answer: Answer) -> None:
    if answer.is_success:
        return
    said = excerpt(answer)
    if answer.status in (401, 403):
        raise WahaRefusedError(f"WAHA answered {answer.status}: {said}")
    if answer.status >= 500:
        raise WahaAwayError(f"WAHA answered {answer.status}: {said}")
    raise WahaRejectedError(answer.status, said, waits_for_session=waits_for_session(answer))
