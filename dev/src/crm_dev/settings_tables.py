"""The tables of settings in the READMEs, written from the settings classes themselves."""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode
from service_kit.environment import ProcessSettings
from service_kit.settings import ServiceSettings
from shared_events.services import SERVICES

BEGIN, END = "<!-- settings: written by `make docs` -->", "<!-- end of settings -->"


class MarkersMissingError(Exception):
    """A README has no place for its table."""


def written(root: Path) -> dict[Path, str]:
    """What each README with a table of settings should say, by its path."""
    found: dict[Path, type[ProcessSettings]] = {
        root / "libs" / "service-kit" / "README.md": ServiceSettings,
        **{
            root / "services" / service.name / "README.md": settings_of(service.package)
            for service in SERVICES
        },
        root / "docs" / "console.md": settings_of("crm_console"),
    }
    return {path: _with_table(path, table(kind)) for path, kind in found.items()}


def write(root: Path) -> list[Path]:
    """Write the tables anew; returns the READMEs that changed."""
    changed = [path for path, text in written(root).items() if path.read_text() != text]
    for path in changed:
        path.write_text(written(root)[path])
    return changed


def settings_of(package: str) -> type[ProcessSettings]:
    """The settings class a package of ours defines."""
    module = import_module(f"{package}.settings")
    (found,) = (
        kind
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, ProcessSettings)
        and kind.__module__ == module.__name__
    )
    return found


def table(kind: type[ProcessSettings]) -> str:
    """The settings this class declares itself, as a Markdown table."""
    rows = [
        f"| {_names(name, field)} | {_default(field)} | {field.description or ''} |"
        for name, field in own_fields(kind)
    ]
    return "\n".join(["| Variable | Default | For |", "|---|---|---|", *rows])


def own_fields(kind: type[ProcessSettings]) -> Iterator[tuple[str, FieldInfo]]:
    """The fields a settings class has beside every service's, and those it declares anew."""
    return (
        (name, field)
        for name, field in kind.model_fields.items()
        if kind is ServiceSettings
        or name in kind.__annotations__
        or name not in ServiceSettings.model_fields
    )


def _names(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    names = alias.choices if isinstance(alias, AliasChoices) else [name]
    return ", ".join(f"`{str(one).upper()}`" for one in names)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value in (None, "", ()):
        return ""
    return f"`{_spelled(value, in_json=NoDecode not in field.metadata)}`"


def _spelled(value: Any, *, in_json: bool) -> str:
    """A value as the environment spells it."""
    if isinstance(value, tuple):
        parts = [_spelled(part, in_json=in_json) for part in value]
        return json.dumps([json.loads(part) for part in parts]) if in_json else ",".join(parts)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _with_table(readme: Path, table: str) -> str:
    text = readme.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MarkersMissingError(f"{readme}: put {BEGIN} and {END} where the table belongs")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"
