"""One gateway is asked for more than it can do: it refuses reads, takes webhooks, and recovers."""

import asyncio
from collections import Counter

import aiohttp
from crm_fakes import examples
from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant, eventually
from e2e.stack import Platform

READS_A_SECOND, LONGEST_SECONDS = 1000, 20
WEBHOOK_SECONDS = 15
"""As long as WAHA waits; on a machine that tests in parallel use up."""


_CONNECTIONS = 500
"""Far fewer than the gateway holds: it should refuse requests, not connections."""


class Reads:
    """Reads of one company at a steady rate, whether they are answered or not."""

    def __init__(self, url: str, credentials: dict[str, str]) -> None:
        self._url = url
        self._headers = {**credentials, "If-None-Match": '"1-0"'}
        self.statuses: Counter[int] = Counter()
        self.without_retry_after = 0

    async def run(self, over: asyncio.Event) -> None:
        """Until it is over, or for so many seconds."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        timeout = aiohttp.ClientTimeout(total=60)
        async with (
            aiohttp.TCPConnector(limit=_CONNECTIONS) as connector,
            aiohttp.ClientSession(connector=connector, timeout=timeout) as http,
            asyncio.TaskGroup() as asking,
        ):
            for number in range(READS_A_SECOND * LONGEST_SECONDS):
                await asyncio.sleep(max(0.0, begun + number / READS_A_SECOND - loop.time()))
                if over.is_set():
                    return
                asking.create_task(self._read(http))

    async def _read(self, http: aiohttp.ClientSession) -> None:
        async with http.get(self._url, headers=self._headers) as answer:
            self.statuses[answer.status] += 1
            self.without_retry_after += (
                answer.status >= 429 and answer.headers.get("Retry-After") is None
            )


class TestOverload:
    async def test_reads_are_refused_and_webhooks_taken(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha, pair=False)
        example = examples.by_name("text_inbound_dm_gows").with_session(channel.waha_session)
        body, headers = example.signed(channel.hmac_key)
        key = await tenant.post("/api-keys", {"name": "Leitura", "scopes": ["contacts.read"]})
        contact = await tenant.post("/contacts", {"name": "Ana"})
        url = f"{platform.gateway_url}/api/v1/contacts/{contact['id']}"
        reads = Reads(url, {"X-Api-Key": key["key"]})
        over = asyncio.Event()
        asking = asyncio.create_task(reads.run(over))

        async def webhook() -> None:
            answer = await tenant.http.post(
                channel.webhook_url, content=body, headers=headers, timeout=WEBHOOK_SECONDS
            )
            assert answer.status_code == 200, answer.text

        async def refused() -> bool:
            await webhook()
            return reads.statuses[503] > 100

        try:
            await eventually(refused, "refused reads", every=0.02)
            for _ in range(50):
                await webhook()
        finally:
            over.set()
        await asking
        assert reads.statuses.keys() <= {200, 304, 429, 503, 504}
        assert not reads.without_retry_after

        async def as_before() -> bool:
            return (await tenant.http.get(url)).status_code == 200

        await eventually(as_before, "answer once the load is over")
