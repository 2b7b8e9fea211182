"""Judging what WAHA answered to a send (WAHA contract, send recipe and error bodies)."""

from dataclasses import dataclass

import httpx
import orjson

from crm_channels_waha.waha.ids import bare_id
from crm_channels_waha.waha.reading import Json, items, mapping, text

_EXCERPT = 200


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


Verdict = Accepted | Rejected | Refused | NotSent | Unknown


def judge(response: httpx.Response) -> Verdict:
    """What became of a message, by the answer to its send."""
    status = response.status_code
    if response.is_success:
        return Accepted(sent_id(response))
    reason = f"WAHA answered {status}: {excerpt(response)}"
    if status >= 500 or status == 408:
        return Unknown(reason)
    if status in (401, 403):
        return Refused(reason)
    if status == 429 or waits_for_session(response):
        return NotSent(reason)
    return Rejected("waha_rejected", reason)


def judge_failure(error: httpx.HTTPError | httpx.InvalidURL) -> Verdict:
    """What became of a message whose send got no answer: did the request leave?"""
    reason = f"WAHA did not answer: {type(error).__name__}"
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return NotSent(reason)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return Rejected("waha_rejected", reason)
    return Unknown(reason)


def read_json(response: httpx.Response) -> object:
    """The body, or None when it is not JSON."""
    try:
        value: object = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None
    return value


def read_answer(response: httpx.Response) -> Json:
    """The body as an object; empty when it is none."""
    return mapping(read_json(response))


def sent_id(response: httpx.Response) -> str | None:
    """The bare id of a sent message: `id` as text or object, or NOWEB's `key.id`."""
    answer = read_answer(response)
    return bare_id(answer.get("id")) or bare_id(mapping(answer.get("key")).get("id"))


def waits_for_session(response: httpx.Response) -> bool:
    """Whether WAHA refused because its session is not in the status the call needs."""
    return response.status_code == 422 and bool(items(read_answer(response).get("expected")))


def lacks_method(response: httpx.Response) -> bool:
    """Whether the engine (422) or an older WAHA (404 for the path) does not offer the call."""
    said = excerpt(response).lower()
    if response.status_code == 422:
        return "not implemented" in said
    return response.status_code == 404 and said.startswith("cannot ")


def excerpt(response: httpx.Response) -> str:
    """A short, safe piece of an error. A 500 echoes the request: that part is never read."""
    answer = read_answer(response)
    found = (
        text(answer.get("message"))
        or "; ".join(str(m) for m in items(answer.get("message")))
        or text(answer.get("error"))
        or text(mapping(answer.get("error")).get("message"))
        or text(mapping(answer.get("exception")).get("message"))
        or response.reason_phrase
    )
    return found.replace("\0", "")[:_EXCERPT]
