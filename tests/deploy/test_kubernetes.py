"""The rendered overlays: schema, what holds between objects, and that the rules can fail."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
from shared_events import services
from shared_events.rights import rights_of

from deploy import rules, scalers
from deploy.manifests import (
    DEPLOYED,
    KUBERNETES,
    OVERLAYS,
    SERVICES,
    Document,
    Manifests,
    container,
    infrastructure,
    pod,
    render,
)

CUSTOM = {
    kind: schema
    for kind, schema in json.loads(Path(__file__).with_name("crds.json").read_text()).items()
    if "/" in kind
}
"""What operators' custom resource definitions ask of a spec, by API version and kind."""

OLDEST_SUPPORTED = "1.30"


@pytest.mark.parametrize("overlay", OVERLAYS)
class TestOverlay:
    def test_runs_every_service_with_its_migration_and_the_console(self, overlay: str) -> None:
        manifests = render(overlay)
        assert manifests.names("Deployment") == set(DEPLOYED)
        assert manifests.names("Job") == {f"{name}-migrate" for name in SERVICES}

    @pytest.mark.parametrize("version", [OLDEST_SUPPORTED, kubernetes_validate.latest_version()])
    def test_fits_the_schema_strictly(self, overlay: str, version: str) -> None:
        for document in render(overlay).documents:
            if kind_of(document) not in CUSTOM:
                kubernetes_validate.validate(document, version, strict=True)

    def test_fits_the_schemas_of_operators(self, overlay: str) -> None:
        for document in render(overlay).documents:
            if kind_of(document) in CUSTOM:
                jsonschema.validate(document["spec"], CUSTOM[kind_of(document)])

    @pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
    def test_keeps_the_rule(self, overlay: str, rule: rules.Rule) -> None:
        assert list(rule(render(overlay))) == []


class TestInfrastructure:
    def test_fits_the_schemas_of_operators(self) -> None:
        custom = {kind_of(d) for d in infrastructure().documents} & CUSTOM.keys()
        assert {kind.rpartition("/")[2] for kind in custom} == {
            *("Cluster", "ScheduledBackup", "RabbitmqCluster"),
            *("User", "Permission", "TopicPermission"),
        }
        for document in infrastructure().documents:
            if kind_of(document) in custom:
                jsonschema.validate(document["spec"], CUSTOM[kind_of(document)])

    def test_gives_the_database_the_connections_counted_on(self) -> None:
        (cluster,) = infrastructure().of("Cluster")
        asked = cluster["spec"]["postgresql"]["parameters"]["max_connections"]
        assert asked == str(rules.MAX_CONNECTIONS)

    def test_has_the_plugins_that_the_bus_needs(self) -> None:
        (broker,) = infrastructure().of("RabbitmqCluster")
        plugins = set(broker["spec"]["rabbitmq"]["additionalPlugins"])
        assert plugins >= {"rabbitmq_consistent_hash_exchange", "rabbitmq_prometheus"}

    def test_gives_each_service_the_rights_that_it_needs(self) -> None:
        folder = KUBERNETES / "infrastructure"
        written = subprocess.run(
            [sys.executable, folder / "make-rights"], capture_output=True, text=True, check=True
        )
        assert written.stdout == (folder / "rights.yaml").read_text(), "run `make contracts`"
        assert infrastructure().names("User") == set(SERVICES)
        for permission in infrastructure().of("Permission"):
            spec = permission["spec"]
            (service,) = (s for s in services.SERVICES if s.name == spec["userReference"]["name"])
            rights = rights_of(service)
            assert spec["permissions"] == {
                "configure": rights.configure,
                "write": rights.write,
                "read": rights.read,
            }

    @pytest.mark.parametrize(
        ("kind", "damage"),
        [
            ("Cluster", {"instances": "three"}),
            ("Cluster", {"instancs": 3}),
            ("RabbitmqCluster", {"rabbitmq": {"additionalPlugin": []}}),
            ("ScheduledBackup", {"schedule": 3}),
            ("User", {"importCredentials": {"name": "broker-gateway"}}),
            ("Permission", {"permissions": {"configure": [".*"]}}),
            ("TopicPermission", {"permissions": {"write": ".*", "read": ".*"}}),
        ],
    )
    def test_notices_the_damage(self, kind: str, damage: Document) -> None:
        document = infrastructure().of(kind)[0]
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document["spec"] | damage, CUSTOM[kind_of(document)])


def kind_of(document: Document) -> str:
    """What `CUSTOM` calls it."""
    return f"{document['apiVersion']}/{document['kind']}"


def _first(manifests: Manifests, kind: str) -> Document:
    return manifests.of(kind)[0]


def break_selector(manifests: Manifests) -> None:
    _first(manifests, "Service")["spec"]["selector"]["app.kubernetes.io/name"] = "nobody"


def count_jobs_as_servers(manifests: Manifests) -> None:
    del _first(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"][
        "app.kubernetes.io/component"
    ]


def forbid_disruption(manifests: Manifests) -> None:
    _first(manifests, "PodDisruptionBudget")["spec"]["maxUnavailable"] = 0


def rename_port(manifests: Manifests) -> None:
    container(_first(manifests, "Deployment"))["ports"][0]["name"] = "web"


def publish_everything(manifests: Manifests) -> None:
    path = _first(manifests, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]
    path |= {"path": "/", "pathType": "Prefix"}


def publish_metrics(manifests: Manifests) -> None:
    (ingress,) = (d for d in manifests.of("Ingress") if d["metadata"]["name"] == "console")
    ingress["spec"]["rules"][0]["http"]["paths"][0]["path"] = "/metrics"


def forget_a_page(manifests: Manifests) -> None:
    (ingress,) = (d for d in manifests.of("Ingress") if d["metadata"]["name"] == "console")
    del ingress["spec"]["rules"][0]["http"]["paths"][-1]


def forget_the_docs(manifests: Manifests) -> None:
    (ingress,) = (d for d in manifests.of("Ingress") if d["metadata"]["name"] == "gateway")
    del ingress["spec"]["rules"][0]["http"]["paths"][1]


def lead_the_console_to_the_bus(manifests: Manifests) -> None:
    (broker,) = (p for p in manifests.of("NetworkPolicy") if p["metadata"]["name"] == "broker")
    del broker["spec"]["podSelector"]["matchExpressions"]


def shut_the_console_out(manifests: Manifests) -> None:
    manifests.documents = [
        d for d in manifests.documents if d["metadata"]["name"] != "gateway-console"
    ]


def lose_the_gateway(manifests: Manifests) -> None:
    manifests.documents = [
        d for d in manifests.documents if d["metadata"]["name"] != "console-gateway"
    ]


def drop_config_map(manifests: Manifests) -> None:
    manifests.documents.remove(_first(manifests, "ConfigMap"))


def commit_secret(manifests: Manifests) -> None:
    manifests.documents.append({"kind": "Secret", "metadata": {"name": "contacts"}})


def live_by_readiness(manifests: Manifests) -> None:
    container(_first(manifests, "Deployment"))["livenessProbe"]["httpGet"]["path"] = "/health/ready"


def run_as_root(manifests: Manifests) -> None:
    pod(_first(manifests, "Job"))["securityContext"]["runAsUser"] = 0


def unpin_image(manifests: Manifests) -> None:
    container(_first(manifests, "Job"))["image"] = "registry.example.com:5000/contacts"


def hurry_shutdown(manifests: Manifests) -> None:
    pod(_first(manifests, "Deployment"))["terminationGracePeriodSeconds"] = 30


def scale_past_the_database(manifests: Manifests) -> None:
    _first(manifests, "Deployment")["spec"]["replicas"] = 20


def say_how_many_twice(manifests: Manifests) -> None:
    _first(manifests, "Deployment")["spec"]["replicas"] = 2


def scale_twice(manifests: Manifests) -> None:
    manifests.documents.append(copy.deepcopy(_first(manifests, "ScaledObject")))


def scale_nobody(manifests: Manifests) -> None:
    _first(manifests, "ScaledObject")["spec"]["scaleTargetRef"]["name"] = "contact"


def scale_to_nothing(manifests: Manifests) -> None:
    _first(manifests, "ScaledObject")["spec"]["minReplicaCount"] = 0


def scale_by_dead_letters(manifests: Manifests) -> None:
    _first(manifests, "ScaledObject")["spec"]["triggers"][1]["metadata"]["queueName"] += "|dlq"


def scale_past_the_partitions(manifests: Manifests) -> None:
    _first(manifests, "ScaledObject")["spec"]["maxReplicaCount"] = 5


def scale_autoscaled_past_the_database(manifests: Manifests) -> None:
    _first(manifests, "HorizontalPodAutoscaler")["spec"]["maxReplicas"] = 20


def forget_the_scalers_secret(manifests: Manifests) -> None:
    _first(manifests, "TriggerAuthentication")["spec"]["secretTargetRef"][0]["key"] = "URL"


def cut_off_temporal(manifests: Manifests) -> None:
    manifests.documents = [
        d
        for d in manifests.documents
        if (d["kind"], d["metadata"]["name"]) != ("NetworkPolicy", "temporal")
    ]


def forget_temporal(manifests: Manifests) -> None:
    (settings,) = (
        m
        for m in manifests.of("ConfigMap")
        if m["metadata"]["name"].startswith("webhooks-settings")
    )
    del settings["data"]["TEMPORAL_ADDRESS"]


def cut_off_administration(manifests: Manifests) -> None:
    manifests.documents = [
        d for d in manifests.documents if d["metadata"]["name"] != "broker-administration"
    ]


def open_metadata_address(manifests: Manifests) -> None:
    (policy,) = (p for p in manifests.of("NetworkPolicy") if p["metadata"]["name"] == "webhooks")
    policy["spec"]["egress"][0]["to"][0]["ipBlock"]["except"].remove("169.254.0.0/16")


def _except(manifests: Manifests, network: str) -> None:
    (policy,) = (p for p in manifests.of("NetworkPolicy") if p["metadata"]["name"] == "webhooks")
    policy["spec"]["egress"][0]["to"][1]["ipBlock"]["except"].append(network)


def except_ipv4_as_ipv6(manifests: Manifests) -> None:
    _except(manifests, "::ffff:10.0.0.0/104")


def except_what_is_not_open(manifests: Manifests) -> None:
    _except(manifests, "10.0.0.0/8")


def distrust_proxies(manifests: Manifests) -> None:
    (settings,) = (
        m for m in manifests.of("ConfigMap") if m["metadata"]["name"].startswith("gateway-settings")
    )
    del settings["data"]["TRUSTED_PROXIES"]


def misname(manifests: Manifests) -> None:
    _first(manifests, "Service")["metadata"]["name"] = "Contacts_API"


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (misname, rules.names_are_dns_labels),
        (break_selector, rules.selectors_meet_their_pods),
        (count_jobs_as_servers, rules.selectors_meet_their_pods),
        (forbid_disruption, rules.every_server_is_guarded),
        (rename_port, rules.ports_resolve),
        (publish_everything, rules.ingress_reaches_only_what_is_for_people),
        (publish_metrics, rules.ingress_reaches_only_what_is_for_people),
        (forget_a_page, rules.ingress_reaches_every_page),
        (forget_the_docs, rules.ingress_reaches_every_page),
        (lead_the_console_to_the_bus, rules.console_reaches_only_the_gateway),
        (lead_the_console_to_the_bus, rules.network_allows_what_settings_need),
        (shut_the_console_out, rules.console_reaches_only_the_gateway),
        (lose_the_gateway, rules.console_reaches_only_the_gateway),
        (drop_config_map, rules.references_exist),
        (commit_secret, rules.no_secret_is_committed),
        (live_by_readiness, rules.probes_tell_life_from_readiness),
        (run_as_root, rules.pods_are_locked_down),
        (unpin_image, rules.images_are_pinned),
        (hurry_shutdown, rules.grace_covers_shutdown),
        (scale_past_the_database, rules.connections_fit_the_database),
        (scale_autoscaled_past_the_database, rules.connections_fit_the_database),
        (say_how_many_twice, scalers.scalers_have_no_rival),
        (scale_twice, scalers.scalers_have_no_rival),
        (scale_nobody, scalers.scalers_have_no_rival),
        (scale_to_nothing, scalers.scalers_have_no_rival),
        (scale_by_dead_letters, scalers.scalers_know_the_queues),
        (scale_past_the_partitions, scalers.scalers_know_the_queues),
        (forget_the_scalers_secret, rules.references_exist),
        (cut_off_temporal, rules.network_allows_what_settings_need),
        (forget_temporal, rules.every_server_knows_temporal),
        (cut_off_administration, rules.network_allows_what_settings_need),
        (distrust_proxies, rules.proxies_are_believed),
        (open_metadata_address, rules.private_addresses_stay_unreached),
        (except_ipv4_as_ipv6, rules.blocks_are_such_as_kubernetes_takes),
        (except_what_is_not_open, rules.blocks_are_such_as_kubernetes_takes),
    ],
    ids=lambda function: function.__name__,
)
class TestRules:
    def test_notices_the_damage(
        self, damage: Callable[[Manifests], None], rule: rules.Rule
    ) -> None:
        manifests = render("production")
        damage(manifests)
        assert list(rule(manifests)) != []
