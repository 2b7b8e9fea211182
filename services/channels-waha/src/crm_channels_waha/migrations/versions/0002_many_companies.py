"""Transactions may act for many companies at once."""

from service_kit.ddl import confine_to_many

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    confine_to_many("channels_waha")
