"""Writing a service's next revision from its models, against a database that is one behind."""

import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from crm_testing.schemas import MigratedDatabase, migrate
from crm_testing.servers import PostgresServer
from service_kit import drift
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

FIRST = """
import sqlalchemy as sa
from alembic import op
from service_kit.ddl import create_plumbing, protect

revision = "0001"
down_revision = None

def upgrade() -> None:
    create_plumbing("drifting")
    op.create_table(
        "notes",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
    )
    protect("notes")
"""
MODELS = """
from uuid import UUID

from service_kit.tables import plumbing
from sqlalchemy import Index, MetaData
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

class Base(SQLModel, registry=registry(metadata=MetaData(schema="drifting"))):
    pass

plumbing(Base.metadata)

class Note(Base, table=True):
    __tablename__ = "notes"
    __table_args__ = (Index("idx_notes_tenant", "tenant_id", "title"),)
    id: UUID = Field(primary_key=True)
    tenant_id: str = Field(max_length=255)
    title: str | None = Field(default=None, max_length=80)

class Reader(Base, table=True):
    __tablename__ = "readers"
    id: UUID = Field(primary_key=True)
    tenant_id: str = Field(max_length=255)
    note_id: UUID = Field(foreign_key="drifting.notes.id")
"""
PACKAGE, SCHEMA = "crm_drifting", "drifting"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service whose models are ahead of its migrations."""
    folder = tmp_path / PACKAGE
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_notes.py").write_text(FIRST)
    (folder / "__init__.py").touch()
    (folder / "models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return folder


async def test_next_revision_brings_the_schema_to_the_models(
    package: Path, postgres_server: PostgresServer
) -> None:
    admin_url = await postgres_server.create_database(SCHEMA)
    parts = urlsplit(admin_url)
    runtime = parts._replace(netloc=f"crm_drifting_app:x@{parts.hostname}:{parts.port}")
    database = MigratedDatabase(admin_url, urlunsplit(runtime), SCHEMA)
    models = drift.models_of(PACKAGE)
    engine = create_async_engine(admin_url.replace("postgresql:", "postgresql+asyncpg:"))

    def write(connection: Connection) -> Path | None:
        return drift.write_revision(connection, PACKAGE, models, SCHEMA, "titles and readers")

    await migrate(database, PACKAGE)
    async with engine.connect() as connection:
        written = await connection.run_sync(write)
    assert written == package / "migrations" / "versions" / "0002_titles_and_readers.py"
    text = written.read_text()
    assert text.startswith('"""Titles and readers."""\n')
    assert 'op.add_column("notes"' in text.replace("'", '"')
    assert 'protect("readers")' in text and 'protect("notes")' not in text
    assert "schema=" not in text, "migrations run in the service's schema"

    await migrate(database, PACKAGE)
    async with engine.connect() as connection:
        assert await connection.run_sync(drift.differences, models, SCHEMA) == []
        assert await connection.run_sync(write) is None
    await engine.dispose()


class TestModelsOf:
    def test_needs_tables(self) -> None:
        with pytest.raises(LookupError, match="declares no tables"):
            drift.models_of("shared_events")
