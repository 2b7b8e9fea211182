"""Erasures, and who comes after erased people."""

from service_kit.ddl import create_erased_identities, create_erasure_tasks

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    create_erasure_tasks("messaging")
    create_erased_identities("messaging")
