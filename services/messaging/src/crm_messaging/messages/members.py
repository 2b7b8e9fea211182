"""How far messages of ours got with each member of a group, within one transaction.

The locks of the messages are held. A member takes the steps delivered < read < played, each with
the time it was first reported, in whatever order they come; a message counts its members.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows
from shared_events.identity import WhatsAppId, parse_whatsapp_id
from shared_events.messaging.message import Message, ReceiptCounts

from crm_messaging.groups import participants
from crm_messaging.messages.models import MessageReceipt
from crm_messaging.messages.receipts import Receipt
from crm_messaging.messages.repository import Said, is_group

_STEPS = ("delivered", "read", "played")
MEMBERS = Rows(MessageReceipt)

MemberKey = tuple[str, UUID, str]
"""Tenant, our id of the message, and who."""

_KNOWN = """
SELECT r.* FROM unnest($1::text[], $2::uuid[], $3::text[]) AS k(tenant_id, message_id, participant)
CROSS JOIN LATERAL (SELECT * FROM message_receipts
    WHERE message_id = k.message_id AND participant = k.participant AND tenant_id = k.tenant_id
    LIMIT 1) AS r
"""


@dataclass(frozen=True, slots=True)
class Member:
    """When a message was delivered to somebody, read and played."""

    delivered: datetime | None = None
    read: datetime | None = None
    played: datetime | None = None

    @property
    def rank(self) -> int:
        """How far it got: the number of steps, those that were skipped among them."""
        ranks = (n for n, step in enumerate(_STEPS, start=1) if getattr(self, step) is not None)
        return max(ranks, default=0)


def participant_of(receipt: Receipt) -> str | None:
    """Who of a group it is from, by the one form of an id that its aliases share."""
    who = parse_whatsapp_id(receipt.participant) if receipt.participant else None
    return WhatsAppId(who.kind, who.canonical).chat_id if who else receipt.participant


def counted(message: Message, before: Member, after: Member) -> Message:
    """The message, after one of its members went on."""
    counts = message.receipts or ReceiptCounts()
    raised = _STEPS[before.rank : after.rank]
    more = {step: getattr(counts, step) + 1 for step in raised}
    changes = {
        "receipts": counts.model_copy(update=more),
        "version": message.version + 1,
        "updated_at": datetime.now(UTC),
    }
    return message.model_copy(update=changes)


@dataclass(slots=True)
class Members:
    """The members whose receipts come; `known` are those that were heard of before.

    Somebody is shown by phone at one time and by hidden id at another: `beside` has the other name,
    and whoever was counted under it is counted no second time.
    """

    known: dict[MemberKey, Member] = field(default_factory=dict)
    beside: Mapping[MemberKey, MemberKey] = field(default_factory=dict)
    _changed: set[MemberKey] = field(default_factory=set)

    @classmethod
    async def of(cls, tx: Transaction, receipts: Iterable[tuple[Said, Receipt]]) -> "Members":
        """What is known of those whose receipts are about to be taken."""
        keys: set[MemberKey] = set()
        groups: dict[UUID, UUID] = {}
        for said, receipt in receipts:
            if cls.takes(said, receipt) and (who := participant_of(receipt)):
                keys.add((said.tenant_id, said.message.id, who))
                if said.message.conversation_id is not None:
                    groups[said.message.id] = said.message.conversation_id
        if not keys:
            return cls()
        people = {(tenant, groups[id_], who) for tenant, id_, who in keys if id_ in groups}
        others = await participants.other_names(tx, people) if people else {}
        beside = {
            (tenant, id_, who): (tenant, id_, other)
            for tenant, id_, who in keys
            if id_ in groups and (other := others.get((tenant, groups[id_], who)))
        }
        tenants, ids, who_ = map(list, zip(*sorted(keys | set(beside.values())), strict=True))
        known = {
            (row.tenant_id, row.message_id, row.participant): Member(
                row.delivered_at, row.read_at, row.played_at
            )
            for row in await MEMBERS.find(tx, _KNOWN, tenants, ids, who_)
        }
        return cls(known, beside)

    @staticmethod
    def takes(said: Said, receipt: Receipt) -> bool:
        """Whether a receipt is a member's of a group that we wrote to."""
        ours = said.message.direction == "outbound" and is_group(said.chat_id)
        return ours and receipt.participant is not None

    def take(self, tenant_id: str, message: Message, receipt: Receipt) -> Message:
        """Let a member take a step; the message as it is then, itself when that is nothing new.

        That it was sent, or not, is no member's to say.
        """
        participant = participant_of(receipt)
        if participant is None or receipt.status not in _STEPS:
            return message
        key = tenant_id, message.id, participant
        if key not in self.known and (other := self.beside.get(key)) in self.known:
            key = other
        before = self.known.get(key, Member())
        if getattr(before, receipt.status) is not None:
            return message
        after = replace(before, **{receipt.status: receipt.at})
        self.known[key] = after
        self._changed.add(key)
        return counted(message, before, after)

    async def save(self, tx: Transaction) -> None:
        """Store how far the members got."""
        if self._changed:
            await MEMBERS.upsert(tx, _rows({key: self.known[key] for key in self._changed}))


def _rows(members: Mapping[MemberKey, Member]) -> list[MessageReceipt]:
    return [
        MessageReceipt.model_construct(
            message_id=message_id,
            participant=participant,
            tenant_id=tenant_id,
            delivered_at=member.delivered,
            read_at=member.read,
            played_at=member.played,
        )
        for (tenant_id, message_id, participant), member in members.items()
    ]
