"""Server-sent events as bytes. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from collections.abc import Iterable
from typing import Any

import orjson

CHUNK_BYTES = 64 * 1024
"""A page is written in pieces about as large as a socket's buffer, so a slow reader holds few."""


def opening(retry_ms: int) -> bytes:
    """How long to wait before coming back, whenever the connection breaks."""
    return b"retry: %d\n\n" % retry_ms


def beat(cursor: str) -> bytes:
    """A sign of life, and where the reader is although nothing came that it wants."""
    return b": \nid: %b\n\n" % cursor.encode()


def chunks(placed: Iterable[dict[str, Any]]) -> list[bytes]:
    """Events with their cursors (`PlacedEvent`), in pieces to be written one after the other."""
    found: list[bytearray] = []
    for each in placed:
        if not found or len(found[-1]) >= CHUNK_BYTES:
            found.append(bytearray())
        data = orjson.dumps(each["event"])  # in one line: JSON writes line breaks as \\n
        found[-1] += b"id: %b\ndata: %b\n\n" % (each["cursor"].encode(), data)
    return [bytes(chunk) for chunk in found]


def end(code: str, detail: str) -> bytes:
    """Why the stream closes."""
    return b"event: end\ndata: %b\n\n" % orjson.dumps({"code": code, "detail": detail})
