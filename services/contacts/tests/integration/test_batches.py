"""Several contacts by their ids: those that could be read one by one, at the cost of one."""

from uuid import UUID, uuid4

from crm_contacts.contacts import service
from crm_testing.scenes.contacts import Shop
from service_kit.calls import Call
from service_kit.database import Transaction
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    GetContact,
    GetContacts,
    RestoreContact,
)
from shared_events.contacts.merge import MergeContacts

from services.contacts.tests.integration.test_statements import Work, cost


async def made(company: Shop, count: int) -> list[str]:
    phones = (f"+55119888800{n:02}" for n in range(count))
    answers = [await company.value(CreateContact(name="Maria", phone=phone)) for phone in phones]
    return [answer["id"] for answer in answers]


async def test_gives_those_that_can_be_read_alone(company: Shop, other_company: Shop) -> None:
    kept, winner, loser, deleted, erased = await made(company, 5)
    (theirs,) = await made(other_company, 1)
    await company.value(MergeContacts(contact_id=winner, loser_id=loser))
    await company.value(DeleteContact(contact_id=deleted))
    await company.rows("UPDATE contacts SET erased_at = now() WHERE id = $1", erased)
    asked = [kept, winner, loser, deleted, erased, theirs, str(uuid4())]
    page = await company.value(GetContacts(ids=[*asked, kept]))
    alone = {}
    for each in asked:
        reply = await company.ask(GetContact(contact_id=each))
        if reply.value is not None:
            alone[each] = reply.value
    assert alone.keys() == {kept, winner}
    assert {each["id"]: each for each in page["data"]} == alone
    assert page["has_more"] is False
    await company.value(RestoreContact(contact_id=deleted))
    assert len((await company.value(GetContacts(ids=asked)))["data"]) == 3
    page = await other_company.value(GetContacts(ids=asked))
    assert [each["id"] for each in page["data"]] == [theirs]


def reading(ids: list[str]) -> Work:
    async def read(tx: Transaction, call: Call) -> None:
        found = await service.get_many(tx, [UUID(each) for each in ids])
        assert len(found) == len(ids)

    return read


async def test_takes_as_many_statements_as_one(company: Shop) -> None:
    ids = await made(company, 30)
    crowd, one = [await cost(company, reading(some)) for some in (ids, ids[:1])]
    assert crowd == one == 2
