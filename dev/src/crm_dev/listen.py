"""`crm-dev listen`: a company's events, forwarded to a program on this machine as webhooks are.

It follows the event stream (docs/architecture.md, "Where things live"), so nothing needs to be
reachable from outside. What the program does not take is said and not sent again.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import httpx

_PREFIX = "whsec_"
_SILENCE_SECONDS = 45.0
"""Three times as long as the stream is silent while nothing happens."""
_MOVING = "moving"


def new_secret() -> str:
    """A secret in the form endpoints have theirs."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """The headers that say who asks: an API key or an access token, which argv would show around.

    Raises LookupError when there is neither.
    """
    if key := environment.get("CRM_API_KEY"):
        return {"X-Api-Key": key}
    if token := environment.get("CRM_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    raise LookupError("set CRM_API_KEY (with events.read) or CRM_TOKEN")


def signed(secret: str, event_id: str, body: bytes, now: int) -> dict[str, str]:
    """The headers of a webhook. Source: the Standard Webhooks specification."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    proof = hmac.digest(key, b"%b.%d.%b" % (event_id.encode(), now, body), hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(now),
        "webhook-signature": "v1," + base64.b64encode(proof).decode(),
        "X-Webhook-Signature": hmac.digest(key, body, hashlib.sha256).hex(),
    }


async def frames(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    """Server-sent events, field by field; comments are left out."""
    found: dict[str, str] = {}
    async for line in lines:
        name, _, value = line.partition(":")
        if name:
            found[name] = value.removeprefix(" ")
        elif not line and found:
            yield found
            found = {}


@dataclass
class Listener:
    """Follows a stream and posts what it reads; `say` shows a line to who watches."""

    client: httpx.AsyncClient
    api: str
    to: str
    secret: str
    who: Mapping[str, str]
    types: list[str] = field(default_factory=list)
    say: Callable[[str], None] = print
    _cursor: str | None = None
    _retry_seconds: float = 1.0

    async def run(self) -> int:
        """Go on over broken connections until the stream is refused, or ends for good."""
        while True:
            try:
                if not await self._follow():
                    return 1
            except httpx.TransportError as error:
                self.say(f"stream: {type(error).__name__}; trying again")
            await asyncio.sleep(self._retry_seconds)

    async def _follow(self) -> bool:
        """One connection; whether another should follow."""
        headers = {**self.who, **({"Last-Event-ID": self._cursor} if self._cursor else {})}
        params = {"types": ",".join(self.types)} if self.types else {}
        url = f"{self.api}/events/stream"
        async with self.client.stream("GET", url, params=params, headers=headers) as stream:
            if not stream.is_success:
                self.say(f"{stream.status_code}: {(await stream.aread()).decode()}")
                return stream.status_code >= 500
            async for frame in frames(stream.aiter_lines()):
                if frame.get("event") == "end":
                    self.say(f"the stream ended: {frame['data']}")
                    return bool(json.loads(frame["data"])["code"] == _MOVING)
                if "data" in frame:
                    await self._forward(frame["data"])
                self._cursor = frame.get("id", self._cursor)
                if "retry" in frame:
                    self._retry_seconds = int(frame["retry"]) / 1000
        return True

    async def _forward(self, data: str) -> None:
        event, body, begun = json.loads(data), data.encode(), time.perf_counter()
        headers = signed(self.secret, event["id"], body, int(time.time()))
        try:
            answer = str(
                (await self.client.post(self.to, content=body, headers=headers)).status_code
            )
        except httpx.TransportError as error:
            answer = type(error).__name__
        took = (time.perf_counter() - begun) * 1000
        self.say(f"{event['timestamp']}  {event['type']:<32} {answer}  {took:.0f} ms")


async def listen(api: str, to: str, secret: str | None, types: list[str]) -> int:
    """Forward until the stream ends for good; returns the exit code."""
    try:
        who = credentials(os.environ)
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    secret = secret or new_secret()
    print(f"signed with {secret}")
    async with httpx.AsyncClient(timeout=httpx.Timeout(10.0, read=_SILENCE_SECONDS)) as client:
        return await Listener(client, api, to, secret, who, types).run()
