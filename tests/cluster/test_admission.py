"""Every overlay as the API server takes it: strictly, without a warning, its pods admitted."""

from collections.abc import Callable

import pytest
import yaml
from deploy.manifests import (
    OVERLAYS,
    Document,
    Manifests,
    container,
    infrastructure,
    pod,
    render,
    rendered_with,
)
from deploy.telemetry import OBSERVABILITY

from cluster.apiserver import Cluster

STRICTLY = ("apply", "--server-side", "--validate=strict", "--filename=-")
ASKED = ("create", "--dry-run=server", "--validate=strict", "--filename=-")


def watched(overlay: str) -> Manifests:
    """An overlay that takes in what the Prometheus operator needs."""
    return Manifests(list(yaml.safe_load_all(rendered_with(OBSERVABILITY, overlay))))


APPLIED = {
    **{overlay: render(overlay) for overlay in OVERLAYS},
    **{f"{overlay}, watched": watched(overlay) for overlay in OVERLAYS},
    "infrastructure": infrastructure(),
}


@pytest.fixture(scope="module")
def production(cluster: Cluster) -> str:
    """The namespace of production, where all of it is applied."""
    said = cluster.kubectl(*STRICTLY, documents=render("production").documents)
    assert said.returncode == 0, said.stderr
    return "crm-production"


def as_pod(workload: Document) -> Document:
    """The pod that a controller makes of a Deployment or Job."""
    template = workload["spec"]["template"]
    metadata = {**template["metadata"], "namespace": workload["metadata"]["namespace"]}
    metadata["name"] = workload["metadata"]["name"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


class TestApplied:
    @pytest.mark.parametrize("name", APPLIED)
    def test_is_taken_whole_without_a_warning_and_unchanged_when_it_comes_again(
        self, cluster: Cluster, name: str
    ) -> None:
        documents = APPLIED[name].documents
        # As `deploy/k8s/release` has it: a Job's template is immutable.
        cluster.kubectl("delete", "job", "--all", "--all-namespaces").check_returncode()
        said = cluster.kubectl(*STRICTLY, documents=documents)
        assert (said.returncode, said.stderr) == (0, "")
        assert len(said.stdout.splitlines()) == len(documents)
        said = cluster.kubectl("diff", "--server-side", "--filename=-", documents=documents)
        assert (said.returncode, said.stdout) == (0, "")

    @pytest.mark.parametrize("overlay", OVERLAYS)
    def test_gets_its_pods_admitted(self, cluster: Cluster, overlay: str) -> None:
        manifests = render(overlay)
        assert cluster.kubectl(*STRICTLY, documents=manifests.documents).returncode == 0
        pods = [as_pod(workload) for workload in manifests.workloads()]
        said = cluster.kubectl(*ASKED, documents=pods)
        assert (said.returncode, said.stderr) == (0, "")
        assert len(said.stdout.splitlines()) == len(pods)


def _first(kind: str) -> Document:
    return render("production").of(kind)[0]


def rooted() -> Document:
    found = as_pod(_first("Deployment"))
    found["spec"]["securityContext"] = {"runAsUser": 0, "runAsNonRoot": False}
    return found


def unconfined() -> Document:
    found = as_pod(_first("Job"))
    del found["spec"]["securityContext"]["seccompProfile"]
    return found


def capable() -> Document:
    found = as_pod(_first("Job"))
    found["spec"]["containers"][0]["securityContext"]["capabilities"] = {"add": ["NET_ADMIN"]}
    return found


def on_the_host() -> Document:
    found = as_pod(_first("Deployment"))
    found["spec"]["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
    return found


def of_nobody() -> Document:
    found = as_pod(_first("Deployment"))
    found["spec"]["serviceAccountName"] = "nobody"
    return found


def misspelt() -> Document:
    found = _first("Deployment")
    container(found)["readynessProbe"] = container(found).pop("readinessProbe")
    return found


def mistyped() -> Document:
    found = _first("PodDisruptionBudget")
    found["spec"]["maxUnavailable"] = ["one"]
    return found


def probed_at_no_port() -> Document:
    found = _first("Deployment")
    container(found)["livenessProbe"]["httpGet"]["port"] = "a_port"
    return found


def unmounted() -> Document:
    found = _first("Deployment")
    pod(found)["volumes"] = []
    return found


def of_other_pods() -> Document:
    found = _first("Deployment")
    found["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] = "nobody"
    return found


def of_another_image() -> Document:
    found = _first("Job")
    container(found)["image"] = "registry.example.com/ventros-crm/other:0.2.0"
    return found


def scaled_by_a_misspelt_trigger() -> Document:
    found = _first("ScaledObject")
    found["spec"]["triggers"][0]["metaData"] = found["spec"]["triggers"][0].pop("metadata")
    return found


def with_misspelt_instances() -> Document:
    found = infrastructure().of("Cluster")[0]
    found["spec"]["instancs"] = found["spec"].pop("instances")
    return found


def with_a_misspelt_plugin() -> Document:
    found = infrastructure().of("RabbitmqCluster")[0]
    found["spec"]["rabbitmq"]["additionalPlugin"] = []
    return found


def with_a_misspelt_user() -> Document:
    found = infrastructure().of("Permission")[0]
    found["spec"]["userRef"] = found["spec"].pop("userReference")
    return found


def for_no_exchange() -> Document:
    found = infrastructure().of("TopicPermission")[0]
    del found["spec"]["permissions"]["exchange"]
    return found


def with_a_right_of_no_kind() -> Document:
    found = infrastructure().of("TopicPermission")[0]
    found["spec"]["permissions"]["configure"] = ".*"
    return found


def watching_a_misspelt_port() -> Document:
    found = watched("production").of("ServiceMonitor")[0]
    found["spec"]["endpoints"][0]["ports"] = "http"
    return found


@pytest.mark.usefixtures("production")
class TestRefused:
    @pytest.mark.parametrize(
        ("damaged", "why"),
        [
            (rooted, 'violates PodSecurity "restricted:latest": runAsNonRoot != true'),
            (unconfined, 'violates PodSecurity "restricted:latest": seccompProfile'),
            (capable, 'violates PodSecurity "restricted:latest": unrestricted capabilities'),
            (on_the_host, 'violates PodSecurity "restricted:latest": restricted volume types'),
            (of_nobody, 'serviceaccount "nobody" not found'),
        ],
        ids=lambda of: getattr(of, "__name__", ""),
    )
    def test_is_a_pod(self, cluster: Cluster, damaged: Callable[[], Document], why: str) -> None:
        said = cluster.kubectl(*ASKED, documents=[damaged()])
        assert said.returncode != 0
        assert why in said.stderr

    @pytest.mark.parametrize(
        ("damaged", "why"),
        [
            (misspelt, ".readynessProbe: field not declared in schema"),
            (mistyped, "cannot unmarshal array into Go value of type int32"),
            (probed_at_no_port, "livenessProbe.httpGet.port: Invalid value"),
            (unmounted, "volumeMounts[0].name: Not found"),
            (of_other_pods, "`selector` does not match template `labels`"),
            (of_another_image, "spec.template: Invalid value"),
            (scaled_by_a_misspelt_trigger, ".metaData: field not declared in schema"),
            (with_misspelt_instances, ".spec.instancs: field not declared in schema"),
            (with_a_misspelt_plugin, ".additionalPlugin: field not declared in schema"),
            (with_a_misspelt_user, ".spec.userRef: field not declared in schema"),
            (for_no_exchange, "spec.permissions.exchange: Required value"),
            (with_a_right_of_no_kind, ".permissions.configure: field not declared in schema"),
            (watching_a_misspelt_port, ".ports: field not declared in schema"),
        ],
        ids=lambda of: getattr(of, "__name__", ""),
    )
    def test_is_an_object(
        self, cluster: Cluster, damaged: Callable[[], Document], why: str
    ) -> None:
        said = cluster.kubectl(*STRICTLY, "--dry-run=server", documents=[damaged()])
        assert said.returncode != 0
        assert why in said.stderr

    def test_is_warned_of_while_it_makes_pods_that_would_be(self, cluster: Cluster) -> None:
        """A workload is taken, its pods are not: the warning is all that one sees."""
        found = _first("Deployment")
        pod(found)["securityContext"] = {"runAsUser": 0}
        said = cluster.kubectl(
            *STRICTLY, "--dry-run=server", "--force-conflicts", documents=[found]
        )
        assert said.returncode == 0
        assert 'Warning: would violate PodSecurity "restricted:latest"' in said.stderr
