"""Contacts that only we know: a message came before we were told whose its number is.

Of a number that nobody has on record the rule makes a contact (docs/architecture.md, "Identity").
Where an agent had given it to somebody by then, contacts made none: whoever we made is that
somebody, and what was said goes over as if the two had been merged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service_kit.cause import Cause
from service_kit.database import Transaction
from shared_events.contacts.contact import ContactIdentity, Identity
from shared_events.identity import TenantIdentity, WhatsAppId, contact_id

from crm_messaging.merging import service
from crm_messaging.merging.service import Merge
from crm_messaging.replicas import people, repository
from crm_messaging.replicas.models import ContactRef


@dataclass(frozen=True, slots=True)
class Adoption:
    """An identity that contacts says is this contact's, in the event with this `seq`."""

    contact: ContactRef
    identity: Identity
    seq: int
    cause: Cause

    @property
    def key(self) -> TenantIdentity:
        """What the identity is on record under."""
        return self.contact.tenant_id, self._shown.key

    @property
    def ghost(self) -> repository.ContactKey:
        """Whoever a message made of that identity, had it come first."""
        return self.contact.tenant_id, contact_id(self.contact.tenant_id, self._shown)

    @property
    def merge(self) -> Merge:
        """The ghost is the contact."""
        proved = ContactIdentity(kind=self.identity.kind, value=self.identity.value)
        loser = ContactRef(
            tenant_id=self.contact.tenant_id,
            contact_id=self.ghost[1],
            name=self.contact.name,
            deleted=True,
            merged_into=self.contact.contact_id,
            seq=self.seq,
        )
        return Merge(self.contact, loser, [proved], self.cause)

    @property
    def _shown(self) -> WhatsAppId:
        return WhatsAppId(self.identity.kind, self.identity.value)


async def adopt(tx: Transaction, adoptions: Sequence[Adoption]) -> None:
    """Give contacts what was said with whoever we made of their identities.

    Called once those are on record, so that nobody is made of them any more. Only who was never
    told of is such a ghost, and only while contacts' word is still the last one.
    """
    others = [a for a in adoptions if a.ghost[1] != a.contact.contact_id]
    known = await repository.known_contacts(tx, [a.ghost for a in others]) if others else {}
    found = {
        a.ghost: a
        for a in others
        if (row := known.get(a.ghost)) is not None and row.seq == 0 and row.merged_into is None
    }
    if found:
        owned = await people.on_record(tx, sorted({a.key for a in found.values()}))
        mine = [a for a in found.values() if owned[a.key].contact_id == a.contact.contact_id]
        await service.follow(tx, [a.merge for a in mine])
