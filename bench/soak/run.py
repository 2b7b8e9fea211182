"""One soak from its first message to its judgement."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

from crm_dev.state import StackState

from bench.http import SinkConnection
from bench.load import Latencies
from bench.soak.crowd import Crowd
from bench.soak.ledger import Ledger
from bench.soak.memory import Growth, Memory
from bench.soak.stored import AWAY, Stored, judge
from bench.soak.storm import GoneError, Storm, plan

_LOOK_SECONDS = 0.5

Tell = Callable[[str], None]
Event = Coroutine[None, None, None]


@dataclass(frozen=True)
class Wish:
    """What a soak is to be. The last part of it is calm, so that memory can be watched.

    `patience`: how many seconds nothing may move before what is missing counts as lost; longer
    than the lease of a delivery that a killed process held.
    """

    seconds: float
    per_second: float
    kill_every: float
    calm_seconds: float = 0.0
    broker_restarts: int = 2
    database_restarts: int = 1
    companies: int = 4
    channels: int = 2
    people: int = 25
    patience: float = 120.0
    seed: int = 0


@dataclass(frozen=True)
class Verdict:
    """What became of everything that was accepted."""

    ledger: Ledger
    stored: Stored
    accepting: Latencies
    refused: int
    kills: int
    restarts: int
    settled_seconds: float
    gone: str
    growths: list[Growth]

    @property
    def undelivered(self) -> int:
        """Accepted and never told."""
        return self.ledger.accepted - self.ledger.delivered

    @property
    def faults(self) -> list[str]:
        """Every promise that was broken; a repeat under its own webhook-id is none."""
        written_to = self.ledger.written_to
        counted = {
            "lost before the database": self.stored.lost,
            "lost on the way to the customer": self.undelivered,
            "stored twice": self.stored.doubled,
            "told twice as something new": self.ledger.doubled,
            "stored out of order": self.stored.moved,
            "told out of order": self.ledger.late,
            "conversations without exactly one active session": self.stored.wrong_sessions,
            "conversations too many or too few": abs(self.stored.conversations - written_to),
        }
        found = [f"{count} {what}" for what, count in counted.items() if count]
        return [*found, self.gone] if self.gone else found

    def __str__(self) -> str:
        """The end's figures, one a line."""
        ledger, stored = self.ledger, self.stored
        lines = {
            "accepted": f"{ledger.accepted}   {self.accepting}   refused {self.refused} times",
            "stored": f"{stored.messages}   doubled {stored.doubled}, lost {stored.lost}",
            "delivered": f"{ledger.delivered}   doubled {ledger.doubled}, lost {self.undelivered},"
            f" repeated under their webhook-id {ledger.repeated}",
            "order breaks": f"stored {stored.moved}, delivered {ledger.late}",
            "conversations": f"{stored.conversations} of {ledger.written_to},"
            f" {stored.wrong_sessions} without exactly one active session",
            "storm": f"{self.kills} processes killed, {self.restarts} servers restarted",
            "settled": f"{self.settled_seconds:.1f} s after the last message",
        }
        shown = [f"{name:<18}{value}" for name, value in lines.items()]
        return "\n".join([*shown, "memory", *(f"  {growth}" for growth in self.growths)])


class Soak:
    """A soak of the stack that keeps its state in `directory`; `tell` gets a line now and then.

    `instead` happens in place of the kills and restarts of the wish; writing ends with it. It may
    raise GoneError.
    """

    def __init__(
        self, directory: Path, wish: Wish, tell: Tell, instead: Callable[[], Event] | None = None
    ) -> None:
        state = StackState.load(directory / "state.json")
        if state is None:
            raise ValueError(f"no stack in {directory}")
        self._database_url = state.addresses.database_url
        self._wish = wish
        self._tell = tell
        self._instead = instead
        self._over = asyncio.Event()
        self._ledger = Ledger()
        chance = random.Random(wish.seed)
        self._crowd = Crowd(state.addresses.gateway_urls, self._ledger, chance)
        self._storm = Storm(directory, chance, lambda blow: tell(f"{'':8}{blow}"))
        self._memory = Memory(directory)
        self._gone = ""

    async def run(self) -> Verdict:
        """Write, strike, wait until all is told or nothing moves any more, and judge."""
        loop, wish = asyncio.get_running_loop(), self._wish
        sink = await loop.create_server(lambda: SinkConnection(self._ledger.take), "127.0.0.1", 0)
        host, port = sink.sockets[0].getsockname()[:2]
        await self._crowd.gather(
            f"http://{host}:{port}/",
            companies=wish.companies,
            channels=wish.channels,
            people=wish.people,
        )
        storm = asyncio.create_task(self._noting(self._happen()))
        beside = [asyncio.create_task(work()) for work in (self._memory.watch, self._count)]
        try:
            accepting = await self._crowd.write(
                per_second=wish.per_second, seconds=wish.seconds, over=self._over
            )
            written = loop.time()
            await storm
            await self._settle()
            settled = loop.time()
            await self._noting(self._storm.passed())
        finally:
            for task in (storm, *beside):
                task.cancel()
            await asyncio.wait([storm, *beside])
            sink.close()
            self._crowd.disperse()
        return Verdict(
            ledger=self._ledger,
            stored=await judge(self._database_url, self._ledger),
            accepting=accepting,
            refused=self._crowd.refused,
            kills=self._storm.kills,
            restarts=self._storm.restarts,
            settled_seconds=settled - written,
            gone=self._gone,
            growths=self._memory.growths,
        )

    async def _happen(self) -> None:
        if self._instead is not None:
            try:
                await self._instead()
            finally:
                self._over.set()
            return
        wish = self._wish
        blows = plan(
            wish.seconds - wish.calm_seconds,
            every=wish.kill_every,
            broker=wish.broker_restarts,
            database=wish.database_restarts,
        )
        await self._storm.rage(blows)

    async def _noting(self, part: Event) -> None:
        """Go on to the judgement, whatever did not come back."""
        try:
            await part
        except GoneError as error:
            self._gone = str(error)
            self._tell(self._gone)

    async def _count(self) -> None:
        """Tell once a minute how far everything is."""
        minute = 0
        while True:
            await asyncio.sleep(60)
            minute += 1
            try:
                so_far = str(await judge(self._database_url, self._ledger))
            except AWAY:
                so_far = "the database is away"
            self._tell(f"{minute:4} min  {self._ledger}, {so_far}, {self._memory}")

    async def _settle(self) -> None:
        """Wait until everything that was accepted is told, as long as something still moves."""
        loop, ledger = asyncio.get_running_loop(), self._ledger
        moved, last = loop.time(), -1
        while ledger.delivered < ledger.accepted and loop.time() < moved + self._wish.patience:
            if ledger.delivered != last:
                moved, last = loop.time(), ledger.delivered
            await asyncio.sleep(_LOOK_SECONDS)
