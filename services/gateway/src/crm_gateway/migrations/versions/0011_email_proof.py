"""Proof that an e-mail is its owner's."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Nobody has proved an address yet: who is there already is asked like anybody else.

    The link in an invitation that a new gateway has mailed is unknown to one of before, until that
    is replaced.
    """
    op.add_column("users", sa.Column("email_verified_at", sa.DateTime(timezone=True)))
    op.add_column("users", sa.Column("verification_hash", sa.String(64)))
    op.add_column("users", sa.Column("verification_expires_at", sa.DateTime(timezone=True)))
    op.create_unique_constraint("users_verification_hash_key", "users", ["verification_hash"])
