"""Exports over the bus: contacts become files, and who may not see all gets the ends."""

import csv
import io
import json
from typing import Any
from uuid import UUID, uuid4

from crm_contacts.exports.job import BATCH_ROWS
from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.files import asked, exported, imported
from shared_events.contacts.contact import CreateContact
from shared_events.contacts.contact_export import CreateExport, GetExport, ReadExport
from shared_events.contacts.contact_list import CreateContactList, PutOnList
from shared_events.contacts.custom_field import CreateCustomField

CLEAR = ("contacts.read", "contacts.export")
MARIA: dict[str, Any] = {
    "name": '=HYPERLINK("http://x")',
    "phone": "+5511988880001",
    "email": "maria@example.com",
    "tags": ["vip", "ação"],
    "custom_fields": {"cpf": "@SUM(1)", "fone": "+5511977770001", "n": 1.5, "sub": {"a": [1]}},
}


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


async def define(company: Shop, **kinds: str) -> None:
    for key, kind in kinds.items():
        definition = {"key": key, "label": key, "type": kind}
        await company.value(CreateCustomField.model_validate(definition))


class TestFiles:
    async def test_hold_what_is_asked_for_and_come_back_as_they_were(
        self, company: Shop, other_company: Shop
    ) -> None:
        for who in (company, other_company):
            await define(who, cpf="text", fone="phone", n="number")
        made = await company.value(CreateContact.model_validate(MARIA))
        await company.value(CreateContact(name="Ana"))
        await other_company.value(CreateContact(name="Outra", phone="+5511988880001"))
        job, text = await exported(company, *CLEAR, filters={"tags": ["VIP"]})
        assert (job["state"], job["done"], job["total"], job["masked"]) == (
            *("completed", 1, 1),
            False,
        )
        (row,) = table(text)
        assert row["id"] == made["id"] and row["created_at"] == made["created_at"]
        assert row["name"] == f"'{MARIA['name']}" and row["custom_fields.cpf"] == "'@SUM(1)"
        assert (row["phone"], row["tags"]) == (MARIA["phone"], "vip, ação")
        assert (row["custom_fields.n"], row["custom_fields.fone"]) == ("1.5", "+5511977770001")
        # Somebody else takes the file over: the marks are gone, the rest is the same.
        keys = {f"custom_fields.{key}": f"custom_fields.{key}" for key in ("cpf", "fone", "n")}
        await imported(other_company, text, mapping=keys)
        (taken,) = await other_company.rows("SELECT * FROM contacts WHERE phone = $1", row["phone"])
        assert taken["name"] == MARIA["name"] and taken["email"] == MARIA["email"]
        assert taken["custom_fields"] == {
            key: MARIA["custom_fields"][key] for key in ("cpf", "fone", "n")
        }
        _, lines = await exported(company, *CLEAR, format="jsonl", filters={"tags": ["vip"]})
        (line,) = map(json.loads, lines.splitlines())
        assert line == made

    async def test_show_the_ends_to_who_may_not_see_all(self, company: Shop) -> None:
        await define(company, fone="phone")
        await company.value(CreateContact.model_validate(MARIA))
        for format_ in ("csv", "jsonl"):
            job, text = await exported(company, "contacts.read", format=format_)
            assert job["masked"] and "+55*******0001" in text and "m***@example.com" in text
            for secret in (MARIA["phone"], "5511988880001", MARIA["email"], "977770001"):
                assert secret not in text
        whole, _ = await exported(company, *CLEAR)
        read = ReadExport(export_id=whole["id"])
        for permissions, kind in ((("contacts.read",), "forbidden"), (("contacts.*",), None)):
            problem = (await asked(company, read, *permissions)).problem
            assert (problem and problem.kind) == kind

    async def test_of_lists_and_of_many_pages(self, company: Shop, other_company: Shop) -> None:
        count = 2 * BATCH_ROWS + 1
        people = "".join(f"Pessoa {n},+55119{n:08}\n" for n in range(count))
        await imported(company, f"nome,telefone\n{people}")
        job, text = await exported(company)
        assert job["done"] == count and len({row["id"] for row in table(text)}) == count
        states = [one["job"]["state"] for one in await company.told("export.progressed")]
        assert states == ["queued", "running", "completed"]
        some = await company.value(CreateContactList(name="Alguns"))
        (one,) = await company.rows("SELECT id FROM contacts LIMIT 1")
        list_id = UUID(some["id"])
        await company.value(PutOnList(list_id=list_id, contact_ids=[one["id"]]))
        _, text = await exported(company, contact_list_id=list_id)
        assert [row["id"] for row in table(text)] == [str(one["id"])]
        for request, code in (
            (CreateExport(contact_list_id=uuid4()), "unknown_list"),
            (
                CreateExport.model_validate(
                    {"contact_list_id": list_id, "filters": {"search": "x"}}
                ),
                "list_or_filters",
            ),
        ):
            assert await company.refusal(request) == ("invalid", code)
        theirs = await other_company.refusal(CreateExport(contact_list_id=list_id))
        assert theirs == ("invalid", "unknown_list")
        for asked_for in (GetExport(export_id=job["id"]), ReadExport(export_id=job["id"])):
            refusal = await other_company.refusal(asked_for)
            assert refusal == ("not_found", "export_not_found")

    async def test_are_gone_after_a_day(self, company: Shop) -> None:
        job, _ = await exported(company)
        await company.rows("UPDATE jobs SET created_at = now() - interval '25 hours' RETURNING id")
        refusal = await company.refusal(ReadExport(export_id=job["id"]))
        assert refusal == ("conflict", "export_expired")
        await company.rows("UPDATE jobs SET state = 'running' RETURNING id")
        refusal = await company.refusal(ReadExport(export_id=job["id"]))
        assert refusal == ("conflict", "export_not_ready")
