"""The rendered overlays: schema, what holds between objects, and that the rules can fail."""

from collections.abc import Callable

import kubernetes_validate
import pytest

from deploy import rules
from deploy.manifests import (
    DEPLOYED,
    OVERLAYS,
    SERVICES,
    Document,
    Manifests,
    container,
    pod,
    render,
)

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
            kubernetes_validate.validate(document, version, strict=True)

    @pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
    def test_keeps_the_rule(self, overlay: str, rule: rules.Rule) -> None:
        assert list(rule(render(overlay))) == []


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
        (cut_off_temporal, rules.network_allows_what_settings_need),
        (forget_temporal, rules.every_server_knows_temporal),
        (cut_off_administration, rules.network_allows_what_settings_need),
        (distrust_proxies, rules.proxies_are_believed),
        (open_metadata_address, rules.private_addresses_stay_unreached),
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
