"""Erasures, and who comes after erased people."""

from service_kit.ddl import create_erased_identities, create_erasure_tasks

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    create_erasure_tasks("messaging")
    create_erased_identities("messaging")
