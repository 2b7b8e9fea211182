"""Batches of many companies: as cheap as of two, apart from each other, quick on a young table."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.erasures.purging import on_contact_purged
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import on_message_edited, on_reaction_reported
from crm_messaging.messages.consumers import (
    on_message_failed,
    on_message_revoked,
    on_message_sent,
    on_status_reported,
)
from crm_messaging.replicas.consumers import (
    on_channel_deleted,
    on_contact_changed,
    on_contact_deleted,
    on_identity_linked,
)
from crm_testing.costs import never_analyse, reads, statements
from crm_testing.scenes.messaging import PHONE, Scene
from crm_testing.schemas import MigratedDatabase
from service_kit.database import Database
from service_kit.incoming import Event, EventHandler
from shared_events import examples
from shared_events.channels.channel import ChannelDeleted
from shared_events.channels.traffic import (
    ChannelMessageEdited,
    ChannelMessageFailed,
    ChannelMessageRevoked,
    ChannelMessageSent,
    ChannelReactionReported,
)
from shared_events.contacts.contact import (
    Contact,
    ContactCreated,
    ContactDeleted,
    ContactIdentity,
    ContactIdentityLinked,
    ContactPurged,
)
from shared_events.envelope import EventData
from shared_events.identity import WhatsAppId, contact_id

Step = tuple[str, EventHandler[Any], list[Event[Any]]]


def contact_of(company: Scene, phone: str = PHONE) -> UUID:
    return contact_id(company.tenant_id, WhatsAppId("phone", phone))


def created(company: Scene, phone: str | None = PHONE) -> ContactCreated:
    """The person who writes from PHONE, as contacts tells of them, with this phone by now."""
    shown = {
        **examples.load("contact.created")["data"]["contact"],
        "id": contact_of(company),
        "phone": phone and f"+{phone}",
        "identities": [ContactIdentity(kind="phone", value=PHONE)],
    }
    return ContactCreated(contact=Contact.model_validate(shown))


def ours(company: Scene, bare: str) -> EventData:
    """A message typed on the company's own phone."""
    return company.received("2", external_id=bare, direction="outbound", origin="phone")


def revoked(company: Scene, external_id: str) -> ChannelMessageRevoked:
    values = {"channel_id": company.channel.id, "external_id": external_id}
    at = examples.load("channel.message_revoked")["data"]["revoked_at"]
    return ChannelMessageRevoked.model_validate({**values, "revoked_at": at})


def edited(company: Scene, bare: str) -> ChannelMessageEdited:
    example = examples.load("channel.message_edited")["data"]
    named = {"channel_id": company.channel.id, "external_id": bare, "from_us": True}
    return ChannelMessageEdited.model_validate({**example, **named})


def reacted(company: Scene, bare: str) -> ChannelReactionReported:
    example = examples.load("channel.reaction_reported")["data"]
    named = {"channel_id": company.channel.id, "external_id": bare}
    return ChannelReactionReported.model_validate({**example, **named})


def sent(channel_id: UUID, message_id: UUID) -> ChannelMessageSent:
    example = examples.load("channel.message_sent")["data"]
    named = {"channel_id": channel_id, "message_id": message_id, "external_id": uuid4().hex}
    return ChannelMessageSent.model_validate({**example, **named})


def failed(channel_id: UUID, message_id: UUID) -> ChannelMessageFailed:
    example = examples.load("channel.message_failed")["data"]
    named = {"channel_id": channel_id, "message_id": message_id}
    return ChannelMessageFailed.model_validate({**example, **named})


def conversation(companies: Sequence[Scene]) -> Iterator[Step]:
    """What happens to a customer of each company, step by step."""

    def of_each(tell: Callable[[Scene], EventData], seq: int = 1) -> list[Event[Any]]:
        return [event for c in companies for event in c.events([tell(c)], seq)]

    lid = ContactIdentity(kind="lid", value="123456789")
    yield "early receipt", on_status_reported, of_each(lambda c: c.receipt("B", "read"))
    yield "first", on_message_received, of_each(lambda c: c.received("1"))
    for bare in "AB":
        yield f"own {bare}", on_message_received, of_each(partial(ours, bare=bare))
    yield "delivered", on_status_reported, of_each(lambda c: c.receipt("A", "delivered"))
    yield "read", on_status_reported, of_each(lambda c: c.receipt("A", "read"))
    yield "revoked", on_message_revoked, of_each(lambda c: revoked(c, "A"))
    for bare in "AZ":  # the second comes before its message
        yield f"edited {bare}", on_message_edited, of_each(partial(edited, bare=bare))
        yield f"reacted {bare}", on_reaction_reported, of_each(partial(reacted, bare=bare))
    yield "own Z", on_message_received, of_each(partial(ours, bare="Z"))
    yield "contact", on_contact_changed, of_each(created)
    moved = of_each(lambda c: created(c, "5511977770002"), seq=2)
    yield "other phone", on_contact_changed, moved
    linked = of_each(lambda c: ContactIdentityLinked(contact_id=contact_of(c), identity=lid))
    yield "linked", on_identity_linked, linked
    gone = of_each(lambda c: ContactDeleted(contact_id=contact_of(c)), seq=3)
    yield "deleted", on_contact_deleted, gone
    purged = of_each(lambda c: ContactPurged(contact_id=contact_of(c), merged=[uuid4()]), seq=4)
    yield "purged", on_contact_purged, purged


class TestCost:
    async def test_does_not_grow_with_the_companies(self, own_database: MigratedDatabase) -> None:
        costs: list[dict[str, int]] = []
        async with own_database.connected(pool_size=1) as database:
            for count in (1, 2, 60):
                companies = [Scene(database) for _ in range(count)]
                costs.append(
                    {
                        what: await statements(database, handler, batch)
                        for what, handler, batch in conversation(companies)
                    }
                )
        _, few, many = costs  # the driver asks for types, the first time
        assert many == few
        late = many.pop("own Z")
        # With a look for whoever was erased, for who is new, and one for whom their sessions wait.
        assert max(many.values()) < 16
        assert late < 20  # with an edit and a reaction that waited for it


class TestApartness:
    @pytest.fixture
    async def pair(self, database: Database) -> tuple[Scene, Scene]:
        """Two companies whose customer has one number; each has told one message."""
        pair = Scene(database), Scene(database)
        for company in pair:
            await company.apply(on_message_received, ours(company, "A"))
        return pair

    async def test_one_number_is_a_contact_of_each(
        self, database: Database, pair: tuple[Scene, Scene]
    ) -> None:
        batch = [event for c in pair for event in c.events([c.received("2")])]
        async with database.tenants(sorted(c.tenant_id for c in pair)) as tx:
            await on_message_received(tx, batch)
        for company in pair:
            messages = await company.messages()
            assert {m["contact_id"] for m in messages} == {contact_of(company)}
            assert [m["seq"] for m in messages] == [1, 2]
            assert all(row["tenant_id"] == company.tenant_id for row in await company.outbox())

    @pytest.mark.parametrize("what", ["receipt", "revocation", "sent", "failed", "channel"])
    async def test_what_names_anothers_changes_nothing_of_theirs(
        self, database: Database, pair: tuple[Scene, Scene], what: str
    ) -> None:
        teller, theirs = pair
        (message,) = await theirs.messages()
        channel_id = theirs.channel.id
        handlers: dict[str, tuple[EventHandler[Any], EventData]] = {
            "receipt": (on_status_reported, theirs.receipt("A", "read")),
            "revocation": (on_message_revoked, revoked(theirs, "A")),
            "sent": (on_message_sent, sent(channel_id, message["id"])),
            "failed": (on_message_failed, failed(channel_id, message["id"])),
            "channel": (on_channel_deleted, ChannelDeleted(channel_id=channel_id)),
        }
        handler, said = handlers[what]
        before = await _everything(theirs)
        async with database.tenants(sorted(c.tenant_id for c in pair)) as tx:
            await handler(tx, teller.events([said]))
        assert await _everything(theirs) == before


async def _everything(company: Scene) -> list[Any]:
    """All that a company has, but for what others may have of their own."""
    tables = ("messages", "sessions", "outbox_events", "channel_refs", "contact_refs")
    return [await company.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables]  # noqa: S608


class TestYoungTable:
    async def test_is_not_read_from_end_to_end(self, own_database: MigratedDatabase) -> None:
        """Plans made of empty tables stay good while they fill."""
        await never_analyse(own_database)
        applied = 0
        async with own_database.connected(pool_size=1) as database:
            for _ in range(40):
                companies = [Scene(database) for _ in range(10)]
                for _, handler, batch in conversation(companies):
                    await statements(database, handler, batch)
                    applied += len(batch)
        read = await reads(own_database)
        assert applied >= 4000
        assert read.by_index < 12 * applied, read
        assert read.by_scan < 2 * applied, read
