"""What must hold between Kubernetes objects and a schema cannot see.

A rule takes the rendered manifests of an overlay and yields a sentence for every violation.
"""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network

from crm_console.app import create_console
from crm_console.settings import ConsoleSettings
from crm_gateway.access.jwks import PATH as JWKS
from fastapi.routing import APIRoute
from service_kit import health

from deploy.configuration import settings_of
from deploy.manifests import (
    CONSOLE,
    Document,
    Manifests,
    container,
    expected_secrets,
    named_ports,
    pod,
    probes,
    selects,
    service_of,
    title,
)
from deploy.scalers import (
    SCALERS,
    bounds,
    scalers_have_no_rival,
    scalers_know_the_queues,
    scales,
)

Rule = Callable[[Manifests], Iterator[str]]

# Made by other parts of a cluster: the certificate issuer makes these.
EXTERNAL_SECRETS = {"gateway-tls", "console-tls"}
# docker-compose.yml, deploy/k8s/README.md and infrastructure ask PostgreSQL for as many.
MAX_CONNECTIONS = 500
RESERVED_CONNECTIONS = 20  # migrations, backups, people
FLUSH_SECONDS = 5
DEDICATED_CONNECTIONS = 4  # a process's listeners, locks and health, beside its pools
_GATEWAY = str(
    {
        "podSelector": {
            "matchLabels": {
                "app.kubernetes.io/component": "server",
                "app.kubernetes.io/name": "gateway",
            }
        }
    }
)
PURPOSES = 3  # requests, events, all else (service_kit.service)
_IPV4_IN_IPV6 = ip_network("::ffff:0:0/96")
NEVER_DIALLED = (
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.20.0.1",
    "192.168.1.1",
    "::1",
    "fd00::1",
    "fe80::1",
)


def names_are_dns_labels(manifests: Manifests) -> Iterator[str]:
    """Kubernetes refuses other names only when they are applied."""
    for document in manifests.documents:
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", document["metadata"]["name"]):
            yield f"{title(document)} is not named by a DNS label"


def selectors_meet_their_pods(manifests: Manifests) -> Iterator[str]:
    """Deployments own their pods; Services and disruption budgets mean one Deployment, no Job."""
    for deployment in manifests.of("Deployment"):
        if not selects(deployment["spec"]["selector"]["matchLabels"], deployment):
            yield f"{title(deployment)} does not select its own pods"
    for document in manifests.of("Service", "PodDisruptionBudget"):
        selector = document["spec"]["selector"]
        met = [
            w for w in manifests.workloads() if selects(selector.get("matchLabels", selector), w)
        ]
        if [d["metadata"]["name"] for d in met] != [document["metadata"]["name"]]:
            yield f"{title(document)} selects {[title(d) for d in met]}"


def every_server_is_guarded(manifests: Manifests) -> Iterator[str]:
    """Each Deployment has a Service and a budget that lets nodes be drained."""
    for deployment in manifests.of("Deployment"):
        name = deployment["metadata"]["name"]
        for kind in ("Service", "PodDisruptionBudget", "ServiceAccount"):
            if name not in manifests.names(kind):
                yield f"{title(deployment)} has no {kind}"
    for budget in manifests.of("PodDisruptionBudget"):
        if budget["spec"].get("maxUnavailable", 0) < 1:
            yield f"{title(budget)} allows no disruption: a node could never be drained"


def ports_resolve(manifests: Manifests) -> Iterator[str]:
    """A probe, Service, Ingress or policy names only ports that a container opens."""
    for deployment in manifests.of("Deployment"):
        for kind, probe in probes(deployment):
            if probe["port"] not in named_ports(deployment):
                yield f"{title(deployment)} {kind} asks port {probe['port']}"
    for service in manifests.of("Service"):
        targets = [d for d in manifests.of("Deployment") if selects(service["spec"]["selector"], d)]
        for port in service["spec"]["ports"]:
            if not any(port["targetPort"] in named_ports(target) for target in targets):
                yield f"{title(service)} sends to port {port['targetPort']}"
    for policy in manifests.of("NetworkPolicy"):
        labels = policy["spec"]["podSelector"].get("matchLabels", {})
        ruled = [d for d in manifests.of("Deployment") if selects(labels, d)]
        for rule in policy["spec"].get("ingress", []):
            for port in rule["ports"]:
                if not all(port["port"] in named_ports(d) for d in ruled):
                    yield f"{title(policy)} admits port {port['port']}"


def ingress_reaches_only_what_is_for_people(manifests: Manifests) -> Iterator[str]:
    """The API, what describes it, and the console's pages; health and metrics stay inside."""
    services = {s["metadata"]["name"]: s["spec"]["ports"] for s in manifests.of("Service")}
    for ingress in manifests.of("Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                if (path["path"], path["pathType"]) not in _for_people(backend["name"]):
                    yield f"{title(ingress)} publishes {path['path']}"
                ports = services.get(backend["name"], [])
                if backend["port"]["name"] not in {port["name"] for port in ports}:
                    yield f"{title(ingress)} sends to {backend}"


def ingress_reaches_every_page(manifests: Manifests) -> Iterator[str]:
    """A page that is not published answers 404 in production only."""
    for ingress in manifests.of("Ingress"):
        (rule,) = ingress["spec"]["rules"]
        published = {(path["path"], path["pathType"]) for path in rule["http"]["paths"]}
        for path, _ in sorted(_for_people(ingress["metadata"]["name"]) - published):
            yield f"{title(ingress)} does not publish {path}"


def _for_people(name: str) -> set[tuple[str, str]]:
    return _PAGES if name == CONSOLE else _API


def _pages() -> set[tuple[str, str]]:
    pages = create_console(ConsoleSettings(crm_env="test")).openapi()["paths"]
    sections = {path.split("/")[1] for path in pages} | {"static"}
    return {(f"/{section}", "Prefix" if section else "Exact") for section in sections}


_API = {("/api/", "Prefix"), ("/docs", "Prefix"), ("/openapi.json", "Exact"), (JWKS, "Exact")}
_PAGES = _pages()


def references_exist(manifests: Manifests) -> Iterator[str]:
    """ConfigMaps, Secrets, accounts and volumes that a pod names are there or expected."""
    secrets = set(expected_secrets()) | EXTERNAL_SECRETS
    for workload in manifests.workloads():
        spec, one = pod(workload), container(workload)
        wanted = {("ServiceAccount", spec["serviceAccountName"])}
        for source in one.get("envFrom", []):
            for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if key in source:
                    wanted.add((kind, source[key]["name"]))
        wanted |= {("Secret", v["secret"]["secretName"]) for v in spec["volumes"] if "secret" in v}
        for kind, name in sorted(wanted):
            if name not in (secrets if kind == "Secret" else manifests.names(kind)):
                yield f"{title(workload)} needs {kind}/{name}"
        for mount in one["volumeMounts"]:
            if mount["name"] not in {volume["name"] for volume in spec["volumes"]}:
                yield f"{title(workload)} mounts {mount['name']}"
    for scaler in manifests.of("TriggerAuthentication"):
        for wanted_key in scaler["spec"]["secretTargetRef"]:
            if wanted_key["key"] not in expected_secrets().get(wanted_key["name"], {}):
                yield f"{title(scaler)} needs {wanted_key['key']} of Secret/{wanted_key['name']}"
    for ingress in manifests.of("Ingress"):
        for tls in ingress["spec"]["tls"]:
            if tls["secretName"] not in secrets:
                yield f"{title(ingress)} needs Secret/{tls['secretName']}"


def no_secret_is_committed(manifests: Manifests) -> Iterator[str]:
    """Secrets come from the operator's store."""
    for secret in manifests.of("Secret"):
        yield f"{title(secret)} is in the repository"


def probes_tell_life_from_readiness(manifests: Manifests) -> Iterator[str]:
    """Restarting for a dependency's outage would turn it into everybody's."""
    routes = health.router(health.Health("any")).routes
    answered = {route.path for route in routes if isinstance(route, APIRoute)}
    for deployment in manifests.of("Deployment"):
        paths = {kind: probe["path"] for kind, probe in probes(deployment)}
        if set(paths) != {"startupProbe", "livenessProbe", "readinessProbe"}:
            yield f"{title(deployment)} has only {sorted(paths)}"
        if paths.get("livenessProbe") == paths.get("readinessProbe"):
            yield f"{title(deployment)} asks the same for liveness and readiness"
        for path in sorted(set(paths.values()) - answered):
            yield f"{title(deployment)} probes {path}, which no service answers"


def pods_are_locked_down(manifests: Manifests) -> Iterator[str]:
    """The restricted Pod Security profile, a read-only root, no API token, bounded memory."""
    for workload in manifests.workloads():
        spec, one = pod(workload), container(workload)
        outer, inner = spec["securityContext"], one["securityContext"]
        demands = {
            "a user that is not root": outer.get("runAsNonRoot")
            and outer.get("runAsUser", 0) > 9999,
            "the seccomp profile": outer.get("seccompProfile") == {"type": "RuntimeDefault"},
            "no privilege escalation": inner.get("allowPrivilegeEscalation") is False,
            "no capabilities": inner.get("capabilities") == {"drop": ["ALL"]},
            "a read-only root": inner.get("readOnlyRootFilesystem"),
            "no API token": spec.get("automountServiceAccountToken") is False,
            "memory bounds": {"requests", "limits"} <= one.get("resources", {}).keys(),
            "its own account": spec.get("serviceAccountName") == service_of(workload),
        }
        for demand, met in demands.items():
            if not met:
                yield f"{title(workload)} lacks {demand}"


def images_are_pinned(manifests: Manifests) -> Iterator[str]:
    """A tag that moves makes two pods of one release differ."""
    for workload in manifests.workloads():
        _, _, tag = container(workload)["image"].rpartition("/")[2].partition(":")
        if tag in {"", "latest"}:
            yield f"{title(workload)} runs {container(workload)['image']}"


def grace_covers_shutdown(manifests: Manifests) -> Iterator[str]:
    """Time for load balancers, then HTTP, then consumers (service_kit.main and .service)."""
    for deployment in _services(manifests):
        drain = settings_of(service_of(deployment)).model_fields["shutdown_grace_seconds"].default
        sleep = container(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"]
        needed = sleep + 2 * drain + FLUSH_SECONDS
        if pod(deployment)["terminationGracePeriodSeconds"] < needed:
            yield f"{title(deployment)} may need {needed} s to stop"


def connections_fit_the_database(manifests: Manifests) -> Iterator[str]:
    """Every process's connections, in the middle of a rolling update of everything at its most."""
    total = 0
    for deployment in _services(manifests):
        pool = settings_of(service_of(deployment)).model_fields["db_pool_size"].default
        spec = deployment["spec"]
        scaled = [bounds(s)[1] for s in manifests.of(*SCALERS) if scales(s, deployment)]
        processes = max([spec.get("replicas", 1), *scaled])
        processes += spec["strategy"]["rollingUpdate"]["maxSurge"]
        total += processes * (PURPOSES * pool + DEDICATED_CONNECTIONS)
    if total > MAX_CONNECTIONS - RESERVED_CONNECTIONS:
        yield f"{total} connections do not fit into {MAX_CONNECTIONS}"


def network_allows_what_settings_need(manifests: Manifests) -> Iterator[str]:
    """Everything is denied, then each pod reaches what its settings name, and no more."""
    for workload in manifests.workloads():
        if "default-deny" not in {
            policy["metadata"]["name"] for policy in manifests.policies_for(workload, "Egress")
        }:
            yield f"{title(workload)} is not denied by default"
        environment, server = manifests.environment(workload), workload["kind"] == "Deployment"
        needs = {5432, 5672 if server else 15672}
        if server and "TEMPORAL_ADDRESS" in environment:
            needs.add(7233)
        if service_of(workload) == CONSOLE:
            needs.clear()
        reached = {port for _, port in _reached(manifests, workload)}
        if reached & {5432, 5672, 7233, 15672} != needs:
            yield f"{title(workload)} needs ports {sorted(needs)} and reaches {sorted(reached)}"


def console_reaches_only_the_gateway(manifests: Manifests) -> Iterator[str]:
    """It is a client like any other: names, and the API, whose policy lets it in."""
    for console in (d for d in manifests.of("Deployment") if service_of(d) == CONSOLE):
        for peer, port in _reached(manifests, console):
            if (port, peer) != (8080, _GATEWAY) and port != 53:
                yield f"{title(console)} reaches {peer} at {port}"
        (gateway,) = (d for d in manifests.of("Deployment") if service_of(d) == "gateway")
        admitted = [
            peer["podSelector"]["matchLabels"]
            for policy in manifests.policies_for(gateway, "Ingress")
            for rule in policy["spec"].get("ingress", [])
            for peer in rule["from"]
            if peer.keys() == {"podSelector"}
        ]
        if not any(selects(labels, console) for labels in admitted):
            yield f"{title(gateway)} does not let {title(console)} in"
        if (8080, _GATEWAY) not in {(port, peer) for peer, port in _reached(manifests, console)}:
            yield f"{title(console)} does not reach {title(gateway)}"


def _reached(manifests: Manifests, workload: Document) -> set[tuple[str, int]]:
    """Whom a workload's pods may call, as it is written, and at which port."""
    return {
        (str(peer), port["port"])
        for policy in manifests.policies_for(workload, "Egress")
        for rule in policy["spec"].get("egress", [])
        for peer in rule["to"]
        for port in rule["ports"]
    }


def _services(manifests: Manifests) -> Iterator[Document]:
    """All Deployments but the console's, which has no database, bus or outbox."""
    return (d for d in manifests.of("Deployment") if service_of(d) != CONSOLE)


def every_server_knows_temporal(manifests: Manifests) -> Iterator[str]:
    """Each has an outbox, and with it a workflow that drains it when no relay does."""
    for deployment in _services(manifests):
        if (
            not {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"}
            <= manifests.environment(deployment).keys()
        ):
            yield f"{title(deployment)} is not told where Temporal is"


def proxies_are_believed(manifests: Manifests) -> Iterator[str]:
    """Behind an Ingress all users are one address to the throttle, unless its word is taken."""
    gateways = [d for d in manifests.of("Deployment") if service_of(d) == "gateway"]
    for gateway in gateways if manifests.of("Ingress") else []:
        if not manifests.environment(gateway).get("TRUSTED_PROXIES"):
            yield f"{title(gateway)} believes no proxy"


def private_addresses_stay_unreached(manifests: Manifests) -> Iterator[str]:
    """A policy that opens the internet leaves out every network that is not public."""
    for policy in manifests.of("NetworkPolicy"):
        for block in _blocks(policy):
            cidr, closed = ip_network(block["cidr"]), [ip_network(e) for e in block["except"]]
            for address in map(ip_address, NEVER_DIALLED):
                if address in cidr and not any(address in network for network in closed):
                    yield f"{title(policy)} lets {address} be reached"


def blocks_are_such_as_kubernetes_takes(manifests: Manifests) -> Iterator[str]:
    """It refuses IPv4 written as IPv6 (sent as IPv4 anyway), and exceptions from outside."""
    for policy in manifests.of("NetworkPolicy"):
        for block in _blocks(policy):
            cidr = ip_network(block["cidr"])
            for network in map(ip_network, block["except"]):
                first = network.network_address
                inside = first in cidr and network.prefixlen > cidr.prefixlen
                if first in _IPV4_IN_IPV6 or not inside:
                    yield f"{title(policy)} excepts {network} from {cidr}"


def _blocks(policy: Document) -> Iterator[Document]:
    for rule in policy["spec"].get("egress", []):
        for peer in rule["to"]:
            if "ipBlock" in peer:
                yield {"except": [], **peer["ipBlock"]}


RULES: tuple[Rule, ...] = (
    names_are_dns_labels,
    selectors_meet_their_pods,
    every_server_is_guarded,
    ports_resolve,
    ingress_reaches_only_what_is_for_people,
    ingress_reaches_every_page,
    references_exist,
    no_secret_is_committed,
    probes_tell_life_from_readiness,
    pods_are_locked_down,
    images_are_pinned,
    grace_covers_shutdown,
    scalers_have_no_rival,
    scalers_know_the_queues,
    connections_fit_the_database,
    network_allows_what_settings_need,
    console_reaches_only_the_gateway,
    every_server_knows_temporal,
    proxies_are_believed,
    private_addresses_stay_unreached,
    blocks_are_such_as_kubernetes_takes,
)
