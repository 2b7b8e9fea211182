"""Judging what WAHA answered to a send (docs/waha.md, "Errors")."""

from dataclasses import dataclass

import aiohttp
from service_kit.egress import ForbiddenAddressError

from crm_channels_waha.waha import reading
from crm_channels_waha.waha.ids import bare_id
from crm_channels_waha.waha.reading import Json, items, mapping, text
from crm_channels_waha.waha.restriction import is_told_by

_EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    reason: str
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether WAHA did it: any 2xx."""
        return self.status // 100 == 2


@dataclass(frozen=True, slots=True)
class Accepted:
    """WhatsApp has it. Now and then the answer names no id: then the echo will."""

    external_id: str | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """It was not sent and never will be."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """WAHA does not take our key: nothing was sent, nothing of this channel can be."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing was sent; the same request may succeed later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """WhatsApp may have it. Sending again could double it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Restricted(Unknown):
    """The same, and WhatsApp restricts the account."""


Verdict = Accepted | Rejected | Refused | NotSent | Unknown


def judge(answer: Answer) -> Verdict:
    """What became of a message, by the answer to its send."""
    status = answer.status
    if answer.is_success:
        return Accepted(sent_id(answer))
    reason = f"WAHA answered {status}: {excerpt(answer)}"
    if status >= 500 or status == 408:
        return Restricted(reason) if is_told_by(excerpt(answer)) else Unknown(reason)
    if status in (401, 403):
        return Refused(reason)
    if status == 429 or waits_for_session(answer):
        return NotSent(reason)
    return Rejected("waha_rejected", reason)


def judge_failure(error: Exception) -> Verdict:
    """What became of a message whose send got no answer: did the request leave?

    Without a connection it did not; a connection refused, an address that may not be dialled, a
    certificate nobody trusts and a wait for a free connection are alike in that.
    """
    reason = f"WAHA did not answer: {what_failed(error)}"
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return NotSent(reason)
    if isinstance(error, aiohttp.InvalidURL):
        return Rejected("waha_rejected", reason)
    return Unknown(reason)


def is_forbidden(error: Exception) -> bool:
    """Whether the egress rule was in the way."""
    return isinstance(getattr(error, "os_error", error), ForbiddenAddressError)


def what_failed(error: Exception) -> str:
    """A failure in words that name no address."""
    return str(ForbiddenAddressError()) if is_forbidden(error) else type(error).__name__


def read_json(answer: Answer) -> object:
    """The body, or None when it is not JSON."""
    try:
        return reading.read_json(answer.body)
    except reading.UnreadableError:
        return None


def read_answer(answer: Answer) -> Json:
    """The body as an object; empty when it is none."""
    return mapping(read_json(answer))


def sent_id(answer: Answer) -> str | None:
    """The bare id of a sent message: `id` as text or object, or NOWEB's `key.id`."""
    body = read_answer(answer)
    return bare_id(body.get("id")) or bare_id(mapping(body.get("key")).get("id"))


def waits_for_session(answer: Answer) -> bool:
    """Whether WAHA refused because its session is not in the status the call needs."""
    return answer.status == 422 and bool(items(read_answer(answer).get("expected")))


def lacks_method(answer: Answer) -> bool:
    """Whether the engine (422) or an older WAHA (404 for the path) does not offer the call."""
    said = excerpt(answer).lower()
    if answer.status == 422:
        return "not implemented" in said
    return answer.status == 404 and said.startswith("cannot ")


def excerpt(answer: Answer) -> str:
    """A short, safe piece of an error. A 500 echoes the request: that part is never read."""
    body = read_answer(answer)
    found = (
        text(body.get("message"))
        or "; ".join(str(m) for m in items(body.get("message")))
        or text(body.get("error"))
        or text(mapping(body.get("error")).get("message"))
        or text(mapping(body.get("exception")).get("message"))
        or answer.reason
    )
    return found.encode("utf-8", "replace").decode().replace("\0", "")[:_EXCERPT]
