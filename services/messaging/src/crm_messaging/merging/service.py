"""What becomes of conversations when two contacts are one: pointers change, messages stay.

Locks are taken as docs/adr/0019-conversations.md has it: identities, contacts, sessions,
conversations. The contacts' keeps messages waiting that are on their way to either.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service_kit.cause import Cause
from service_kit.database import Transaction
from shared_events.contacts.contact import ContactIdentity
from shared_events.messaging.session import SessionClosed

from crm_messaging.merging import repository
from crm_messaging.merging.threads import threads_of
from crm_messaging.replicas import merged, people
from crm_messaging.replicas import repository as replicas
from crm_messaging.replicas.models import ContactRef


@dataclass(frozen=True, slots=True)
class Merge:
    """Two contacts of a company that are one, as is told of them; `identities` are those told.

    The loser says whom it is merged into.
    """

    winner: ContactRef
    loser: ContactRef
    identities: Sequence[ContactIdentity]
    cause: Cause

    @property
    def tenant_id(self) -> str:
        """Whose contacts they are."""
        return self.loser.tenant_id

    @property
    def keys(self) -> set[replicas.ContactKey]:
        """Both of them."""
        return {_key(self.winner), _key(self.loser)}


async def follow(tx: Transaction, merges: Sequence[Merge]) -> None:
    """Give the winners what the losers have, in this order.

    A winner that was merged meanwhile stands for whoever it is by now. What is told twice changes
    nothing the second time.
    """
    for together in _rounds(merges):
        await _follow(tx, together)


async def _follow(tx: Transaction, merges: Sequence[Merge]) -> None:
    """As `follow`, for merges that have nobody in common."""
    merges = await _not_undone(tx, merges)
    if not merges:
        return
    ends = await merged.ends(tx, [_key(merge.winner) for merge in merges])
    pairs = sorted(
        (m.tenant_id, ends.get(_key(m.winner), m.winner.contact_id), m.loser.contact_id)
        for m in merges
    )
    causes = {(m.tenant_id, m.loser.contact_id): m.cause for m in merges}
    await repository.identities(tx, pairs)
    await people.link(
        tx, [(m.tenant_id, one, m.winner.contact_id) for m in merges for one in m.identities]
    )
    told = sorted((ref for m in merges for ref in (m.winner, m.loser)), key=_key)
    await replicas.CONTACTS.insert(tx, told, unless="(tenant_id, contact_id)")
    keys = {(tenant_id, one) for tenant_id, *both in pairs for one in both}
    held = await merged.hold(tx, keys)
    await replicas.CONTACTS.upsert(tx, told, newest="seq")
    ended = await repository.sessions(tx, pairs)
    conversations = await repository.conversations(tx, pairs)
    winners, pointers, why = [], [], {}
    for tenant_id, winner_id, loser_id in pairs:
        winner, loser = held[tenant_id, winner_id], held[tenant_id, loser_id]
        both = [
            each
            for each in conversations
            if each.tenant_id == tenant_id and each.contact_id in (winner_id, loser_id)
        ]
        threads = threads_of(winner, loser, both)
        winners.append(winner.model_copy(update={"threads": threads}))
        pointers += [(each, winner_id) for each in both if each.contact_id == loser_id]
        why[tenant_id, winner_id] = causes[tenant_id, loser_id]
    await repository.point(tx, pointers, [session.id for _, session in ended])
    await replicas.CONTACTS.update(tx, winners, "threads")
    shown = held | {_key(ref): ref for ref in told}
    channels = await replicas.known_channels(tx, ((t, s.channel_id) for t, s in ended))
    for tenant_id, session in ended:
        whose = tenant_id, session.contact_id
        event = SessionClosed(
            session=session,
            contact=replicas.summary(shown[whose]),
            channel=channels[tenant_id, session.channel_id],
        )
        tx.outbox.add(event, session.id, tenant_id=tenant_id, cause=why[whose])


async def _not_undone(tx: Transaction, merges: Sequence[Merge]) -> list[Merge]:
    """Those of whose losers there is no later word that they are contacts of their own again."""
    known = await replicas.known_contacts(tx, [_key(m.loser) for m in merges])
    return [
        m
        for m in merges
        if (was := known.get(_key(m.loser))) is None
        or was.merged_into is not None
        or was.seq <= m.loser.seq
    ]


def _rounds(merges: Sequence[Merge]) -> Iterator[list[Merge]]:
    """As many at a time as have nobody in common with one before them."""
    waiting = list(merges)
    while waiting:
        busy: set[object] = set()
        together: list[Merge] = []
        later: list[Merge] = []
        for merge in waiting:
            (later if busy & merge.keys else together).append(merge)
            busy |= merge.keys
        yield together
        waiting = later


def _key(contact: ContactRef) -> replicas.ContactKey:
    return contact.tenant_id, contact.contact_id
