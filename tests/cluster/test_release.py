"""`deploy/k8s/release` as an operator runs it, twice, beside a test that plays the controllers."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from deploy.manifests import DEPLOYED, KUBERNETES, SERVICES, Document, container

from cluster.apiserver import Cluster

NAMESPACE = "crm-released"
LOOK_SECONDS = 0.5


class Overlay:
    """The overlay `development` in a copy of the manifests, in a namespace of its own."""

    def __init__(self, directory: Path) -> None:
        copied = shutil.copytree(KUBERNETES, directory / "k8s")
        self.program = copied / "release"
        self._file = copied / "overlays" / "development" / "kustomization.yaml"
        self._text = self._file.read_text().replace("crm-development", NAMESPACE)

    def tag(self, tag: str) -> None:
        """Have all images be of this tag."""
        self._file.write_text(self._text.replace('newTag: "dev"', f'newTag: "{tag}"'))


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    return Overlay(tmp_path)


def _complete() -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    met = {"status": "True", "lastProbeTime": now, "lastTransitionTime": now}
    conditions = [{"type": kind, **met} for kind in ("SuccessCriteriaMet", "Complete")]
    return {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}


def _rolled_out(deployment: Document) -> dict[str, Any]:
    wanted = deployment["spec"]["replicas"]
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        **dict.fromkeys(counts, wanted),
    }


def _play(cluster: Cluster) -> None:
    """Let each Job have ended well, and each Deployment have the pods of its newest template."""
    for found in cluster.get("job,deployment", f"--namespace={NAMESPACE}"):
        job = found["kind"] == "Job"
        status = found.get("status", {})
        if (
            status.get("succeeded")
            if job
            else (status.get("observedGeneration") == found["metadata"]["generation"])
        ):
            continue
        played = json.dumps({"status": _complete() if job else _rolled_out(found)})
        cluster.kubectl(
            *("patch", f"{found['kind'].lower()}/{found['metadata']['name']}"),
            *(f"--namespace={NAMESPACE}", "--subresource=status", "--type=merge"),
            f"--patch={played}",
        )


@asynccontextmanager
async def controllers(cluster: Cluster) -> AsyncIterator[None]:
    """Play the controllers of Jobs and Deployments, which are not there."""
    over = asyncio.Event()

    async def play() -> None:
        while not over.is_set():
            await asyncio.to_thread(_play, cluster)
            await asyncio.wait({asyncio.create_task(over.wait())}, timeout=LOOK_SECONDS)

    playing = asyncio.create_task(play())
    try:
        yield
    finally:
        over.set()
        await playing


async def release(cluster: Cluster, overlay: Overlay, tag: str) -> str:
    """What it printed; fails when it does not end well, or warns."""
    overlay.tag(tag)
    process = await asyncio.create_subprocess_exec(
        overlay.program,
        "development",
        env=cluster.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    return out.decode()


async def test_is_followed_by_another_and_by_the_way_back(
    cluster: Cluster, overlay: Overlay
) -> None:
    async with controllers(cluster):
        for tag in ("before", "next", "before"):
            said = await release(cluster, overlay, tag)
            assert said.count("successfully rolled out") == len(DEPLOYED)
    found = cluster.get("job,deployment", f"--namespace={NAMESPACE}")
    assert len(found) == len(SERVICES) + len(DEPLOYED)
    assert {container(each)["image"].rpartition(":")[2] for each in found} == {"before"}
    assert {e["metadata"]["generation"] for e in found if e["kind"] == "Deployment"} == {3}
