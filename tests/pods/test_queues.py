"""Pods in queues, on a real API server with Kueue's own kinds; the tests write what its controller would.

``test_kueue.py`` compares the texts with those of a real controller.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from podtask import Task
from podtask.diagnosis import queueing

from tests.cluster.kueue_process import Kueue
from tests.cluster.layout import Layout
from tests.cluster.queue_objects import GATES, create_workload, install_definitions, kueue_lock, set_reason
from tests.notebook import Shell
from tests.pods.waiting import (
    HOLD,
    failure,
    failure_within_seconds,
    submit,
    submitted,
    wait_for_input_request,
    wait_for_phase,
)

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods", "kinds"), pytest.mark.feature("P12")]
GATED = {"schedulingGates": GATES, "containers": []}
NO_FLAVOR = "couldn't assign flavors to pod set main: "
SCARCE = f"{NO_FLAVOR}insufficient unused quota for cpu in flavor any, 1 more needed"


@pytest.fixture
def kinds(cluster: Any) -> Iterator[None]:
    """Install the kinds of Kueue, and let no controller of Kueue start meanwhile."""
    with kueue_lock():
        if Kueue(cluster.kubectl, Layout().kueue).is_running:
            pytest.skip("the cluster was started with Kueue, which test_kueue.py tests")
        install_definitions(cluster)
        yield


def admit(cluster: Any, namespace: str, task: Task) -> None:
    """Let a pod go, as Kueue does when it admits one."""
    change = json.dumps([{"op": "remove", "path": "/spec/schedulingGates"}])
    cluster.kubectl("patch", "pod", task.name, f"--namespace={namespace}", "--type=json", f"--patch={change}")


def test_queued_pod_says_what_its_workload_says_until_it_is_admitted(
    pods: Shell, cluster: Any, namespace: str
) -> None:
    """Each change of the Workload changes the line, no time is counted, and an admitted pod runs."""
    task = submit(GATED, "6 * 7", queue="team", start_timeout="5m")
    line = wait_for_phase(task, "Kueue has not reported on it yet")
    assert line.startswith("Gated: in queue 'team'; ")
    assert line.endswith("(The time in a queue does not count.)")
    create_workload(cluster, namespace, task.name, "team", SCARCE)
    assert "1 more cpu needed. Wait, request less" in wait_for_phase(task, "in queue 'team'; 1 more")
    out, _ = pods.output("%podtask list")
    assert "Queued" in out
    assert "in queue 'team'; 1 more cpu needed" in out
    set_reason(cluster, namespace, task.name, "LocalQueue team is inactive", "Inadmissible")
    assert "Wait until it is resumed" in wait_for_phase(task, "queue 'team' is stopped")
    set_reason(cluster, namespace, task.name, "ClusterQueue all is inactive", "Inadmissible")
    wait_for_phase(task, "queue 'team' admits nothing: its cluster queue 'all' is inactive")
    gated_seconds = sum(seconds for text, _, seconds in task.steps if text.startswith("Gated"))
    assert task._follower.start_time_left > 300 - (task.seconds - gated_seconds) - 1
    admit(cluster, namespace, task)
    assert task.result(60) == 42


HOPELESS = {
    "LocalQueue team doesn't exist": ["queue 'team' does not exist", "Choose another --queue"],
    "ClusterQueue all doesn't exist": ["cluster queue 'all', which does not exist"],
    "Workload namespace doesn't match ClusterQueue selector": [
        "does not accept work of this namespace",
        "-n",
    ],
    f"{NO_FLAVOR}resource example.com/fpga unavailable in ClusterQueue": ["no quota for example.com/fpga"],
    f"{NO_FLAVOR}insufficient quota for nvidia.com/gpu in flavor any, previously considered podsets requests (0) + "
    "current podset request (2) > maximum capacity (1)": ["2 nvidia.com/gpu requested, 1 at most", "--gpu"],
}


def test_pod_that_no_queue_can_admit_fails_within_seconds(
    cluster: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a queue that does not exist or can never admit the pod."""
    monkeypatch.setattr(queueing, "HOPELESS_SECONDS", 1)  # 6 s in truth
    tasks = [submit(GATED, queue="team") for _ in HOPELESS]
    for task, message in zip(tasks, HOPELESS, strict=True):
        wait_for_phase(task, "in queue 'team'")
        create_workload(cluster, namespace, task.name, "team", message, "Inadmissible")
    for task, parts in zip(tasks, HOPELESS.values(), strict=True):
        said = failure_within_seconds(task)
        assert said.startswith("StartError")
        assert len(said.splitlines()) <= 3
        for part in parts:
            assert part in said
    for task in tasks:
        task.delete()
        cluster.kubectl(
            "wait", "--for=delete", f"pod/{task.name}", f"--namespace={namespace}", "--timeout=60s"
        )


EVICTIONS = {
    "Preempted": (
        "Preempted to accommodate a workload (UID: 1, JobUID: 2) due to prioritization in the ClusterQueue; preemptor "
        "path: /all; preemptee path: /all",
        "its queue preempted it in favor of other work (prioritization in the ClusterQueue)",
    ),
    "LocalQueueStopped": ("The LocalQueue is stopped", "its queue was stopped and drained"),
}


@pytest.mark.parametrize("evicted_by", EVICTIONS)
def test_pod_that_its_queue_ends_says_so(evicted_by: str, cluster: Any, namespace: str) -> None:
    """Kueue deletes the pod; the error names Kueue's reason, and not somebody who has deleted it."""
    message, said = EVICTIONS[evicted_by]
    task = submit({"containers": []}, HOLD)
    wait_for_input_request(task)
    condition = {"type": "TerminationTarget", "status": "True", "reason": f"WorkloadEvictedDueTo{evicted_by}"}
    patch = json.dumps({"status": {"conditions": [{**condition, "message": message}]}})
    pod = (f"pod/{task.name}", f"--namespace={namespace}")
    cluster.kubectl("patch", *pod, "--subresource=status", "--type=strategic", f"--patch={patch}")
    cluster.kubectl("delete", *pod, "--wait=false")
    error = failure(task)
    assert said in error
    assert "Run the cell again: it waits in the queue anew." in error
    assert "by a user" not in error


def test_missing_right_to_read_workloads_is_named(
    monkeypatch: pytest.MonkeyPatch, restricted_kubeconfig: Any, cluster: Any, namespace: str
) -> None:
    """Without it the pod waits all the same, and the line says which right tells the reason."""
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "watch", "delete"]}
    ]
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(rules)))
    with submitted(GATED, queue="team") as task:
        line = wait_for_phase(task, "ask for the right to list workloads (kueue.x-k8s.io)")
        assert line.startswith("Gated: in queue 'team'. ")


def test_queue_that_holds_nothing_is_reported(cluster: Any) -> None:
    """Where Kueue does not manage the pod, --queue has no effect: a notice says so, and the cell runs."""
    task = submit({"containers": []}, "6 * 7", queue="team")
    assert task.result(60) == 42
    assert [text for text in task.notices if "Nothing holds the pod in queue 'team'" in text]


def test_why_compares_requests_with_what_is_free(
    pods: Shell,
    cluster: Any,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    restricted_kubeconfig: Any,
) -> None:
    """For an unschedulable pod: nodes and quota, by variable and by name; without rights, which are missing."""
    cluster.kubectl("create", "quota", "team", "--hard=requests.cpu=4000,pods=10", f"--namespace={namespace}")
    pods["big"] = task = submit({"containers": []}, cpu="200", memory="64Mi")
    try:
        wait_for_phase(task, "too little free cpu")
        for name in ("big", task.name):
            out, _ = pods.output(f"%podtask why {name}")
            assert "requests   cpu 200, memory 64 MiB" in out
            assert "0 of 1 have room for these requests" in out
            assert "quota      team: pods 9 free of 10, requests.cpu 3800 free of 4000" in out
            assert "not shown" not in out
        rules = [{"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["get", "list", "watch"]}]
        monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(rules)))
        out, _ = pods.output(f"%podtask why {task.name} -n {namespace}")
        assert "Unschedulable: too little free cpu" in out
        assert "the nodes (needs the right to list nodes in the whole cluster)" in out
        assert "the quota of the namespace (needs the right to list resourcequotas)" in out
    finally:
        task.cancel()


def test_why_of_a_queued_pod_shows_its_cluster_queue(pods: Shell, cluster: Any, namespace: str) -> None:
    """The quota of the cluster queue stands beside what the pod requests."""
    resources = [{"name": "cpu", "nominalQuota": "4"}]
    groups = [{"coveredResources": ["cpu"], "flavors": [{"name": "any", "resources": resources}]}]
    name, api = f"{namespace}-all", "kueue.x-k8s.io/v1beta2"
    objects: list[dict[str, Any]] = [
        {"kind": "ClusterQueue", "metadata": {"name": name}, "spec": {"resourceGroups": groups}},
        {
            "kind": "LocalQueue",
            "metadata": {"name": "team", "namespace": namespace},
            "spec": {"clusterQueue": name},
        },
    ]
    items = [{"apiVersion": api, **each} for each in objects]
    cluster.kubectl(
        "create", "--filename=-", input=json.dumps({"kind": "List", "apiVersion": "v1", "items": items})
    )
    try:
        with submitted(GATED, queue="team", cpu="3") as task:
            wait_for_phase(task, "in queue 'team'")
            create_workload(cluster, namespace, task.name, "team", SCARCE)
            out, _ = pods.output(f"%podtask why {task.name}")
            assert "requests   cpu 3" in out
            assert f"queue      team belongs to cluster queue {name}" in out
            assert "flavor any: cpu 4 free of 4" in out
    finally:
        cluster.kubectl("delete", "clusterqueue", name, "--wait=false")
