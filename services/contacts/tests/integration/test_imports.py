"""Imports over the bus: files become contacts, a batch at a time."""

from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg import SerializationError
from crm_contacts.contacts.phone import parse_phone
from crm_contacts.imports import lookups, upsert
from crm_contacts.imports.job import BATCH_ROWS
from crm_contacts.imports.wanted import Reader, Wanted
from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.files import (
    begin,
    bring,
    creation,
    ended,
    errors_of,
    imported,
    workbook,
)
from shared_events.contacts.contact import CreateContact, DeleteContact
from shared_events.contacts.contact_import import DriveImport, GetImport, PutImportPart
from shared_events.contacts.custom_field import CreateCustomField
from shared_events.contacts.erasure import ApproveErasure, RequestErasure

MARIA, JOAO = "+5511988880001", "+5511988880002"


async def by_phone(company: Shop) -> dict[str, dict[str, Any]]:
    rows = await company.rows("SELECT * FROM contacts WHERE deleted_at IS NULL")
    return {row["phone"]: row for row in rows}


def counts(job: dict[str, Any]) -> tuple[int, int, int, int, int | None, int]:
    names = ("created", "updated", "unchanged", "errors", "total", "done")
    created, updated, unchanged, errors, total, done = (job[name] for name in names)
    return created, updated, unchanged, errors, total, done


class TestRows:
    async def test_become_contacts_beside_another_companys(
        self, company: Shop, other_company: Shop
    ) -> None:
        await company.value(
            CreateContact.model_validate(
                {"name": "Maria", "phone": MARIA, "tags": ["vip"], "custom_fields": {"a": 1}}
            )
        )
        await company.value(
            CreateCustomField.model_validate({"key": "idade", "label": "Idade", "type": "number"})
        )
        file = (
            "Nome;Telefone;E-mail;Etiquetas;IDADE;Observação\r\n"
            ";(11) 8888-0001;Maria@Example.com;VIP, novo;41;x\r\n"
            '"Souza, João";11 98888-0002;;;;\r\n'
            ";;;;;\r\n"
            "Ana;123;ana@;;velha;\r\n"
            "Bia;+1 415 555 0100;;;velha;\r\n"
            "João S.;5511988880002;joao@example.com;;;\r\n"
        )
        mine = await begin(company, file, filename="c" * 255)
        theirs = await imported(other_company, "name,phone\nOutra,11 98888-0001\n")
        job = await ended(company, GetImport(import_id=mine))
        assert (job["state"], counts(job)) == ("completed", (1, 2, 0, 2, 5, 5)), job
        assert job["ignored_columns"] == ["Observação"]
        found = await by_phone(company)
        assert set(found) == {MARIA, JOAO}
        maria, joao = found[MARIA], found[JOAO]
        assert (maria["name"], maria["email"]) == ("Maria", "maria@example.com")
        assert maria["tags"] == ["vip", "novo"]
        assert maria["custom_fields"] == {"a": 1, "idade": 41}
        assert (joao["name"], joao["source"], joao["version"]) == ("João S.", "import", 1)
        assert await errors_of(company, mine) == [
            "line,column,code,message",
            "5,Telefone,invalid_phone,This is not a phone number; write it like +5511961234567.",
            "5,E-mail,invalid_email,value is not a valid email address:"
            " There must be something after the @-sign.",
            "6,IDADE,invalid_number,This is not a number.",
        ]
        # Told of as of any contact, once each; and of the job, not of its rows.
        created = await company.told("contact.created")
        assert [one["contact"]["phone"] for one in created] == [MARIA, JOAO]
        assert created[1]["contact"]["email"] == "joao@example.com"
        (updated,) = await company.told("contact.updated")
        assert updated["changed"] == ["custom_fields", "email", "tags"]
        progress = await company.told("import.progressed")
        assert [one["job"]["state"] for one in progress] == ["queued", "running", "completed"]
        assert counts(theirs) == (1, 0, 0, 0, 1, 1)
        assert [row["name"] for row in await other_company.rows("SELECT * FROM contacts")] == [
            "Outra"
        ]
        refusal = await other_company.refusal(GetImport(import_id=mine))
        assert refusal == ("not_found", "import_not_found")
        again = await imported(company, file)
        # João is called otherwise twice, and in the end as he was.
        assert counts(again) == (0, 2, 1, 2, 5, 5)

    async def test_of_somebody_deleted_or_known_by_whatsapp_find_their_contact(
        self, company: Shop
    ) -> None:
        made = await company.value(CreateContact(name="Maria", phone=MARIA))
        await company.value(DeleteContact(contact_id=UUID(made["id"])))
        await company.receive(("phone", "551188880002"), push_name="Jo")
        job = await imported(company, f"name,phone\nM,{MARIA}\nJoão,11 98888-0002")
        assert counts(job) == (0, 2, 0, 0, 2, 2)
        found = await by_phone(company)
        assert str(found[MARIA]["id"]) == made["id"] and found[MARIA]["name"] == "M"
        assert found[JOAO]["name"] == "João" and len(found) == 2
        identity = "SELECT proved FROM contact_identities WHERE canonical = '5511988880002'"
        assert await company.rows(identity) == [{"proved": True}]

    @pytest.mark.parametrize("upsert_key", ["phone", "email"])
    async def test_of_who_was_erased_become_whom_a_message_would_make(
        self, company: Shop, upsert_key: str
    ) -> None:
        made = await company.value(CreateContact(name="Maria", phone=MARIA))
        asked = await company.value(RequestErasure(contact_id=UUID(made["id"])))
        another = replace(company, user_id=uuid4())
        await another.value(ApproveErasure(erasure_id=asked["id"]))
        job = await imported(
            company, f"name,phone,email\nNova,{MARIA},n@example.com\n", upsert_key=upsert_key
        )
        assert (job["state"], counts(job)) == ("completed", (1, 0, 0, 0, 1, 1)), job
        (started,) = await company.told("erasure.started")
        (identity,) = started["identities"]
        assert str((await by_phone(company))[MARIA]["id"]) == identity["next_contact_id"]

    async def test_leave_whoever_is_erased_meanwhile_be(
        self, company: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = await company.value(CreateContact(name="Maria", email="m@example.com"))
        asked = await company.value(RequestErasure(contact_id=UUID(made["id"])))
        another = replace(company, user_id=uuid4())
        await another.value(ApproveErasure(erasure_id=asked["id"]))

        async def seen_before(*_: Any) -> dict[str, list[UUID]]:
            return {"m@example.com": [UUID(made["id"])]}

        monkeypatch.setattr(lookups, "by_email", seen_before)
        reader = Reader(["email"], ["email"], {}, partial(parse_phone, region="BR"))
        with pytest.raises(SerializationError):
            async with company.database.tenant(company.id) as tx:
                rows = [Wanted(2, {"email": "m@example.com"})]
                await upsert.apply(tx, rows, reader, "email", dry_run=False)

    async def test_by_email_take_no_phone_from_anybody(self, company: Shop) -> None:
        for name, phone, email in (
            ("Maria", MARIA, "m@example.com"),
            ("Ana", None, "ana@example.com"),
            ("Duas", None, "twice@example.com"),
            ("Duas", None, "twice@example.com"),
        ):
            await company.value(CreateContact(name=name, phone=phone, email=email))
        job = await imported(
            company,
            "nome,email,telefone\n"
            f"Maria S.,M@example.com,{MARIA}\n"  # updated
            f"Ana,ana@example.com,{JOAO}\n"  # is given a phone
            f"Bia,bia@example.com,{MARIA}\n"  # Maria's
            "Maria,m@example.com,11 98888-0009\n"  # has another
            "Duas,twice@example.com,\n"  # which?
            "Sem,,\n"
            "Nova,nova@example.com,\n"
            "Nova 2,nova@example.com,11 98888-0004\n",
            upsert_key="email",
        )
        assert counts(job) == (1, 3, 0, 4, 8, 8)
        assert [line.split(",")[:3] for line in (await errors_of(company, job["id"]))[1:]] == [
            ["4", "telefone", "contact_exists"],
            ["5", "telefone", "has_another_phone"],
            ["6", "email", "ambiguous_key"],
            ["7", "email", "key_missing"],
        ]
        found = await by_phone(company)
        assert found[MARIA]["name"] == "Maria S."
        assert found[JOAO]["email"] == "ana@example.com"
        assert found["+5511988880004"]["name"] == "Nova 2"
        linked = await company.told("contact.identity_linked")
        assert [one["identity"]["value"] for one in linked] == ["5511988880002"]

    async def test_as_long_as_the_contract_allows_are_taken(self, company: Shop) -> None:
        tags = [f"{n:02}" + "é" * 62 for n in range(50)]
        name, email = "ã" * 255, f"{'a' * 64}@{'b' * 60}.{'c' * 60}.example.com"
        mapping = {
            "Quem": "name",
            "x": "phone",
            "y": "email",
            "z": "tags",
            "f": "custom_fields.f",
            "l": "language",
            "t": "timezone",
        }
        rows: list[list[Any]] = [
            list(mapping),
            [name, 5511988880001, email, ";".join(tags), "ü" * 8000, "p" * 35, "z" * 64],
        ]
        job = await imported(company, workbook(*rows), mapping=mapping, filename="x.xlsx")
        assert counts(job)[:4] == (1, 0, 0, 0), await errors_of(company, job["id"])
        (row,) = (await by_phone(company)).values()
        assert (row["name"], row["email"], row["tags"]) == (name, email, tags)
        rows[1][0], rows[1][3] = name + "x", ";".join([*tags, "one more"])
        rows[1][5] = "p" * 36
        job = await imported(company, workbook(*rows), mapping=mapping)
        assert [line.split(",")[1:3] for line in (await errors_of(company, job["id"]))[1:]] == [
            ["Quem", "string_too_long"],
            ["z", "too_long"],
            ["l", "string_too_long"],
        ]

    async def test_of_a_dry_run_change_nothing(self, company: Shop) -> None:
        await company.value(CreateContact(name="Maria", phone=MARIA))
        file = f"name,phone\nM,{MARIA}\nJ,{JOAO}\nJ,{JOAO}\n,x\n"
        job = await imported(company, file, dry_run=True)
        assert counts(job) == (1, 1, 1, 1, 4, 4) and job["dry_run"]
        assert [row["name"] for row in await company.rows("SELECT * FROM contacts")] == ["Maria"]
        assert len(await company.outbox("contact.updated")) == 0
        assert len(await errors_of(company, job["id"])) == 2


class TestFiles:
    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (bytes(range(256)) * 50, "unreadable_file"),
            (b"PK\x03\x04 and no more", "unreadable_file"),
            (b"a,b\n1,2\n", "no_known_column"),
            (b"name,email\nAna,a@example.com\n", "key_column_missing"),
            (b"\n\n \n", "empty_file"),
            (b"phone\n" + b"x" * 20_000, "cell_too_long"),
        ],
    )
    async def test_that_make_no_sense_end_their_import(
        self, company: Shop, content: bytes, code: str
    ) -> None:
        job = await imported(company, content)
        assert (job["state"], job["failure"]["code"]) == ("failed", code)
        refusal = await company.refusal(DriveImport(import_id=job["id"], action="resume"))
        assert refusal == ("conflict", "job_ended")
        assert await company.rows("SELECT * FROM contacts") == []

    async def test_are_brought_whole_and_once(self, company: Shop, other_company: Shop) -> None:
        content = f"nome\ttelefone\nJoão\t{JOAO}\n".encode("latin-1")
        import_id = await bring(company, content, part_bytes=7)
        wrong = creation(import_id, content + b"x")
        assert await company.refusal(wrong) == ("conflict", "upload_incomplete")
        refusal = await other_company.refusal(creation(import_id, content))
        assert refusal == ("conflict", "upload_incomplete")
        empty = await company.refusal(creation(import_id, b""))
        assert empty == ("invalid", "empty_file")
        for bad in ("a", "====", "AA=A"):
            refusal = await company.refusal(
                PutImportPart(import_id=import_id, position=0, content=bad)
            )
            assert refusal == ("invalid", "invalid_base64")
        request = creation(import_id, content)
        made = await company.value(request, idempotency_key="k")
        assert (made["state"], made["total"], made["done"]) == ("queued", None, 0)
        assert (await company.ask(request, idempotency_key="k")).replayed
        job = await ended(company, GetImport(import_id=import_id))
        assert counts(job)[0] == 1 and (await by_phone(company))[JOAO]["name"] == "João"
        # A late piece of the same upload changes nothing, and nothing of it is kept.
        await company.value(PutImportPart(import_id=import_id, position=0, content="eHg="))
        assert await company.rows("SELECT * FROM job_parts") == []

    async def test_of_thousands_of_rows_become_contacts_once_each(
        self, company: Shop, other_company: Shop
    ) -> None:
        def file(rows: int) -> str:
            people = (f"Pessoa {n},+55119{n:08},import\n" for n in range(rows))
            return "nome,telefone,tags\n" + "".join(people)

        mine, theirs = await begin(company, file(5000)), await begin(other_company, file(700))
        for who, import_id, rows in ((other_company, theirs, 700), (company, mine, 5000)):
            job = await ended(who, GetImport(import_id=import_id), seconds=180)
            assert counts(job) == (rows, 0, 0, 0, rows, rows)
            told = await who.told("import.progressed")
            assert len(told) <= 12 and told[-1]["job"]["done"] == rows
            (found,) = await who.rows("SELECT count(*) AS n FROM contacts")
            assert found["n"] == rows == len(await who.outbox("contact.created"))
            assert await who.rows("SELECT * FROM job_parts") == []
        assert BATCH_ROWS < 700
