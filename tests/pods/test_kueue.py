"""Queues of a real Kueue: admission, positions, preemption, quota, and what is left afterwards."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask import Task
from podtask.cluster import workloads

from tests.cluster.kueue_process import API_VERSION, LABEL, Kueue
from tests.cluster.layout import Layout
from tests.cluster.queue_objects import kueue_lock
from tests.faults.test_queue import exit_code
from tests.notebook import Kernel, Shell
from tests.pods.test_enclosed import submit_and_kill
from tests.pods.waiting import (
    HOLD,
    failure,
    failure_within_seconds,
    submit,
    wait_for_input_request,
    wait_for_phase,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.matrix,
    pytest.mark.feature("P12"),
    pytest.mark.usefixtures("pods", "team", "quick_positions"),
]
GPU = "nvidia.com/gpu"
SMALL = {"memory": "64Mi"}  # a cluster queue must cover each resource that a pod requests
EMPTY: dict[str, Any] = {"containers": []}


@pytest.fixture(scope="module")
def kueue(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Start Kueue unless the cluster was started with it, and stop it again."""
    layout = Layout()
    if not cluster.own and cluster.kubeconfig != layout.kubeconfig:
        pytest.skip("Kueue runs on this machine, and another cluster does not reach its webhooks")
    controller = Kueue(cluster.kubectl, layout.kueue)
    if controller.is_running:
        yield
        return
    with kueue_lock():
        try:
            controller.up(cluster.write_kubeconfig(tmp_path_factory.mktemp("kueue") / "kubeconfig"))
            yield
        finally:
            controller.down()


@pytest.fixture
def quick_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read positions more often: nothing reports a change."""
    monkeypatch.setattr(workloads, "POSITION_SECONDS", 0.5)


@pytest.fixture
def team(kueue: None, cluster: Any, namespace: str) -> Iterator[str]:
    """Yield the name of the cluster queue behind queue "team": 1 CPU, 1 GiB, 1 GPU; "closed" takes no work from here."""
    quotas = {"cpu": "1", "memory": "1Gi", GPU: "1"}
    flavor = {"name": namespace, "resources": [{"name": k, "nominalQuota": v} for k, v in quotas.items()]}
    groups = [{"coveredResources": list(quotas), "flavors": [flavor]}]
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    elsewhere = {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}
    all_of_it: list[dict[str, Any]] = [{"kind": "ResourceFlavor", "metadata": {"name": namespace}}]
    for queue, selector in (("team", here), ("closed", elsewhere)):
        name = f"{namespace}-{queue}"
        spec = {
            "resourceGroups": groups,
            "namespaceSelector": selector,
            "preemption": {"withinClusterQueue": "LowerPriority"},
        }
        all_of_it += [
            {"kind": "ClusterQueue", "metadata": {"name": name}, "spec": spec},
            {
                "kind": "LocalQueue",
                "metadata": {"name": queue, "namespace": namespace},
                "spec": {"clusterQueue": name},
            },
        ]
    for name, value in ((f"{namespace}-urgent", 1000), (f"{namespace}-low", -1)):
        priority = {"value": value, "description": "of the tests"}
        all_of_it += [{"kind": "WorkloadPriorityClass", "metadata": {"name": name}, **priority}]
    items = [{"apiVersion": API_VERSION, **each} for each in all_of_it]
    cluster.kubectl("label", "namespace", namespace, *(f"{name}={value}" for name, value in LABEL.items()))
    cluster.kubectl(
        "create", "--filename=-", input=json.dumps({"kind": "List", "apiVersion": "v1", "items": items})
    )
    cluster.kubectl(
        "wait",
        "--for=jsonpath={.status.conditions[0].status}=True",
        f"clusterqueue/{namespace}-team",
        "--timeout=30s",
    )
    yield f"{namespace}-team"
    cluster.kubectl("delete", "pods,workloads", "--all", f"--namespace={namespace}", "--timeout=60s")
    cluster.kubectl("delete", "localqueues", "--all", f"--namespace={namespace}", "--timeout=30s")
    suffixes = {
        "clusterqueue": ("-team", "-closed"),
        "resourceflavor": ("",),
        "workloadpriorityclass": ("-urgent", "-low"),
    }
    for kind, ends in suffixes.items():
        cluster.kubectl("delete", kind, *(f"{namespace}{each}" for each in ends), "--timeout=30s")


def hold(queue: str = "team", **options: Any) -> Task:
    """Submit a cell that runs until :func:`end`, and wait until it runs."""
    task = submit(EMPTY, f"{HOLD}7", queue=queue, **{**SMALL, **options})
    wait_for_input_request(task)
    return task


def with_priority(name: str) -> dict[str, Any]:
    """Return a template whose pods have a priority in their queue."""
    return {"metadata": {"labels": {"kueue.x-k8s.io/priority-class": name}}, "spec": EMPTY}


def end(task: Task) -> None:
    """Let a held cell end."""
    task.reply({"eof": True})
    assert task.result(60) == 7


def assert_nothing_left(cluster: Any, namespace: str) -> None:
    """Check that Jobs, pods, Workloads and Secrets go away: Kueue takes off its finalizers."""
    kinds = ("jobs,pods,workloads,secrets", f"--namespace={namespace}")
    cluster.kubectl("wait", "--for=delete", "--all", *kinds, "--timeout=60s", check=False)
    assert cluster.kubectl("get", *kinds) == ""


def test_task_is_admitted_when_the_quota_is_free(
    pods: Shell, cluster: Any, namespace: str, team: str
) -> None:
    """Those that wait say what is missing and where they stand; partial quota is not enough; nothing is left."""
    first = hold(cpu="600m")
    second = submit(EMPTY, "2", queue="team", cpu="500m", **SMALL)
    wait_for_phase(second, "1st of 1 in queue 'team'; 100m more cpu needed")
    # With the same priority, two that were submitted in one second may stand in any order.
    third = submit(with_priority(f"{namespace}-low"), "3", queue="team", cpu="900m", **SMALL)
    wait_for_phase(third, "2nd of 2 in queue 'team'; 500m more cpu needed")
    out, _ = pods.output(f"%podtask why {third.name}")
    assert f"queue      team belongs to cluster queue {team}, 2nd there" in out
    assert f"flavor {namespace}: cpu 0.4 free of 1, memory 960 MiB free of 1 GiB" in out
    out, _ = pods.output("%podtask list")
    assert out.count("Queued") == 2
    end(first)
    assert (second.result(60), third.result(60)) == (2, 3)
    assert_nothing_left(cluster, namespace)


def test_queued_task_that_is_cancelled_leaves_nothing(pods: Shell, cluster: Any, namespace: str) -> None:
    """Neither a pod nor a Workload stays, for a cancelled task and for one that gc removes."""
    first = hold(cpu="1")
    waiting = submit(EMPTY, "2", queue="team", cpu="1", **SMALL)
    wait_for_phase(waiting, "1 more cpu needed")
    waiting.cancel()
    end(first)
    pods.run("%podtask gc")
    assert_nothing_left(cluster, namespace)


def test_task_that_is_preempted_says_so(cluster: Any, namespace: str) -> None:
    """A higher priority ends the pod; the error is the queue's, and with --retries the cell waits anew."""
    first = hold(cpu="1")
    important = submit(with_priority(f"{namespace}-urgent"), "8", queue="team", cpu="1", **SMALL)
    said = failure(first)
    assert "its queue preempted it in favor of other work (prioritization in the ClusterQueue)" in said
    assert "it waits in the queue anew" in said
    assert important.result(60) == 8
    assert_nothing_left(cluster, namespace)


def test_queue_that_cannot_admit_the_pod(cluster: Any, namespace: str) -> None:
    """Each hopeless case has its sentence and fails within seconds; nothing is left."""
    cases: list[tuple[dict[str, Any], str, str]] = [
        (
            {"queue": "nightly"},
            "queue 'nightly' does not exist in the namespace of the pod",
            "another --queue",
        ),
        (
            {"queue": "team", "gpu": 2},
            f"queue 'team' can never admit it: 2 {GPU} requested, 1 at most",
            "(--gpu)",
        ),
        ({"queue": "team", "limits": "podtask.test/x=1"}, "'team' has no quota for podtask.test/x", "Remove"),
        ({"queue": "closed"}, "the cluster queue of 'closed' does not accept work of this namespace", "-n"),
    ]
    tasks = [submit(EMPTY, **{**SMALL, "cpu": "100m", **options}) for options, _, _ in cases]
    for task, (_, sentence, hint) in zip(tasks, cases, strict=True):
        said = failure_within_seconds(task)
        assert sentence in said
        assert hint in said
    assert_nothing_left(cluster, namespace)


@pytest.mark.parametrize("kind", ["localqueue", "clusterqueue"])
def test_held_queue_is_waited_for(kind: str, cluster: Any, namespace: str, team: str) -> None:
    """A held queue says so, and runs the task once it is resumed; a drained one ends the task with its reason."""
    name = "team" if kind == "localqueue" else team

    def set_policy(policy: str) -> None:
        patch = json.dumps({"spec": {"stopPolicy": policy}})
        cluster.kubectl("patch", kind, name, f"--namespace={namespace}", "--type=merge", f"--patch={patch}")

    set_policy("Hold")
    task = submit(EMPTY, f"{HOLD}7", queue="team", cpu="1", **SMALL)
    wait_for_phase(
        task, "queue 'team' is stopped" if kind == "localqueue" else f"its cluster queue '{team}' is inactive"
    )
    set_policy("None")
    wait_for_input_request(task)
    set_policy("HoldAndDrain")
    assert f"its {'' if kind == 'localqueue' else 'cluster '}queue was stopped and drained" in failure(task)
    assert_nothing_left(cluster, namespace)
    set_policy("None")


def test_detached_task_runs_without_its_kernel_when_its_turn_comes(
    cluster: Any, namespace: str, start_kernel: Callable[..., Kernel]
) -> None:
    """Its kernel is killed while it waits in the queue; another one follows it from there to its value."""
    first = hold(cpu="1")
    primary = {"containers": [{"name": "primary"}]}
    submit_and_kill(start_kernel(), primary, 1000, "-o total --queue team --cpu 1 --memory 64Mi")
    task = podtask.attach("night")
    wait_for_phase(task, "1st of 1 in queue 'team'; 1 more cpu needed")
    end(first)
    assert task.result(60) == 1001
    assert_nothing_left(cluster, namespace)


def test_script_that_sigterm_ends_leaves_nothing(cluster: Any, namespace: str, kubeconfig: Path) -> None:
    """A script whose pod waits in a queue takes it along when it ends, although Kueue holds it by a finalizer."""
    first = hold(cpu="1")
    assert exit_code(kubeconfig, "waits") == -signal.SIGTERM
    end(first)
    assert_nothing_left(cluster, namespace)


def test_job_waits_in_the_queue_and_leaves_nothing(pods: Shell, cluster: Any, namespace: str) -> None:
    """The Job of -d --retries is queued as a whole: it is listed and followed in its queue, and runs when it is admitted."""
    first = hold(cpu="1")
    task = submit(EMPTY, "8", queue="team", cpu="1", detach=True, retries=1, name="night", **SMALL)
    wait_for_phase(task, "1st of 1 in queue 'team'; 1 more cpu needed")
    out, _ = pods.output("%podtask list")
    assert "Queued" in next(line for line in out.splitlines() if "night" in line)
    end(first)
    assert task.result(60) == 8
    assert_nothing_left(cluster, namespace)
