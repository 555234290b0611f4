"""The node starts again regardless of how it ended."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import cgroups, images, leftovers, processes
from tests.cluster.errors import wait_until
from tests.cluster.handle import Cluster
from tests.cluster.layout import NODE_BRIDGE
from tests.cluster.mounts import unmount_below
from tests.cluster.node import Node

pytestmark = [pytest.mark.cluster, pytest.mark.first]
# Only the images that these tests use: all images would be imported again at each start.
FEW_IMAGES = [
    recipe
    for recipe in images.RECIPES
    if recipe.kind in ("pause", "busybox") or "3.11-slim" in recipe.names[0]
]


@pytest.fixture(scope="module")
def restored(cluster: Cluster) -> Iterator[None]:
    """Import all images again after the last test."""
    yield
    cluster.node.up()


@pytest.fixture
def node(cluster: Cluster, restored: None) -> Node:
    """Yield the node of this machine, with a running pod."""
    node = cluster.node
    cluster.kubectl("run", "runs", "--image=nopython:1", "--restart=Never", "--", "sleep", "600")
    cluster.kubectl("wait", "pod/runs", "--for=condition=Ready", "--timeout=60s")
    return node


def _pod_processes(node: Node) -> list[processes.Process]:
    return processes.with_argument(str(node.layout.cri_socket)) + cgroups.members()


def _assert_works(cluster: Cluster) -> None:
    # A node that has just registered may be tainted once more for a moment.
    wait_until(cluster.node.healthy, "a healthy node", seconds=30)
    assert cluster.kubectl("get", "pods") == ""
    cluster.kubectl("run", "runs", "--image=python:3.11-slim", "--restart=Never")
    finished = "--for=jsonpath={.status.phase}=Succeeded"
    cluster.kubectl("wait", "pod/runs", finished, "--timeout=60s")
    cluster.kubectl("delete", "pod", "runs")


def test_every_process_killed(cluster: Cluster, node: Node) -> None:
    """The node starts again after all its parts were killed with SIGKILL and the shims kept running."""
    parts = list(leftovers.running(node.layout).values())
    survivors = _pod_processes(node)
    for process in parts:
        process.signal(signal.SIGKILL)
    for process in parts:
        assert process.wait(10)
    assert all(process.state() for process in survivors)
    assert not node.healthy()

    node.up(FEW_IMAGES)

    assert not any(process.state() for process in survivors)
    _assert_works(cluster)


def test_power_cut(cluster: Cluster, node: Node) -> None:
    """The node starts again from the files of an earlier boot: no processes, no mounts, damaged files."""
    everything = [*leftovers.running(node.layout).values(), *_pod_processes(node)]
    for process in everything:
        process.signal(signal.SIGKILL)
    wait_until(lambda: not _pod_processes(node), "the end of the pods", seconds=20)
    subprocess.run(["ip", "link", "delete", NODE_BRIDGE], check=True)
    layout = node.layout
    unmount_below(layout.root)
    layout.facts.write_text('{"program": "ku')
    layout.kubeconfig.write_bytes(bytes(4096))
    # A record of an earlier boot with the ID of a current process: the process is not killed.
    with subprocess.Popen(["sleep", "600"]) as bystander:
        stat = Path(f"/proc/{bystander.pid}/stat").read_text()
        layout.record("etcd").write_text(f"{stat}00000000-0000-0000-0000-000000000000\n")

        node.up(FEW_IMAGES)

        assert bystander.poll() is None
        bystander.kill()
    _assert_works(cluster)


def test_down_leaves_nothing(cluster: Cluster, node: Node) -> None:
    """`down` leaves no process, mount, bridge, group or file, and `up` works again."""
    everything = [*leftovers.running(node.layout).values(), *_pod_processes(node)]

    node.down()

    assert not any(process.state() for process in everything)
    assert not leftovers.exist(node.layout)
    assert list(node.layout.home.iterdir()) == [node.layout.lock]
    node.up(FEW_IMAGES)
    _assert_works(cluster)
