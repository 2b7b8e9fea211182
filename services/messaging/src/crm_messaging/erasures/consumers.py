"""Hearing of an erasure: the person's identities lead elsewhere from here on."""

from collections.abc import Sequence
from operator import itemgetter

from service_kit import forgotten
from service_kit.database import Transaction
from service_kit.erasing import Erasures
from service_kit.incoming import Event
from shared_events.contacts.erasure import ErasureStarted
from shared_events.identity import Forgotten, WhatsAppId
from shared_events.services import MESSAGING

from crm_messaging.replicas import repository
from crm_messaging.replicas.models import ContactRef

_IDENTITIES = """
DELETE FROM identity_refs r USING unnest($1::text[], $2::uuid[]) AS k(tenant_id, contact_id)
WHERE r.tenant_id = k.tenant_id AND r.contact_id = k.contact_id
"""


class Forgetting:
    """Forgets who the person was, and has `tasks` empty what was said with them."""

    def __init__(self, tasks: Erasures) -> None:
        self._tasks = tasks

    async def on_started(self, tx: Transaction, events: Sequence[Event[ErasureStarted]]) -> None:
        """Identities first, as everywhere; then the replicas, then the task."""
        ours = [e for e in events if MESSAGING.name in e.data.services]
        if not ours:
            return
        people = {
            (e.tenant_id, one): e for e in ours for one in (e.data.contact_id, *e.data.merged)
        }
        await tx.execute(_IDENTITIES, [tenant for tenant, _ in people], [one for _, one in people])
        await forgotten.add(
            tx,
            [
                (
                    (e.tenant_id, WhatsAppId(i.kind, i.value).key),
                    Forgotten(i.next_contact_id, e.data.erased_at),
                )
                for e in ours
                for i in e.data.identities
            ],
        )
        gone = {
            key: ContactRef(
                tenant_id=e.tenant_id,
                contact_id=key[1],
                name="",
                phone=None,
                profile_picture_url=None,
                search_text="",
                deleted=True,
                merged_into=None if key[1] == e.data.contact_id else e.data.contact_id,
                seq=e.body.aggregate_seq,
            )
            for key, e in sorted(people.items(), key=itemgetter(0))
        }
        await repository.CONTACTS.upsert(tx, gone.values(), newest="seq")
        await self._tasks.on_started(tx, ours)
