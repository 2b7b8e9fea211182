"""The three ways a company hears of its events, each as it was told, and where they disagree."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import aiohttp
import orjson

from bench.agreement.people import AWAY, Api

Event = dict[str, Any]

_PAUSE_SECONDS = 0.5
_NEXT_BYTES = aiohttp.ClientTimeout(total=None, connect=10, sock_read=40)
"""A stream says something every 15 s; one that is silent for longer is dead."""


class Account:
    """Events in the order in which they were told first; `again` counts those told once more."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.again = 0

    def hear(self, event: Event) -> None:
        """One more, in the envelope that all three share."""
        if event["id"] in self.events:
            self.again += 1
        else:
            self.events[event["id"]] = event


class Reader:
    """Reads the feed and follows the stream, whichever gateway answers."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.streams = 0

    async def read(self, after: str | None, hear: Callable[[Event], None]) -> str:
        """Read the feed to its end; returns the cursor there."""
        while True:
            place = {"after": after} if after else {}
            page = await self._api.ask("GET", "/events", limit="100", **place)
            for event in page["data"]:
                hear(event)
            after = page["next_cursor"]
            if not page["has_more"]:
                return str(after)

    async def keep_reading(self, after: str, account: Account) -> None:
        """Follow the feed by asking again and again, as a program without a stream does."""
        while True:
            after = await self.read(after, account.hear)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def follow(self, after: str, account: Account) -> None:
        """Follow the stream, coming back with Last-Event-ID each time it ends or breaks."""
        while True:
            try:
                async with self._api.request(
                    "GET", "/events/stream", {"Last-Event-ID": after}, timeout=_NEXT_BYTES
                ) as answer:
                    self.streams += answer.status == 200
                    place = after
                    async for line in answer.content:
                        name, _, value = line.decode().rstrip("\n").partition(": ")
                        if name == "id":
                            place = value
                        elif name == "data" and "type" in (event := orjson.loads(value)):
                            account.hear(event)
                            after = place
            except AWAY:
                pass
            await asyncio.sleep(_PAUSE_SECONDS)


def disagreements(log: Account, others: Mapping[str, Account]) -> list[str]:
    """What others told that the log does not hold, missed, or told in another order.

    Stream and feed tell all in the log's order, webhooks what is about the same thing.
    """
    found = []
    for name, other in others.items():
        ids = other.events.keys()
        by = _subject if name == "webhooks" else _everything
        moved = sum(
            _moved(there, here)
            for there, here in zip(
                _threads(log.events.values(), ids, by),
                _threads(other.events.values(), log.events.keys(), by),
                strict=True,
            )
        )
        counted = {
            "missed": len(log.events.keys() - ids),
            "told what the log does not hold": len(ids - log.events.keys()),
            "told out of order": moved,
        }
        found += [f"{name}: {count} {what}" for what, count in counted.items() if count]
    return found


def _threads(
    events: Iterable[Event], only: Iterable[str], by: Callable[[Event], str]
) -> list[list[str]]:
    """Ids that are in `only`, in order, for each thread; threads sorted."""
    kept, threads = set(only), defaultdict[str, list[str]](list)
    for event in events:
        if event["id"] in kept:
            threads[by(event)].append(event["id"])
    return [threads[name] for name in sorted(threads)]


def _moved(there: list[str], here: list[str]) -> int:
    return sum(a != b for a, b in zip(there, here, strict=True))


def _everything(_: Event) -> str:
    return ""


def _subject(event: Event) -> str:
    """What it is about, whose events keep their order: a session, a contact, something else."""
    data = event["data"]
    message, session = data.get("message") or {}, data.get("session") or {}
    if session_id := message.get("session_id") or session.get("id"):
        return str(session_id)
    for noun in ("conversation", "note", "contact", "channel"):
        if isinstance(thing := data.get(noun), dict):
            return f"{noun} {thing.get('id')}"
    return str(event["id"])
