"""Whether links are shown with a preview, texts are typed first, and calls are rejected."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """All as it was: WAHA makes previews by itself, and what rings is let ring."""
    off = [(name, "false") for name in ("simulate_typing", "reject_calls")]
    for name, before in (("link_previews", "true"), *off):
        column = sa.Column(name, sa.Boolean, nullable=False, server_default=sa.text(before))
        op.add_column("channels", column)
