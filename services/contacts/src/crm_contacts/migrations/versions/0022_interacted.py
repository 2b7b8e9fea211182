"""The day of each contact's last interaction, and the index of lists by it.

A trigger writes it, so that the release before does too while an update rolls. Contacts of before
are filled in a thousand at a time: each statement commits by itself and changes only what differs,
so it may be broken off and begun anew.
"""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import build_index, run

revision = "0022"
down_revision = "0021"

_DAY = "coalesce((last_interaction_at AT TIME ZONE 'UTC')::date, '1970-01-01')"
_WRITE = f"""
CREATE OR REPLACE FUNCTION contacts_interacted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.interacted_on := {_DAY.replace("last_", "NEW.last_")};
    RETURN NEW;
END $$
"""
_WHENEVER = """
CREATE OR REPLACE TRIGGER interacted
BEFORE INSERT OR UPDATE OF last_interaction_at, interacted_on ON contacts
FOR EACH ROW EXECUTE FUNCTION contacts_interacted()
"""
_NEXT = """
SELECT id, tenant_id FROM contacts WHERE id > CAST(:id AS uuid) ORDER BY id LIMIT 1000
"""
_ACT = "SELECT set_config('app.tenant_id', :tenants, false)"
_FILL = f"""
UPDATE contacts SET interacted_on = {_DAY}
WHERE id = ANY(CAST(:ids AS uuid[])) AND interacted_on <> {_DAY}
"""  # noqa: S608 - our own text


def upgrade() -> None:
    op.execute(
        "ALTER TABLE contacts ADD COLUMN IF NOT EXISTS interacted_on date NOT NULL"
        " DEFAULT '1970-01-01'"
    )
    op.execute(_WRITE)
    op.execute(_WHENEVER)
    with op.get_context().autocommit_block():
        _fill()
        build_index(
            "idx_contacts_interacted",
            "contacts",
            ["tenant_id", "interacted_on", "id"],
            postgresql_where=sa.text("deleted_at IS NULL"),
        )


def _fill() -> None:
    last = "00000000-0000-0000-0000-000000000000"
    while rows := run(_NEXT, id=last):
        last = str(rows[-1].id)
        run(_ACT, tenants=",".join(sorted({row.tenant_id for row in rows})))
        run(_FILL, ids=[row.id for row in rows])
    run(_ACT, tenants="")
