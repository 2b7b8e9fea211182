"""Request headers that decide how a request is carried out."""

import hashlib
import re

from service_kit.errors import ExpectedVersion, MalformedError, PreconditionFailedError
from shared_events.requests import MAX_EXPECTED_VERSIONS

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
# One way to read each character, so that a long one that ends wrong is refused as quickly.
_LIST = re.compile(rf"(?:{_TAG.pattern}[ \t]*)?(?:,[ \t]*(?:{_TAG.pattern}[ \t]*)?)*")
_OURS = re.compile(r'"(\d{1,9})(?:-[0-9a-f]{16})?"')
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def idempotency_key(value: str | None) -> str | None:
    """The Idempotency-Key; raises MalformedError when it is empty, too long or unprintable."""
    if value is not None and not _IDEMPOTENCY_KEY.fullmatch(value):
        raise MalformedError(
            "invalid_idempotency_key", "Idempotency-Key takes 1 to 255 printable characters."
        )
    return value


def expected_version(if_match: str | None) -> ExpectedVersion:
    """The versions If-Match lists, each by itself or within an ETag of ours; None for any.

    Other tags fit none, and neither do weak ones: they are compared strongly (RFC 9110, 13.1.1).
    Raises PreconditionFailedError where none is left, and MalformedError for too many.
    """
    value = (if_match or "").strip()
    if value in ("", "*"):
        return None
    ours = (_OURS.fullmatch(tag) for tag in _listed(value))
    versions = frozenset(int(match[1]) for match in ours if match)
    if not versions:
        raise PreconditionFailedError("stale_version", "If-Match fits no version of this.")
    if len(versions) > MAX_EXPECTED_VERSIONS:
        raise MalformedError(
            "too_many_tags",
            f"If-Match takes at most {MAX_EXPECTED_VERSIONS} tags.",
            limit=MAX_EXPECTED_VERSIONS,
        )
    return versions


def entity_tag(version: int, content: bytes) -> str:
    """The ETag of what is shown: its version, and what `content` tells beside that version.

    A version counts decisions. What is shown changes without one as well: a message that came moves
    its contact's `last_interaction_at` and its session's `total_messages`.
    """
    return f'"{version}-{hashlib.blake2b(content, digest_size=8).hexdigest()}"'


def unchanged(if_none_match: str | None, etag: str) -> bool:
    """Whether If-None-Match says that the caller has been shown this already.

    Tags are compared weakly here (RFC 9110, 13.1.2).
    """
    value = (if_none_match or "").strip()
    return value == "*" or etag in [tag.removeprefix("W/") for tag in _listed(value)]


def _listed(value: str) -> list[str]:
    """The entity tags of a list; none of what is no such list (RFC 9110, 5.6.1 and 8.8.3)."""
    return _TAG.findall(value) if _LIST.fullmatch(value) else []
