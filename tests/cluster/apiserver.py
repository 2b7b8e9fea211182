"""An API server of Kubernetes with its etcd, on loopback, and what one says to it.

No controller, scheduler or kubelet is there: nothing that is applied comes to run.
"""

import asyncio
import functools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from crm_dev.piece import Piece
from crm_dev.probes import answers_http
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from deploy.manifests import ROOT, Document, kubectl

PROGRAMS = ROOT / ".dev" / "kubernetes"
"""Where `tools/kubernetes` puts them."""
DEFINITIONS = PROGRAMS / "definitions"
"""What operators add to the API."""
_TOKEN = "only-for-this-test-run"


def etcd(directory: Path, client: int, peer: int) -> Piece:
    """Declare where the API server keeps what it is told."""
    urls = {"client": f"http://127.0.0.1:{client}", "peer": f"http://127.0.0.1:{peer}"}
    return Piece(
        name="etcd",
        command=(
            *(str(PROGRAMS / "etcd"), "--data-dir", str(directory / "etcd")),
            *("--listen-client-urls", urls["client"], "--advertise-client-urls", urls["client"]),
            *("--listen-peer-urls", urls["peer"], "--initial-advertise-peer-urls", urls["peer"]),
            *("--initial-cluster", f"default={urls['peer']}"),
        ),
        ready=functools.partial(answers_http, client, "/health"),
        ports=(client, peer),
        url=urls["client"],
    )


class Cluster:
    """What an operator who is logged in to the API server may do."""

    def __init__(self, directory: Path, port: int) -> None:
        self._directory = directory
        self._port = port

    def piece(self, etcd_url: str) -> Piece:
        """Declare the API server, with admission as it is by default and Pod Security in it."""
        return Piece(
            name="kube-apiserver",
            command=(
                *(str(PROGRAMS / "kube-apiserver"), f"--etcd-servers={etcd_url}"),
                *("--bind-address=127.0.0.1", f"--secure-port={self._port}"),
                *("--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16"),
                *("--authorization-mode=RBAC", f"--token-auth-file={self._directory / 'tokens'}"),
                f"--cert-dir={self._directory}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={self._directory / 'accounts.key'}",
                f"--service-account-signing-key-file={self._directory / 'accounts.key'}",
            ),
            ready=self._answers,
            prepare=self._log_in,
            ports=(self._port,),
            url=f"https://127.0.0.1:{self._port}",
        )

    @property
    def environment(self) -> dict[str, str]:
        """Return what `kubectl` needs to know to be logged in, and to be the tests' own."""
        path = f"{Path(kubectl()).parent}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "KUBECONFIG": str(self._directory / "kubeconfig")}

    def kubectl(
        self, *words: str, documents: list[Document] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `kubectl <words>`, with these objects on its standard input."""
        return subprocess.run(
            [kubectl(), *words],
            env=self.environment,
            input=yaml.safe_dump_all(documents) if documents else None,
            capture_output=True,
            text=True,
        )

    def get(self, *words: str) -> list[dict[str, Any]]:
        """Return the objects that `kubectl get <words>` finds; raises where it fails."""
        said = self.kubectl("get", *words, "--output=json")
        said.check_returncode()
        found: list[dict[str, Any]] = json.loads(said.stdout)["items"]
        return found

    async def _answers(self) -> bool:
        said = await asyncio.to_thread(self.kubectl, "get", "--raw=/readyz")
        return said.returncode == 0

    async def _log_in(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        (self._directory / "accounts.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        (self._directory / "tokens").write_text(f"{_TOKEN},ana,ana,system:masters\n")
        cluster = {
            "server": f"https://127.0.0.1:{self._port}",
            "certificate-authority": str(self._directory / "apiserver.crt"),  # it makes its own
        }
        login = {
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "ana", "user": {"token": _TOKEN}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "ana"}}],
            "current-context": "here",
        }
        (self._directory / "kubeconfig").write_text(yaml.safe_dump(login))
