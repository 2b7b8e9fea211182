"""A service's settings class, and what compose and Kubernetes tell the service."""

import importlib
import re
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import AliasChoices, SecretStr
from service_kit.environment import ProcessSettings

from deploy.manifests import ROOT

# Read by `migrate` alone, never by a server.
MIGRATION_KEYS = {"DATABASE_ADMIN_URL", "DATABASE_OWNER_URL", "RABBITMQ_ADMIN_URL"}

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<rule>[-?])(?P<rest>[^}]*))?\}")


def settings_of(service: str) -> type[ProcessSettings]:
    """The settings class that a service's own module defines."""
    module = importlib.import_module(f"crm_{service.replace('-', '_')}.settings")
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, ProcessSettings)
        and value.__module__ == module.__name__
    )
    return found


def known_keys(service: str) -> set[str]:
    """Every environment key the service reads, the `*_FILE` form of its secrets included."""
    keys: set[str] = set()
    for name, field in settings_of(service).model_fields.items():
        alias = field.validation_alias
        names = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
        keys |= {str(one).upper() for one in names}
    return keys | {f"{key}_FILE" for key in secret_keys(service)}


def secret_keys(service: str) -> set[str]:
    """The keys that hold secrets."""
    return {
        name.upper()
        for name, field in settings_of(service).model_fields.items()
        if "SecretStr" in str(field.annotation) or field.annotation is SecretStr
    }


def example_environment() -> dict[str, str]:
    """`.env.example` as keys and values."""
    return environment_file((ROOT / ".env.example").read_text())


def environment_file(text: str) -> dict[str, str]:
    """Keys and values of an environment file's text."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def compose_text() -> str:
    """docker-compose.yml as it is written."""
    return (ROOT / "docker-compose.yml").read_text()


def compose_variables(text: str) -> dict[str, bool]:
    """The variables a compose file takes, and whether it insists on each."""
    return {match["name"]: match["rule"] == "?" for match in _VARIABLE.finditer(text)}


def compose(environment: Mapping[str, str]) -> dict[str, Any]:
    """docker-compose.yml with its variables filled in; KeyError for a required one left empty."""

    def value(match: re.Match[str]) -> str:
        found = environment.get(match["name"], "")
        if not found and match["rule"] == "?":
            raise KeyError(match["name"])
        return found or (match["rest"] if match["rule"] == "-" else "")

    parsed: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(value, compose_text()))
    return parsed
