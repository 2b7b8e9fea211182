"""What is deployed configures the services as their own code wants it."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from service_kit.environment import load
from service_kit.settings import ServiceSettings

from deploy.configuration import (
    MIGRATION_KEYS,
    compose,
    example_environment,
    known_keys,
    secret_keys,
    settings_of,
)
from deploy.manifests import (
    CONSOLE,
    DEPLOYED,
    OVERLAYS,
    ROOT,
    SERVICES,
    container,
    expected_secrets,
    render,
    service_of,
)

MOUNTED_SECRETS = "/run/secrets/crm/"
PORT = "8080"


def plausible(key: str) -> str:
    """A value that a production service accepts for a secret of this name."""
    if key.endswith(("ENCRYPTION_KEY", "COOKIE_KEY")):
        return Fernet.generate_key().decode()
    url = {"DATABASE_URL": "postgresql", "RABBITMQ_URL": "amqp"}.get(key)
    return f"{url}://role:{'5e0a7b91' * 8}@server/crm" if url else "5e0a7b91" * 8


def filled_example() -> dict[str, str]:
    """`.env.example` with a value for each secret, as make-env draws them."""
    draws = ("_PASSWORD", "_SECRET", "_KEY")
    return {
        key: value or (plausible(key) if key.endswith(draws) else "")
        for key, value in example_environment().items()
    }


def only(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this the whole environment of the process."""
    for key in os.environ:
        monkeypatch.delenv(key)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)


@pytest.mark.parametrize("service", SERVICES)
class TestCompose:
    def test_names_only_settings_the_service_has(self, service: str) -> None:
        services = compose(filled_example())["services"]
        server = services[service]["environment"]
        migration = services[f"{service}-migrate"]["environment"]
        assert set(server) - known_keys(service) == set()
        assert set(migration) - set(server) <= MIGRATION_KEYS
        assert server.items() <= migration.items()

    def test_satisfies_the_service_in_production(
        self, service: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        environment = compose(filled_example())["services"][service]["environment"]
        only(environment, monkeypatch)
        settings = load(settings_of(service))
        assert isinstance(settings, ServiceSettings) and settings.is_production
        assert settings.server_port == int(PORT)
        assert settings.db_user == f"crm_{service.replace('-', '_')}_app"
        assert settings.rabbitmq_user == f"crm_{service.replace('-', '_')}"


def test_compose_satisfies_the_console_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    only(compose(filled_example())["services"][CONSOLE]["environment"], monkeypatch)
    settings = load(settings_of(CONSOLE))
    assert settings.is_production and settings.server_port == int(PORT)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("service", DEPLOYED)
class TestKubernetes:
    def test_names_only_settings_the_service_has(self, overlay: str, service: str) -> None:
        manifests = render(overlay)
        for workload in manifests.workloads():
            if service_of(workload) == service:
                keys = set(manifests.environment(workload))
                assert keys - known_keys(service) == set()
                assert keys & secret_keys(service) == set(), "secrets are files, not variables"

    def test_expects_exactly_the_secrets_it_mounts(self, overlay: str, service: str) -> None:
        manifests = render(overlay)
        (deployment,) = (d for d in manifests.of("Deployment") if service_of(d) == service)
        files = {
            key.removesuffix("_FILE"): value
            for key, value in manifests.environment(deployment).items()
            if key.endswith("_FILE")
        }
        assert files == {key: MOUNTED_SECRETS + key for key in expected_secrets()[service]}
        (mount,) = (m for m in container(deployment)["volumeMounts"] if m["name"] == "secrets")
        assert mount["mountPath"] + "/" == MOUNTED_SECRETS

    def test_satisfies_the_service(
        self, overlay: str, service: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        manifests = render(overlay)
        (deployment,) = (d for d in manifests.of("Deployment") if service_of(d) == service)
        environment = manifests.environment(deployment)
        for key, value in environment.items():
            if key.endswith("_FILE"):
                file = tmp_path / Path(value).name
                file.write_text(plausible(file.name) + "\n")
                environment[key] = str(file)
        only(environment, monkeypatch)
        settings = load(settings_of(service))
        assert settings.crm_env == ("production" if overlay == "staging" else overlay)
        (port,) = container(deployment)["ports"]
        assert settings.server_port == port["containerPort"]


@pytest.mark.parametrize("service", SERVICES)
class TestSecrets:
    def test_of_migrations_are_theirs_alone(self, service: str) -> None:
        assert set(expected_secrets()[f"{service}-migrate"]) <= MIGRATION_KEYS

    def test_name_a_user_of_its_own_on_the_bus(self, service: str) -> None:
        url = urlsplit(expected_secrets()[service]["RABBITMQ_URL"])
        assert url.username == f"crm_{service.replace('-', '_')}"


class TestPort:
    def test_is_the_same_everywhere(self) -> None:
        """Dockerfile, compose and Kubernetes; a hard-coded one would break the health check."""
        lines = (ROOT / "deploy" / "docker" / "Dockerfile").read_text().splitlines()
        assert f"EXPOSE {PORT}" in lines
        assert any(f"SERVER_PORT={PORT}" in line for line in lines)
        services = compose(filled_example())["services"]
        assert services["gateway"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
        assert services[CONSOLE]["ports"] == [f"127.0.0.1:8097:{PORT}"]
        for deployment in render("production").of("Deployment"):
            assert [p["containerPort"] for p in container(deployment)["ports"]] == [int(PORT)]
