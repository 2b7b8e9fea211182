"""What search finds and what it reads for it, under row-level security and without a superuser."""

import asyncio
from datetime import date
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import pytest
from crm_contacts.contacts import listing
from crm_testing.costs import counting
from crm_testing.scenes.contacts import Shop
from crm_testing.schemas import Databases, MigratedDatabase, migrate
from service_kit.database import Database, Transaction
from shared_events.contacts.contact import CreateContact, ListContacts, PatchContact
from shared_events.services import CONTACTS

ADMIN, PASSWORD = "managed_admin", "only-for-tests"
CROWD = 6000
_CROWD = """
INSERT INTO contacts (id, tenant_id, name, source, search_text, sort_name, tag_keys, version,
    created_at, updated_at)
SELECT gen_random_uuid(), $1, 'x', 'api', ' maria n' || i || CASE i WHEN 7 THEN ' rara' ELSE '' END,
    'x', CASE i WHEN 7 THEN '{vip}'::text[] ELSE '{}' END, 1, now() + i * interval '1 second', now()
FROM generate_series(1, $2::integer) AS i
"""
# One an hour, the last of all never.
_WROTE = """
UPDATE contacts SET last_interaction_at = created_at - extract(epoch FROM created_at - now())
    * interval '1 hour' WHERE search_text NOT LIKE '%rara%'
"""
_READ = """
SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::integer
FROM pg_stat_xact_user_tables WHERE relname = 'contacts'
"""
_SILENT = """
INSERT INTO contacts (id, tenant_id, name, phone, tags, custom_fields, source, search_text,
    sort_name, version, created_at, updated_at)
VALUES ($1, $2, $3, '+5511988880001', '{Ouro}', '{"cidade": "São Paulo", "idade": 41}', 'api',
    '', 'x', 1, now(), now())
"""
_EARLIER = """
ALTER TABLE contacts DISABLE TRIGGER interacted;
UPDATE contacts SET last_interaction_at = '2026-01-02T23:30:00-03:00', interacted_on = '1970-01-01';
ALTER TABLE contacts ENABLE TRIGGER interacted
"""

_BROKEN_OFF = """
UPDATE pg_index SET indisvalid = false
WHERE indexrelid IN ('idx_contacts_interacted'::regclass, 'idx_contacts_tenant_tags'::regclass)
"""
_OF_NO_USE = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"


@pytest.fixture
async def managed(databases: Databases) -> MigratedDatabase:
    """A database whose administrator is what managed PostgreSQL gives: no superuser."""
    made = await databases.create()
    admin = await asyncpg.connect(made.admin_url)
    await admin.execute(
        f"DROP ROLE IF EXISTS {ADMIN};"
        f"CREATE ROLE {ADMIN} LOGIN NOSUPERUSER CREATEDB CREATEROLE PASSWORD '{PASSWORD}';"
        # They are the whole server's, and other databases of this run have made them.
        f"GRANT crm_contacts_owner, crm_contacts_app TO {ADMIN} WITH ADMIN OPTION"
    )
    await admin.close()

    def of_admin(url: str) -> str:
        parts = urlsplit(url)
        netloc = f"{ADMIN}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}"
        return urlunsplit(parts._replace(netloc=netloc))

    named = f"managed_{uuid4().hex[:12]}"
    there = urlunsplit(urlsplit(made.url)._replace(path=f"/{named}"))
    return MigratedDatabase(of_admin(made.admin_url), there, made.schema)


async def looked_after(database: MigratedDatabase) -> None:
    """What autovacuum does: a young index keeps a list of what it has to take in."""
    there = urlsplit(database.url).path
    admin = await asyncpg.connect(urlunsplit(urlsplit(database.admin_url)._replace(path=there)))
    await admin.execute("SET ROLE crm_contacts_owner")
    await admin.execute("VACUUM ANALYZE contacts.contacts")
    await admin.close()


async def found(tx: Transaction, **query: Any) -> list[UUID]:
    return [one.id for one in (await listing.list_contacts(tx, ListContacts(**query))).data]


async def reads(database: Database, tenant_id: str, **query: Any) -> tuple[int, int, int]:
    """How many contacts a list finds and reads, and by how many statements."""
    async with database.tenant(tenant_id) as tx:
        before = await tx.fetchval(_READ)
        with counting(tx) as asked:
            ids = await found(tx, **query)
            await asyncio.sleep(0)  # the driver tells of a statement in the loop's next turn
        return len(ids), await tx.fetchval(_READ) - before, len(asked)


class TestManagedPostgres:
    async def test_migrates_and_searches_by_its_indexes(self, managed: MigratedDatabase) -> None:
        await migrate(managed, CONTACTS.package)
        await migrate(managed, CONTACTS.package)
        async with managed.connected(pool_size=1) as database:
            for company in ("ours", "theirs"):
                async with database.tenant(company) as tx:
                    await tx.execute(_CROWD, company, CROWD)
                    await found(tx, search="rara")  # the driver asks for types, the first time
            await looked_after(managed)
            queries: tuple[dict[str, Any], ...] = (
                {"search": "rara"},
                {"tags": ["VIP"]},
                {"search": "n7 rar", "limit": 1},
            )
            for query in queries:
                count, read, statements = await reads(database, "ours", **query)
                assert (count, statements) == (1, 3)
                walked = listing.LOOKS * (query.get("limit", 50) + 1)
                assert read < walked + 50, query
            # Of a common word the list itself has a page full, with no index asked.
            assert await reads(database, "ours", search="mar", limit=5) == (5, 6, 2)
            assert await reads(database, "ours", search="\u0301") == (0, 0, 0)
            async with database.tenant("ours") as tx:
                pages = await listing.list_contacts(tx, ListContacts(search="maria", limit=100))
                assert pages.next_cursor is not None
                further = ListContacts(search="maria", limit=100, cursor=pages.next_cursor)
                behind = await listing.list_contacts(tx, further)
            assert pages.data[-1].created_at > behind.data[0].created_at
            async with database.tenant("nobody") as tx:
                assert await found(tx, search="rara") == []


class TestFunction:
    async def test_gives_out_the_contacts_of_whoever_acts_and_of_nobody_else(
        self, company: Shop, other_company: Shop
    ) -> None:
        for shop in (company, other_company):
            await shop.value(CreateContact(name="Maria Rara", tags=["vip"]))
        asked = "SELECT tenant_id FROM contacts_found($1, $2)"
        for words, keys in ((["%rara%"], None), (None, ["vip"]), (["%rara%"], ["vip"])):
            assert await company.rows(asked, words, keys) == [{"tenant_id": company.id}]
        async with company.database.tenants([company.id, other_company.id]) as tx:
            assert await tx.fetch(asked, ["%rara%"], None) == []
        async with company.database.acquire() as nobody:
            assert await nobody.fetch(asked, ["%rara%"], None) == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with company.database.tenant(company.id) as tx:
                await tx.execute("SET LOCAL ROLE crm_contacts_owner")

    async def test_wants_every_word(self, company: Shop) -> None:
        words = [f"w{n}x" for n in range(8)]
        made = await company.value(CreateContact(name=" ".join(words)))
        await company.value(CreateContact(name=" ".join(words[:-1])))
        (only,) = await company.contacts(search=" ".join(words))
        assert only["id"] == made["id"]


class TestSearch:
    async def test_finds_what_a_contact_says(self, company: Shop, other_company: Shop) -> None:
        said = {
            "name": "M" * 255,
            "phone": "+5511988880001",
            "email": "maria@exemplo.com",
            "tags": ["Ouro Fino", *(f"{n:02}" + "t" * 62 for n in range(49))],
            "custom_fields": {"cidade": "São Paulo", "codigo": 48151623, "gosta": ["Café"]},
        }
        made = await company.value(CreateContact.model_validate(said))
        await company.value(CreateContact(name="Outra", phone="+5511988880002"))
        await other_company.value(CreateContact.model_validate(said))
        for search in (
            *("mmmm", "maria@", "ouro", "sao paulo", "48151623", "CAFÉ", "48ttt"),
            *("0001", "(11) 98888-0001", "11 8888-0001", "+55 11 8888 0001", "55 11 98888-0001"),
            *("011 98888-0001", "0055 11 98888 0001"),
        ):
            assert [one["id"] for one in await company.contacts(search=search)] == [made["id"]]
        for search in ("gosta", "\u0301", "true", "9999", "mmmm outra"):
            assert await company.contacts(search=search) == []
        change = {"contact_id": made["id"], "tags": [], "custom_fields": {"cidade": "Recife"}}
        await company.value(PatchContact.model_validate(change))
        assert await company.contacts(search="ouro") == []
        assert len(await company.contacts(search="recife")) == 1


class TestByLastInteraction:
    async def test_is_read_by_its_index_a_day_at_a_time(self, databases: Databases) -> None:
        made = await databases.create()
        async with made.connected(pool_size=1) as database:
            for company in ("ours", "theirs"):
                async with database.tenant(company) as tx:
                    await tx.execute(_CROWD, company, CROWD)
                    await tx.execute(_WROTE)
                    await found(tx)  # the driver asks for types, the first time
            await looked_after(made)
            for sort in ("last_interaction_at", "-last_interaction_at"):
                count, read, statements = await reads(database, "ours", sort=sort, limit=5)
                assert (count, statements) == (5, 2)
                assert read < 5 + 2 * 24 + 10
            async with database.tenant("ours") as tx:
                wanted = await tx.fetch(
                    "SELECT id FROM contacts WHERE tenant_id = 'ours'"
                    " ORDER BY last_interaction_at DESC NULLS LAST, id DESC LIMIT 90"
                )
                ids: list[UUID] = []
                cursor = None
                for _ in range(9):
                    asked = ListContacts(sort="-last_interaction_at", limit=10, cursor=cursor)
                    page = await listing.list_contacts(tx, asked)
                    ids += [one.id for one in page.data]
                    cursor = page.next_cursor
            assert ids == [row["id"] for row in wanted]

    async def test_follows_every_message_and_keeps_who_never_wrote_before_all(
        self, company: Shop
    ) -> None:
        never = await company.value(CreateContact(name="Nunca"))
        for phone in ("5511988880001", "5511988880002", "5511988880001"):
            await company.receive(("phone", phone))
        listed = await company.contacts(sort="-last_interaction_at")
        assert [one["phone"] for one in listed] == ["+5511988880001", "+5511988880002", None]
        assert listed[-1]["id"] == never["id"]
        days = await company.rows(
            "SELECT count(*) FROM contacts WHERE interacted_on <>"
            " coalesce((last_interaction_at AT TIME ZONE 'UTC')::date, '1970-01-01')"
        )
        assert days == [{"count": 0}]


class TestFilledDatabase:
    async def test_finds_contacts_of_before_also_where_it_was_broken_off(
        self, databases: Databases
    ) -> None:
        made = await databases.create()
        admin = await asyncpg.connect(
            made.admin_url, server_settings={"search_path": "contacts, extensions"}
        )
        await admin.execute("UPDATE contacts.alembic_version SET version_num = '0019'")
        for company in ("ours", "theirs"):
            await admin.executemany(_SILENT, [(uuid4(), company, f"João {company}")])
        await admin.execute(_EARLIER)
        await admin.execute(_BROKEN_OFF)
        await migrate(made, CONTACTS.package)
        assert await admin.fetch(_OF_NO_USE) == []
        await admin.close()
        async with made.connected() as database:
            for company in ("ours", "theirs"):
                for search in ("joao", "11 8888 0001", "ouro", "paulo", "41"):
                    async with database.tenant(company) as tx:
                        assert len(await found(tx, search=search)) == 1, search
                async with database.tenant(company) as tx:
                    assert await tx.fetchval("SELECT interacted_on FROM contacts") == date(
                        2026, 1, 3
                    )
