"""Erasures."""

from service_kit.ddl import create_erasure_tasks

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    create_erasure_tasks("gateway")
