"""Pages of the inbox and of lists read what they show, and search needs no superuser (ADR 25).

Planners take a company that statistics do not tell of for an average one, and do not know that a
conversation is of one company. Where an index fitted the company alone, they read all its messages
or people for each row of a page; where few rows seemed to be left, a whole conversation to sort it.
"""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import build_index, presume_named, trust_owner

revision = "0026"
down_revision = "0025"

_WORDS = 8
_EACH = " ".join(
    f"AND (words[{n}] IS NULL OR search_text LIKE words[{n}])" for n in range(1, _WORDS + 1)
)
# Planned for the words it is given, and by bitmaps alone. Who acts for several companies finds
# nobody.
_FOUND = f"""
CREATE OR REPLACE FUNCTION people_found(words text[], at_most integer) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = messaging, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
SET enable_indexscan = off
AS $$ BEGIN
    RETURN QUERY SELECT contact_id FROM contact_refs
    WHERE tenant_id = current_setting('app.tenant_id', true) AND search_text <> '' {_EACH}
    LIMIT at_most;
END $$
"""  # noqa: S608 - numbers of ours
_STRAYS = "current_setting('app.scope', true) = 'strays' AND (conversation_id IS NULL) IS TRUE"
_OF_ONE_COMPANY = """
CREATE STATISTICS IF NOT EXISTS messages_of_one_company (dependencies)
ON tenant_id, channel_id, contact_id, conversation_id, session_id FROM messages
"""


def upgrade() -> None:
    """Until all processes are new, those of before find nobody in the inbox quickly."""
    for table in ("conversations", "sessions"):
        presume_named(table)
    # In words that no index fits: the statement says it again as the index has it.
    op.execute("DROP POLICY IF EXISTS scope_strays ON messages")
    op.execute(f"CREATE POLICY scope_strays ON messages FOR SELECT USING ({_STRAYS})")
    op.execute(_OF_ONE_COMPANY)
    op.execute(_FOUND)
    trust_owner("contact_refs")
    trigrams = {
        "tenant_id": "extensions.varchar_ops",
        "search_text": "extensions.gin_trgm_ops",
    }
    with op.get_context().autocommit_block():
        build_index(
            "idx_messages_numbered",
            "messages",
            ["tenant_id", "conversation_id", "seq"],
            unique=True,
        )
        _drop("idx_messages_conversation", "messages")
        build_index(
            "idx_contact_refs_words",
            "contact_refs",
            [*trigrams],
            postgresql_using="gin",
            postgresql_ops=trigrams,
            postgresql_where=sa.text("search_text <> ''"),
        )
        _drop("idx_contact_refs_search", "contact_refs")


def _drop(index: str, table: str) -> None:
    op.drop_index(index, table, if_exists=True, postgresql_concurrently=True)
