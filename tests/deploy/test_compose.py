"""The compose file: its shape, its hardening, its secrets."""

import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from shared_events.services import SERVICES as ALL

from deploy.configuration import (
    compose,
    compose_text,
    compose_variables,
    environment_file,
    example_environment,
    known_keys,
    settings_of,
)
from deploy.manifests import DEPLOYED, ROOT, SERVICES
from deploy.rules import FLUSH_SECONDS, MAX_CONNECTIONS

CONSOLES = {"console", "prometheus", "alertmanager", "grafana"}
MAKE_ENV = ROOT / "deploy" / "docker" / "make-env"


def is_drawn(key: str) -> bool:
    """Whether make-env draws it: secrets of our own, not what another's server gives."""
    return key.endswith(("_PASSWORD", "_SECRET", "_KEY")) and not key.startswith("TEMPORAL_")


def is_temporal(key: str) -> bool:
    """Whether compose has it: TEMPORAL_HOST is another word, files are Kubernetes'."""
    return key.startswith("TEMPORAL_") and key != "TEMPORAL_HOST" and not key.endswith("_FILE")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment that make-env writes."""
    target = tmp_path_factory.mktemp("compose") / ".env"
    subprocess.run([MAKE_ENV, target], check=True, capture_output=True)
    return environment_file(target.read_text())


class TestFile:
    def test_fits_the_compose_specification(self) -> None:
        tool = Path(sys.executable).with_name("check-jsonschema")
        checked = subprocess.run(
            [tool, "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"],
            capture_output=True,
            text=True,
        )
        assert checked.returncode == 0, checked.stdout

    def test_takes_exactly_the_variables_of_the_example(self) -> None:
        assert set(compose_variables(compose_text())) == set(example_environment())

    def test_insists_on_every_secret(self, drawn: dict[str, str]) -> None:
        for key, required in compose_variables(compose_text()).items():
            assert required == is_drawn(key), key
            if required:
                with pytest.raises(KeyError, match=key):
                    compose({**drawn, key: ""})

    def test_gives_every_server_its_migration_first(self, drawn: dict[str, str]) -> None:
        services = compose(drawn)["services"]
        for name in SERVICES:
            server, migration = services[name], services[f"{name}-migrate"]
            assert server["image"] == migration["image"]
            assert server["build"]["args"] == {"SERVICE": name}
            assert server["depends_on"] == {
                f"{name}-migrate": {"condition": "service_completed_successfully"},
                "rabbitmq": {"condition": "service_healthy"},
            }
            assert migration["depends_on"] == {
                "postgres": {"condition": "service_healthy"},
                "rabbitmq": {"condition": "service_healthy"},
            }

    def test_gives_every_service_a_user_of_its_own_on_the_bus(self, drawn: dict[str, str]) -> None:
        services = compose(drawn)["services"]
        environments = {service.name: services[service.name]["environment"] for service in ALL}
        for service in ALL:
            assert environments[service.name]["RABBITMQ_USER"] == service.bus_user
        passwords = {each["RABBITMQ_PASSWORD"] for each in environments.values()}
        assert len(passwords | {drawn["RABBITMQ_PASSWORD"]}) == len(ALL) + 1
        assert len({each["REQUEST_SIGNING_KEY"] for each in environments.values()}) == 1

    def test_gives_administration_to_migrations_only(self, drawn: dict[str, str]) -> None:
        services = compose(drawn)["services"]
        for name in SERVICES:
            assert drawn["RABBITMQ_PASSWORD"] not in str(services[name]["environment"])
            url = services[f"{name}-migrate"]["environment"]["RABBITMQ_ADMIN_URL"]
            assert url == f"http://crm:{drawn['RABBITMQ_PASSWORD']}@rabbitmq:15672"

    def test_waits_only_for_what_reports_its_health(self, drawn: dict[str, str]) -> None:
        services = compose(drawn)["services"]
        for service in services.values():
            for name, wish in service.get("depends_on", {}).items():
                if wish["condition"] == "service_healthy":
                    assert "test" in services[name]["healthcheck"]

    def test_locks_our_containers_down(self, drawn: dict[str, str]) -> None:
        services = compose(drawn)["services"]
        for name in (*DEPLOYED, *(f"{name}-migrate" for name in SERVICES)):
            assert services[name]["read_only"] is True
            assert services[name]["cap_drop"] == ["ALL"]
            assert services[name]["security_opt"] == ["no-new-privileges:true"]
            assert services[name]["tmpfs"][0].startswith("/tmp:")

    def test_publishes_the_gateway_and_consoles_on_loopback(self, drawn: dict[str, str]) -> None:
        published = {
            name: service["ports"]
            for name, service in compose(drawn)["services"].items()
            if "ports" in service
        }
        assert set(published) == {"gateway", "rabbitmq", "temporal", "waha", *CONSOLES}
        assert all(p.startswith("127.0.0.1:") for ports in published.values() for p in ports)

    def test_tells_every_service_how_to_reach_temporal(self, drawn: dict[str, str]) -> None:
        elsewhere = {name: f"its {name}" for name in drawn if name.startswith("TEMPORAL_")}
        assert set(elsewhere) == {key for key in known_keys("gateway") if is_temporal(key)}
        services = compose({**drawn, **elsewhere})["services"]
        for name in SERVICES:
            assert elsewhere.items() <= services[name]["environment"].items()

    def test_leaves_temporals_keys_unset(self, drawn: dict[str, str]) -> None:
        assert (drawn["TEMPORAL_API_KEY"], drawn["TEMPORAL_TLS_KEY"]) == ("", "")

    def test_keeps_what_calls_nobody_off_the_internet(self, drawn: dict[str, str]) -> None:
        parsed = compose(drawn)
        assert parsed["networks"]["backend"] == {"internal": True}
        for name in ("postgres", "contacts", "messaging"):
            assert parsed["services"][name]["networks"] == ["backend"]

    def test_leads_the_console_to_the_gateway_alone(self, drawn: dict[str, str]) -> None:
        services, networks = compose(drawn)["services"], compose(drawn)["networks"]
        console, gateway = services["console"], services["gateway"]
        assert console["build"]["args"] == {"SERVICE": "console", "FOLDER": "console"}
        assert set(console["environment"]) <= known_keys("console")
        assert console["environment"]["GATEWAY_URL"] == "http://gateway:8080"
        beside = {name for name, each in services.items() if "console" in each.get("networks", ())}
        assert beside == {"console", "gateway"}
        ((name, own),) = console["networks"].items()
        (subnet,) = networks[name]["ipam"]["config"]
        assert ip_address(own["ipv4_address"]) in ip_network(subnet["subnet"])
        assert gateway["environment"]["TRUSTED_PROXIES"] == own["ipv4_address"]

    def test_gives_servers_time_to_stop(self, drawn: dict[str, str]) -> None:
        services = compose(drawn)["services"]
        for name in SERVICES:
            drain = settings_of(name).model_fields["shutdown_grace_seconds"].default
            granted = int(services[name]["stop_grace_period"].removesuffix("s"))
            assert granted >= 2 * drain + FLUSH_SECONDS

    def test_gives_the_database_the_connections_counted_on(self, drawn: dict[str, str]) -> None:
        command = compose(drawn)["services"]["postgres"]["command"]
        assert f"max_connections={MAX_CONNECTIONS}" in command

    def test_pins_every_image(self, drawn: dict[str, str]) -> None:
        for service in compose(drawn)["services"].values():
            _, _, tag = service["image"].partition(":")
            assert tag not in {"", "latest"}


class TestMakeEnv:
    def test_draws_different_strong_secrets(self, drawn: dict[str, str]) -> None:
        secrets = [v for k, v in drawn.items() if is_drawn(k)]
        assert len(secrets) == len(set(secrets)) > 0
        assert all(len(secret) >= 32 for secret in secrets)
        for key in (
            "CHANNELS_WAHA_ENCRYPTION_KEY",
            "WEBHOOKS_ENCRYPTION_KEY",
            "CONSOLE_COOKIE_KEY",
        ):
            Fernet(drawn[key])

    def test_keeps_other_values_of_the_example(self, drawn: dict[str, str]) -> None:
        kept = {key: value for key, value in example_environment().items() if value}
        assert kept.items() <= drawn.items()

    def test_is_readable_by_its_owner_only(self, tmp_path: Path) -> None:
        target = tmp_path / ".env"
        subprocess.run([MAKE_ENV, target], check=True, capture_output=True)
        assert target.stat().st_mode & 0o777 == 0o600
        assert [path.name for path in tmp_path.iterdir()] == [".env"]

    def test_never_overwrites(self, tmp_path: Path) -> None:
        target = tmp_path / ".env"
        target.write_text("mine")
        subprocess.run([MAKE_ENV, target], check=True, capture_output=True)
        assert target.read_text() == "mine"
