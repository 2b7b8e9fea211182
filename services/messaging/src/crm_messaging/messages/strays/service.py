"""Strays join their conversations, some of one company's at a time."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from service_kit.database import Transaction

from crm_messaging.conversations.repository import id_of
from crm_messaging.messages.repository import is_group
from crm_messaging.messages.strays import repository
from crm_messaging.messages.strays.order import Message, Numbered, Stray, in_order
from crm_messaging.messages.strays.repository import Joined, Joining, Opened, Session
from crm_messaging.replicas import merged
from crm_messaging.replicas.models import ContactRef
from crm_messaging.replicas.repository import ContactKey

Numbers = Sequence[tuple[int, Message]]


async def join(tx: Transaction, limit: int) -> int:
    """Let some of the tenant's strays join their conversations; returns how many did.

    None does while another process is at it. Raises LockNotAvailableError when somebody holds a
    session or a conversation for longer than the transaction waits.
    """
    if not await repository.lead(tx):
        return 0
    strays = await repository.find(tx, limit)
    if not strays:
        return 0
    people = await merged.current(tx, {(tx.tenant_id, stray.contact_id) for stray in strays})
    sessions = await repository.lock_sessions(tx, strays)
    joining = list(_joining(tx.tenant_id, strays, people))
    opened = await repository.open_(tx, joining)
    behind = await repository.behind(tx, joining)
    numbers: dict[UUID, Numbers] = {}
    for each in joining:
        said = in_order(behind[each.id], each.strays)
        first = opened[each.id].seq - len(behind[each.id]) + 1
        numbers[each.id] = list(enumerate(said, start=first))
    await repository.number(tx, numbers)
    await repository.follow(
        tx, [_joined(each, opened[each.id], numbers[each.id], sessions) for each in joining]
    )
    return len(strays)


def _joining(
    tenant_id: str, strays: Sequence[Stray], people: Mapping[ContactKey, ContactRef]
) -> Iterator[Joining]:
    """By conversation: the one that a message would join that is said now."""
    grouped: dict[UUID, list[Stray]] = {}
    for stray in strays:
        person = people[tenant_id, stray.contact_id]
        grouped.setdefault(id_of(stray.channel_id, person, _group(stray)), []).append(stray)
    for id_, theirs in grouped.items():
        group = _group(theirs[0])
        yield Joining(
            id=id_,
            channel_id=theirs[0].channel_id,
            contact_id=None if group else people[tenant_id, theirs[0].contact_id].contact_id,
            chat_id=group,
            strays=theirs,
        )


def _group(stray: Stray) -> str | None:
    return stray.chat_id if is_group(stray.chat_id) else None


def _joined(
    joining: Joining, before: Opened, numbers: Numbers, sessions: Mapping[UUID, Session]
) -> Joined:
    """Read is what somebody had read, and what the company answered."""
    theirs = [sessions[stray.session_id] for stray in joining.strays]
    newest = max(theirs, key=lambda session: (session.is_active, session.started_at))
    return Joined(
        id=joining.id,
        seq=numbers[-1][0],
        read_seq=max(
            [before.read_seq, *(seq for seq, said in numbers if _is_read(said, before.read_seq))]
        ),
        shown_id=before.session_id,
        newest_id=None if joining.chat_id else newest.id,
    )


def _is_read(message: Message, read_seq: int) -> bool:
    if isinstance(message, Numbered):
        return message.seq <= read_seq
    return message.direction == "outbound"
