"""What the gateway asks for, over the bus."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_contacts.contacts import listing
from crm_testing.scenes.contacts import Shop
from shared_events import identity
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    GetContact,
    ListContacts,
    PatchContact,
    ReplaceContact,
)
from shared_events.identity import WhatsAppId

PHONE = "+5511988880001"
SEEN = ("phone", "5511988880001")


class TestCreateContact:
    async def test_answers_the_contact_and_tells_of_it(self, company: Shop) -> None:
        created = await company.value(
            CreateContact(
                name="Maria",
                phone="(11) 98888-0001",
                email="Maria@Exemplo.com",
                tags=["VIP", "vip", "lead"],
                custom_fields={"cpf": "1", "x": ""},
                language="pt-BR",
                timezone="America/Sao_Paulo",
            )
        )
        assert created["id"] == str(
            identity.contact_id(company.id, WhatsAppId("phone", "5511988880001"))
        )
        assert (created["phone"], created["email"]) == (PHONE, "maria@exemplo.com")
        assert created["tags"] == ["VIP", "lead"]
        assert created["custom_fields"] == {"cpf": "1", "x": ""}
        assert (created["source"], created["version"]) == ("api", 1)
        assert await company.value(GetContact(contact_id=created["id"])) == created
        (told,) = await company.outbox()
        assert told["payload"] == {"contact": created, "quiet": False}

    async def test_meets_the_message_of_the_same_person(self, company: Shop) -> None:
        created = await company.value(CreateContact(name="Maria", phone="(11) 8888-0001"))
        await company.receive(("phone", "551188880001"), push_name="Mari")
        (contact,) = await company.contacts()
        assert (contact["id"], contact["name"]) == (created["id"], "Maria")
        # Typed with its ninth digit, known to WhatsApp without.
        assert [i["value"] for i in contact["identities"]] == ["551188880001"]

    @pytest.mark.parametrize("typed", ["11 98888-0001", "11 8888-0001", "+55 11 98888 0001"])
    async def test_refuses_a_phone_that_somebody_has(self, company: Shop, typed: str) -> None:
        await company.receive(SEEN)
        (existing,) = await company.contacts()
        problem = await company.problem(CreateContact(name="Maria", phone=typed))
        assert (problem.kind, problem.code) == ("conflict", "contact_exists")
        assert problem.extra == {"existing_id": existing["id"]}

    async def test_lets_only_one_of_many_at_once_have_the_phone(self, company: Shop) -> None:
        writes = [company.receive(SEEN) for _ in range(5)]
        asks = [company.ask(CreateContact(name=f"Maria {i}", phone=PHONE)) for i in range(20)]
        _, replies = await asyncio.gather(asyncio.gather(*writes), asyncio.gather(*asks))
        refused = [reply.problem.code for reply in replies if reply.problem]
        assert len(refused) >= 19
        assert set(refused) == {"contact_exists"}
        assert len(await company.contacts()) == 1
        assert len(await company.outbox("contact.created")) == 1

    async def test_does_not_need_a_phone(self, company: Shop) -> None:
        created = await company.value(CreateContact(name="Maria"))
        assert UUID(created["id"]).version == 7
        assert (created["phone"], created["identities"]) == (None, [])

    async def test_restores_the_contact_that_had_the_phone(self, company: Shop) -> None:
        created = await company.value(CreateContact(name="Maria", phone=PHONE))
        await company.value(DeleteContact(contact_id=created["id"]))
        again = await company.value(CreateContact(name="Joana", phone=PHONE))
        assert (again["id"], again["name"], again["version"]) == (created["id"], "Joana", 3)
        (updated,) = await company.outbox("contact.updated")
        assert updated["payload"]["changed"] == ["deleted_at", "name"]

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"name": "Maria", "phone": "call me"}, "invalid_phone"),
            ({"name": "Maria", "custom_fields": {"a": "x" * 17_000}}, "too_large"),
        ],
    )
    async def test_refuses_what_cannot_be_stored(
        self, company: Shop, fields: dict[str, Any], code: str
    ) -> None:
        problem = await company.problem(CreateContact(**fields))
        assert (problem.kind, problem.errors[0].code) == ("invalid", code)
        assert await company.contacts() == []

    async def test_answers_a_repeated_command_with_the_first_answer(self, company: Shop) -> None:
        request = CreateContact(name="Maria", phone=PHONE)
        first = await company.ask(request, idempotency_key="k")
        second = await company.ask(request, idempotency_key="k")
        assert second.value == first.value
        assert second.replayed


class TestGetContact:
    @pytest.mark.parametrize("whose", ["nobody", "deleted", "another tenant"])
    async def test_is_not_found(self, company: Shop, other_company: Shop, whose: str) -> None:
        contact_id = uuid4()
        if whose != "nobody":
            owner = company if whose == "deleted" else other_company
            contact_id = (await owner.value(CreateContact(name="x")))["id"]
        if whose == "deleted":
            await company.value(DeleteContact(contact_id=contact_id))
        problem = await company.problem(GetContact(contact_id=contact_id))
        assert (problem.kind, problem.code) == ("not_found", "contact_not_found")


class TestReplaceContact:
    async def test_empties_what_is_left_out(self, company: Shop) -> None:
        created = await company.value(
            CreateContact(name="Maria", phone=PHONE, email="m@e.com", tags=["a"])
        )
        replaced = await company.value(
            ReplaceContact(contact_id=created["id"], name="Joana", custom_fields={"a": 1})
        )
        assert (replaced["phone"], replaced["email"], replaced["tags"]) == (None, None, [])
        assert (replaced["name"], replaced["version"]) == ("Joana", 2)
        assert replaced["updated_at"] > created["updated_at"]
        (updated,) = await company.outbox("contact.updated")
        assert updated["payload"]["changed"] == ["custom_fields", "email", "name", "phone", "tags"]
        assert updated["payload"]["contact"] == replaced


class TestPatchContact:
    async def test_changes_what_is_sent_only(self, company: Shop) -> None:
        created = await company.value(
            CreateContact(name="Maria", email="m@e.com", custom_fields={"a": {"b": 1, "c": 2}})
        )
        patched = await company.value(
            PatchContact(
                contact_id=created["id"], email=None, custom_fields={"a": {"b": None}, "d": 3}
            )
        )
        assert (patched["name"], patched["email"]) == ("Maria", None)
        assert patched["custom_fields"] == {"a": {"c": 2}, "d": 3}
        cleared = await company.value(PatchContact(contact_id=created["id"], custom_fields=None))
        assert cleared["custom_fields"] == {}

    async def test_that_changes_nothing_keeps_the_version_and_tells_nobody(
        self, company: Shop
    ) -> None:
        created = await company.value(CreateContact(name="Maria", tags=["a"], phone=PHONE))
        same = await company.value(
            PatchContact(contact_id=created["id"], name="Maria", tags=["a"], phone="11 98888-0001")
        )
        assert same == created
        assert await company.outbox("contact.updated") == []

    async def test_of_many_at_once_loses_none(self, company: Shop) -> None:
        created = await company.value(CreateContact(name="Maria", phone=PHONE))
        contact_id = UUID(created["id"])
        await asyncio.gather(
            *(
                company.value(PatchContact(contact_id=contact_id, custom_fields={f"f{n}": n}))
                for n in range(20)
            ),
            *(company.receive(SEEN, push_name=f"M{n}") for n in range(10)),
        )
        found = await company.value(GetContact(contact_id=contact_id))
        assert found["custom_fields"] == {f"f{n}": n for n in range(20)}
        assert found["version"] == 21

    async def test_cannot_merge_beyond_the_limit(self, company: Shop) -> None:
        created = await company.value(
            CreateContact(name="Maria", custom_fields={"a": "x" * 10_000})
        )
        patch = PatchContact(contact_id=created["id"], custom_fields={"b": "x" * 10_000})
        problem = await company.problem(patch)
        assert (problem.kind, problem.errors[0].code) == ("invalid", "too_large")

    async def test_refuses_a_stale_version(self, company: Shop) -> None:
        created = await company.value(CreateContact(name="Maria"))
        request = PatchContact(contact_id=created["id"], name="Joana")
        await company.value(request, expected_version=1)
        for change in (
            request,
            ReplaceContact(contact_id=created["id"], name="x"),
            DeleteContact(contact_id=created["id"]),
        ):
            problem = await company.problem(change, expected_version=1)
            assert (problem.kind, problem.code) == (
                "precondition_failed",
                "stale_version",
            )

    async def test_of_the_phone_links_another_identity(self, company: Shop) -> None:
        await company.receive(SEEN, push_name="Maria")
        (contact,) = await company.contacts()
        await company.value(PatchContact(contact_id=contact["id"], phone="11 97777-0002"))
        await company.receive(("phone", "5511977770002"))
        await company.receive(SEEN)
        (contact,) = await company.contacts()
        assert contact["phone"] == "+5511977770002"
        assert {i["value"] for i in contact["identities"]} == {"5511988880001", "5511977770002"}
        (linked,) = await company.outbox("contact.identity_linked")
        typed = {"kind": "phone", "value": "5511977770002", "proved": False}
        assert linked["payload"]["identity"] == typed

    async def test_does_not_take_somebody_elses_phone(self, company: Shop) -> None:
        existing = await company.value(CreateContact(name="Maria", phone=PHONE))
        created = await company.value(CreateContact(name="Joana"))
        problem = await company.problem(PatchContact(contact_id=created["id"], phone=PHONE))
        assert problem.extra == {"existing_id": existing["id"]}

    async def test_takes_the_phone_of_a_deleted_contact(self, company: Shop) -> None:
        deleted = await company.value(CreateContact(name="Maria", phone=PHONE))
        await company.value(DeleteContact(contact_id=deleted["id"]))
        created = await company.value(CreateContact(name="Joana"))
        await company.value(PatchContact(contact_id=created["id"], phone=PHONE))
        await company.receive(SEEN)
        (contact,) = await company.contacts()
        assert (contact["id"], contact["phone"]) == (created["id"], PHONE)

    async def test_taking_an_older_phone_leaves_a_deleted_contact_its_own(
        self, company: Shop
    ) -> None:
        gone = await company.value(CreateContact(name="X", phone="+5511988880001"))
        contact_id = UUID(gone["id"])
        await company.value(PatchContact(contact_id=contact_id, phone="+5511988880002"))
        await company.value(DeleteContact(contact_id=contact_id))
        taker = await company.value(CreateContact(name="Y"))
        await company.value(PatchContact(contact_id=UUID(taker["id"]), phone="+5511988880001"))
        await company.receive(("phone", "5511988880002"))
        back = await company.value(GetContact(contact_id=contact_id))
        assert back["phone"] == "+5511988880002"


class TestDeleteContact:
    async def test_hides_the_contact_and_tells_of_it(self, company: Shop) -> None:
        created = await company.value(CreateContact(name="Maria"))
        assert await company.value(DeleteContact(contact_id=created["id"])) == {}
        assert await company.contacts() == []
        (deleted,) = await company.outbox("contact.deleted")
        assert deleted["payload"] == {"contact_id": created["id"]}
        problem = await company.problem(DeleteContact(contact_id=created["id"]))
        assert problem.code == "contact_not_found"


class TestListContacts:
    @pytest.fixture
    async def stocked(self, company: Shop) -> Any:
        stock: dict[str, dict[str, Any]] = {
            "João Silva": {"phone": "11 98888-0001", "tags": ["VIP"]},
            "Ana Conceição": {"email": "ana@exemplo.com", "tags": ["lead"]},
            "Élio Souza": {},
            "zé 100%": {"tags": ["vip", "lead"]},
        }
        for name, fields in stock.items():
            await company.value(CreateContact(name=name, **fields))
        return company

    async def names(self, company: Shop, **query: Any) -> list[str]:
        return [c["name"] for c in await company.contacts(**query)]

    @pytest.mark.parametrize(
        ("search", "found"),
        [
            ("joao", ["João Silva"]),
            ("SILVA joÃo", ["João Silva"]),
            ("conceicao", ["Ana Conceição"]),
            ("@EXEMPLO", ["Ana Conceição"]),
            ("(11) 98888", ["João Silva"]),
            ("0001", ["João Silva"]),
            ("100%", ["zé 100%"]),
            ("ze", ["zé 100%"]),
            ("%", []),
            ("joao souza", []),
        ],
    )
    async def test_searches_name_phone_and_email(
        self, stocked: Shop, search: str, found: list[str]
    ) -> None:
        assert await self.names(stocked, search=search) == found

    async def test_filters(self, stocked: Shop) -> None:
        assert await self.names(stocked, tags=["Vip"]) == ["zé 100%", "João Silva"]
        assert len(await self.names(stocked, tags=["vip", "lead"])) == 3
        newest = (await stocked.contacts())[0]
        since = ListContacts.model_validate({"created_at[gte]": newest["created_at"]})
        assert len((await stocked.value(since))["data"]) == 1
        before = ListContacts.model_validate({"created_at[lt]": newest["created_at"]})
        assert len((await stocked.value(before))["data"]) == 3

    async def test_sorts_by_name_as_people_do(self, stocked: Shop) -> None:
        names = ["Ana Conceição", "Élio Souza", "João Silva", "zé 100%"]
        assert await self.names(stocked, sort="name") == names
        assert await self.names(stocked, sort="-name") == names[::-1]
        assert await self.names(stocked, sort="name", offset=3) == ["zé 100%"]

    @pytest.mark.parametrize(
        "sort",
        [
            "created_at",
            "-created_at",
            "name",
            "-name",
            "last_interaction_at",
            "-last_interaction_at",
        ],
    )
    async def test_walks_every_contact_once_in_pages(self, company: Shop, sort: str) -> None:
        for i in range(4):
            await company.value(CreateContact(name="Same name"))
            await company.receive(("phone", f"551198888000{i}"))
        whole = [c["id"] for c in await company.contacts(sort=sort)]
        walked: list[str] = []
        cursor = None
        while True:
            page = await company.value(ListContacts(sort=sort, limit=3, cursor=cursor))
            walked += [c["id"] for c in page["data"]]
            cursor = page["next_cursor"]
            assert page["has_more"] == (cursor is not None)
            if cursor is None:
                break
            # New contacts do not disturb a walk from new to old.
            if sort == "-created_at":
                await company.value(CreateContact(name="late"))
        assert walked == whole
        assert len(set(walked)) == 8

    async def test_follows_the_longest_name(self, company: Shop) -> None:
        for _ in range(2):
            await company.value(CreateContact(name="\U0001f600" * 255))
        first = await company.value(ListContacts(sort="name", limit=1))
        rest = await company.value(ListContacts(sort="name", cursor=first["next_cursor"]))
        assert len(rest["data"]) == 1

    @pytest.mark.parametrize(
        "cursor", ["nonsense", "x", "é", "bm9uc2Vuc2U", "W10", "WyJuYW1lIiwxLDJd", "e30"]
    )
    async def test_refuses_a_damaged_cursor(self, company: Shop, cursor: str) -> None:
        refusal = await company.refusal(ListContacts(sort="name", cursor=cursor))
        assert refusal == ("malformed", "invalid_cursor")

    async def test_refuses_the_cursor_of_another_order(self, stocked: Shop) -> None:
        page = await stocked.value(ListContacts(sort="name", limit=1))
        backwards = ListContacts(sort="-name", cursor=page["next_cursor"])
        assert await stocked.refusal(backwards) == ("malformed", "invalid_cursor")

    @pytest.mark.parametrize("looks", [0, 1, 50])
    async def test_finds_all_of_many_and_of_few(
        self, company: Shop, looks: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whether the word is rare or common decides the plan, never what is found."""
        monkeypatch.setattr(listing, "LOOKS", looks)
        for number in range(5):
            await company.value(CreateContact(name=f"Loja {number}"))
        await company.value(CreateContact(name="Outra"))
        found = await company.contacts(search="loja", sort="name")
        assert [contact["name"] for contact in found] == [f"Loja {n}" for n in range(5)]
        page = await company.value(ListContacts(search="loja", sort="name", limit=2))
        assert len(page["data"]) == 2
        assert page["has_more"]

    @pytest.mark.parametrize("search", ["\u0301", "\u200b", "%", "\u3164"])
    async def test_what_means_nothing_finds_nobody(self, stocked: Shop, search: str) -> None:
        assert await stocked.contacts(search=search) == []

    async def test_finds_a_phone_typed_in_another_script(self, company: Shop) -> None:
        await company.value(CreateContact(name="Outra", phone="+5511988880002"))
        arabic = "+5511988880001".translate({ord(str(n)): 0x0660 + n for n in range(10)})
        created = await company.value(CreateContact(name="Maria", phone=arabic))
        assert created["phone"] == "+5511988880001"
        found = await company.contacts(search=arabic.removeprefix("+"))
        assert [contact["name"] for contact in found] == ["Maria"]

    async def test_shows_only_the_callers_tenant(self, stocked: Shop, other_company: Shop) -> None:
        assert len(await stocked.contacts()) == 4
        assert await other_company.contacts() == []
