"""``%podtask why``: everything that can be read is said, and what cannot be read is named with its right."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from podtask.cluster.namespace import Namespace
from podtask.cluster.refusals import ApiError
from podtask.manage.explain import explain
from podtask.manifest.task_pod import TaskPod

from tests.unit.diagnosis.test_queueing import workload

from .cluster import task_pod

GROUP = "/apis/kueue.x-k8s.io"
KUEUE = f"{GROUP}/v1beta2"
VISIBILITY = "/apis/visibility.kueue.x-k8s.io"
SCARCE = "insufficient unused quota for cpu in flavor any, 1 more needed"
VERSION = {"preferredVersion": {"version": "v1beta2"}}


class Api:
    """An API server with these answers; an int is the code of a refusal."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.access = type("Access", (), {"context": "test", "namespace": "n"})()
        self._answers = answers

    def call_at_close(self, close: object) -> None:
        """Do nothing: the session is never closed."""

    async def group_path(self, group: str) -> str:
        """Return the path of the only version."""
        await self.request("GET", f"/apis/{group}")
        return f"/apis/{group}/v1beta2"

    async def request(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        """Answer a request."""
        answer = self._answers.get(path, 403)
        if isinstance(answer, int):
            raise ApiError(answer, {"message": "no"})
        return answer


def explained(pod: TaskPod, answers: dict[str, Any]) -> list[str]:
    api: Any = Api(answers)
    return asyncio.run(explain(Namespace(api, "n"), pod)).splitlines()


def waiting(queue: str = "", **status: Any) -> TaskPod:
    pod = task_pod("p", status={"phase": "Pending", **status})
    pod.pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}}
    if queue:
        pod.pod["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = queue
        pod.pod["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
    return pod


def items(*found: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(found), "metadata": {}}


QUOTA = {
    "metadata": {"name": "team"},
    "status": {"hard": {"requests.cpu": "8"}, "used": {"requests.cpu": "3"}},
}
CLUSTER_QUEUE = {
    "spec": {
        "resourceGroups": [
            {"flavors": [{"name": "any", "resources": [{"name": "cpu", "nominalQuota": "4"}]}]}
        ]
    },
    "status": {"flavorsReservation": [{"name": "any", "resources": [{"name": "cpu", "total": "3"}]}]},
}


@pytest.mark.feature("P12")
def test_queued_task_is_explained_from_all_that_can_be_read() -> None:
    """The reason, the position, the quota of the cluster queue and of the namespace."""
    others = [
        {"metadata": {"name": f"other-{at}"}, "positionInLocalQueue": at, "positionInClusterQueue": at}
        for at in (0, 1)
    ]
    own = {"metadata": {"name": "pod-p"}, "positionInLocalQueue": 2, "positionInClusterQueue": 4}
    answers = {
        "/api/v1/namespaces/n/events": items(),
        GROUP: VERSION,
        VISIBILITY: VERSION,
        f"{KUEUE}/namespaces/n/workloads": items(workload(message=SCARCE)),
        f"{KUEUE}/namespaces/n/localqueues/team": {"spec": {"clusterQueue": "all"}},
        f"{KUEUE}/clusterqueues/all": CLUSTER_QUEUE,
        f"{VISIBILITY}/v1beta2/namespaces/n/localqueues/team/pendingworkloads": items(*others, own),
        "/api/v1/namespaces/n/resourcequotas": items(QUOTA),
    }
    assert explained(waiting("team"), answers) == [
        "Gated: 3rd of 3 in queue 'team'; 1 more cpu needed. Wait, request less, or choose another --queue. "
        "(The time in a queue does not count.)",
        "  requests   cpu 2",
        "  queue      team belongs to cluster queue all, 5th there",
        "             flavor any: cpu 1 free of 4",
        "  quota      team: requests.cpu 5 free of 8",
    ]


@pytest.mark.feature("P12")
def test_missing_rights_are_named_and_nothing_is_guessed() -> None:
    """Who may read nothing but the pod learns what it requests, and which rights tell more."""
    first, *rest = explained(waiting("team"), {GROUP: VERSION})
    assert first.startswith("Gated: in queue 'team'. The cause is in the pod's Workload.")
    assert rest == [
        "  requests   cpu 2",
        "  not shown  why the queue holds it (needs the right to list workloads (kueue.x-k8s.io))",
        "             the events (needs the right to list events)",
        "             the cluster queue (needs the right to get localqueues (kueue.x-k8s.io))",
        "             the quota of the namespace (needs the right to list resourcequotas)",
    ]


UNSCHEDULABLE: dict[str, Any] = {
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/7 nodes are available: 7 Insufficient cpu.",
        }
    ]
}


@pytest.mark.feature("P12")
def test_unschedulable_task_is_compared_with_the_nodes() -> None:
    """The nodes with the most room are named; pods that may not be read are not guessed to be none."""
    nodes = [
        {"metadata": {"name": f"node-{at}"}, "status": {"allocatable": {"cpu": str(at), "pods": "9"}}}
        for at in range(1, 8)
    ]
    answers: dict[str, Any] = {
        "/api/v1/namespaces/n/events": items(),
        "/api/v1/nodes": items(*nodes),
        "/api/v1/pods": items({"spec": {"nodeName": "node-7", **waiting().pod["spec"]}}),
        "/api/v1/namespaces/n/resourcequotas": items(),
    }
    pod = waiting(**UNSCHEDULABLE)
    first, *rest = explained(pod, answers)
    assert first.startswith("Unschedulable: too little free cpu (7 of 7 nodes).")
    assert rest == [
        "  requests   cpu 2",
        "  nodes      6 of 7 have room for these requests; taints and labels are not compared",
        "             node-6: cpu 6 free of 6",
        "             node-5: cpu 5 free of 5",
        "             node-7: cpu 5 free of 7",
        "             node-4: cpu 4 free of 4",
        "             node-3: cpu 3 free of 3",
        "             and 2 with less room",
    ]
    answers["/api/v1/pods"] = 403
    assert explained(pod, answers)[2:4] == [
        "  nodes      node-7: cpu 7 in all",
        "             node-6: cpu 6 in all",
    ]
    assert explained(pod, answers)[-1] == (
        "  not shown  what is free on the nodes (needs the right to list pods in the whole cluster)"
    )


def test_task_that_has_its_place_is_one_line() -> None:
    """A running task waits for nothing: no other request is made."""
    running = task_pod(
        "p", status={"phase": "Running", "containerStatuses": [{"name": "primary", "state": {"running": {}}}]}
    )
    running.pod["spec"]["nodeName"] = "node-1"
    assert explained(running, {"/api/v1/namespaces/n/events": items()}) == ["Running"]
