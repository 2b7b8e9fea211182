"""HTTP to WAHA servers. Customers say where these are, so nothing they do is trusted."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from service_kit.dialling import open_session
from service_kit.egress import Egress, ForbiddenAddressError
from yarl import URL

from crm_channels_waha.waha.answers import Answer

MAX_ANSWER_BYTES = 4 * 1024 * 1024
_CONNECTIONS_PER_HOST = 100
_CHUNK_BYTES = 256 * 1024
# Shorter than WAHA keeps them: a request on a connection just closed has an unknown outcome.
_IDLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class WahaTimeouts:
    """Seconds each kind of call may take."""

    text: float
    media: float
    control: float
    download: float


class WahaHttp:
    """Calls by the egress rule: complete in time, of bounded size, and never redirected."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        seconds: float,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """The answer to one request, within so many seconds for all of it.

        Raises aiohttp.ClientError, OSError (a timeout is one) or ValueError; `judge_failure` knows
        what they mean. Connecting has half the time, so that a timeout says which half it was.
        """
        typed = {} if body is None else {"Content-Type": "application/json"}
        async with (
            asyncio.timeout(seconds),
            self._opened().request(
                method,
                URL(url, encoded=True).update_query(params),
                data=None if body is None else orjson.dumps(body),
                headers={**typed, **headers},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=seconds / 2),
            ) as response,
        ):
            return Answer(response.status, response.reason or "", await _read(response))

    async def download(
        self,
        url: str,
        into: Callable[[bytes], Awaitable[None]],
        *,
        headers: Mapping[str, str],
        seconds: float,
    ) -> Answer:
        """Hand a file on, piece by piece; an answer other than 200 is read as one to a call.

        Raises as `call`, and what `into` raises.
        """
        if not self._egress.allows_url(url, plain_http=True):
            raise ForbiddenAddressError
        async with (
            asyncio.timeout(seconds),
            self._opened().request(
                "GET",
                URL(url, encoded=True),
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=seconds / 2),
            ) as response,
        ):
            if response.status != 200:
                return Answer(response.status, response.reason or "", await _read(response))
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                await into(chunk)
            return Answer(response.status, response.reason or "", b"")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(
                self._egress, per_host=_CONNECTIONS_PER_HOST, keep_seconds=_IDLE_SECONDS
            )
        return self._session

    async def aclose(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise aiohttp.ClientPayloadError("the answer is too large")
    return bytes(body)
