r"""Messages are searched by their words (docs/adr/0027), and listed by channel, status and type.

Nothing is stored for it: the index is of what a function makes of the text, which the release
before writes as well. `\M` is the end of a word, and the first pattern what NFKD leaves of accents.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import build_index, trust_owner

revision = "0022"
down_revision = "0021"

_FUNCTIONS = (
    r"""
CREATE OR REPLACE FUNCTION plain(said text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN regexp_replace(normalize(lower(left(said, 10000)), NFKD), '[\u0300-\u036f]', '', 'g')
""",
    r"""
CREATE OR REPLACE FUNCTION folded(said text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN regexp_replace(plain(said), '[!-/:-@[-`{-~]+', ' ', 'g')
""",
    # The stemmer knows plurals by their accents, which many do not write.
    r"""
CREATE OR REPLACE FUNCTION stems_of(words text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN to_tsvector('pg_catalog.portuguese'::regconfig,
    regexp_replace(words, 'oes\M', 'ao', 'g'))
""",
    # OFFSET keeps it one folding, which costs as much as the dictionaries.
    """
CREATE OR REPLACE FUNCTION words_of(said text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 500
RETURN (SELECT strip(stems_of(words) || to_tsvector('pg_catalog.simple'::regconfig, words))
    FROM (SELECT folded(said) AS words OFFSET 0) AS folded)
""",
    # Each word as it begins, or by its stem.
    r"""
CREATE OR REPLACE FUNCTION searched(search text) RETURNS tsquery
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 500
RETURN (SELECT coalesce(string_agg('(' || said || ')', ' & '), '')::tsquery
    FROM (SELECT concat_ws(' | ', quote_literal(begins) || ':*',
            (SELECT string_agg(quote_literal(stem), ' | ')
                FROM unnest(tsvector_to_array(stems_of(word))) AS t(stem))) AS said
        FROM regexp_split_to_table(folded(search), '\s+') WITH ORDINALITY AS s(word, n)
        CROSS JOIN unnest(tsvector_to_array(
            to_tsvector('pg_catalog.simple'::regconfig, word))) AS w(begins)
        WHERE n <= 8) AS words)
""",
    # Planned for the words it is given, and by bitmaps alone (docs/adr/0025).
    """
CREATE OR REPLACE FUNCTION messages_found(search text) RETURNS SETOF messages
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = messaging, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
SET enable_indexscan = off
AS $$ DECLARE wanted tsquery := searched(search); BEGIN
    RETURN QUERY SELECT * FROM messages
    WHERE tenant_id = current_setting('app.tenant_id', true) AND content IS NOT NULL
        AND words_of(content) @@ wanted;
END $$
""",
)


def upgrade() -> None:
    for function in _FUNCTIONS:
        op.execute(function)
    trust_owner("messages")
    with op.get_context().autocommit_block():
        _index(
            "words",
            ["tenant_id", sa.text("words_of(content)")],
            postgresql_using="gin",
            postgresql_ops={"tenant_id": "extensions.varchar_ops"},
            postgresql_where=sa.text("content IS NOT NULL"),
        )
        by_time = ["placed_at", "seq", "id"]
        _index("placed_channel", ["tenant_id", "channel_id", *by_time])
        _index(
            "placed_failed",
            ["tenant_id", *by_time],
            postgresql_where=sa.text("status = 'failed'"),
        )
        _index(
            "placed_type",
            ["tenant_id", "content_type", *by_time],
            postgresql_where=sa.text("content_type <> 'text'"),
        )
        # Only the releases before conversations listed by it.
        op.drop_index(
            "idx_messages_tenant", "messages", if_exists=True, postgresql_concurrently=True
        )


def _index(name: str, columns: list[Any], **options: Any) -> None:
    build_index(f"idx_messages_{name}", "messages", columns, **options)
