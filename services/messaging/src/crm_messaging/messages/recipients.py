"""Whom a message goes to: a contact, or a group. A contact's id never leads into a group."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import ConflictError, InvalidError
from shared_events.identity import WhatsAppId, parse_whatsapp_id
from shared_events.messaging.message import SendMessage

from crm_messaging.consent import asking as consent
from crm_messaging.conversations import repository as conversations
from crm_messaging.conversations.models import Conversation
from crm_messaging.messages.address import chat_id_for, is_proved
from crm_messaging.replicas import people
from crm_messaging.replicas import repository as replicas
from crm_messaging.replicas.models import ContactRef
from crm_messaging.replicas.repository import KnownChannel
from crm_messaging.sessions import repository as sessions


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whose session it joins, the chat it goes to and the conversation it stands in.

    `proved`: WhatsApp has shown that chat; else its number was typed.
    """

    whose: ContactRef
    chat_id: str
    conversation_id: UUID
    is_group: bool = False
    proved: bool = True


async def named(tx: Transaction, request: SendMessage) -> Conversation | None:
    """The conversation a request names; None where it names a contact.

    Raises InvalidError `one_of_both` for neither or both, and `another_channel`; NotFoundError for
    a conversation that is not there.
    """
    if (request.to_contact is None) == (request.conversation_id is None):
        raise InvalidError.field(
            "conversation_id", "one_of_both", "Give a contact_id or a conversation_id."
        )
    if request.conversation_id is None:
        return None
    row = await conversations.get(tx, request.conversation_id)
    if row.channel_id != request.channel_id:
        raise InvalidError.field(
            "channel_id", "another_channel", "The conversation is on another channel."
        )
    return row


async def person(tx: Transaction, contact_id: UUID, channel: KnownChannel) -> Recipient:
    """A contact, where it is reached.

    Raises NotFoundError for a missing one, and ConflictError: `contact_opted_out`,
    `contact_is_group` and `contact_unreachable`.
    """
    whose = await people.get_contact(tx, contact_id)
    contact = replicas.summary(whose)
    await consent.check(tx, contact.id, channel.summary.id)
    identities = await identities_of(tx, contact.id)
    last = await sessions.active_chat_id(tx, contact.id, channel.summary.id)
    chat_id = chat_id_for(contact.phone, identities, last)
    if chat_id is None:
        raise ConflictError("contact_unreachable", "The contact has no WhatsApp identity.")
    return Recipient(
        whose,
        chat_id,
        conversations.id_of(channel.summary.id, whose, None),
        proved=is_proved(chat_id, identities),
    )


async def identities_of(tx: Transaction, contact_id: UUID) -> Mapping[WhatsAppId, bool]:
    """The WhatsApp ids of a person, and whether each is proved; ConflictError `contact_is_group`.

    What is meant for one must not be read by all, neither now nor at its time.
    """
    identities = await replicas.identities_of(tx, contact_id)
    if any(identity.kind == "group" for identity in identities):
        raise ConflictError("contact_is_group", "A group is written to by its conversation's id.")
    return identities


def check_groups(channel: KnownChannel) -> None:
    """Raise ConflictError `groups_are_off` for a channel that does without."""
    if not channel.allow_groups:
        raise ConflictError("groups_are_off", "The channel does without groups.")


async def group(tx: Transaction, conversation: Conversation, channel: KnownChannel) -> Recipient:
    """A group. What its members opted out of is what is sent to them alone.

    Raises ConflictError: `groups_are_off` on a channel that does without, and
    `conversation_unreachable` where the group's chat is not known.
    """
    check_groups(channel)
    chat_id = conversation.chat_id
    who = parse_whatsapp_id(chat_id) if chat_id else None
    if chat_id is None or who is None:
        raise ConflictError("conversation_unreachable", "The group's chat is not known.")
    (whose,) = await people.resolve(
        tx,
        [people.Sender(tx.tenant_id, (who,), datetime.now(UTC), conversation.subject)],
    )
    if whose is None:
        raise ConflictError("conversation_unreachable", "The group was erased.")
    return Recipient(whose, chat_id, conversation.id, is_group=True)
