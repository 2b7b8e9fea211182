"""The load: people of several companies writing through all gateways."""

import asyncio
import random
from urllib.parse import urlsplit

import aiohttp

from bench.http import Client
from bench.load import Latencies, at_rate
from bench.platform import Company
from bench.soak.ledger import Conversation, Ledger

_ANSWER_SECONDS = 10.0
_PAUSE_SECONDS = 1.0


class Crowd:
    """Writes messages at a rate, each conversation's one after the other, until each is accepted.

    Gateways take turns, so that neighbours in a conversation go through different ones.
    """

    def __init__(self, gateways: list[str], ledger: Ledger, chance: random.Random) -> None:
        self._gateways = [(url, Client()) for url in gateways]
        self._ledger = ledger
        self._chance = chance
        self._turn = 0
        self.refused = 0

    async def gather(self, sink_url: str, *, companies: int, channels: int, people: int) -> None:
        """Found the companies with their channels; so many people write to each channel."""
        timeout = aiohttp.ClientTimeout(total=30)
        conversations = self._ledger.conversations
        async with aiohttp.ClientSession(timeout=timeout) as http:
            for _ in range(companies):
                company = Company(self._gateways[0][0], http)
                await company.register(sink_url)
                for _ in range(channels):
                    channel = await company.channel(f"soak-{len(conversations)}")
                    conversations += [
                        Conversation(len(conversations) + n, channel) for n in range(people)
                    ]

    async def write(
        self, *, per_second: float, seconds: float, over: asyncio.Event | None = None
    ) -> Latencies:
        """Write at a steady rate, some people much more than others; returns when all is accepted.

        Latencies count from the planned moment to the 200, retries and the conversation's earlier
        messages included.
        """

        async def one(_: int) -> None:
            conversations = self._ledger.conversations
            # By the cube a tenth of the people write half of the messages: several in one batch.
            chosen = conversations[int(len(conversations) * self._chance.random() ** 3)]
            async with chosen.turn:
                await self._post(chosen)

        return await at_rate(one, per_second=per_second, seconds=seconds, over=over)

    def disperse(self) -> None:
        """Close all connections."""
        for _, client in self._gateways:
            client.close()

    async def _post(self, conversation: Conversation) -> None:
        body, headers = conversation.channel.text(conversation.phone, conversation.next_id)
        path = urlsplit(conversation.channel.webhook_url).path
        while True:
            for _ in self._gateways:
                self._turn += 1
                url, client = self._gateways[self._turn % len(self._gateways)]
                try:
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        status = await client.post(f"{url}{path}", body, headers)
                except (OSError, TimeoutError):
                    status = 0
                if status == 200:
                    self._ledger.accept(conversation)
                    return
                self.refused += 1
            await asyncio.sleep(_PAUSE_SECONDS)
