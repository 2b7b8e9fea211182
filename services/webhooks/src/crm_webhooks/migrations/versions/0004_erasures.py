"""Erasures."""

from service_kit.ddl import create_erasure_tasks

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    create_erasure_tasks("webhooks")
