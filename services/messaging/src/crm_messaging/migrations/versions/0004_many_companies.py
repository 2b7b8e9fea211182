"""Transactions may act for many companies at once."""

from service_kit.ddl import confine_to_many

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    confine_to_many("messaging")
