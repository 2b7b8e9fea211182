"""Without an index of the event log that no statement asks: they name tenant and place as well."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Code since the feed (0003) reads by the index of tenant, aggregate and place."""
    with op.get_context().autocommit_block():
        op.drop_index(
            "idx_domain_event_log_aggregate",
            "domain_event_log",
            if_exists=True,
            postgresql_concurrently=True,
        )
