"""Webhooks out: envelopes, signatures, retries, and the ledger of what was accepted."""

import asyncio
import random
import secrets
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import aiohttp

from crm_fakes.examples import waha_hmac
from crm_fakes.journal import PATIENCE_SECONDS, Journal
from crm_fakes.waha.errors import VERSION
from crm_fakes.waha.faults import Faults

Policy = Literal["constant", "linear", "exponential"]
DEFAULT_RETRIES: dict[str, Any] = {"policy": "constant", "delaySeconds": 2, "attempts": 15}


@dataclass
class Attempt:
    """One POST: the HTTP status, or None and what went wrong; `at` is Unix seconds."""

    at: float
    status: int | None
    error: str | None = None


@dataclass
class Delivery:
    """One event owed to one url, the `seq`-th of all.

    `accepted_at` is Unix seconds, None until a 2xx came.
    """

    seq: int
    request_id: str
    event_id: str
    event: str
    session: str
    url: str
    body: bytes
    headers: dict[str, str]
    state: Literal["pending", "accepted", "gave_up", "dropped"] = "pending"
    attempts: list[Attempt] = field(default_factory=list)
    accepted_at: float | None = None

    @property
    def done(self) -> bool:
        """Whether nothing more will be tried."""
        return self.state != "pending"


def retry_delay(policy: Policy, delay: float, retry: int) -> float:
    """Return seconds before the `retry`-th retry, counted from 1 (docs/waha.md, "Webhooks")."""
    if policy == "linear":
        return delay * retry
    if policy == "exponential":
        return float(delay * 2**retry) * (1 + random.random() * 0.2)
    return delay


class Deliveries:
    """Posts webhooks as WAHA does: each on its own, concurrently, retried in memory.

    `time_scale` multiplies every wait between retries; `timeout` is seconds per POST.
    """

    def __init__(
        self, faults: Faults, *, time_scale: float, timeout: float, limit: int | None
    ) -> None:
        self.ledger: Journal[Delivery] = Journal(limit)
        self._faults = faults
        self._time_scale = time_scale
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._http: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[int, asyncio.Event] = {}

    async def start(self) -> None:
        """Open the HTTP client."""
        connector = aiohttp.TCPConnector(limit=0, ssl=False)  # WAHA verifies no certificates
        self._http = aiohttp.ClientSession(connector=connector, timeout=self._timeout)

    async def stop(self) -> None:
        """Forget every pending delivery, as a restart of WAHA does."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run in the background until `stop`."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def post(
        self, hook: dict[str, Any], session: str, event: str, event_id: str, body: bytes
    ) -> Delivery:
        """Owe `body` to the url of `hook`, an item of `config.webhooks`, and start trying."""
        delivery = Delivery(
            seq=self.ledger.appended + 1,
            request_id=secrets.token_hex(9),
            event_id=event_id,
            event=event,
            session=session,
            url=hook["url"],
            body=body,
            headers={},
        )
        delivery.headers = _headers(hook, delivery.request_id, body)
        self.ledger.append(delivery)
        if self._faults.strike("drop", session, event):
            self._finish(delivery, "dropped")
            return delivery
        self.spawn(self._deliver(delivery, DEFAULT_RETRIES | (hook.get("retries") or {})))
        return delivery

    async def settled(
        self, deliveries: Iterable[Delivery] | None = None, timeout: float = PATIENCE_SECONDS
    ) -> None:
        """Return once every delivery (of those given, or all so far) has ended."""
        for delivery in list(self.ledger if deliveries is None else deliveries):
            if not delivery.done:
                await self.ledger.wait_for(partial(_ended, delivery), timeout)

    async def _deliver(self, delivery: Delivery, retries: dict[str, Any]) -> None:
        await self._suffer_lateness(delivery)
        duplicate = self._faults.strike("duplicate", delivery.session, delivery.event)
        for _ in range(duplicate.copies - 1 if duplicate else 0):
            self.spawn(self._copy(delivery))
        for retry in range(1, int(retries["attempts"]) + 2):
            retry_after = await self._attempt(delivery)
            if retry_after is None:
                self._finish(delivery, "accepted")
                return
            delay = retry_delay(retries["policy"], float(retries["delaySeconds"]), retry)
            if retry <= int(retries["attempts"]):
                await asyncio.sleep(max(delay, retry_after) * self._time_scale)
        self._finish(delivery, "gave_up")

    async def _copy(self, delivery: Delivery) -> None:
        await self._attempt(delivery)

    async def _suffer_lateness(self, delivery: Delivery) -> None:
        if delay := self._faults.strike("delay", delivery.session, delivery.event):
            await asyncio.sleep(delay.seconds or 0.0)
        if reorder := self._faults.strike("reorder", delivery.session, delivery.event):
            overtaken = asyncio.Event()
            self._held[delivery.seq] = overtaken
            try:
                async with asyncio.timeout(reorder.seconds):
                    await overtaken.wait()
            except TimeoutError:
                pass
            finally:
                del self._held[delivery.seq]

    async def _attempt(self, delivery: Delivery) -> float | None:
        """POST once; return None when accepted, else the seconds the receiver asked to wait."""
        if self._http is None:
            raise RuntimeError("deliveries are posted between start and stop only")
        at = time.time()
        try:
            async with self._http.post(
                delivery.url, data=delivery.body, headers=delivery.headers, allow_redirects=False
            ) as response:
                status, asked = response.status, response.headers.get("Retry-After", "")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            delivery.attempts.append(Attempt(at, None, type(error).__name__))
            return 0.0
        delivery.attempts.append(Attempt(at, status))
        if 200 <= status < 300:
            return None
        self.ledger.touch(delivery)
        return float(asked) if asked.isdecimal() else 0.0

    def _finish(self, delivery: Delivery, state: Literal["accepted", "gave_up", "dropped"]) -> None:
        delivery.state = state
        if state == "accepted":
            delivery.accepted_at = time.time()
            for seq, overtaken in self._held.items():
                if seq < delivery.seq:
                    overtaken.set()
        self.ledger.touch(delivery)


def _ended(wanted: Delivery, candidate: Delivery) -> bool:
    return candidate is wanted and candidate.done


def _headers(hook: dict[str, Any], request_id: str, body: bytes) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"WAHA/{VERSION}",
        "X-Webhook-Request-Id": request_id,
        "X-Webhook-Timestamp": str(int(time.time() * 1000)),
    }
    key = (hook.get("hmac") or {}).get("key")
    if key:
        headers["X-Webhook-Hmac"] = waha_hmac(key, body)
        headers["X-Webhook-Hmac-Algorithm"] = "sha512"
    for custom in hook.get("customHeaders") or []:
        headers[custom["name"]] = custom["value"]
    return headers
