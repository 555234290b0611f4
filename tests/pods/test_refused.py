"""A task that cannot run explains the reason in a few lines, and what to do next."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.notebook import Shell

pytestmark = pytest.mark.cluster
RULES = {"apiGroups": [""], "resources": ["pods"]}


def lines(shown: str) -> list[str]:
    """Return the displayed lines without the closing line."""
    return [line for line in shown.splitlines() if line and not line.startswith("podtask-")]


def test_missing_namespace_is_named(pods: Shell) -> None:
    """The error names a missing namespace and its context."""
    shown = pods.shown_error("%%podtask -n nowhere\n1")
    assert "Namespace 'nowhere' does not exist" in shown
    assert len(lines(shown)) <= 3


@pytest.mark.server_versions
@pytest.mark.fault(7)
def test_refusal_is_shown_field_by_field(pods: Shell) -> None:
    """The error lists the problems that the API server finds, by field."""
    pods.run(
        "t = {'containers': [{'name': 'primary', 'imagePullPolicy': 'Sometimes'},"
        " {'name': 'side', 'image': 'x', 'terminationMessagePath': '/x', 'volumeDevices':"
        " [{'name': 'v', 'devicePath': '/v'}]}]}"
    )
    shown = pods.shown_error("%%podtask -t t\n1")
    assert "spec.containers[0].imagePullPolicy" in shown
    assert "spec.containers[1].volumeDevices[0].name" in shown
    assert "Change these fields of the template." in shown
    assert "Traceback" not in shown


def test_unknown_field_is_refused_by_name(pods: Shell) -> None:
    """A field that the API does not know is an error and is not dropped."""
    pods.run("t = {'containers': [{'name': 'primary', 'fromTheFuture': 1}]}")
    shown = pods.shown_error("%%podtask -t t\n1")
    assert "fromTheFuture" in shown
    assert len(lines(shown)) <= 3


@pytest.mark.fault(5)
def test_right_to_create_is_named(
    pods: Shell,
    restricted_kubeconfig: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    data_folder: Path,
) -> None:
    """Without the right to create pods, the error names the verb and the resource."""
    config = restricted_kubeconfig([{**RULES, "verbs": ["get", "list", "watch"]}])
    monkeypatch.setenv("KUBECONFIG", str(config))
    secrets = data_folder / "podtask" / "tasks"
    before = sorted(secrets.glob("*"))
    shown = pods.shown_error("%%podtask\n1")
    assert sorted(secrets.glob("*")) == before  # of a pod that was never created, no secret is left
    assert "verb create, resource pods" in shown
    assert len(lines(shown)) <= 3


@pytest.mark.fault(5)
def test_rights_to_reach_a_pod_are_named(
    pods: Shell,
    restricted_kubeconfig: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    cluster: Any,
    namespace: str,
) -> None:
    """Without pods/portforward, pods/exec and pods/log, the error names the last one; no pod remains."""
    verbs = ["create", "get", "list", "watch", "delete"]
    config = restricted_kubeconfig([{**RULES, "verbs": verbs}])
    monkeypatch.setenv("KUBECONFIG", str(config))
    shown = pods.shown_error("%%podtask --image python:3.11-slim\n1")
    assert "Neither port-forward nor exec is allowed" in shown
    assert "verb get, resource pods/log" in shown
    cluster.kubectl("wait", "--for=delete", "pod", "--all", "-n", namespace, "--timeout=20s", check=False)
    assert cluster.kubectl_json("get", "pods", "-n", namespace)["items"] == []


@pytest.mark.server_versions
@pytest.mark.fault(63, 64, 65, 66)
def test_exec_replaces_forbidden_port_forwarding(
    pods: Shell, restricted_kubeconfig: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pods/exec instead of pods/portforward, inputs, output and values arrive."""
    verbs = ["create", "get", "list", "watch", "delete"]
    relay = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]}
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig([{**RULES, "verbs": verbs}, relay])))
    pods.run("data = bytes(range(256)) * 20_000")
    out, shown = pods.output(
        "%%podtask -o x,back --image python:3.11-slim\nx = 6 * 7\nback = data[::-1]\nprint('seen')"
    )
    assert "seen" in out
    assert "by exec" in f"{out}{shown}"
    assert pods["x"] == 42
    assert pods["back"] == pods["data"][::-1]


@pytest.mark.server_versions
def test_least_rights_are_enough(
    pods: Shell, restricted_kubeconfig: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service account with the rights in the documentation can run a cell."""
    verbs = ["create", "get", "list", "watch", "delete"]
    forward = {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]}
    config = restricted_kubeconfig([{**RULES, "verbs": verbs}, forward])
    monkeypatch.setenv("KUBECONFIG", str(config))
    pods.run("%%podtask -o x --image python:3.11-slim\nx = 6 * 7")
    assert pods["x"] == 42


@pytest.mark.fault(81)
def test_right_to_watch_pods_is_optional(
    pods: Shell, restricted_kubeconfig: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the right to get but not to watch pods, cells still run."""
    forward = {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]}
    config = restricted_kubeconfig([{**RULES, "verbs": ["create", "get", "delete"]}, forward])
    monkeypatch.setenv("KUBECONFIG", str(config))
    pods.run("%%podtask -o x --image python:3.11-slim\nx = 6 * 7")
    assert pods["x"] == 42


def test_unreachable_api_server_is_named(
    pods: Shell, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the API server cannot be reached, an error within seconds names the context."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    config = cluster.write_kubeconfig(tmp_path / "config", port=port)
    monkeypatch.setenv("KUBECONFIG", str(config))
    shown = pods.shown_error("%%podtask\n1")
    assert "Cannot reach the API server" in shown
    assert "--local" in shown
    assert len(lines(shown)) <= 3


@pytest.mark.fault(14)
def test_image_without_python_is_named(pods: Shell) -> None:
    """An image without python3 fails within seconds, and the error names alternatives."""
    shown = pods.shown_error("%%podtask --image nopython:1\n1")
    assert "has no python3" in shown
    assert "--image" in shown
    assert len(lines(shown)) <= 3


@pytest.mark.server_versions
def test_failing_init_container_is_named(pods: Shell) -> None:
    """A failed init container ends the wait; the error contains its name and exit code."""
    pods.run(
        "t = {'initContainers': [{'name': 'prepare', 'image': 'nopython:1', 'command': ['sh', '-c',"
        " 'echo no such bucket; exit 3']}], 'containers': []}"
    )
    shown = pods.shown_error("%%podtask -t t --image python:3.11-slim\n1")
    assert "init container 'prepare' failed with exit code 3" in shown


def test_memory_limit_is_named(pods: Shell) -> None:
    """If a cell exceeds its memory limit, the error names the limit and the option to raise."""
    shown = pods.shown_error(
        "%%podtask --memory 64Mi --image python:3.11-slim\nx = [bytes(1 << 20) * 1 for _ in range(500)]\nx = bytearray(b'1') * (300 << 20)"
    )
    assert "SIGKILL" in shown or "OOMKilled" in shown
    assert "--memory" in shown
