"""Who wrote what, and what customers were told of it: a few bytes a message, for hours of them."""

import asyncio
from array import array
from dataclasses import dataclass, field
from typing import Any

import orjson

from bench.platform import Channel

_ID = "3EB0{:08X}{:012X}"
PREFIX = len(_ID.format(0, 0)) - 12
"""How much of a message's id names its conversation; the rest is its place in there."""


@dataclass
class Conversation:
    """One person writing to one channel: message 0, then 1, each after the last was accepted.

    `highest` is the latest place told so far. `told` holds for each place by which webhook it was
    told first, as the hash of its id; 0 is not yet.
    """

    number: int
    channel: Channel
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    accepted: int = 0
    highest: int = -1
    told: "array[int]" = field(default_factory=lambda: array("q"))

    @property
    def phone(self) -> str:
        """Who writes."""
        return f"55119{self.number:08}"

    @property
    def next_id(self) -> str:
        """WhatsApp's id of the message that is written next."""
        return _ID.format(self.number, self.accepted)

    def tell(self, place: int, webhook_id: str) -> str:
        """Note one delivery; says whether it was "first", "late", "repeated" or "doubled".

        A repeat carries the webhook-id that customers know it by; another id is another message
        to them. Late is what comes first after a later one did.
        """
        self.told.extend([0] * (place + 1 - len(self.told)))
        mark = hash(webhook_id) or 1
        if known := self.told[place]:
            return "repeated" if known == mark else "doubled"
        self.told[place] = mark
        if place < self.highest:
            return "late"
        self.highest = place
        return "first"


@dataclass
class Ledger:
    """All conversations, and what was told of them."""

    conversations: list[Conversation] = field(default_factory=list)
    accepted: int = 0
    delivered: int = 0
    repeated: int = 0
    doubled: int = 0
    late: int = 0

    def accept(self, conversation: Conversation) -> None:
        """A gateway answered 200 to the conversation's next message."""
        conversation.accepted += 1
        self.accepted += 1

    def take(self, content: bytes) -> None:
        """A customer's system: note the webhook in this body."""
        body: dict[str, Any] = orjson.loads(content)
        external_id: str = body["data"]["message"]["external_id"]
        conversation = self.conversations[int(external_id[4:PREFIX], 16)]
        match conversation.tell(int(external_id[PREFIX:], 16), body["id"]):
            case "repeated":
                self.repeated += 1
            case "doubled":
                self.doubled += 1
            case kind:
                self.delivered += 1
                self.late += kind == "late"

    @property
    def written_to(self) -> int:
        """How many conversations there really are."""
        return sum(conversation.accepted > 0 for conversation in self.conversations)

    def __str__(self) -> str:
        return (
            f"accepted {self.accepted}, delivered {self.delivered}, repeated {self.repeated},"
            f" doubled {self.doubled}, out of order {self.late}"
        )
