"""Identities of before are found under what numbers of changed plans count as since."""

from uuid import uuid4

import asyncpg
from crm_testing.schemas import Databases, migrate
from shared_events.services import MESSAGING

_COMPANY = """
INSERT INTO contact_refs (contact_id, tenant_id, name) VALUES ($1, $2, 'Ana')
"""
_IDENTITY = """
INSERT INTO identity_refs (tenant_id, kind, canonical, value, contact_id)
VALUES ($1, 'phone', $2, $2, gen_random_uuid())
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
        made.admin_url, server_settings={"search_path": "messaging, extensions"}
    )
    await admin.execute("UPDATE messaging.alembic_version SET version_num = '0028'")
    for company in ("ours", "theirs"):
        await admin.execute(_COMPANY, uuid4(), company)
        await admin.executemany(_IDENTITY, [(company, value) for value in _SINCE])
    await migrate(made, MESSAGING.package)
    for company in ("ours", "theirs"):
        rows = await admin.fetch("SELECT * FROM identity_refs WHERE tenant_id = $1", company)
        assert {row["value"]: row["canonical"] for row in rows} == _SINCE
    await admin.close()
