"""The commands doctor, rbac and why, and Tab completion, against a real API server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from podtask.cluster import object_names
from podtask.config.options import BATCH, EXEC, FORWARD
from podtask.magics.doctor import (
    DETACH_VERBS,
    OPTIONAL_VERBS,
    REQUIRED_VERBS,
    RETRY_VERBS,
    VERBS_BY_CHANNEL,
    role_rules,
)

from tests.local.test_completion import offered
from tests.notebook import Shell
from tests.pods.waiting import submit, wait_for_phase

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
IMAGE = "python:3.11-slim"


def lines(pods: Shell, source: str) -> dict[str, str]:
    """Return the lines of the doctor by heading, with status and fix."""
    out, _ = pods.output(source)
    found: dict[str, str] = {}
    for line in out.splitlines():
        if line.startswith(" "):
            found[list(found)[-1]] += line
        else:
            mark, what, say = line.split(maxsplit=2)
            found[what] = f"{mark} {say}"
    return found


@pytest.mark.feature("P06", "P03")
def test_doctor_finds_a_cluster_in_order(pods: Shell, namespace: str) -> None:
    """The doctor prints a line for each check, from versions to the image's Python, and deletes the pod."""
    found = lines(pods, f"%podtask doctor --image {IMAGE}")
    assert list(found) == ["versions", "cluster", "rights", "pod", "image", "stream", "Python"]
    assert not [line for line in list(found.values())[:6] if not line.startswith("✓")]
    assert namespace in found["cluster"]
    assert "Kubernetes v1." in found["cluster"]
    assert "3.11" in found["Python"]


@pytest.mark.feature("P06")
def test_doctor_names_the_image_of_the_cell(pods: Shell) -> None:
    """The doctor uses the image of the primary container, even if a sidecar precedes it."""
    env = [{"name": "A", "value": "1"}]
    side = {"name": "side", "image": "nopython:1", "command": ["sleep", "3600"], "env": env}
    pods["beside"] = {"containers": [side]}
    found = lines(pods, f"%podtask doctor -t beside --image {IMAGE}")
    assert found["image"].startswith(f"✓ {IMAGE}: a cell ran in it")


@pytest.mark.feature("P06")
def test_doctor_names_each_fault_with_its_fix(
    pods: Shell,
    cluster: Any,
    namespace: str,
    restricted_kubeconfig: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The doctor reports a wrong Python or image, Pod Security, missing rights and contexts, with fixes."""
    found = lines(pods, "%podtask doctor --image python:3.9-slim")
    assert found["Python"].startswith("! 3.9")
    assert "→ Use an image with Python" in found["Python"]
    found = lines(pods, "%podtask doctor --image nopython:1")
    assert found["image"].startswith("✗")
    assert "→ Choose an image with Python 3.9 or newer" in found["image"]
    level = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, level)
    found = lines(pods, f"%podtask doctor --image {IMAGE}")
    assert "violates PodSecurity" in found["pod"]
    assert "(Pod Security of the namespace: restricted)" in found["pod"]
    found = lines(pods, "%podtask doctor --context nope")
    assert list(found) == ["versions", "cluster"]
    assert "has no context 'nope'" in found["cluster"]
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list"]}]
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(rules)))
    found = lines(pods, "%podtask doctor")
    assert found["rights"].startswith("✗ you may not watch pods, delete pods, get pods/portforward")
    assert "→ Ask for a Role with these rights; `%podtask rbac`" in found["rights"]
    assert "pod" not in found


@pytest.mark.feature("P06")
@pytest.mark.parametrize(
    ("way", "say"),
    [(EXEC, "by exec instead of port-forward"), (BATCH, "in batch mode (neither port-forward")],
)
def test_doctor_accepts_other_connections_than_port_forward(
    pods: Shell,
    restricted_kubeconfig: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    say: str,
) -> None:
    """The rights to exec, or only to read logs, are enough; the line names the connection."""
    rights = {
        **REQUIRED_VERBS,
        **OPTIONAL_VERBS,
        **DETACH_VERBS,
        **RETRY_VERBS,
        **VERBS_BY_CHANNEL[way],
    }
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(role_rules(rights))))
    found = lines(pods, f"%podtask doctor --image {IMAGE}")
    assert found["rights"].startswith("✓")
    assert say in found["rights"]
    assert found["image"].startswith("✓")


@pytest.mark.feature("P06")
def test_printed_role_is_enough_for_the_doctor(
    pods: Shell, restricted_kubeconfig: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the printed Role and no other right, the doctor reports no problem."""
    out, _ = pods.output("%podtask rbac -n team")
    printed, _ = yaml.safe_load_all(out)
    assert printed["metadata"]["namespace"] == "team"
    rights = {
        **REQUIRED_VERBS,
        **VERBS_BY_CHANNEL[FORWARD],
        **OPTIONAL_VERBS,
        **DETACH_VERBS,
        **RETRY_VERBS,
    }
    assert printed["rules"] == role_rules(rights)
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(printed["rules"])))
    found = lines(pods, f"%podtask doctor --image {IMAGE}")
    assert found["rights"].startswith("✓")
    assert found["image"].startswith("✓")


@pytest.mark.feature("P06")
@pytest.mark.parametrize(
    ("flags", "subject"),
    [
        ("", {"kind": "User", "name": "kubernetes-admin"}),
        ("--user alice@example.com", {"kind": "User", "name": "alice@example.com"}),
        ("--group data/science", {"kind": "Group", "name": "data/science"}),
        (
            "--service-account hub:notebook",
            {"kind": "ServiceAccount", "name": "notebook", "namespace": "hub"},
        ),
    ],
)
def test_printed_role_and_binding_can_be_applied(
    pods: Shell, cluster: Any, namespace: str, flags: str, subject: dict[str, str]
) -> None:
    """U38: they are for the namespace of the cells and for the user, or for who was named; the API server takes them."""
    out, _ = pods.output(f"%podtask rbac {flags}")
    role, binding = yaml.safe_load_all(out)
    assert {each["metadata"]["namespace"] for each in (role, binding)} == {namespace}
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    (found,) = binding["subjects"]
    if not flags:  # the name of the administrator depends on the cluster
        subject = {
            **subject,
            "name": cluster.kubectl_json("auth", "whoami")["status"]["userInfo"]["username"],
        }
    assert subject.items() <= found.items()
    applied = cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=out)
    assert [line.split()[0].partition("/")[0] for line in applied.splitlines()] == [
        "role.rbac.authorization.k8s.io",
        "rolebinding.rbac.authorization.k8s.io",
    ]


@pytest.mark.feature("P06")
def test_config_begins_with_context_and_namespace(pods: Shell, namespace: str) -> None:
    """U38: the context and the namespace of the next cell come first."""
    lines = pods.output("%podtask config")[0].splitlines()
    assert lines[0] == "Cells run in"
    assert lines[2].split() == ["namespace", namespace]


@pytest.mark.feature("P03")
def test_list_and_logs_know_tasks_whose_pods_are_gone(pods: Shell, cluster: Any, namespace: str) -> None:
    """U39: the output and the end of a task of this kernel can be read after its pod was deleted."""
    pods.output(f"%%podtask --name short --image {IMAGE}\nprint('the last words')")
    name = pods["_task"].name
    cluster.kubectl("wait", "--for=delete", f"pod/{name}", "-n", namespace)
    out, _ = pods.output("%podtask list")
    (row,) = [line for line in out.splitlines() if line.startswith("short ")]
    assert row.split()[1] == "ok"
    assert row.endswith("the last words")
    assert pods.output("%podtask logs short")[0] == "the last words\n"


@pytest.mark.feature("N04", "P03")
def test_why_says_where_a_task_is(pods: Shell) -> None:
    """``why`` accepts a variable, a pod name or nothing; an unknown name gets a suggestion."""
    pods["waiting"] = task = submit({"nodeSelector": {"disk": "none"}, "containers": []})
    try:
        wait_for_phase(task, "does not match")
        for name in ("waiting", task.name):
            out, _ = pods.output(f"%podtask why {name}")
            assert "the node selector or node affinity does not match" in out
            assert "spec.nodeSelector" in out
        assert "Did you mean 'waiting'?" in pods.shown_error("%podtask why waitin")
    finally:
        task.cancel()
    assert "no cell has run" in pods.shown_error("%podtask why")
    pods.run(f"%%podtask --image {IMAGE}\n1")
    out, _ = pods.output("%podtask why")
    assert out.startswith("Running")


@pytest.mark.feature("N13")
def test_tab_offers_names_of_the_cluster(
    pods: Shell,
    cluster: Any,
    namespace: str,
    restricted_kubeconfig: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tab offers names of claims, secrets and other objects, and nothing without the right to list them."""
    make = ("create", "-n", namespace)
    cluster.kubectl(*make, "secret", "generic", "s-regcred", "--from-literal=k=hidden-value")
    cluster.kubectl(*make, "configmap", "c-settings", "--from-literal=k=v")
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "p-data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
            "storageClassName": "",
        },
    }
    template = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": "t-prod"},
        "template": {"spec": {"containers": [{"name": "primary", "image": IMAGE}]}},
    }
    for each in (claim, template):
        cluster.kubectl(*make, "--filename=-", input=yaml.safe_dump(each))
    context = cluster.kubectl("config", "current-context").strip()
    wanted = {
        f"%%podtask -n {namespace[:-1]}": namespace,
        "%%podtask --context ": context,
        "%%podtask -t pod-template/": "pod-template/t-prod",
        "x = pvc('p-": "p-data",
        'V1PersistentVolumeClaimVolumeSource(claim_name="': "p-data",
        "{'secretName': '": "s-regcred",
        "env_from_secret('": "s-regcred",
        "config_map('c": "c-settings",
        "service_account('": "default",
    }
    for typed, name in wanted.items():
        offered(pods, typed)  # asks
        wait_until_answered()
        assert name in offered(pods, typed), typed
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig([])))
    for typed in ("secret('", "%%podtask -n "):
        offered(pods, typed)
        wait_until_answered()
        assert not {"s-regcred", namespace} & set(offered(pods, typed))


def wait_until_answered() -> None:
    """Wait until the API server has responded to all requests so far."""
    for _, asking in list(object_names._asked.values()):
        asking.result(30)
