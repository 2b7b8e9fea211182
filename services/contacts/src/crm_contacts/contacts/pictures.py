"""Contacts' profile pictures, as channels see them on WhatsApp."""

from collections.abc import Sequence
from datetime import UTC, datetime

from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.media_links import reference
from shared_events.channels.profile_picture import ChannelProfilePictureSeen
from shared_events.identity import TenantIdentity, WhatsAppId

from crm_contacts.contacts import identities, repository
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.repository import Ref
from crm_contacts.contacts.telling import told_of

Seen = Event[ChannelProfilePictureSeen]


async def on_seen(tx: Transaction, events: Sequence[Seen]) -> None:
    """Show these people with these pictures, and tell of those whose picture is another one.

    What is seen of somebody who is no contact, or is deleted, means nothing: it is told again.
    """
    owned = await identities.find(tx, {_who(event) for event in events})
    refs = {key: (key[0], owner.contact_id) for key, owner in owned.items()}
    contacts = await repository.find_for_update(tx, set(refs.values()))
    latest: dict[Ref, Seen] = {}
    now = datetime.now(UTC)
    for event in events:
        ref = refs.get(_who(event))
        contact = contacts.get(ref) if ref else None
        if ref is None or contact is None or contact.deleted_at is not None:
            continue
        url = _url(contact, event.data)
        if url != contact.profile_picture_url:
            contacts[ref] = contact.model_copy(update={"profile_picture_url": url})
            latest[ref] = event
    changed = [
        contacts[ref].model_copy(update={"version": contacts[ref].version + 1, "updated_at": now})
        for ref in latest
    ]
    await repository.update(tx, changed)
    resources = await repository.to_resources(tx, changed)
    for (ref, event), shown in zip(latest.items(), resources, strict=True):
        for told in told_of(shown, {"profile_picture_url"}):
            tx.outbox.add(told, shown.id, tenant_id=ref[0], cause=event.cause)


def _who(event: Seen) -> TenantIdentity:
    shown = event.data.identity
    return event.tenant_id, WhatsAppId(shown.kind, shown.value).key


def _url(contact: Contact, seen: ChannelProfilePictureSeen) -> str | None:
    """Who is known by two identities may show with one what they do not with the other."""
    if seen.media_id is not None:
        return reference(seen.media_id)
    gone = seen.replaces is not None and contact.profile_picture_url == reference(seen.replaces)
    return None if gone else contact.profile_picture_url
