"""The cluster as the tests use it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cluster import cache, provider
from tests.cluster.api import Api
from tests.cluster.certificates import render_kubeconfig
from tests.cluster.errors import run, wait_until
from tests.cluster.node import Node


class Cluster:
    """A cluster for tests.

    Attributes:
        kubeconfig: The administrator's kubeconfig.
        own: Whether the cluster was built on this machine, so that tests may change the node.
    """

    def __init__(self, kubeconfig: Path, node: Node | None) -> None:
        self.kubeconfig = kubeconfig
        self.own = node is not None
        self._node = node

    @property
    def server(self) -> tuple[str, int]:
        """The host and port of the API server."""
        url = urlsplit(self._cluster_entry(self.kubeconfig)["server"])
        assert url.hostname is not None
        return url.hostname, url.port or 443

    @functools.cached_property
    def minor(self) -> int:
        """The minor version of the API server, such as 35; managed clusters append a plus sign."""
        return int(self.kubectl_json("version")["serverVersion"]["minor"].rstrip("+"))

    @property
    def node(self) -> Node:
        """The node that was built on this machine; for another cluster, the test is skipped."""
        if self._node is None:
            pytest.skip("changes the node, which is not done to PODTASK_TEST_KUBECONFIG's")
        return self._node

    def kubectl(
        self,
        *arguments: str | Path,
        input: str | None = None,
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> str:
        """Run kubectl and return its stdout.

        Args:
            arguments: Arguments of kubectl.
            input: Text for stdin.
            check: Raise an error if kubectl fails; if False, return stdout followed by stderr.
            kubeconfig: Kubeconfig to use; by default, the administrator's.

        Raises:
            ClusterError: kubectl failed, and `check` is set.
        """
        found = shutil.which("kubectl")
        program = self._node.layout.bin / "kubectl" if self._node else Path(found or "kubectl")
        environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig or self.kubeconfig),
            # The contributor's own kubeconfig in ~/.kube is not used.
            "KUBECACHEDIR": str(cache.directory() / "kubectl"),
        }
        return run([program, *arguments], input=input, env=environment, check=check)

    def kubectl_json(self, *arguments: str | Path) -> Any:
        """Run kubectl with `-o json` and return its decoded output."""
        return json.loads(self.kubectl(*arguments, "--output=json"))

    def schedulable_node(self) -> Any:
        """Return the first node without taints that is not cordoned; wait for one.

        The real node is tainted for a moment when its kubelet reports late, as on a busy machine.
        """
        found: list[Any] = []

        def find() -> bool:
            nodes = self.kubectl_json("get", "nodes")["items"]
            found.extend(node for node in nodes if not {"taints", "unschedulable"} & node["spec"].keys())
            return bool(found)

        wait_until(find, "a node without taints", seconds=60)
        return found[0]

    def set_capacity(self, resource: str, count: int | None) -> None:
        """Set the amount of an extended resource on the first node without taints.

        Args:
            resource: Name of the resource, such as `nvidia.com/gpu`.
            count: The amount; None removes the resource.
        """
        path = f"/status/capacity/{resource.replace('/', '~1')}"
        change = {"op": "remove", "path": path}
        if count is not None:
            change = {"op": "add", "path": path, "value": str(count)}
        node = self.schedulable_node()["metadata"]["name"]
        patch = ("patch", "node", node, "--subresource=status", "--type=json", "--patch")
        self.kubectl(*patch, json.dumps([change]))

    @contextmanager
    def temporary_namespace(self, name: str) -> Iterator[None]:
        """Create a namespace that is ready for pods, and delete it after the block without waiting."""
        self.kubectl("create", "namespace", name)
        try:
            # Without the account, pods are rejected. Without the config map of the authority, the start of a
            # pod is delayed and a warning event is added.
            for awaited in ("serviceaccount/default", "configmap/kube-root-ca.crt"):
                self.kubectl("wait", "--for=create", awaited, f"--namespace={name}", "--timeout=60s")
            yield
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")

    def write_kubeconfig(
        self,
        target: Path,
        *,
        source: Path | None = None,
        port: int | None = None,
        token: str | None = None,
        namespace: str | None = None,
    ) -> Path:
        """Write a modified copy of a kubeconfig with all files embedded.

        Args:
            target: The file to write.
            source: Kubeconfig to copy; by default, the administrator's.
            port: Port on loopback that replaces the address of the server.
            token: Bearer token that replaces the credentials of the user.
            namespace: Namespace of the context.
        """
        view = self._view(source or self.kubeconfig)
        entry = dict(view["clusters"][0]["cluster"])
        if port is not None:
            host = urlsplit(entry["server"]).hostname
            entry["server"] = f"https://127.0.0.1:{port}"
            if host != "127.0.0.1":
                entry.setdefault("tls-server-name", host)
        user = view["users"][0]["user"] if token is None else {"token": token}
        context = view["contexts"][0]["context"]
        chosen = namespace or context.get("namespace", "default")
        target.write_text(render_kubeconfig(entry, user, chosen))
        target.chmod(0o600)
        return target

    def stop_api_server(self) -> None:
        """Kill the API server; its connections break."""
        self.node.stop_api_server()

    def start_api_server(self) -> None:
        """Start the API server at its old address, and wait until pods can be scheduled."""
        self.node.start_api_server()
        self._wait_ready()

    @contextmanager
    def api_server_down(self) -> Iterator[None]:
        """Stop the API server for the duration of the block."""
        with self._others_wait():
            self.stop_api_server()
            try:
                yield
            finally:
                self.start_api_server()

    def pause_kubelet(self) -> None:
        """Pause the kubelet, which simulates the loss of the node; after 20 s the node counts as lost."""
        self.node.part("kubelet").signal(signal.SIGSTOP)
        # The threads of the kubelet stop one by one.
        wait_until(lambda: self.node.status()["kubelet"] == "paused", "the kubelet's pause", seconds=10)

    def resume_kubelet(self) -> None:
        """Resume the kubelet, and wait until pods can be scheduled."""
        self.node.part("kubelet").signal(signal.SIGCONT)
        self._wait_ready()

    @contextmanager
    def kubelet_paused(self) -> Iterator[None]:
        """Pause the kubelet for the duration of the block."""
        with self._others_wait():
            self.pause_kubelet()
            try:
                yield
            finally:
                self.resume_kubelet()

    def _others_wait(self) -> AbstractContextManager[None]:
        # Without the lock, another process that needs the node would restart it during the block.
        return cache.locked(self.node.layout.lock)

    def _wait_ready(self) -> None:
        api = Api(self.node.layout, self.node.api_port)
        wait_until(api.node_ready, "a ready node", seconds=60)

    def _view(self, kubeconfig: Path) -> Any:
        view = ("config", "view", "--raw", "--minify", "--flatten", "--output=json")
        return json.loads(self.kubectl(*view, kubeconfig=kubeconfig))

    def _cluster_entry(self, kubeconfig: Path) -> Any:
        return self._view(kubeconfig)["clusters"][0]["cluster"]


def start_cluster() -> Cluster:
    """Return the cluster in PODTASK_TEST_KUBECONFIG, or the one of this machine, started if necessary.

    Raises:
        ClusterError: The node of this machine does not start.
    """
    given = provider.given_kubeconfig()
    if given is not None:
        return Cluster(given, None)
    node = Node()
    node.up()
    return Cluster(node.layout.kubeconfig, node)
