"""Filters by custom fields and tags ask an index, and lists are walked in companies of any size."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import build_index, presume_named

revision = "0023"
down_revision = "0022"

# As `contacts_found`: planned for the values it is given, and by bitmaps alone (docs/adr/0025). Who
# acts for several companies finds nobody.
_HAVING = """
CREATE OR REPLACE FUNCTION contacts_having(fields jsonb[], keys text[]) RETURNS SETOF contacts
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = contacts, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
SET enable_indexscan = off
AS $$ BEGIN
    IF fields IS NULL THEN
        RETURN QUERY SELECT * FROM contacts
        WHERE tenant_id = current_setting('app.tenant_id', true) AND deleted_at IS NULL
            AND tag_keys && keys;
    ELSE
        RETURN QUERY SELECT * FROM contacts
        WHERE tenant_id = current_setting('app.tenant_id', true) AND deleted_at IS NULL
            AND custom_fields <> '{}' AND custom_fields @> ANY (fields);
    END IF;
END $$
"""


def upgrade() -> None:
    """The function finds by reading, slowly, until its index is built."""
    presume_named("contacts")
    op.execute(_HAVING)
    with op.get_context().autocommit_block():
        # Of who has any: no index that fits a company's name alone is to seem cheap.
        build_index(
            "idx_contacts_custom_fields",
            "contacts",
            ["tenant_id", "custom_fields"],
            postgresql_using="gin",
            postgresql_ops={
                "tenant_id": "extensions.varchar_ops",
                "custom_fields": "jsonb_path_ops",
            },
            postgresql_where=sa.text("custom_fields <> '{}' AND deleted_at IS NULL"),
        )
