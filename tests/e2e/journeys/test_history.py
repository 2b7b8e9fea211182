"""The history of a number is imported whole, whoever is killed meanwhile, and however often."""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Message
from crm_fakes.waha.sessions import WahaSession

from e2e.crm import BusyError, Json, Tenant, eventually
from e2e.stack import Platform

MESSAGES = int(os.environ.get("HISTORY_MESSAGES", "3000"))
"""`make history-kills` has 100,000."""
CHATS = 6
KILLS = 10
PATIENCE_SECONDS = 120 + MESSAGES / 20
"""A process takes its time to begin, and a job that stands still is found 15 s later."""


def said_before(waha: WahaSimulator, name: str) -> dict[str, list[str]]:
    """What several people said before anybody listened, one message a second; texts by phone.

    Every third is ours, so that both sides are read.
    """
    session: WahaSession = waha.session(name)
    said: dict[str, list[str]] = {f"551196666{n:04}": [] for n in range(CHATS)}
    begun = int(time.time()) - MESSAGES - 60
    for n in range(MESSAGES):
        phone = list(said)[n % CHATS]
        said[phone].append(f"mensagem {n}")
        message = Message(
            bare_id=f"OLD{n:08}",
            session=name,
            chat=f"{phone}@c.us",
            from_me=n % 3 == 0,
            kind="text",
            text=said[phone][-1],
            timestamp=begun + n,
            push_name="Maria",
        )
        waha.remember(session, message)
    return said


class Import:
    """An import of a channel's history, looked at from outside: a killed service is waited for."""

    def __init__(self, platform: Platform, tenant: Tenant, channel_id: str, job: Json) -> None:
        self._platform = platform
        self._tenant = tenant
        self._channel_id = channel_id
        self._path = f"/history-imports/{job['id']}"

    async def job(self) -> Json | None:
        """How far its reading is; None while nobody says."""
        try:
            found: Json = await self._tenant.get(self._path)
        except BusyError:
            return None
        return found

    async def read(self) -> int:
        """How many messages were read."""
        job = await self.job()
        assert job is None or job["finished_at"] is None, "over before all kills"
        return int(job["messages"]) if job else 0

    async def stored(self) -> int:
        """How many messages are stored: conversations have no gaps."""
        try:
            found = [await self._length(row) for row in await self.conversations()]
        except BusyError:
            return 0
        return sum(found)

    async def conversations(self) -> list[Json]:
        return await self._tenant.rows("/conversations", channel_id=self._channel_id)

    async def messages(self, conversation: Json) -> list[Json]:
        """What was said, the oldest first."""
        path = f"/conversations/{conversation['id']}/messages"
        return await self._tenant.rows(path, direction="forward")

    async def _length(self, conversation: Json) -> int:
        path = f"/conversations/{conversation['id']}/messages"
        first = await self._tenant.get(path, direction="forward", limit=1)
        return int(conversation["seq"]) - int(first["data"][0]["seq"]) + 1

    async def killing(
        self, service: str, moments: Sequence[int], progress: Callable[[], Awaitable[int]]
    ) -> None:
        """Kill a service once it got so far, and again when it is back, for each of the moments."""
        for moment in moments:

            async def is_due(moment: int = moment) -> bool:
                return await progress() >= moment

            what = f"{service} at {moment}"
            await eventually(is_due, what, seconds=PATIENCE_SECONDS, every=0.05)
            self._platform.kill(service)
            await self._platform.healthy(service, seconds=PATIENCE_SECONDS)

    async def over(self) -> Json:
        """What came of it."""

        async def look() -> Json | None:
            job = await self.job()
            return job if job and job["finished_at"] else None

        return await eventually(look, "end of the import", seconds=PATIENCE_SECONDS, every=0.5)


class TestKilledTenTimes:
    @pytest.mark.timeout(3600)  # each kill costs a start, and the look for jobs that stand still
    async def test_has_each_message_once_and_in_its_place(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha)
        said = said_before(waha, channel.waha_session)
        begun = await tenant.post(f"/channels/{channel.id}/history-imports")
        of = Import(platform, tenant, channel.id, begun)
        chance = random.Random(begun["id"])
        reading, storing = (
            sorted(chance.sample(range(1, MESSAGES // 2), KILLS // 2)) for _ in range(2)
        )
        await asyncio.gather(
            of.killing("channels-waha", reading, of.read),
            of.killing("messaging", storing, of.stored),
        )
        ended = await of.over()
        assert (ended["state"], ended["errors"], ended["done"]) == ("completed", 0, CHATS)

        async def all_stored() -> bool:
            return await of.stored() >= MESSAGES

        await eventually(all_stored, "all of it stored", seconds=PATIENCE_SECONDS, every=1)
        for conversation in await of.conversations():
            messages = await of.messages(conversation)
            phone = conversation["contact"]["phone"].lstrip("+")
            assert [message["content"] for message in messages] == said.pop(phone)
            places = [message["seq"] for message in messages]
            assert places == list(range(places[0], places[0] + len(places)))
        assert said == {}
