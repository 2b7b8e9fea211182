"""What contacts tells of people who are one (`shared_events.contacts.merge`)."""

from collections.abc import Iterator, Sequence

from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.contacts.merge import ContactMerged

from crm_messaging.merging import service
from crm_messaging.merging.service import Merge
from crm_messaging.replicas.consumers import copy


async def on_contact_merged(tx: Transaction, events: Sequence[Event[ContactMerged]]) -> None:
    """What the losers have is their winners', in the order it was told."""
    for together in _rounds([_merge(event) for event in events]):
        await service.follow(tx, together)


def _merge(event: Event[ContactMerged]) -> Merge:
    seq, data = event.body.aggregate_seq, event.data
    loser = copy(event.tenant_id, data.loser, seq)
    gone = {"deleted": True, "merged_into": data.winner.id}
    return Merge(
        winner=copy(event.tenant_id, data.winner, seq),
        loser=loser.model_copy(update=gone),
        identities=data.identities,
        cause=event.cause,
    )


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
