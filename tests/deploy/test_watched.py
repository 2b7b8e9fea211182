"""Kubernetes with the component `deploy/observability`, which an overlay may take in."""

import json
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

from deploy import rules
from deploy.manifests import (
    CONSOLE,
    DEPLOYED,
    OVERLAYS,
    Manifests,
    named_ports,
    rendered_with,
    selects,
    service_of,
)
from deploy.telemetry import OBSERVABILITY, alerts, dashboards, scrapes
from deploy.test_kubernetes import CUSTOM, OLDEST_SUPPORTED, kind_of

OPERATORS = {"ServiceMonitor", "PrometheusRule"}


@pytest.fixture(scope="module", params=OVERLAYS)
def watched(request: pytest.FixtureRequest) -> Manifests:
    text = rendered_with(OBSERVABILITY, request.param)
    return Manifests(list(yaml.safe_load_all(text)))


class TestWatched:
    def test_keeps_schema_and_rules(self, watched: Manifests) -> None:
        for document in watched.documents:
            if document["kind"] not in OPERATORS and kind_of(document) not in CUSTOM:
                kubernetes_validate.validate(document, OLDEST_SUPPORTED, strict=True)
        for rule in rules.RULES:
            assert list(rule(watched)) == []

    def test_shows_every_service_to_prometheus(self, watched: Manifests) -> None:
        """With the labels that alerts tell them apart by: the operator takes `service` itself."""
        (monitor,) = (
            m["spec"] for m in watched.of("ServiceMonitor") if "namespaceSelector" not in m["spec"]
        )
        (endpoint,) = monitor["endpoints"]
        seen = [
            service
            for service in watched.of("Service")
            if monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        ]
        assert {service["metadata"]["name"] for service in seen} == set(DEPLOYED)
        for service in seen:
            assert service["metadata"]["labels"][monitor["jobLabel"]] in scrapes()
            assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
            (target,) = (
                d for d in watched.of("Deployment") if selects(service["spec"]["selector"], d)
            )
            admitted = [
                port["port"]
                for policy in watched.policies_for(target, "Ingress")
                for rule in policy["spec"].get("ingress", [])
                if "monitoring" in json.dumps(rule["from"])
                for port in rule["ports"]
            ]
            assert admitted == [endpoint["port"]]
            assert endpoint["port"] in named_ports(target)

    def test_shows_the_queues_as_compose_does(self, watched: Manifests) -> None:
        (monitor,) = (
            m["spec"] for m in watched.of("ServiceMonitor") if "namespaceSelector" in m["spec"]
        )
        (endpoint,) = monitor["endpoints"]
        job = scrapes()["rabbitmq"]
        assert (endpoint["path"], endpoint["params"]) == (job["metrics_path"], job["params"])

    def test_has_the_alerts_and_the_dashboards(self, watched: Manifests) -> None:
        (ours,) = watched.of("PrometheusRule")
        assert [r for group in ours["spec"]["groups"] for r in group["rules"]] == alerts()
        (shown,) = (m for m in watched.of("ConfigMap") if "dashboards" in m["metadata"]["name"])
        assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"
        titles = {json.loads(text)["title"] for text in shown["data"].values()}
        assert titles == {board["title"] for board in dashboards()}

    def test_lets_traces_out_to_the_collector(self, watched: Manifests) -> None:
        for server in watched.of("Deployment"):
            if service_of(server) == CONSOLE:  # it traces nothing, and reaches the gateway alone
                continue
            told = urlsplit(watched.environment(server)["OTEL_EXPORTER_OTLP_ENDPOINT"])
            _, namespace = str(told.hostname).split(".")
            reached = {
                (peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], p["port"])
                for policy in watched.policies_for(server, "Egress")
                for rule in policy["spec"].get("egress", [])
                for peer in rule["to"]
                if "namespaceSelector" in peer
                for p in rule["ports"]
            }
            assert (namespace, told.port) in reached, service_of(server)
