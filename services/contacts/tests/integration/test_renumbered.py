"""Identities of before are found under what numbers of changed plans count as since."""

from uuid import uuid4

import asyncpg
from crm_testing.schemas import Databases, migrate
from shared_events.services import CONTACTS

_COMPANY = """
INSERT INTO contacts (id, tenant_id, name, source, search_text, sort_name, version, created_at,
    updated_at)
VALUES ($1, $2, 'Ana', 'api', '', 'ana', 1, now(), now())
"""
_IDENTITY = """
INSERT INTO contact_identities (tenant_id, kind, canonical, value, contact_id, created_at)
VALUES ($1, 'phone', $2, $2, gen_random_uuid(), now())
"""
_SINCE = {
    "22997123456": "2290197123456",  # Benin
    "22541123456": "2250141123456",  # Ivory Coast: Moov, MTN and Orange
    "22505123456": "2250505123456",
    "22508123456": "2250708123456",
    "22522123456": "22522123456",  # a fixed line
    "551133330001": "551133330001",
    "22945123456": "22945123456",  # whose new form is somebody's already
    "2290145123456": "2290145123456",
}


async def test_numbers_of_changed_plans_count_as_they_do_since(databases: Databases) -> None:
    made = await databases.create()
    admin = await asyncpg.connect(
        made.admin_url, server_settings={"search_path": "contacts, extensions"}
    )
    await admin.execute("UPDATE contacts.alembic_version SET version_num = '0023'")
    for company in ("ours", "theirs"):
        await admin.execute(_COMPANY, uuid4(), company)
        await admin.executemany(_IDENTITY, [(company, value) for value in _SINCE])
    await migrate(made, CONTACTS.package)
    for company in ("ours", "theirs"):
        rows = await admin.fetch("SELECT * FROM contact_identities WHERE tenant_id = $1", company)
        assert {row["value"]: row["canonical"] for row in rows} == _SINCE
    await admin.close()
