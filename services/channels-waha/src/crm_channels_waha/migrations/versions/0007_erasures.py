"""Erasures."""

from service_kit.ddl import create_erasure_tasks

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    create_erasure_tasks("channels_waha")
