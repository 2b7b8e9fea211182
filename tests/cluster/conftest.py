"""One API server for all tests, which knows what the operators add to it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from crm_dev.ports import free_ports
from crm_testing.servers import Server
from crm_testing.services import eventually

from cluster.apiserver import DEFINITIONS, Cluster, etcd


def knows_its_definitions(cluster: Cluster) -> bool:
    """Whether all that was defined may be applied."""
    return all(
        any(
            (condition["type"], condition["status"]) == ("Established", "True")
            for condition in definition.get("status", {}).get("conditions") or []
        )
        for definition in cluster.get("crd")
    )


@pytest.fixture(scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """An empty cluster of which only the API server and its etcd are there."""
    directory: Path = tmp_path_factory.mktemp("kubernetes")
    client, peer, port = free_ports(3)
    ours = Cluster(directory, port)
    store = Server(etcd(directory, client, peer), directory)
    api = Server(ours.piece(store.url), directory)
    try:
        await store.start()
        await api.start()
        said = ours.kubectl("apply", "--server-side", f"--filename={DEFINITIONS}")
        assert said.returncode == 0, said.stderr
        await eventually(lambda: asyncio.to_thread(knows_its_definitions, ours))
        yield ours
    finally:
        await api.kill()
        await store.kill()
