"""Transactions may act for many companies at once."""

from service_kit.ddl import confine_to_many

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    confine_to_many("messaging")
