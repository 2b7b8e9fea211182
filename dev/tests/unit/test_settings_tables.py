from pathlib import Path

import pytest
from crm_dev import settings_tables
from crm_dev.settings_tables import MarkersMissingError, own_fields, settings_of, table, written
from pydantic import Field, SecretStr
from service_kit.settings import ServiceSettings
from shared_events.services import SERVICES, ServiceName

ROOT = Path(__file__).parents[3]


class ThingsSettings(ServiceSettings):
    server_port: int = Field(default=8090, description="HTTP")
    things_key: SecretStr = Field(description="opens things")
    things_seconds: float = Field(default=2.0, description="between things")
    things_days: float | None = Field(default=None, description="things are kept")


class TestTable:
    def test_says_name_default_and_use_of_what_the_class_itself_declares(self) -> None:
        assert table(ThingsSettings).splitlines()[2:] == [
            "| `SERVER_PORT` | `8090` | HTTP |",
            "| `THINGS_KEY` | required | opens things |",
            "| `THINGS_SECONDS` | `2` | between things |",
            "| `THINGS_DAYS` |  | things are kept |",
        ]

    def test_spells_lists_as_the_environment_takes_them(self) -> None:
        assert "`[30, 60, 120, 240, 480]`" in table(ServiceSettings)
        assert "`5,30,300," in table(settings_of("crm_webhooks"))

    def test_names_every_alias(self) -> None:
        assert "| `TEMPORAL_ADDRESS`, `TEMPORAL_HOST` |" in table(ServiceSettings)


class TestReadmes:
    def test_say_what_the_settings_classes_say(self) -> None:
        for path, text in written(ROOT).items():
            assert path.read_text() == text, f"{path}: run `make docs` and commit"

    def test_without_a_place_for_the_table_are_named(self, tmp_path: Path) -> None:
        (tmp_path / "libs" / "service-kit").mkdir(parents=True)
        (tmp_path / "libs" / "service-kit" / "README.md").write_text("# kit\n")
        with pytest.raises(MarkersMissingError, match="service-kit"):
            settings_tables.write(tmp_path)


class TestSettings:
    @pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
    def test_say_what_they_are_for(self, service: ServiceName) -> None:
        for kind in (ServiceSettings, settings_of(service.package)):
            silent = [name for name, field in own_fields(kind) if not field.description]
            assert silent == [], f"{kind.__name__}: Field(description=...)"
