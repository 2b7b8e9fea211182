"""A person of one company may be an agent of others as well."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope

revision = "0016"
down_revision = "0015"

# Of a person as much is seen as of a tenant's own rows, by the tenants they are of.
_OURS = "(SELECT string_to_array(current_setting('app.tenant_id', true), ','))::text[]"
_IS_MEMBER = f"""
EXISTS (
    SELECT FROM gateway.agents a
    WHERE a.user_id = {{person}} AND (a.account_id IS NULL OR a.joined_at IS NOT NULL)
    AND a.tenant_id = ANY ({_OURS})
)
"""


def upgrade() -> None:
    """Agents of before are their own users, as those are that gateways of before add.

    The column that is computed is filled in by rewriting the table, which holds few rows. Gateways
    of before do not see who joined from another company.
    """
    shared = sa.Column("shared", sa.Boolean, nullable=False, server_default=sa.text("false"))
    version = sa.Column("token_version", sa.Integer, nullable=False, server_default=sa.text("0"))
    op.add_column("users", shared)
    op.add_column("agents", version)
    for name, kind in (
        ("account_id", sa.Uuid),
        ("known_as", sa.String(255)),
        ("invited_email", sa.String(255)),
        ("invitation_hash", sa.String(64)),
        ("verification_hash", sa.String(64)),
        ("invitation_expires_at", sa.DateTime(timezone=True)),
        ("joined_at", sa.DateTime(timezone=True)),
        ("entered_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("agents", sa.Column(name, kind))
    computed = sa.Computed("COALESCE(account_id, id)", persisted=True)
    op.add_column("agents", sa.Column("user_id", sa.Uuid, computed))
    op.drop_constraint("agents_id_fkey", "agents")
    op.create_foreign_key("agents_user_id_fkey", "agents", "users", ["user_id"], ["id"])
    op.create_unique_constraint("agents_user_id_key", "agents", ["user_id", "tenant_id"])
    for name in ("invitation_hash", "verification_hash"):
        op.create_unique_constraint(f"agents_{name}_key", "agents", [name])
    for table, person, commands in (
        ("users", "users.id", ("SELECT", "UPDATE")),
        ("authenticators", "authenticators.user_id", ("ALL",)),
        ("recovery_codes", "recovery_codes.user_id", ("ALL",)),
    ):
        for command in commands:
            op.execute(
                f"CREATE POLICY member_{command.lower()} ON {table} FOR {command}"
                f" USING ({_IS_MEMBER.format(person=person)})"
            )
    # Where a person may go, and whom an invitation is for, is found across companies.
    allow_scope("agents", "membership")
    allow_scope("projects", "membership")
