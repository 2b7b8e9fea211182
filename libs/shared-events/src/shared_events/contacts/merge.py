"""Two contacts that are one person become one: a winner that stays, a loser that leads to it."""

from uuid import UUID

from pydantic import AwareDatetime

from shared_events.contacts.contact import Contact, ContactIdentity
from shared_events.envelope import EventData
from shared_events.requests import Command


class MergeContacts(Command[Contact], key="contacts.contact.merge"):
    """Make one of two contacts: the loser goes into this one, which keeps its own values.

    What it has none of it takes over; tags, custom fields and all that was noted are united.
    Whoever asks for the loser afterwards is told `contact_merged`, and of whom (`merged_into`).
    """

    contact_id: UUID
    loser_id: UUID


class UnmergeContacts(Command[Contact], key="contacts.contact.unmerge"):
    """Let a contact that was merged into this one be its own again, for 30 days after the merge.

    All that went over and is still there goes back, and the winner has what it had, where nobody
    changed it since. What was said meanwhile stays in the conversation it was said in. The answer
    is the contact that is its own again.
    """

    contact_id: UUID
    loser_id: UUID


class ContactMerged(EventData, type="contact.merged", aggregate="contact", public=True):
    """Two contacts turned out to be one person, or were said to be; the loser is in the winner.

    `winner` is as it is now, `loser` as it was; `identities` are those that went over.
    """

    winner: Contact
    loser: Contact
    identities: list[ContactIdentity]


class ContactUnmerged(EventData, type="contact.unmerged", aggregate="contact", public=True):
    """Two contacts that had been made one are two again, both as they are now.

    `identities` are those that lead to the loser again; `merged_at` is when they had gone over.
    """

    winner: Contact
    loser: Contact
    identities: list[ContactIdentity]
    merged_at: AwareDatetime
