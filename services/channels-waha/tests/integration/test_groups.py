"""Groups as WAHA shows them: what our own phone writes there, live and in history."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from crm_fakes.waha import Engine, WahaSimulator
from crm_testing.scenes.channels import Shop
from crm_testing.services import eventually
from shared_events.channels.history import CreateHistoryImport, GetHistoryImport
from shared_events.identity import conversation_id

GROUP = "120363000000000001@g.us"
ITSELF = [{"kind": "group", "value": "120363000000000001"}]
ANA, BIA = "5511988880001", "5521977770002"
ENGINES: tuple[Engine, ...] = ("GOWS", "NOWEB", "WEBJS")


def ago(hours: float) -> int:
    return int((datetime.now(UTC) - timedelta(hours=hours)).timestamp())


def shown(message: dict[str, Any]) -> tuple[str, str, str, Any, str]:
    """What, which way, in which chat, of whom, and who wrote it."""
    identities = message["person"]["identities"]
    return (
        *(message[name] for name in ("content", "direction", "chat_id")),
        identities[0]["value"],
        message["details"]["participant"],
    )


async def imported(company: Shop) -> None:
    """All of the channel's history, read."""
    job = await company.value(CreateHistoryImport(channel_id=company.channel_id))

    async def finished() -> Any:
        found = await company.value(GetHistoryImport(history_import_id=UUID(job["id"])))
        return found["finished_at"] and found

    found: dict[str, Any] = await eventually(finished)
    assert (found["state"], found["errors"]) == ("completed", 0)


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_our_phone_writes_is_the_groups_live_and_in_history(
    company: Shop, other_company: Shop, waha: WahaSimulator, engine: Engine
) -> None:
    await company.connect(engine)
    await other_company.connect(engine, session="outra", allow_groups=False)
    sessions = [waha.session(name) for name in ("loja", "outra")]
    for ours in sessions:
        hooks = ours.config.pop("webhooks")
        ours.config = {**ours.config, "noweb": {"store": {"enabled": True}}}
        await waha.receive_text(ours.name, ANA, "1", group=GROUP, timestamp=ago(5))
        await waha.sent_from_phone(ours.name, GROUP, "2", timestamp=ago(4))
        await waha.receive_text(ours.name, BIA, "3", group=GROUP, timestamp=ago(3))
        ours.config["webhooks"] = hooks
        await waha.sent_from_phone(ours.name, GROUP, "4")
        await waha.sent_from_phone(ours.name, ANA, "só nós")
    us = sessions[0].me_id
    live = await company.until_told("channel.message_received", 2)
    (of_group,) = [m for m in live if m["is_group"]]
    assert shown(of_group) == ("4", "outbound", GROUP, ITSELF[0]["value"], us)
    assert (of_group["origin"], of_group["person"]["identities"]) == ("phone", ITSELF)
    await imported(company)
    pages = await company.told("channel.history_read")
    read = [shown(m) for page in pages for m in page["messages"] if m["is_group"]]
    assert [one for one in read if one[0] != "4"] == [
        ("3", "inbound", GROUP, BIA, f"{BIA}@c.us"),
        ("2", "outbound", GROUP, ITSELF[0]["value"], us),
        ("1", "inbound", GROUP, ANA, f"{ANA}@c.us"),
    ]
    events = await company.rows(
        "SELECT DISTINCT aggregate_id FROM outbox_events WHERE payload::text LIKE $1", f"%{GROUP}%"
    )
    told_of = {row["aggregate_id"] for row in events}
    assert told_of == {conversation_id(company.channel_id, GROUP)}
    # Where groups are off, nothing of them is told.
    await other_company.until_told("channel.message_received")
    await imported(other_company)
    for event in ("channel.message_received", "channel.history_read"):
        assert GROUP not in str(await other_company.told(event))
