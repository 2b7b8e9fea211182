"""What any process of ours reads from its environment, and how. Nothing is read at import.

Every setting `X` may also come from a file named by `X_FILE`. Outside development and tests a
process refuses to start with a missing, default or short secret, and lists all problems at once.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

WELL_KNOWN_SECRETS = {"supersecret", "secret", "postgres", "guest", "password", "changeme", ""}
MIN_SECRET_LENGTH = 32
MIN_DIFFERENT_CHARACTERS = 8
"""Of a secret: 32 random hexadecimal digits have fewer once in ten million draws."""


def listed(value: Any) -> Any:
    """A setting's list as it comes from the environment, `a,b,c`, as parts; else as it is.

    Before a validator: `Annotated[tuple[...], NoDecode, BeforeValidator(listed)]`.
    """
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _something(value: Any) -> Any:
    return value or None


SpareSecret = Annotated[SecretStr | None, BeforeValidator(_something)]
"""A second secret, while one is turned. Empty is none, as docker compose says it."""


class ConfigurationError(SystemExit):
    """The settings cannot be used. Its text lists every problem and no secret."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("configuration problems:\n" + "\n".join(f"  - {p}" for p in problems))


class _FromFiles(PydanticBaseSettingsSource):
    """Reads `X_FILE` for setting `X`; a trailing newline is dropped.

    What is wrong with a file is told by `_file_problems`, together with all other problems.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{field_name.upper()}_FILE")
        if path is None:
            return None, field_name, False
        try:
            return Path(path).read_text().rstrip("\n"), field_name, False
        except OSError:
            return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found


def _file_problems(settings_type: type[BaseSettings]) -> list[str]:
    return [said for name in settings_type.model_fields for said in _of_file(name.upper())]


def _of_file(name: str) -> list[str]:
    path = os.environ.get(f"{name}_FILE")
    if path is None:
        return []
    found = [f"both {name} and {name}_FILE are set"] if name in os.environ else []
    if not os.access(path, os.R_OK):
        found.append(f"{name}_FILE: there is no readable file at that path")
    return found


def administrator(name: str) -> str | None:
    """An administrator's login, which is a command's and no setting: `X`, or what `X_FILE` names.

    None or empty where there is none. Raises ConfigurationError for a file that cannot be had.
    """
    if problems := _of_file(name):
        raise ConfigurationError(problems)
    path = os.environ.get(f"{name}_FILE")
    return os.environ.get(name) if path is None else Path(path).read_text().rstrip("\n")


class ProcessSettings(BaseSettings):
    """What every process needs, whether or not it has a database and a bus."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    crm_env: Literal["development", "test", "production"] = Field(
        default="production",
        description="`development` and `test` relax what secrets must be and allow loopback",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="what is logged at least"
    )
    server_host: str = Field(
        default="0.0.0.0",  # noqa: S104 - a container listens on all its interfaces
        description="the interface HTTP listens on",
    )
    server_port: int = Field(
        default=8080, ge=0, le=65535, description="HTTP: health and metrics, the gateway's API"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over files."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, _FromFiles(settings_cls)

    @property
    def is_production(self) -> bool:
        """Strict unless somebody said development or test."""
        return self.crm_env == "production"

    def secrets(self) -> dict[str, SecretStr]:
        """Settings that must be strong secrets in production, by environment name."""
        return {}

    def problems(self) -> list[str]:
        """What makes these settings unfit for production; each kind of process adds its own."""
        return weak(self.secrets())


def weak(named: Mapping[str, SecretStr]) -> list[str]:
    """A line for each secret that is short or well-known."""
    return [
        f"{name} must be a secret of at least {MIN_SECRET_LENGTH} characters, not a default"
        for name, secret in named.items()
        if len(secret.get_secret_value()) < MIN_SECRET_LENGTH
        or len(set(secret.get_secret_value())) < MIN_DIFFERENT_CHARACTERS
        or secret.get_secret_value().lower() in WELL_KNOWN_SECRETS
    ]


Settings = TypeVar("Settings", bound=ProcessSettings)


def judge(settings_type: type[Settings]) -> tuple[Settings | None, list[str]]:
    """The settings as the environment has them, None if they cannot be read, and all problems."""
    problems = _file_problems(settings_type)
    try:
        settings = settings_type()
    except ValidationError as error:
        problems += [f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        return None, problems + _problems_beside(settings_type, error)
    except SettingsError as error:  # a list or a tuple that is not JSON
        return None, [*problems, str(error)]
    if settings.is_production:
        problems += settings.problems()
    return settings, problems


def load(settings_type: type[Settings]) -> Settings:
    """Read and judge the settings; raises ConfigurationError with every problem at once."""
    settings, problems = judge(settings_type)
    if problems or settings is None:
        raise ConfigurationError(problems)
    return settings


def _problems_beside(settings_type: type[Settings], error: ValidationError) -> list[str]:
    """What else is wrong, were it not for these: stand-ins take the place of what was refused."""
    refused = {str(e["loc"][0]) for e in error.errors() if e["loc"]}
    fields = {name: settings_type.model_fields.get(name) for name in refused}
    stand_ins: dict[str, Any] = {
        name: SecretStr(secrets.token_hex(32))
        if "SecretStr" in str(field.annotation)
        else field.get_default(call_default_factory=True)
        for name, field in fields.items()
        if field is not None
    }
    any_value: Any = dict.fromkeys(stand_ins, (Any, None))
    lenient = create_model(settings_type.__name__, __base__=settings_type, **any_value)
    try:
        settings = lenient(**stand_ins)
    except (ValidationError, SettingsError):  # what is refused as a whole
        return []
    return settings.problems() if settings.is_production else []
