"""The test cluster provides what the other tests rely on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster import images
from tests.cluster.errors import ClusterError, wait_until
from tests.cluster.fixtures import MakeApiProxy, RestrictedKubeconfig
from tests.cluster.handle import Cluster

pytestmark = pytest.mark.cluster

_READ_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}


def _create_pod(cluster: Cluster, namespace: str, image: str, *command: str) -> None:
    container = {"name": "main", "image": image, "imagePullPolicy": "IfNotPresent"}
    if command:
        container["command"] = list(command)  # type: ignore[assignment]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "it", "namespace": namespace},
        "spec": {
            "containers": [container],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
        },
    }
    cluster.kubectl("create", "--filename=-", input=json.dumps(pod))


def _wait(cluster: Cluster, namespace: str, what: str) -> None:
    cluster.kubectl("wait", "pod/it", f"--for={what}", f"--namespace={namespace}", "--timeout=120s")


def _run(cluster: Cluster, namespace: str, image: str, *command: str) -> str:
    _create_pod(cluster, namespace, image, *command)
    _wait(cluster, namespace, "jsonpath={.status.phase}=Succeeded")
    return cluster.kubectl("logs", "it", f"--namespace={namespace}")


@pytest.mark.parametrize("version", ["3.9", "3.11", "3.13"])
def test_python_image(cluster: Cluster, namespace: str, version: str) -> None:
    """A pod of each Python image runs its version of Python, under the name that users write."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    printed = _run(cluster, namespace, f"python:{version}-slim", "python", "-c", program)
    assert printed == f"{version}\n"


@pytest.mark.parametrize("image", ["nopython:1", "busybox", "alpine:3"])
def test_image_without_python(cluster: Cluster, namespace: str, image: str) -> None:
    """The images without Python contain a shell and the usual commands."""
    if not cluster.own and image == "nopython:1":
        pytest.skip("an image of the cluster built here")
    script = "sleep 0; echo yes | cat; command -v python3 || echo no python"
    assert _run(cluster, namespace, image, "sh", "-c", script) == "yes\nno python\n"


def test_redis_image(cluster: Cluster, namespace: str) -> None:
    """The Redis image serves requests without any configuration."""
    _create_pod(cluster, namespace, "redis:7")
    _wait(cluster, namespace, "condition=Ready")
    ping = ("exec", "it", f"--namespace={namespace}", "--", "redis-cli", "ping")
    wait_until(lambda: cluster.kubectl(*ping, check=False) == "PONG\n", "an answer", seconds=20)


def test_all_images_are_there(cluster: Cluster) -> None:
    """The node has every image under each of its names."""
    cri = cluster.node.layout.cri_socket
    command = ["ctr", "--address", str(cri), "--namespace", "k8s.io", "images", "list", "-q"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert {name for recipe in images.RECIPES for name in recipe.names} <= set(listed)


def test_namespace_is_fresh(cluster: Cluster, namespace: str) -> None:
    """The namespace of a test is new and empty, and accepts pods immediately."""
    assert cluster.kubectl_json("get", "pods", f"--namespace={namespace}")["items"] == []
    cluster.kubectl("get", "serviceaccount", "default", f"--namespace={namespace}")


def test_restricted_kubeconfig(
    cluster: Cluster, namespace: str, restricted_kubeconfig: RestrictedKubeconfig
) -> None:
    """A restricted kubeconfig allows the granted actions in its namespace and nothing else."""
    narrow = restricted_kubeconfig([_READ_PODS])
    assert "No resources found" in cluster.kubectl("get", "pods", kubeconfig=narrow, check=False)
    for refused in (("get", "secrets"), ("get", "pods", "--namespace=default")):
        with pytest.raises(ClusterError, match=r"(?i)forbidden"):
            cluster.kubectl(*refused, kubeconfig=narrow)
    with pytest.raises(ClusterError, match=r"(?i)forbidden"):
        cluster.kubectl("create", "configmap", "it", kubeconfig=narrow)


def test_restricted_kubeconfig_without_rules(
    cluster: Cluster, restricted_kubeconfig: RestrictedKubeconfig
) -> None:
    """An account without rules is authenticated but has no rights."""
    nothing = restricted_kubeconfig([])
    with pytest.raises(ClusterError, match=r"(?i)forbidden"):
        cluster.kubectl("get", "pods", kubeconfig=nothing)


def test_proxy_cuts_a_log(cluster: Cluster, namespace: str, api_proxy: MakeApiProxy) -> None:
    """A cut ends a followed log, and the pod continues to run."""
    proxy = api_proxy()
    script = "echo begun; sleep 600"
    _create_pod(cluster, namespace, "python:3.11-slim", "sh", "-c", script)
    _wait(cluster, namespace, "condition=Ready")
    program = str(cluster.node.layout.bin / "kubectl") if cluster.own else "kubectl"
    command = [program, f"--kubeconfig={proxy.kubeconfig}", f"--namespace={namespace}"]
    with subprocess.Popen(
        [*command, "logs", "--follow", "it"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "begun\n"
        assert proxy.connections == 1
        assert proxy.cut() == 1
        following.wait(20)
    _wait(cluster, namespace, "jsonpath={.status.phase}=Running")


def test_proxy_delays_requests(
    cluster: Cluster, restricted_kubeconfig: RestrictedKubeconfig, api_proxy: MakeApiProxy
) -> None:
    """A proxy works with any kubeconfig, and delays requests."""
    proxy = api_proxy(restricted_kubeconfig([_READ_PODS]), delay_ms=200)
    begun = time.monotonic()
    cluster.kubectl("get", "pods", kubeconfig=proxy.kubeconfig)
    # One round trip each for TCP, TLS and the request.
    assert time.monotonic() - begun > 0.6


def test_env_is_for_sh(cluster: Cluster) -> None:
    """Sh can evaluate the output of `env`, which contains nothing else."""
    script = f'lines="$({sys.executable} -m tests.cluster env 2>/dev/null)" && eval "$lines"'
    script += ' && printf "%s\\n%s" "$KUBECONFIG" "$(kubectl get --raw /readyz)"'
    root = Path(__file__).parents[2]
    shell = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True, cwd=root)
    assert shell.stdout == f"{cluster.kubeconfig}\nok"
    assert shell.stderr == ""


@pytest.mark.exclusive
def test_up_is_quick_when_it_is_up(cluster: Cluster) -> None:
    """A second `up` reuses the running node."""
    begun = time.monotonic()
    cluster.node.up()
    assert time.monotonic() - begun < 1


@pytest.mark.exclusive
def test_api_server_down(cluster: Cluster, namespace: str) -> None:
    """While the API server is down, pods keep running; it returns at the same address."""
    _create_pod(cluster, namespace, "nopython:1", "sleep", "600")
    _wait(cluster, namespace, "condition=Ready")
    server = cluster.server
    with cluster.api_server_down():
        assert "refused" in cluster.kubectl("get", "pods", check=False)
    assert cluster.server == server
    pod = cluster.kubectl_json("get", "pod", "it", f"--namespace={namespace}")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


@pytest.mark.exclusive
def test_kubelet_paused(cluster: Cluster, namespace: str) -> None:
    """A new pod stays pending while the kubelet is paused, and runs afterwards."""
    with cluster.kubelet_paused():
        assert cluster.node.status()["kubelet"] == "paused"
        _create_pod(cluster, namespace, "nopython:1", "true")
        _wait(cluster, namespace, "condition=PodScheduled")
        pod = cluster.kubectl_json("get", "pod", "it", f"--namespace={namespace}")
        assert pod["status"]["phase"] == "Pending"
    _wait(cluster, namespace, "jsonpath={.status.phase}=Succeeded")
