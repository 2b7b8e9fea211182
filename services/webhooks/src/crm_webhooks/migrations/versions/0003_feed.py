"""What disabled endpoints are owed expires."""

from service_kit.ddl import allow_scope

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    allow_scope("webhook_endpoints", "purge")
