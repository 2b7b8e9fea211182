"""Places, cards, polls and mentions on every engine: sent, recognised, and looked up."""

from typing import Any

import pytest
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine, Message
from crm_testing.scenes.channels import CUSTOMER, Shop
from shared_events.messaging.message import ContentType

GROUP = "120363000000000001@g.us"
ENGINES: list[Engine] = ["GOWS", "NOWEB", "WEBJS"]
PLACE: dict[str, Any] = {"location": {"latitude": -22.9, "longitude": -47.06, "name": "Praça"}}
CARD: dict[str, Any] = {
    "contacts": [{"name": "Zé", "phone": "5511988880001", "phones": ["5511988880001", "551932"]}]
}
POLL: dict[str, Any] = {
    "poll": {"question": "Cor?", "options": ["Azul", "Verde"], "multiple": True}
}
KINDS: list[tuple[ContentType, str | None, dict[str, Any]]] = [
    ("location", None, PLACE),
    ("contact", None, CARD),
    ("poll", "Cor?", POLL),
]


def said(message: Message) -> object:
    """What a recipient sees of a message."""
    if message.location is not None:
        place = message.location
        return {"latitude": place.latitude, "longitude": place.longitude, "name": place.name}
    if message.poll is not None:
        return message.poll.name, message.poll.options, message.poll.multiple
    return [line for line in message.vcards[0].splitlines() if line.startswith(("FN", "TEL"))]


async def write_all(company: Shop) -> list[dict[str, Any]]:
    """Send one message of each kind; returns their entries in the ledger."""
    rows = []
    for content_type, content, metadata in KINDS:
        message_id = await company.write(content, content_type=content_type, metadata=metadata)
        rows.append(await company.until_state(message_id, "sent"))
    return rows


@pytest.mark.parametrize("engine", ENGINES)
async def test_each_kind_reaches_the_recipient_once(
    company: Shop, other_company: Shop, waha: WahaSimulator, engine: Engine
) -> None:
    await company.connect(engine)
    await other_company.connect(engine, session="outra")
    rows = await write_all(company)
    theirs = await other_company.write(None, content_type="location", metadata=PLACE)
    await other_company.until_state(theirs, "sent")
    await waha.settled()
    ours = [m for m in waha.sent.values() if m.session == "loja"]
    assert [m.bare_id for m in ours] == [row["external_id"] for row in rows]
    assert list(map(said, ours)) == [
        PLACE["location"],
        [
            "FN:Zé",
            "TEL;type=CELL;waid=5511988880001:+5511988880001",
            "TEL;type=CELL;waid=551932:+551932",
        ],
        ("Cor?", ["Azul", "Verde"], True),
    ]
    assert [m.times for m in waha.sent.values()] == [1, 1, 1, 1]
    assert await company.told("channel.message_received") == []


async def test_an_echo_before_the_answer_is_recognised_without_an_id(
    company: Shop, waha: WahaSimulator
) -> None:
    await company.connect("WEBJS")
    waha.timing.send = 0.3
    rows = await write_all(company)
    assert {row["external_id"] for row in rows} == set(waha.sent)
    assert await company.told("channel.message_received") == []
    assert len(await company.told("channel.message_sent")) == len(KINDS)


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_was_sent_unseen_is_found_and_never_sent_again(
    company: Shop, waha: WahaSimulator, engine: Engine
) -> None:
    await company.connect(engine, session="loja")
    waha.session("loja").config |= {"noweb": {"store": {"enabled": True}}}
    waha.echo = False
    waha.faults.add("error_after_accept", times=len(KINDS))
    rows = await write_all(company)
    assert {row["external_id"] for row in rows} == set(waha.sent)
    assert [m.times for m in waha.sent.values()] == [1, 1, 1]


@pytest.mark.parametrize("engine", ENGINES)
async def test_into_a_group_goes_to_the_groups_chat_once(
    company: Shop, other_company: Shop, waha: WahaSimulator, engine: Engine
) -> None:
    """Two companies are in one group; each echo is its own company's, by whatever id."""
    companies = (company, other_company)
    for each, session in zip(companies, ("loja", "outra"), strict=True):
        await each.connect(engine, session=session)
    asked: dict[str, Any] = {"metadata": {"mentions": ["5511977770002@c.us"]}, "to": GROUP}
    ids = [await each.write("oi @5511977770002", **asked) for each in companies]
    rows = [await e.until_state(id_, "sent") for e, id_ in zip(companies, ids, strict=True)]
    await waha.settled()
    assert [(m.chat, m.times) for m in waha.sent.values()] == [(GROUP, 1), (GROUP, 1)]
    assert {m.bare_id for m in waha.sent.values()} == {row["external_id"] for row in rows}
    for each in companies:
        assert await each.told("channel.message_received") == []
        assert len(await each.told("channel.message_sent")) == 1


async def test_mentions_go_with_the_text_and_what_waha_cannot_send_says_so(
    company: Shop, waha: WahaSimulator
) -> None:
    await company.connect()
    mentions = {"mentions": ["5511977770002@c.us"], "pedido": "A-1"}
    sent = await company.write("oi @5511977770002", metadata=mentions)
    sticker = await company.write(
        None, content_type="sticker", media_url="https://files.test/a.webp"
    )
    row = await company.until_state(sent, "sent")
    failed = await company.until_state(sticker, "failed")
    assert waha.sent[row["external_id"]].mentions == ["5511977770002@c.us"]
    assert row["details"] == {"mentions": ["5511977770002@c.us"]}
    assert failed["reason"] == "unsupported_content: WAHA cannot send a sticker."
    assert [m.chat for m in waha.sent.values()] == [CUSTOMER]
