"""Contacts show the pictures that channels saw of them."""

from functools import partial
from typing import Any
from uuid import UUID, uuid4

from crm_testing.scenes.contacts import Shop
from crm_testing.services import eventually
from shared_events import topology
from shared_events.channels.profile_picture import ChannelProfilePictureSeen
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    GetContact,
    Identity,
    PatchContact,
    RestoreContact,
)
from shared_events.contacts.merge import MergeContacts

PHONE = ("phone", "5511988880001")
WITHOUT_NINE = ("phone", "551188880001")
LID = ("lid", "123456789012345")
QUEUE = topology.CONTACTS_CHANNEL_EVENTS.name


async def seen(
    company: Shop,
    who: tuple[Any, str],
    media_id: UUID | None,
    replaces: UUID | None = None,
) -> None:
    """A channel saw this picture; waits until it has its effect."""
    told = await company.publish(
        ChannelProfilePictureSeen(
            channel_id=UUID(int=1),
            identity=Identity(kind=who[0], value=who[1]),
            media_id=media_id,
            replaces=replaces,
        )
    )
    await eventually(partial(company.applied, told, QUEUE))


async def pictures(company: Shop) -> list[str | None]:
    return [contact["profile_picture_url"] for contact in await company.contacts()]


async def test_the_contact_shows_it_and_is_told_of_once(company: Shop, other_company: Shop) -> None:
    for shop in (company, other_company):
        await shop.receive(PHONE)
    first, second = uuid4(), uuid4()
    for _ in range(2):
        await seen(company, WITHOUT_NINE, first)
    assert await pictures(company) == [f"media:{first}"]
    await seen(company, PHONE, second, first)
    (shown,) = await company.contacts()
    assert (shown["profile_picture_url"], shown["version"]) == (f"media:{second}", 3)
    told = [event["payload"] for event in await company.outbox("contact.updated")]
    assert [event["changed"] for event in told] == [["profile_picture_url"]] * 2
    assert told[-1]["contact"] == shown
    assert await pictures(other_company) == [None]
    assert await other_company.outbox("contact.updated") == []


async def test_one_that_is_gone_is_not_shown_unless_another_is(company: Shop) -> None:
    await company.receive(PHONE, LID)
    by_phone, hidden = uuid4(), uuid4()
    await seen(company, LID, hidden)
    await seen(company, PHONE, by_phone)
    await seen(company, LID, None, hidden)
    assert await pictures(company) == [f"media:{by_phone}"]
    await seen(company, PHONE, None, by_phone)
    assert await pictures(company) == [None]
    await seen(company, PHONE, None)
    assert len(await company.outbox("contact.updated")) == 3


async def test_an_edit_keeps_it_and_a_merge_fills_the_gap(company: Shop) -> None:
    await company.receive(PHONE)
    picture = uuid4()
    await seen(company, PHONE, picture)
    (maria,) = await company.contacts()
    edited = await company.value(PatchContact(contact_id=maria["id"], name="Maria"))
    assert edited["profile_picture_url"] == f"media:{picture}"
    winner = await company.value(CreateContact(name="Maria Souza"))
    await company.value(MergeContacts(contact_id=winner["id"], loser_id=maria["id"]))
    shown = await company.value(GetContact(contact_id=winner["id"]))
    assert shown["profile_picture_url"] == f"media:{picture}"
    newer = uuid4()
    await seen(company, PHONE, newer, picture)
    shown = await company.value(GetContact(contact_id=winner["id"]))
    assert shown["profile_picture_url"] == f"media:{newer}"


async def test_strangers_and_deleted_contacts_show_nothing(
    company: Shop, other_company: Shop
) -> None:
    await other_company.receive(PHONE)
    await seen(company, PHONE, uuid4())
    assert await company.contacts() == []
    await company.receive(PHONE)
    (maria,) = await company.contacts()
    await company.value(DeleteContact(contact_id=maria["id"]))
    await seen(company, PHONE, uuid4())
    await company.value(RestoreContact(contact_id=maria["id"]))
    assert await pictures(company) == [None]
