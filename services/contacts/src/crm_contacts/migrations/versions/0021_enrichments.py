"""What is read out of trackings."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect

revision = "0021"
down_revision = "0020"

_READ = (
    *("platform", "click_id", "utm_source", "utm_medium", "utm_campaign", "utm_term"),
    *("utm_content", "landing_host", "referrer_host", "device", "os", "browser"),
)


def upgrade() -> None:
    op.create_table(
        "tracking_enrichments",
        sa.Column(
            "tracking_id",
            sa.Uuid,
            sa.ForeignKey("contacts.trackings.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        *(sa.Column(name, sa.String(255)) for name in _READ),
        sa.Column("click_kind", sa.String(50)),
        sa.Column("landing_path", sa.Text),
        sa.Column("enriched_at", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )
    protect("tracking_enrichments")
