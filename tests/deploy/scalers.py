"""What must hold between scalers and what they scale; rules as in `deploy.rules`."""

import re
from collections.abc import Iterator

from shared_events import topology
from shared_events.services import SERVICES

from deploy.manifests import Document, Manifests, title

SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")
NOT_EVENTS = ("queries", "commands", "returns", "retry.30000ms")


def scalers_have_no_rival(manifests: Manifests) -> Iterator[str]:
    """One scaler at most says how many processes there are; then nobody else does."""
    for deployment in manifests.of("Deployment"):
        scalers = [s for s in manifests.of(*SCALERS) if scales(s, deployment)]
        if len(scalers) > 1:
            yield f"{title(deployment)} has {len(scalers)} scalers"
        if scalers and "replicas" in deployment["spec"]:
            yield f"{title(deployment)} says how many it is, and {title(scalers[0])} too"
    for scaler in manifests.of(*SCALERS):
        if not any(scales(scaler, deployment) for deployment in manifests.of("Deployment")):
            yield f"{title(scaler)} scales nothing"
        low, high = bounds(scaler)
        if not 2 <= low <= high:
            yield f"{title(scaler)} allows {low} to {high} processes"


def scalers_know_the_queues(manifests: Manifests) -> Iterator[str]:
    """What waits in the service's queues, in all their partitions, in no other and no delay."""
    parts = {
        part.name: queue.service.name
        for queue in topology.QUEUES
        for part in queue.partitions(topology.PARTITIONS)
    }
    strange = [queue.dead_letters.name for queue in topology.QUEUES]
    strange += [f"{service.noun}.{rest}" for service in SERVICES for rest in NOT_EVENTS]
    for scaler in manifests.of("ScaledObject"):
        (trigger,) = (t for t in scaler["spec"]["triggers"] if t["type"] == "rabbitmq")
        looked_at = re.compile(trigger["metadata"]["queueName"]).search
        meant = {name for name, service in parts.items() if service == scaler["metadata"]["name"]}
        for name in sorted({*parts, *strange}):
            if bool(looked_at(name)) != (name in meant):
                yield f"{title(scaler)} and the queue {name}"
        if scaler["spec"]["maxReplicaCount"] > topology.PARTITIONS:
            yield f"{title(scaler)} makes more processes than there are partitions"


def scales(scaler: Document, deployment: Document) -> bool:
    """Whether an autoscaler or ScaledObject is this Deployment's."""
    return bool(scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"])


def bounds(scaler: Document) -> tuple[int, int]:
    """The fewest and the most processes that a scaler makes."""
    spec = scaler["spec"]
    if scaler["kind"] == "ScaledObject":
        return spec["minReplicaCount"], spec["maxReplicaCount"]
    return spec["minReplicas"], spec["maxReplicas"]
