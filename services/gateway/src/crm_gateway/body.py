"""Reading request bodies within limits of size and time."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from crm_gateway.problems.errors import too_large, too_slow

MAX_BODY_BYTES = 1_048_576
MAX_BODY_SECONDS = 20.0


async def read_body(request: Request, *, seconds: float = MAX_BODY_SECONDS) -> bytes:
    """The raw body; raises HttpError 413 as soon as it is known to exceed MAX_BODY_BYTES, and 408
    when it is not complete within `seconds`: who promises more than is sent must not hold us."""
    try:
        async with asyncio.timeout(seconds):
            return await _read(request)
    except TimeoutError:
        raise too_slow() from None


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise too_large(MAX_BODY_BYTES)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise too_large(MAX_BODY_BYTES)
        if not message.get("more_body"):
            return chunk if not chunks else b"".join([*chunks, chunk])
        chunks.append(chunk)
