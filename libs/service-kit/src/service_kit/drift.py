"""What a service's schema lacks of what its models say: for drift tests and for new revisions."""

import re
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, Literal

from alembic import command
from alembic.autogenerate import compare_metadata, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from service_kit.migrations import alembic_config
from service_kit.revisions import head_revision

_PLACED = (
    ops.AlterTableOp,
    ops.CreateIndexOp,
    ops.CreateTableOp,
    ops.DropConstraintOp,
    ops.DropIndexOp,
    ops.DropTableOp,
    ops.ModifyTableOps,
)
"""Operations that name a schema."""


def models_of(package: str) -> MetaData:
    """The tables a service's modules named `models` declare; LookupError when there are none."""
    for module in walk_packages(import_module(package).__path__, f"{package}."):
        if module.name.rpartition(".")[2] == "models":
            import_module(module.name)
    metadata = {
        id(kind.metadata): kind.metadata
        for kind in _below(SQLModel)
        if kind.__module__.startswith(f"{package}.") and hasattr(kind, "__table__")
    }
    if len(metadata) != 1:
        raise LookupError(f"{package} declares no tables, or tables of several schemas")
    return metadata.popitem()[1]


def _below(kind: type[SQLModel]) -> Iterable[type[SQLModel]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def differences(connection: Connection, models: MetaData, schema: str) -> list[Any]:
    """What Alembic would change to make the schema what the models say; empty when they agree."""
    options = {**_comparison(schema), "version_table_schema": schema}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), models))


def write_revision(
    connection: Connection, package: str, models: MetaData, schema: str, message: str
) -> Path | None:
    """Write the next revision into `<package>/migrations/versions`; None when nothing differs.

    The schema is at the last revision, and not in the connection's search path: the models name it.
    Policies, storage parameters and data are not compared.
    """

    def directives(_: Any, __: Any, scripts: list[ops.MigrationScript]) -> None:
        upgrades = scripts[0].upgrade_ops
        if upgrades is None or upgrades.is_empty():
            scripts.clear()
            return
        _unqualify(upgrades, schema)
        _protect_new_tables(upgrades)

    config = alembic_config(package)
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes.update(
        connection=connection,
        schema=schema,
        comparison={
            **_comparison(schema),
            "target_metadata": models,
            "render_item": _render_item,
            "process_revision_directives": directives,
        },
    )
    following = f"{int(head_revision(package)) + 1:04}"
    written = command.revision(config, message, autogenerate=True, rev_id=following)
    scripts = written if isinstance(written, list) else [written]
    path = next((Path(script.path) for script in scripts if script is not None), None)
    if path is None:
        return None
    path.write_text(re.sub(r" *# ### .*\n", "", path.read_text()))  # Alembic's reminder to look
    return path


def _comparison(schema: str) -> dict[str, Any]:
    def ours(name: str | None, kind: str, parents: Any) -> bool:
        del parents
        return kind != "schema" or name == schema

    return {"include_schemas": True, "include_name": ours, "compare_server_default": True}


def _unqualify(operation: MigrateOperation, schema: str) -> None:
    """Migrations run with the schema first in the search path and need not name it."""
    if isinstance(operation, _PLACED) and operation.schema == schema:
        operation.schema = None
    for inner in getattr(operation, "ops", ()):
        _unqualify(inner, schema)


class ProtectOp(MigrateOperation):
    """`service_kit.ddl.protect(table)`."""

    def __init__(self, table: str) -> None:
        self.table = table


@renderers.dispatch_for(ProtectOp)
def _render_protect(context: AutogenContext, operation: ProtectOp) -> str:
    context.imports.add("from service_kit.ddl import protect")
    return f'protect("{operation.table}")'


def _protect_new_tables(upgrades: ops.UpgradeOps) -> None:
    upgrades.ops.extend(
        ProtectOp(one.table_name)
        for one in list(upgrades.ops)
        if isinstance(one, ops.CreateTableOp)
        and any(getattr(column, "name", None) == "tenant_id" for column in one.columns)
    )


def _render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """SQLModel's text type is SQLAlchemy's, of which a migration should speak."""
    del context
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String({item.length or ''})"
    return False
