"""Sessions in pods of a real cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.notebook import Kernel

pytestmark = pytest.mark.cluster
START = Callable[..., Kernel]


def pods(cluster: Any, namespace: str) -> list[Any]:
    """Return the pods of a namespace."""
    return list(cluster.kubectl_json("get", "pods", "-n", namespace, "-o", "json")["items"])


@pytest.mark.server_versions
def test_cells_of_a_session_share_a_pod(start_kernel: START, cluster: Any, namespace: str) -> None:
    """Three cells run in one process of one pod, also after its process was killed; end deletes the pod."""
    kernel = start_kernel()
    kernel.run("rate = 3")
    first = kernel.run("%%podtask --session s\nimport os, socket\nx = rate\n(x, os.getpid())")
    assert first.error is None
    assert any("in session s" in line for line in first.lines)
    [pod] = pods(cluster, namespace)
    again = kernel.run(
        "%%podtask --session s -o host\nx += 1\nhost = socket.gethostname()\n(x - 1, os.getpid())"
    )
    assert again.result == first.result
    assert kernel.run("host").result == {"text/plain": repr(pod["metadata"]["name"])}
    crash = kernel.run("%%podtask --session s\nos.kill(os.getpid(), 11)")
    assert crash.error is not None
    assert "killed by SIGSEGV" in crash.error[1]
    assert kernel.run("%%podtask --session s\n('x' in globals(), rate)").result == {
        "text/plain": "(False, 3)"
    }
    assert [each["metadata"]["uid"] for each in pods(cluster, namespace)] == [pod["metadata"]["uid"]]
    assert kernel.run("%podtask end s").stdout == "Ended: session s\n"
    cluster.kubectl("wait", "--for=delete", "pod", "--all", "-n", namespace, "--timeout=30s", check=False)
    assert pods(cluster, namespace) == []


def test_memory_limit_ends_the_process_or_the_pod_in_words(start_kernel: START) -> None:
    """A cell that uses more memory than the pod's limit: the error names the limit; the next cell runs."""
    kernel = start_kernel()
    kernel.run("%%podtask --session s --memory 200Mi\nx = 1")
    large = kernel.run("%%podtask --session s\nlarge = bytearray(400 << 20)")
    assert large.error is not None
    assert "200 Mi" in large.error[1] or "OOMKilled" in large.error[1]
    assert kernel.run("%%podtask --session s\n'x' in globals()").result == {"text/plain": "False"}
    kernel.run("%podtask end s")


def test_idle_session_ends_with_its_pod(start_kernel: START, cluster: Any, namespace: str) -> None:
    """The pod of a session without cells is deleted, and the next cell says so."""
    kernel = start_kernel()
    kernel.run("%%podtask --session s --idle 1s\nx = 1")
    kernel.run("from podtask.sessions.registry import find_session\nfind_session('s').wait_until_ended()")
    cluster.kubectl("wait", "--for=delete", "pod", "--all", "-n", namespace, "--timeout=30s", check=False)
    assert pods(cluster, namespace) == []
    shown = kernel.run("%%podtask --session s\n'x' in globals()")
    assert shown.result == {"text/plain": "False"}
    assert any("no cell ran in it for 1 s (--idle)" in line for line in shown.lines)
    kernel.run("%podtask end s")


@pytest.mark.feature("N17")
def test_notebook_moves_into_the_pod(start_kernel: START, cluster: Any, namespace: str) -> None:
    """Plain cells run in one pod, ``%%here`` and cells after ``out`` do not."""
    kernel = start_kernel()
    kernel.run("import socket\nhome = socket.gethostname()")
    kernel.run("%podtask in s -o auto")
    first = kernel.run("host = socket.gethostname()")
    assert first.error is None
    assert first.lines[0] == "[session s]"
    [pod] = pods(cluster, namespace)
    assert kernel.run("host").result == {"text/plain": repr(pod["metadata"]["name"])}
    assert kernel.run("%%here\nhost != home == socket.gethostname()").result == {"text/plain": "True"}
    kernel.run("%podtask out")
    assert kernel.run("host != home == socket.gethostname()").result == {"text/plain": "True"}
    kernel.run("%podtask end s")
