import json
import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from crm_dev import replicas
from crm_dev.piece import Piece
from crm_dev.ports import MOST_REPLICAS, PortBlock
from crm_dev.prometheus import SHIPPED
from crm_dev.stack import Stack, declare
from shared_events.services import SERVICES


def piece(stack: Stack, name: str) -> Piece:
    return next(each for each in stack.pieces if each.name == name)


class TestDeclare:
    def test_gives_every_service_its_port_from_the_block(self, tmp_path: Path) -> None:
        stack = declare(tmp_path, {"CRM_PORT_BASE": "9000"})
        ports = {
            name: piece(stack, name).environment["SERVER_PORT"]
            for name in ("gateway", "contacts", "messaging", "channels-waha", "webhooks")
        }
        assert list(ports.values()) == ["9000", "9001", "9002", "9003", "9004"]
        assert stack.addresses.gateway_url == "http://127.0.0.1:9000"

    def test_no_two_pieces_share_a_port_and_all_are_of_the_block(self, tmp_path: Path) -> None:
        stack = declare(tmp_path, {"CRM_PORT_BASE": "9000", "CRM_REPLICAS": str(MOST_REPLICAS)})
        ports = [port for each in stack.pieces for port in each.ports]
        assert len(ports) == len(set(ports))
        assert set(ports) <= set(range(9000, 9000 + PortBlock.size))

    def test_gives_administration_to_migrations_only(self, tmp_path: Path) -> None:
        stack = declare(tmp_path, {})
        assert "DATABASE_ADMIN_URL" in piece(stack, "contacts-migrate").environment
        assert "DATABASE_ADMIN_URL" not in piece(stack, "contacts").environment
        runtime = piece(stack, "channels-waha").environment["DATABASE_URL"]
        assert runtime.startswith("postgresql://crm_channels_waha_app:")
        assert runtime.endswith("/ventros_crm")

    def test_gives_each_secret_to_its_holders_only(self, tmp_path: Path) -> None:
        stack = declare(tmp_path, {})
        holders = {
            secret: {each.name for each in stack.pieces if secret in each.environment}
            for secret in ("JWT_SECRET", "ENCRYPTION_KEY", "COOKIE_KEY")
        }
        assert holders["COOKIE_KEY"] == {"console"}
        assert holders["JWT_SECRET"] == {"gateway", "gateway-migrate"}
        assert len({e.environment.get("REQUEST_SIGNING_KEY") for e in stack.pieces} - {None}) == 1
        assert "webhooks" in holders["ENCRYPTION_KEY"]
        assert "contacts" not in holders["ENCRYPTION_KEY"]

    def test_gives_every_service_a_user_of_its_own_on_the_bus(self, tmp_path: Path) -> None:
        stack = declare(tmp_path, {})
        logins = [
            urlsplit(piece(stack, service.name).environment["RABBITMQ_URL"]) for service in SERVICES
        ]
        assert [login.username for login in logins] == [service.bus_user for service in SERVICES]
        passwords = {login.password for login in logins}
        assert len(passwords | {urlsplit(stack.addresses.amqp_url).password}) == len(SERVICES) + 1

    def test_draws_what_secrets_of_before_lack(self, tmp_path: Path) -> None:
        before = declare(tmp_path, {}).addresses
        path = tmp_path / "secrets.json"
        secrets = json.loads(path.read_text())
        del secrets["bus_secret"]
        path.write_text(json.dumps(secrets))
        after = declare(tmp_path, {}).addresses
        assert after.database_url == before.database_url
        assert after.amqp_urls != before.amqp_urls
        assert declare(tmp_path, {}).addresses == after

    def test_draws_secrets_once_and_hides_them(self, tmp_path: Path) -> None:
        assert declare(tmp_path, {}).addresses == declare(tmp_path, {}).addresses
        assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600

    def test_starts_no_server_it_was_given_the_address_of(self, tmp_path: Path) -> None:
        stack = declare(
            tmp_path,
            {
                "DATABASE_URL": "postgresql://admin:x@db.example:5433/postgres",
                "RABBITMQ_URL": "amqp://u:p@mq.example/crm",
                "TEMPORAL_ADDRESS": "temporal.example:7233",
            },
        )
        assert [piece(stack, n).command for n in ("postgres", "rabbitmq", "temporal")] == [()] * 3
        settings = piece(stack, "contacts").environment
        assert settings["DATABASE_URL"].endswith("@db.example:5433/ventros_crm")
        assert settings["RABBITMQ_URL"] == "amqp://u:p@mq.example/crm"
        assert settings["TEMPORAL_ADDRESS"] == "temporal.example:7233"


class TestPrograms:
    def test_may_be_those_of_another_release(self, tmp_path: Path) -> None:
        stack = declare(tmp_path, {"CRM_PORT_BASE": "9000", "CRM_PROGRAMS": "/srv/release/bin"})
        assert piece(stack, "contacts").command == ("/srv/release/bin/crm-contacts", "run")
        assert piece(stack, "contacts-migrate").command[0] == "/srv/release/bin/crm-contacts"


class TestConsole:
    def test_is_told_of_the_gateway_and_of_nothing_else(self, tmp_path: Path) -> None:
        stack = declare(tmp_path, {"CRM_PORT_BASE": "9000"})
        console = piece(stack, "console")
        assert console.environment["GATEWAY_URL"] == stack.addresses.gateway_url
        assert not {"DATABASE_URL", "RABBITMQ_URL", "JWT_SECRET"} & console.environment.keys()
        assert console.url == stack.addresses.console_url == "http://127.0.0.1:9017"

    def test_of_a_release_without_one_is_missing_and_not_in_the_way(self, tmp_path: Path) -> None:
        console = piece(declare(tmp_path, {"CRM_PROGRAMS": "/srv/release/bin"}), "console")
        assert console.optional and "/srv/release/bin/crm-console" in console.missing


class TestSimulator:
    def test_is_there_with_a_page_and_needs_nobody(self, tmp_path: Path) -> None:
        stack = declare(tmp_path, {"CRM_PORT_BASE": "9000"})
        simulator = piece(stack, "waha-sim")
        assert simulator.url == stack.addresses.waha_url == "http://127.0.0.1:9018"
        assert simulator.optional and not simulator.missing and not simulator.needs

    def test_of_a_release_without_one_is_missing_and_not_in_the_way(self, tmp_path: Path) -> None:
        simulator = piece(declare(tmp_path, {"CRM_PROGRAMS": "/srv/release/bin"}), "waha-sim")
        assert simulator.optional and "/srv/release/bin/crm-waha-sim" in simulator.missing


class TestReplicas:
    def test_differ_in_their_port_alone_and_share_one_migration(self, tmp_path: Path) -> None:
        stack = declare(tmp_path, {"CRM_PORT_BASE": "9000", "CRM_REPLICAS": "messaging=2"})
        first, second = piece(stack, "messaging"), piece(stack, "messaging-2")
        assert (first.url, second.url) == ("http://127.0.0.1:9002", "http://127.0.0.1:9022")
        assert second.needs == first.needs
        assert {**second.environment, "SERVER_PORT": "9002"} == first.environment
        assert [each.name for each in stack.pieces].count("messaging-migrate") == 1

    def test_gateways_are_all_named(self, tmp_path: Path) -> None:
        addresses = declare(tmp_path, {"CRM_PORT_BASE": "9000", "CRM_REPLICAS": "2"}).addresses
        assert addresses.gateway_urls == ["http://127.0.0.1:9000", "http://127.0.0.1:9020"]
        assert addresses.gateway_url == addresses.gateway_urls[0]

    @pytest.mark.parametrize(
        ("wish", "gateway", "messaging"), [("", 1, 1), ("2", 2, 2), ("2 messaging=3", 2, 3)]
    )
    def test_are_as_many_as_wished(self, wish: str, gateway: int, messaging: int) -> None:
        counts = replicas.read(wish)
        assert (counts["gateway"], counts["messaging"]) == (gateway, messaging)

    @pytest.mark.parametrize("wish", ["0", "10", "-1", "two", "surveys=2", "messaging=", "2 3"])
    def test_refuses_what_is_no_number_of_processes(self, wish: str) -> None:
        with pytest.raises(ValueError, match=r"there is no service|has 1 to 9 processes"):
            replicas.read(wish)


class TestObserved:
    def test_nobody_watches_unless_asked_for(self, tmp_path: Path) -> None:
        stack = declare(tmp_path, {})
        assert "prometheus" not in {each.name for each in stack.pieces}
        assert stack.addresses.prometheus_url == ""

    async def test_every_process_and_the_broker_are_read_by_what_is_shipped(
        self, tmp_path: Path
    ) -> None:
        wish = {"CRM_PORT_BASE": "9000", "CRM_REPLICAS": "webhooks=2", "CRM_OBSERVE": "1"}
        stack = declare(tmp_path, wish)
        watcher = piece(stack, "prometheus")
        assert watcher.prepare is not None
        await watcher.prepare()
        written = json.loads((tmp_path / "prometheus" / "prometheus.yml").read_text())
        shipped = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
        assert written["global"] == shipped["global"]
        assert written["rule_files"] == [str(SHIPPED / "alerts.yml")]
        services, broker = written["scrape_configs"]
        found = {one["labels"]["service"]: one["targets"] for one in services["static_configs"]}
        assert set(found) == {service.name for service in SERVICES}
        assert found["webhooks"] == ["127.0.0.1:9004", "127.0.0.1:9024"]
        assert broker["static_configs"] == [{"targets": ["127.0.0.1:9009"], "labels": {}}]
        assert broker["params"] == shipped["scrape_configs"][1]["params"]
        ports = [port for each in stack.pieces for port in each.ports]
        assert {9009, 9019} <= set(ports) and len(ports) == len(set(ports))

    async def test_a_broker_that_was_given_is_not_read(self, tmp_path: Path) -> None:
        wish = {"CRM_OBSERVE": "1", "RABBITMQ_URL": "amqp://guest:guest@127.0.0.1:5672/"}
        watcher = piece(declare(tmp_path, wish), "prometheus")
        assert watcher.prepare is not None
        await watcher.prepare()
        written = json.loads((tmp_path / "prometheus" / "prometheus.yml").read_text())
        assert written["scrape_configs"][1]["static_configs"] == [{"targets": [], "labels": {}}]


class TestPortBlock:
    def test_refuses_a_base_nobody_may_bind(self) -> None:
        with pytest.raises(ValueError, match="between 1024 and 65000"):
            PortBlock.from_environment({"CRM_PORT_BASE": "80"})
