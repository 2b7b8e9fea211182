"""Opting out by a word: STOP, and nothing else, is a customer's own wish."""

from uuid import UUID, uuid4

from crm_contacts.contacts.consumers import on_message_received
from crm_contacts.opt_outs.words import on_settings_updated
from crm_testing.costs import statements
from crm_testing.scenes.contacts import Shop, apply, delivered
from crm_testing.schemas import MigratedDatabase
from crm_testing.services import event_of, eventually
from service_kit.cause import Cause
from service_kit.incoming import Event
from shared_events import examples, topology
from shared_events.contacts.contact import GetContact
from shared_events.contacts.merge import MergeContacts
from shared_events.contacts.opt_out import ListOptOuts, PutOptOut
from shared_events.gateway.company import CompanySettings, SettingsUpdated

PHONE = ("phone", "5511988880001")
_TOLD = "SELECT event_type FROM outbox_events WHERE event_type ~ 'opted' ORDER BY seq"
CHANNEL, OTHER = UUID(int=1), UUID(int=2)


def settings(out: list[str], back: list[str]) -> SettingsUpdated:
    example = examples.load("settings.updated")["data"]["settings"]
    told = {**example, "opt_out_words": out, "opt_in_words": back}
    return SettingsUpdated(settings=CompanySettings.model_validate(told))


async def listen(company: Shop, out: list[str], back: list[str], seq: int = 1) -> None:
    """The company sets these words; waits until contacts knows them."""
    told = company.envelope(settings(out, back), seq)
    await company.outside.publish(told)
    await eventually(lambda: company.applied(told.event_id, topology.CONTACTS_SETTINGS.name))


async def outs(company: Shop) -> list[tuple[str, str | None, str]]:
    """Channel, reason and source of what the company's one contact opted out of."""
    ((contact,)) = await company.contacts()
    page = await company.value(ListOptOuts(contact_id=UUID(contact["id"])))
    return [(one["channel_id"], one["reason"], one["source"]) for one in page["data"]]


class TestWords:
    async def test_opt_out_on_that_channel_and_in_again(
        self, company: Shop, other_company: Shop
    ) -> None:
        longest = "é" * 30
        await listen(company, ["Não", "STOP", longest], ["voltar", "stop"])
        told = company.message(PHONE, content="  nao\n")
        envelope = company.envelope(told)
        for _ in range(2):  # told twice, applied once
            await company.outside.publish(envelope)
        queue = topology.CONTACTS_CHANNEL_EVENTS.name
        await eventually(lambda: company.applied(envelope.event_id, queue))
        await company.receive(PHONE, content="não quero")
        await other_company.receive(PHONE, content="STOP")
        assert await outs(company) == [(str(CHANNEL), "nao", "customer")]
        ((said,)) = await company.told("contact.opted_out")
        assert said["opt_out"]["opted_out_by"] is None
        assert await outs(other_company) == []
        await other_company.receive(PHONE, content="Oi")

        contact_id = UUID(said["opt_out"]["contact_id"])
        await company.value(PutOptOut(contact_id=contact_id, channel_id="all"))
        elsewhere = company.message(PHONE).channel.model_copy(update={"id": OTHER})
        await company.receive(PHONE, content="VOLTAR", channel=elsewhere)
        assert len(await outs(company)) == 2
        await company.receive(PHONE, content="Voltar")
        assert [channel for channel, _, _ in await outs(company)] == ["all"]
        back = {"contact_id": str(contact_id), "channel_id": str(CHANNEL)}
        assert await company.told("contact.opted_in") == [back]

        await company.receive(PHONE, content=longest.upper())
        await company.receive(PHONE, content="STOP")  # out already; a word of both opts out
        assert len(await company.told("contact.opted_out")) == 3
        assert (str(CHANNEL), longest.upper(), "customer") in await outs(company)
        await listen(company, [], [], seq=2)
        await company.receive(PHONE, content="voltar")
        assert len(await outs(company)) == 2

    async def test_mean_nothing_elsewhere(self, company: Shop) -> None:
        await listen(company, ["STOP", "\u0301"], [])
        group = ("group", "123-456")
        for said in (
            {"direction": "outbound", "origin": "phone"},
            {"content_type": "image"},
            {"content": "STOP."},
            {"content": "STOP " + "x" * 200},
            {"content": "\u0301"},
            {"content": None},
        ):
            await company.receive(PHONE, **{"content": "STOP", **said})
        assert await outs(company) == []
        await company.receive(PHONE, group, content="STOP", is_group=True)
        assert await company.told("contact.opted_out") == []
        await company.receive(PHONE, content="st\x00op")
        assert len(await company.told("contact.opted_out")) == 1

    async def test_of_a_merged_number_are_the_winners(self, company: Shop) -> None:
        await listen(company, ["STOP"], [])
        await company.receive(PHONE)
        await company.receive(("phone", "5511977770002"))
        winner, loser = (UUID(one["id"]) for one in await company.contacts(sort="created_at"))
        await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        await company.receive(("phone", "5511977770002"), content="stop")
        ((told,)) = await company.told("contact.opted_out")
        assert told["opt_out"]["contact_id"] == str(winner)
        assert (await company.value(GetContact(contact_id=winner)))["id"] == str(winner)

    async def test_cost_no_more_for_many_companies_and_the_newest_setting_wins(
        self, database: MigratedDatabase
    ) -> None:
        costs = []
        async with database.connected(pool_size=1) as connected:
            for count in (1, 2, 30):
                ids = [str(uuid4()) for _ in range(count)]
                await apply(connected, on_settings_updated, [set_at(c, 2, "SIM") for c in ids])
                await apply(connected, on_settings_updated, [set_at(c, 1, "STOP") for c in ids])
                cost = []
                for content in ("sim", "volta", "SIM"):
                    batch = [delivered(c, Shop.message(PHONE, content=content)) for c in ids]
                    cost.append(await statements(connected, on_message_received, batch))
                costs.append(cost)
                for one in ids:
                    async with connected.tenant(one) as tx:
                        told = await tx.fetch(_TOLD)
                    assert [row["event_type"] for row in told] == [
                        "contact.opted_out",
                        "contact.opted_in",
                        "contact.opted_out",
                    ]
        assert costs[1] == costs[2]
        assert max(costs[2]) < 15

    async def test_of_one_batch_the_last_counts(self, company: Shop) -> None:
        await listen(company, ["STOP"], ["START"])
        said = ["STOP", "START", "STOP", "START"]
        batch = [delivered(company.id, company.message(PHONE, content=word)) for word in said]
        await apply(company.database, on_message_received, batch)
        assert await outs(company) == []
        await apply(company.database, on_message_received, [*batch[:3]])
        assert len(await outs(company)) == 1


def set_at(tenant_id: str, seq: int, word: str) -> Event[SettingsUpdated]:
    """What a company set, as its event of this place."""
    envelope = event_of(tenant_id, settings([word], ["volta"]), seq)
    return Event(envelope.event_id, tenant_id, envelope, {}, Cause("req", envelope.event_id))
