"""Alerts and dashboards ask only for what there is, and every alert says what to do."""

import re
import shlex
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest
import yaml
from crm_channels_waha.media.fetching import Fetched, Never, NotYet
from crm_channels_waha.waha.answers import Verdict
from crm_testing.servers import RabbitServer
from service_kit.main import command_line
from shared_events import topology
from shared_events.services import SERVICES

from deploy.configuration import compose_text
from deploy.manifests import ROOT
from deploy.telemetry import (
    GRAFANA,
    ITS_OWN,
    OBSERVABILITY,
    OF_A_TARGET,
    OPERATIONS,
    alerts,
    asked,
    commands,
    dashboards,
    exported,
    runbooks,
    scrapes,
)

BROKERS = "rabbitmq_"
# What comes with their images; our own programs are asked themselves.
PROGRAMS = {
    "postgres": {"pg_isready", "psql", "df"},
    "rabbitmq": {"rabbitmq-diagnostics", "rabbitmqctl"},
    "temporal": {"temporal"},
    "channels-waha": {"df"},
}
OURS = {f"crm-{service.name}": service for service in SERVICES}


def expressions() -> Iterator[tuple[str, str]]:
    """All that is asked of Prometheus, and who asks it."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for dashboard in dashboards():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield f"{dashboard['title']}: {panel['title']}", target["expr"]
        for variable in dashboard["templating"]["list"]:
            ((metric, label),) = re.findall(r"^label_values\((\w+), (\w+)\)$", variable["query"])
            yield f"{dashboard['title']}: ${variable['name']}", f"count by ({label}) ({metric})"


class TestExpressions:
    def test_ask_for_metrics_and_labels_that_services_export(self) -> None:
        there = ITS_OWN | {name: labels | OF_A_TARGET for name, labels in exported().items()}
        for who, expression in expressions():
            for one in asked(expression):
                if not one.metric.startswith(BROKERS):
                    assert one.metric in there, f"{who}: nobody exports {one.metric}"
                    assert one.labels <= there[one.metric], f"{who}: {one} has other labels"

    async def test_ask_for_metrics_and_labels_that_the_broker_exports(
        self, rabbitmq_server: RabbitServer
    ) -> None:
        vhost = (await rabbitmq_server.create_vhost("deploy-tests")).rpartition("/")[2]
        async with rabbitmq_server.management() as management:
            (await management.put(f"/api/queues/{vhost}/some", json={})).raise_for_status()
        job = scrapes()["rabbitmq"]
        async with httpx.AsyncClient(base_url=rabbitmq_server.metrics_url) as http:
            text = (await http.get(job["metrics_path"], params=job["params"])).text
        there = {
            metric: set(re.findall(r"(\w+)=", labels))
            for metric, labels in re.findall(r"^(\w+)\{(.*?)\} ", text, flags=re.MULTILINE)
        }
        for who, expression in expressions():
            for one in asked(expression):
                if one.metric.startswith(BROKERS):
                    assert one.metric in there, f"{who}: RabbitMQ exports no {one.metric}"
                    assert one.labels <= there[one.metric], f"{who}: {one} has other labels"

    def test_pick_outcomes_that_there_are(self) -> None:
        """Named by a class in lower case, or by the code of the problem that is answered."""
        receiver = (ROOT / "services/gateway/src/crm_gateway/ingress").glob("*.py")
        codes = {code for file in receiver for code in re.findall(r'"(\w+)"', file.read_text())}
        outcomes = {
            "crm_waha_sends_total": {one.__name__.lower() for one in get_args(Verdict)},
            "crm_media_fetches_total": {one.__name__.lower() for one in (Fetched, NotYet, Never)},
            "crm_ingress_webhooks_total": codes,
        }
        for who, expression in expressions():
            for metric, there in outcomes.items():
                for picked in re.findall(metric + r'\{outcome=~?"(.+?)"', expression):
                    assert set(picked.split("|")) <= there, who

    def test_know_every_service(self) -> None:
        (down,) = (rule["expr"] for rule in alerts() if rule["alert"] == "ServiceDown")
        assert set(re.findall(r'service="(.+?)"', down)) == {service.name for service in SERVICES}

    @pytest.mark.parametrize("alert", ["QueueGrows", "QueueUnconsumed"])
    def test_tell_queues_that_are_consumed_from_others(self, alert: str) -> None:
        (expression,) = (rule["expr"] for rule in alerts() if rule["alert"] == alert)
        (others,) = re.findall(r'queue!~"(.+?)"', expression)
        for queue in topology.QUEUES:
            waiting_room, _ = topology.retry(queue.service, 30_000)
            for name in (queue.name, *(one.name for one in queue.partitions(2))):
                assert not re.fullmatch(others, name)
            for name in (queue.dead_letters.name, waiting_room.routing(), waiting_room.name):
                assert re.fullmatch(others, name)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
class TestAlert:
    def test_says_how_bad_it_is_and_what_to_do(self, alert: dict[str, Any]) -> None:
        assert alert["labels"]["severity"] in {"critical", "warning"}
        said = alert["annotations"]
        assert said["summary"]
        assert said["description"].endswith(".")
        page, _, anchor = said["runbook_url"].partition("#")
        assert page == "docs/operations.md"
        assert f"`{alert['alert']}`" in runbooks()[anchor]
        assert commands(runbooks()[anchor])

    def test_is_tried_by_promtool(self, alert: dict[str, Any]) -> None:
        tests = (OBSERVABILITY / "alerts.test.yml").read_text()
        assert f'alertname="{alert["alert"]}"' in tests


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda board: str(board["title"]))
class TestDashboard:
    def test_asks_the_server_that_grafana_is_told_of(self, dashboard: dict[str, Any]) -> None:
        provisioned = yaml.safe_load((GRAFANA / "datasources" / "datasources.yml").read_text())
        there = {(source["type"], source["uid"]) for source in provisioned["datasources"]}
        for one in (*dashboard["panels"], *dashboard["templating"]["list"]):
            assert (one["datasource"]["type"], one["datasource"]["uid"]) in there

    def test_uses_each_variable_and_has_each_it_uses(self, dashboard: dict[str, Any]) -> None:
        asks = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        used = {name for ask in asks for name in re.findall(r"\$(\w+)", ask)} - {"__rate_interval"}
        assert used == {variable["name"] for variable in dashboard["templating"]["list"]}

    def test_lays_no_panel_over_another(self, dashboard: dict[str, Any]) -> None:
        cells = [
            (x, y)
            for spot in (panel["gridPos"] for panel in dashboard["panels"])
            for x in range(spot["x"], spot["x"] + spot["w"])
            for y in range(spot["y"], spot["y"] + spot["h"])
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids))


class TestDashboards:
    def test_are_told_apart_and_named_in_the_runbooks(self) -> None:
        assert len({board["uid"] for board in dashboards()}) == len(dashboards())
        for board in dashboards():
            assert f'"{board["title"]}"' in OPERATIONS.read_text()


class TestRunbooks:
    def test_name_no_alert_that_there_is_not(self) -> None:
        named = {
            name for section in runbooks().values() for name in re.findall(r"`([A-Z]\w+)`", section)
        }
        words = {name for name in named if re.fullmatch(r"([A-Z][a-z]+){2,}", name)}
        assert words - {"Lock"} == {rule["alert"] for rule in alerts()}

    @pytest.mark.parametrize("command", [c for text in runbooks().values() for c in commands(text)])
    def test_show_commands_that_exist(self, command: str) -> None:
        words = shlex.split(re.sub(r"^\w+=\S+ | >\w+$", "", command))
        if words[:2] == ["docker", "compose"]:
            words = _in_its_container(words[2:])
        if words and words[0] in OURS:
            command_line(OURS[words[0]]).parse_args(words[1:])


def _in_its_container(words: list[str]) -> list[str]:
    """Our own program and its arguments, if that is what runs; all else is judged here."""
    there = yaml.safe_load(compose_text())["services"]
    match words:
        case ["exec", service, program, *arguments]:
            assert service in there
            assert program in PROGRAMS.get(service, ()) or program == f"crm-{service}"
            return [program, *arguments]
        case ["run", "--rm", migration, *arguments] if migration.endswith("-migrate"):
            assert migration in there
            return [f"crm-{migration.removesuffix('-migrate')}", *arguments]
        case ["logs", "--since", _, service] | ["up", "--detach", "--no-deps", service]:
            assert service in there
        case ["ps", "--all"] | ["stats", "--no-stream"]:
            pass
        case ["--profile", profile, "up", "--wait"]:
            assert profile in {p for one in there.values() for p in one.get("profiles", ())}
        case _:
            pytest.fail(f"nobody has tried: docker compose {shlex.join(words)}")
    return []
