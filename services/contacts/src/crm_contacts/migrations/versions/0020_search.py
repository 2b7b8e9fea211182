"""Search asks its indexes through a function of the owner's (ADR 25), and looks at more.

What contacts of before are found by is written anew, a thousand at a time: each statement commits
by itself and changes only what differs, so it may be broken off and begun anew.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import build_index, run, trust_owner

from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.search import search_text

revision = "0020"
down_revision = "0019"

_WORDS = 8
_EACH = " ".join(
    f"AND (words[{n}] IS NULL OR search_text LIKE words[{n}])" for n in range(1, _WORDS + 1)
)
# Planned for the words it is given, and by bitmaps alone: an index of the list's order, or that of
# all the company's contacts, would seem cheap. Who acts for several companies finds nobody.
_FOUND = f"""
CREATE OR REPLACE FUNCTION contacts_found(words text[], keys text[]) RETURNS SETOF contacts
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = contacts, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
SET enable_indexscan = off
AS $$ BEGIN
    RETURN QUERY SELECT * FROM contacts
    WHERE tenant_id = current_setting('app.tenant_id', true) AND deleted_at IS NULL
        AND (keys IS NULL OR tag_keys && keys) {_EACH};
END $$
"""  # noqa: S608 - numbers of ours

_ROWS = 1000
_SHOWN = ("name", "phone", "email", "tags", "custom_fields")
# The owner's policy shows the contacts of all companies.
_NEXT = f"""
SELECT id, tenant_id, version, {", ".join(_SHOWN)} FROM contacts
WHERE id > CAST(:id AS uuid) AND deleted_at IS NULL ORDER BY id LIMIT {_ROWS}
"""  # noqa: S608 - names of ours
_ACT = "SELECT set_config('app.tenant_id', :tenants, false)"
_FILL = """
UPDATE contacts c SET search_text = k.search_text
FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS integer[]), CAST(:texts AS text[]))
    AS k(id, version, search_text)
WHERE c.id = k.id AND c.version = k.version AND c.search_text <> k.search_text
"""


def upgrade() -> None:
    trust_owner("contacts")
    op.execute(_FOUND)
    with op.get_context().autocommit_block():
        _fill()
        build_index(
            "idx_contacts_tenant_tags",
            "contacts",
            ["tenant_id", "tag_keys"],
            postgresql_using="gin",
            postgresql_ops={"tenant_id": "extensions.varchar_ops"},
            postgresql_where=sa.text("deleted_at IS NULL"),
        )


def _fill() -> None:
    last = "00000000-0000-0000-0000-000000000000"
    while rows := run(_NEXT, id=last):
        last = str(rows[-1].id)
        texts = [search_text(Contact.model_construct(**_shown(row))) for row in rows]
        run(_ACT, tenants=",".join(sorted({row.tenant_id for row in rows})))
        ids, versions = [row.id for row in rows], [row.version for row in rows]
        run(_FILL, ids=ids, versions=versions, texts=texts)
    run(_ACT, tenants="")


def _shown(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _SHOWN}
