"""The inbox shows groups, and finds them by what they are called, of each company its own."""

from datetime import UTC, datetime
from typing import Any

import pytest
from crm_messaging.conversations import listing
from crm_messaging.groups.consumers import on_group_reported
from crm_messaging.messages.arrival import on_message_received
from crm_testing.scenes.messaging import Scene
from service_kit.calls import Call
from service_kit.database import Database
from shared_events.channels.group import ChannelGroupReported
from shared_events.messaging.conversation import ListConversations
from shared_events.requests import Principal

GROUP, OTHER = "120363000000000001@g.us", "120363000000000002@g.us"


async def called(company: Scene, chat_id: str, subject: str) -> None:
    told = {"chat_id": chat_id, "subject": subject, "told_at": datetime.now(UTC)}
    report = ChannelGroupReported.model_validate({"channel": company.channel, **told})
    await company.apply(on_group_reported, report)


async def shown(company: Scene, **query: Any) -> list[str | None]:
    """The subjects of groups and the names of people in the inbox, newest first."""
    call = Call(Principal(tenant_id=company.tenant_id), "request-1")
    async with company.database.tenant(company.tenant_id) as tx:
        page = await listing.page(tx, ListConversations.model_validate(query), call)
    return [one.contact.name if one.contact else one.subject for one in page.data]


@pytest.fixture
async def pair(database: Database) -> tuple[Scene, Scene]:
    """Two companies, each in both groups; Ana wrote in the first, and to each alone."""
    pair = Scene(database), Scene(database)
    for company in pair:
        await company.apply(on_message_received, company.received("só nós"))
        in_group: dict[str, Any] = {"chat_id": GROUP, "is_group": True}
        await company.apply(on_message_received, company.received("oi", **in_group))
        await called(company, GROUP, "Turma da São João")
        await called(company, OTHER, "Diretoria")
    return pair


@pytest.mark.parametrize("few", [2000, 0])
async def test_finds_groups_by_their_subject(
    pair: tuple[Scene, Scene], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether few are found or many."""
    monkeypatch.setattr(listing, "_FEW", few)
    company, other = pair
    await called(other, GROUP, "Outra turma")
    for search, found in (
        ("sao joao", ["Turma da São João"]),
        ("TURMA", ["Turma da São João"]),
        ("diretoria", ["Diretoria"]),
        ("ana", ["Ana"]),
        ("outra", []),
    ):
        assert await shown(company, search=search) == found
    assert await shown(other, search="turma") == ["Outra turma"]
    assert await shown(company, search="turma", unread=True) == ["Turma da São João"]
    assert await shown(company, search="diretoria", unread=True) == []
    await called(company, GROUP, "Formandos")
    assert await shown(company, search="turma") == []
    assert await shown(company, search="formandos", channel_id=company.channel.id) == ["Formandos"]


async def test_lists_all(pair: tuple[Scene, Scene]) -> None:
    company, _ = pair
    assert sorted(map(str, await shown(company))) == ["Ana", "Diretoria", "Turma da São João"]
    assert await shown(company, unread=True) == ["Turma da São João", "Ana"]
