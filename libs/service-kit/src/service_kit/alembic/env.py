"""Alembic's environment, the same for every service: `service_kit.migrations` hands it over."""

from alembic import context
from sqlalchemy import MetaData

schema = context.config.attributes["schema"]
context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema=schema,
    target_metadata=MetaData(schema=schema),
)
with context.begin_transaction():
    context.run_migrations()
