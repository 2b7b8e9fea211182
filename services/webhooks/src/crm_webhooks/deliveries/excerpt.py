"""What is kept of a receiver's answer: its beginning, without what we sent in confidence."""

import re
from collections.abc import Mapping

import orjson

from crm_webhooks.endpoints.rules import HIDDEN

MAX_BODY_BYTES = 64 * 1024
_OF_SUCCESS, _OF_FAILURE = 256, 8192

_NO_SECRETS = frozenset(
    {"content-type", "user-agent", "webhook-id", "webhook-timestamp", "x-request-id", "traceparent"}
)
_WORD = re.compile(r"[^\s,]{8,}")
_SHORTEST = 4  # what is shorter is no secret, and hiding it would leave nothing to read


def excerpt(body: bytes, sent: Mapping[str, str], *, delivered: bool) -> str | None:
    """The answer's beginning as text; None when there is none.

    `body` is its first MAX_BODY_BYTES. Receivers echo requests: the values of the headers that
    were `sent`, signatures too, are hidden.
    """
    if not body:
        return None
    text = body.decode("utf-8", "replace").replace("\x00", "")
    secrets = sorted(_secrets(sent), key=len, reverse=True)
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    if len(body) == MAX_BODY_BYTES and secrets:
        text = text[: -len(secrets[0])]  # it may end within an echo
    return text[: _OF_SUCCESS if delivered else _OF_FAILURE] or None


def _secrets(sent: Mapping[str, str]) -> set[str]:
    """Values whole and word by word (`Bearer x` may come back as `x`), as they are and as JSON."""
    values = {value for name, value in sent.items() if name.lower() not in _NO_SECRETS}
    values |= {word for value in values for word in _WORD.findall(value)}
    values |= {orjson.dumps(value).decode()[1:-1] for value in values}
    return {value for value in values if len(value) >= _SHORTEST}
