"""Request headers that decide how a request is carried out."""

import hashlib
import re

from service_kit.errors import MalformedError, PreconditionFailedError

_ETAG = re.compile(r'(?:W/)?"(\d{1,9})(?:-[0-9a-f]{16})?"')
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def idempotency_key(value: str | None) -> str | None:
    """The Idempotency-Key; raises MalformedError when it is empty, too long or unprintable."""
    if value is not None and not _IDEMPOTENCY_KEY.fullmatch(value):
        raise MalformedError(
            "invalid_idempotency_key", "Idempotency-Key takes 1 to 255 printable characters."
        )
    return value


def expected_version(if_match: str | None) -> int | None:
    """The version If-Match demands, by itself or within an ETag of ours; another tag fits none."""
    value = (if_match or "").strip()
    if value in ("", "*"):
        return None
    match = _ETAG.fullmatch(value)
    if match is None:
        raise PreconditionFailedError("stale_version", "If-Match fits no version of this.")
    return int(match[1])


def entity_tag(version: int, content: bytes) -> str:
    """The ETag of what is shown: its version, and what `content` tells beside that version.

    A version counts decisions. What is shown changes without one as well: a message that came moves
    its contact's `last_interaction_at` and its session's `total_messages`.
    """
    return f'"{version}-{hashlib.blake2b(content, digest_size=8).hexdigest()}"'


def unchanged(if_none_match: str | None, etag: str) -> bool:
    """Whether If-None-Match says that the caller has been shown this already."""
    known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return etag in known or known == ["*"]
