"""Numbers that are looked up: before somebody is first written to, and by request."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from crm_channels_waha.app import create_service
from crm_channels_waha.numbers.repository import purge
from crm_channels_waha.settings import ChannelsSettings
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine
from crm_testing.scenes.channels import CUSTOMER, Ingress, Shop
from crm_testing.services import Outside, eventually, running
from service_kit.service import Service
from shared_events.channels.number import CheckNumbers

ENGINES: list[Engine] = ["GOWS", "NOWEB", "WEBJS"]
PHONE = CUSTOMER.partition("@")[0]
WITHOUT_NINE = "551188880001@c.us"
PER_DAY = 4


@pytest.fixture
async def scarce(
    own_settings: ChannelsSettings, ingress: Ingress, waha: WahaSimulator
) -> AsyncIterator[Shop]:
    """A company on a service that looks up few numbers in a day."""
    settings = own_settings.model_copy(update={"number_checks_per_day": PER_DAY})
    async with running(create_service(settings)) as own, Outside(settings.amqp_url) as outside:
        before, ingress.publisher = ingress.publisher, outside.publisher
        yield Shop(own.database, outside, waha=waha)
        ingress.publisher = before


def looks(waha: WahaSimulator) -> list[str]:
    return [phone for _, phone in waha.number_looks]


class TestFirstMessage:
    @pytest.mark.parametrize("engine", ENGINES)
    async def test_goes_where_whatsapp_says(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        waha.numbers = {PHONE: WITHOUT_NINE}
        waha.acks = "delivered"
        first = await company.write("um", proved=False)
        row = await company.until_state(first, "sent")
        assert (row["chat_id"], row["address"]) == (CUSTOMER, WITHOUT_NINE)
        second = await company.write("dois", proved=False)
        await company.until_state(second, "sent")
        assert [(m.chat, m.text) for m in waha.sent.values()] == [
            (WITHOUT_NINE, "um"),
            (WITHOUT_NINE, "dois"),
        ]
        assert looks(waha) == [PHONE]  # once for both

    async def test_is_asked_of_nobody_whom_whatsapp_has_shown(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        for to in (CUSTOMER, "77@lid"):
            await company.until_state(await company.write(to=to), "sent")
        await company.until_state(await company.write(to="88@lid", proved=False), "sent")
        assert looks(waha) == []

    async def test_to_nobody_fails_and_holds_no_other_up(
        self, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await other_company.connect(session="filial")
        waha.numbers = {PHONE: None}
        failed = [await company.write(proved=False) for _ in range(2)]
        other = await company.write(to="5511977770002@c.us", proved=False)
        for message_id in failed:
            row = await company.until_state(message_id, "failed")
            assert row["reason"].startswith("not_on_whatsapp: ")
            assert row["attempts"] == 0
        await company.until_state(other, "sent")
        told = await company.told("channel.message_failed")
        assert [(t["message_id"], t["code"]) for t in told] == [
            (str(message_id), "not_on_whatsapp") for message_id in failed
        ]
        assert looks(waha) == [PHONE, "5511977770002"]
        # What one company found out is nobody else's.
        waha.numbers = {}
        await other_company.until_state(await other_company.write(proved=False), "sent")
        assert looks(waha)[2:] == [PHONE]

    async def test_found_nowhere_is_looked_for_again_when_that_is_old(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        waha.numbers = {PHONE: None}
        await company.until_state(await company.write(proved=False), "failed")
        waha.numbers = {}
        await age(company, 25)
        await company.until_state(await company.write(proved=False), "sent")
        await age(company, 29 * 24)
        await company.until_state(await company.write(proved=False), "sent")
        assert looks(waha) == [PHONE] * 2
        await age(company, 48)
        await company.until_state(await company.write(proved=False), "sent")
        assert looks(waha) == [PHONE] * 3

    async def test_goes_as_it_was_typed_where_waha_cannot_say(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        waha.faults.add("number_error", times=1)
        await company.until_state(await company.write("um", proved=False), "sent")
        await company.until_state(await company.write("dois", proved=False), "sent")
        assert [(m.chat, m.times) for m in waha.sent.values()] == [(CUSTOMER, 1)] * 2
        assert looks(waha) == [PHONE] * 2

    async def test_waits_for_the_session_and_is_looked_up_then(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        waha.timing.working_wait = 0.0
        waha.numbers = {PHONE: WITHOUT_NINE}
        waha.stop_session(waha.session("loja"))
        message_id = await company.write(proved=False)

        async def was_tried() -> bool:
            return bool((await company.ledger(message_id)).get("attempts"))

        await eventually(was_tried)
        waha.start_session(waha.session("loja"))
        await company.until_state(message_id, "sent")
        assert [(m.chat, m.times) for m in waha.sent.values()] == [(WITHOUT_NINE, 1)]

    @pytest.mark.parametrize("engine", ENGINES)
    async def test_is_found_again_after_a_lost_answer(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        waha.numbers = {PHONE: WITHOUT_NINE}
        waha.echo = False
        waha.faults.add("error_after_accept", times=1)
        message_id = await company.write("um", proved=False)
        row = await company.until_state(message_id, "sent")
        assert [(m.chat, m.times, m.bare_id) for m in waha.sent.values()] == [
            (WITHOUT_NINE, 1, row["external_id"])
        ]

    async def test_echo_of_a_number_typed_without_its_nine_is_known(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect("WEBJS")
        waha.numbers = {WITHOUT_NINE.partition("@")[0]: CUSTOMER}
        waha.faults.add("error_after_accept", times=1)
        message_id = await company.write("um", to=WITHOUT_NINE, proved=False)
        row = await company.until_state(message_id, "sent")
        assert row["external_id"] in waha.sent
        await waha.settled()
        await waha.receive_text("loja", PHONE, "dois")
        await company.until_told("channel.message_received")
        heard = await company.told("channel.message_received")
        assert [m["content"] for m in heard] == ["dois"]

    async def test_is_edited_where_it_was_sent(self, company: Shop, waha: WahaSimulator) -> None:
        await company.connect()
        waha.numbers = {PHONE: WITHOUT_NINE}
        message_id = await company.write("um", proved=False)
        await company.until_state(message_id, "sent")
        edit = await company.change("edit", message_id, "dois")
        row = await company.until_state(edit, "sent")
        assert row["address"] == WITHOUT_NINE
        assert [m.text for m in waha.sent.values()] == ["dois"]


class TestAsked:
    async def test_says_of_each_whether_it_is_there(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        waha.numbers = {"5511977770002": None}
        phones = [f"+{PHONE}", "5511977770002", PHONE]
        said = (await company.value(check(company, phones)))["numbers"]
        assert [(one["phone"], one["exists"]) for one in said] == [
            (f"+{PHONE}", True),
            ("+5511977770002", False),
            (f"+{PHONE}", True),
        ]
        assert looks(waha) == [PHONE, "5511977770002"]
        assert (await company.value(check(company, phones)))["numbers"] == said
        assert len(looks(waha)) == 2
        await company.until_state(await company.write(proved=False), "sent")
        assert len(looks(waha)) == 2

    async def test_of_another_company_is_no_channel(
        self, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        request = check(company, [PHONE])
        assert await other_company.refusal(request) == ("not_found", "channel_not_found")
        assert looks(waha) == []

    async def test_more_than_a_days_share_are_refused_until_tomorrow(
        self, scarce: Shop, waha: WahaSimulator
    ) -> None:
        await scarce.connect()
        await scarce.value(check(scarce, numbers(0, PER_DAY - 1)))
        problem = await scarce.problem(check(scarce, numbers(10, 12)))
        assert (problem.kind, problem.code) == ("throttled", "too_many_number_checks")
        assert 0 < problem.extra["retry_after_seconds"] <= 86_400
        # What is known costs nothing, and the last one is there for somebody.
        await scarce.value(check(scarce, [*numbers(0, PER_DAY - 1), *numbers(10, 11)]))
        assert await scarce.refusal(check(scarce, numbers(11, 12))) == (
            "throttled",
            "too_many_number_checks",
        )
        assert looks(waha) == [*numbers(0, PER_DAY - 1), *numbers(10, 11)]
        assert await quota(scarce, "SELECT used FROM number_quotas") == PER_DAY
        await quota(scarce, "UPDATE number_quotas SET day = day - 1 RETURNING used")
        await scarce.value(check(scarce, numbers(11, 12)))
        assert await quota(scarce, "SELECT used FROM number_quotas") == 1
        # What is sent is counted towards nothing.
        for phone in numbers(20, 20 + PER_DAY):
            message_id = await scarce.write(to=f"{phone}@c.us", proved=False)
            await scarce.until_state(message_id, "sent")

    async def test_two_at_once_share_what_is_left(self, scarce: Shop, waha: WahaSimulator) -> None:
        await scarce.connect()
        requests = (check(scarce, numbers(n, n + PER_DAY)) for n in (0, 100))
        replies = await asyncio.gather(*map(scarce.ask, requests))
        assert sorted(reply.problem is None for reply in replies) == [False, True]
        assert len(looks(waha)) == PER_DAY

    async def test_counts_nothing_while_waha_does_not_answer(
        self, scarce: Shop, waha: WahaSimulator
    ) -> None:
        await scarce.connect()
        request = check(scarce, numbers(0, PER_DAY))
        waha.faults.add("number_error", times=1)
        assert await scarce.refusal(request) == ("unavailable", "waha_unavailable")
        waha.stop_session(waha.session("loja"))
        assert await scarce.refusal(request) == ("conflict", "channel_not_connected")
        assert await quota(scarce, "SELECT used FROM number_quotas") == 0
        await scarce.until_status("stopped")
        waha.start_session(waha.session("loja"))
        await scarce.until_status("connected")
        assert all(n["exists"] for n in (await scarce.value(request))["numbers"])


class TestEnd:
    async def test_what_is_older_than_any_use_goes(
        self, company: Shop, service: Service, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await company.value(check(company, numbers(0, 2)))
        await age(company, 31 * 24)
        await company.value(check(company, numbers(2, 3)))
        async with service.database.system("purge") as tx:
            assert not await purge(tx, seconds=30 * 86_400)
        rows = await company.rows("SELECT phone FROM number_checks")
        assert [row["phone"] for row in rows] == numbers(2, 3)
        assert len(looks(waha)) == 3


def check(shop: Shop, phones: list[str]) -> CheckNumbers:
    return CheckNumbers(channel_id=shop.channel_id, phones=phones)


def numbers(first: int, end: int) -> list[str]:
    return [f"55119666600{n:02}" if n < 100 else f"5511966660{n:03}" for n in range(first, end)]


async def quota(shop: Shop, statement: str) -> int:
    async with shop.database.tenant(shop.id) as tx:
        used: int = await tx.fetchval(statement)
    return used


async def age(shop: Shop, hours: int) -> None:
    """Make what was found out older."""
    async with shop.database.tenant(shop.id) as tx:
        await tx.execute(
            "UPDATE number_checks SET checked_at = checked_at - make_interval(hours => $1)", hours
        )
