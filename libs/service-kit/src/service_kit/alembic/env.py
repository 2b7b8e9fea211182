"""Alembic's environment, the same for every service: `service_kit.migrations` hands it over."""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    version_table_schema=attributes["schema"],
    **attributes.get("comparison", {}),
)
with context.begin_transaction():
    context.run_migrations()
