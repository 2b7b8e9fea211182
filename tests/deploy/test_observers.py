"""Profile `observability` of the compose file: who watches, what they read, who reaches them."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from deploy.configuration import compose, known_keys
from deploy.manifests import ROOT, SERVICES
from deploy.telemetry import DASHBOARDS, GRAFANA, OBSERVABILITY, alerts, scrapes
from deploy.test_configuration import PORT, filled_example

OBSERVERS = {"prometheus", "alertmanager", "grafana", "jaeger", "collector"}
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
RABBITMQ_METRICS = 15692  # rabbitmq_prometheus' own
OTLP_GRPC, JAEGER_UI = 4317, 16686


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """The compose file as a deployment with traces has it."""
    return compose({**filled_example(), ENDPOINT: "http://collector:4318"})


@pytest.fixture(scope="module")
def services(whole: dict[str, Any]) -> dict[str, Any]:
    """What compose runs."""
    there: dict[str, Any] = whole["services"]
    return there


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """What of the repository a container sees, by its path there; all of it to read only."""
    parts = [volume.split(":") for volume in service["volumes"] if volume.startswith("./")]
    assert all(flags == ["ro"] for _, _, *flags in parts)
    return {target: source for source, target, *_ in parts}


class TestObservers:
    def test_run_only_when_asked_for(self, services: dict[str, Any]) -> None:
        profile = {name for name, one in services.items() if one.get("profiles")}
        assert profile == OBSERVERS | {"waha"}
        for name in OBSERVERS:
            assert services[name]["profiles"] == ["observability"]

    def test_are_locked_down_as_the_services_are(self, services: dict[str, Any]) -> None:
        for name in OBSERVERS:
            for wall in ("read_only", "cap_drop", "security_opt", "tmpfs"):
                assert services[name][wall] == services["contacts"][wall]

    def test_keep_services_off_the_internet(self, services: dict[str, Any]) -> None:
        """Only those that read from services share their network, and no service shares theirs."""
        assert {name for name in OBSERVERS if "backend" in services[name]["networks"]} == {
            "prometheus",
            "collector",
        }
        assert {name for name, one in services.items() if "observers" in one["networks"]} == (
            OBSERVERS
        )

    def test_find_their_files(self, services: dict[str, Any]) -> None:
        for name in OBSERVERS - {"jaeger"}:
            for source in mounts(services[name]).values():
                assert (ROOT / source).exists(), source

    def test_have_no_default_password(self, services: dict[str, Any]) -> None:
        grafana = services["grafana"]["environment"]
        assert grafana["GF_SECURITY_ADMIN_PASSWORD"] == filled_example()["GRAFANA_PASSWORD"]
        assert not any("ANONYMOUS" in key for key in grafana)


class TestPrometheus:
    def test_reads_every_service_once(self, services: dict[str, Any]) -> None:
        (found,) = scrapes()["ventros-crm"]["dns_sd_configs"]
        assert (sorted(found["names"]), found["port"]) == (sorted(SERVICES), int(PORT))
        watcher = set(services["prometheus"]["networks"])
        for name in SERVICES:
            assert len(watcher & set(services[name]["networks"])) == 1

    def test_says_of_every_figure_whose_it_is(self) -> None:
        (rule,) = scrapes()["ventros-crm"]["relabel_configs"]
        assert rule == {"source_labels": ["__meta_dns_name"], "target_label": "service"}

    def test_reads_the_broker(self, whole: dict[str, Any]) -> None:
        (static,) = scrapes()["rabbitmq"]["static_configs"]
        assert static["targets"] == [f"rabbitmq:{RABBITMQ_METRICS}"]
        assert "rabbitmq_prometheus" in whole["configs"]["rabbitmq-plugins"]["content"]

    def test_applies_the_alert_rules(self, services: dict[str, Any]) -> None:
        seen = mounts(services["prometheus"])
        configuration = seen["/etc/prometheus/prometheus.yml"]
        (rules,) = yaml.safe_load((ROOT / configuration).read_text())["rule_files"]
        assert ROOT / seen[f"/etc/prometheus/{rules}"] == OBSERVABILITY / "alerts.yml"
        assert "--config.file=/etc/prometheus/prometheus.yml" in services["prometheus"]["command"]


class TestAlertmanager:
    def test_is_told_by_prometheus(self, services: dict[str, Any]) -> None:
        prometheus = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
        (manager,) = prometheus["alerting"]["alertmanagers"]
        assert manager["static_configs"] == [{"targets": ["alertmanager:9093"]}]
        watcher, teller = services["prometheus"], services["alertmanager"]
        assert set(watcher["networks"]) & set(teller["networks"])

    def test_tells_whom_the_setting_names_and_nobody_unless_it_does(
        self, whole: dict[str, Any], services: dict[str, Any]
    ) -> None:
        seen = mounts(services["alertmanager"])
        said = yaml.safe_load((ROOT / seen["/etc/alertmanager/alertmanager.yml"]).read_text())
        (receiver,) = said["receivers"]
        (webhook,) = receiver["webhook_configs"]
        (given,) = services["alertmanager"]["configs"]
        assert given["target"] == webhook["url_file"]
        assert whole["configs"][given["source"]]["content"] == "http://127.0.0.1:9"
        named = compose({**filled_example(), "ALERT_WEBHOOK_URL": "https://example.com/alerts"})
        assert named["configs"][given["source"]]["content"] == "https://example.com/alerts"

    def test_mutes_only_alerts_that_there_are(self) -> None:
        said = yaml.safe_load((OBSERVABILITY / "alertmanager.yml").read_text())
        named = {
            name
            for rule in said["inhibit_rules"]
            for matcher in rule["source_matchers"] + rule["target_matchers"]
            for name in re.findall(r"[A-Z]\w+", matcher)
        }
        assert named <= {alert["alert"] for alert in alerts()}


class TestGrafana:
    def test_shows_the_dashboards(self, services: dict[str, Any]) -> None:
        seen = mounts(services["grafana"])
        assert ROOT / seen["/etc/grafana/provisioning"] == GRAFANA
        (provider,) = yaml.safe_load((GRAFANA / "dashboards" / "provider.yml").read_text())[
            "providers"
        ]
        assert ROOT / seen[provider["options"]["path"]] == DASHBOARDS
        home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        assert (DASHBOARDS / home.removeprefix(f"{provider['options']['path']}/")).exists()

    def test_asks_servers_that_run_beside_it(self, services: dict[str, Any]) -> None:
        sources = yaml.safe_load((GRAFANA / "datasources" / "datasources.yml").read_text())
        addresses = {urlsplit(source["url"]) for source in sources["datasources"]}
        assert {(url.hostname, url.port) for url in addresses} == {
            ("prometheus", 9090),
            ("jaeger", JAEGER_UI),
        }
        for url in addresses:
            theirs = set(services[str(url.hostname)]["networks"])
            assert theirs & set(services["grafana"]["networks"])


class TestTraces:
    def test_go_from_every_service_to_jaeger(self, services: dict[str, Any]) -> None:
        seen = mounts(services["collector"])
        collector = yaml.safe_load((ROOT / seen["/etc/otelcol/config.yaml"]).read_text())
        (listens,) = collector["receivers"]["otlp"]["protocols"].values()
        for name in SERVICES:
            assert ENDPOINT in known_keys(name)
            told = urlsplit(services[name]["environment"][ENDPOINT])
            assert (told.hostname, told.port) == (
                "collector",
                urlsplit(f"//{listens['endpoint']}").port,
            )
            assert set(services[name]["networks"]) & set(services["collector"]["networks"])
        assert collector["exporters"]["otlp"]["endpoint"] == f"jaeger:{OTLP_GRPC}"
        for part in ("receivers", "processors", "exporters"):
            assert set(collector["service"]["pipelines"]["traces"][part]) == set(collector[part])

    def test_go_nowhere_unless_asked_for(self) -> None:
        for name in SERVICES:
            assert compose(filled_example())["services"][name]["environment"][ENDPOINT] == ""
