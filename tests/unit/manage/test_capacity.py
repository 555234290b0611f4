"""What a pod requests, as the scheduler counts it, and what nodes, quotas and queues have left of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from podtask.manage.capacity import (
    describe_cluster_queue,
    describe_quota,
    describe_requests,
    node_rooms,
    pod_requests,
)

GPU = "nvidia.com/gpu"


def container(restart: str = "", **requests: str) -> dict[str, Any]:
    names = {"gpu": GPU}
    found: dict[str, Any] = {"resources": {"requests": {names.get(k, k): v for k, v in requests.items()}}}
    return {**found, "restartPolicy": restart} if restart else found


def pod(*containers: dict[str, Any], node: str = "", **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), "nodeName": node, **spec}}


REQUESTS = {
    "sum of the containers": (
        pod(container(cpu="500m", memory="1Gi"), container(cpu="2")),
        "cpu 2.5, memory 1 GiB",
    ),
    "a larger init container": (pod(container(cpu="1"), initContainers=[container(cpu="3")]), "cpu 3"),
    "native sidecars": (
        pod(container(cpu="1"), initContainers=[container("Always", cpu="1"), container(cpu="3")]),
        "cpu 4",
    ),
    "native sidecars beside the containers": (
        pod(container(cpu="3"), initContainers=[container("Always", cpu="1"), container(cpu="1")]),
        "cpu 4",
    ),
    "limits count as requests": (
        {"spec": {"containers": [{"resources": {"limits": {GPU: "2"}}}]}},
        f"{GPU} 2",
    ),
    "resources of the whole pod": (pod(container(cpu="1"), resources={"requests": {"cpu": "6"}}), "cpu 6"),
    "overhead of its runtime": (pod(container(cpu="1"), overhead={"cpu": "250m"}), "cpu 1.25"),
    "nothing": (pod({}), ""),
    "not a quantity": (pod(container(cpu="lots")), ""),
}


@pytest.mark.feature("P12")
@pytest.mark.parametrize(("made", "text"), REQUESTS.values(), ids=REQUESTS)
def test_requests_are_those_that_the_scheduler_counts(made: dict[str, Any], text: str) -> None:
    """Containers run together, init containers one after another beside the sidecars before them."""
    assert describe_requests(pod_requests(made)) == text


def node(name: str, unschedulable: bool = False, **allocatable: str) -> dict[str, Any]:
    total = {"pods": "110", **{{"gpu": GPU}.get(k, k): v for k, v in allocatable.items()}}
    return {
        "metadata": {"name": name},
        "spec": {"unschedulable": unschedulable},
        "status": {"allocatable": total},
    }


NODES = [node("full", cpu="4", gpu="4"), node("half", cpu="4", gpu="4"), node("off", True, cpu="9", gpu="9")]
ASKS = pod_requests(pod(container(cpu="1", gpu="2")))


@pytest.mark.feature("P12")
def test_nodes_with_the_most_room_come_first() -> None:
    """What pods request is subtracted; a cordoned node comes last and has no room."""
    used = [pod(container(gpu="4"), node="full"), pod(container(cpu="2500m", gpu="2"), node="half")]
    rooms = node_rooms(NODES, used, ASKS)
    assert [(each.describe(ASKS), each.fits(ASKS)) for each in rooms] == [
        (f"half: cpu 1.5 free of 4, {GPU} 2 free of 4", True),
        (f"full: cpu 4 free of 4, {GPU} 0 free of 4", False),
        (f"off (cordoned): cpu 9 free of 9, {GPU} 9 free of 9", False),
    ]


def test_nothing_is_free_where_pods_may_not_be_read() -> None:
    """Without the pods of the nodes, only what the nodes have in all is said."""
    room = node_rooms(NODES[:1], None, ASKS)[0]
    assert room.describe(ASKS) == f"full: cpu 4 in all, {GPU} 4 in all"
    assert not room.fits(ASKS)


def test_full_node_has_no_room_for_another_pod() -> None:
    """The number of pods on a node is limited, too."""
    tiny = node("tiny", cpu="9")
    tiny["status"]["allocatable"]["pods"] = "1"
    asks = pod_requests(pod(container(cpu="1")))
    empty, full = (node_rooms([tiny], used, asks)[0] for used in ([], [pod({}, node="tiny")]))
    assert (empty.fits(asks), empty.describe(asks)) == (True, "tiny: cpu 9 free of 9")
    assert (full.fits(asks), full.describe(asks)) == (False, "tiny: cpu 9 free of 9, pods 0 free of 1")


@pytest.mark.feature("P12")
def test_quota_says_what_is_left_of_what_the_pod_requests() -> None:
    """Objects and resources that the pod does not request are left out; more used than allowed is nothing left."""
    hard = {
        "requests.nvidia.com/gpu": "4",
        "limits.memory": "8Gi",
        "cpu": "2",
        "pods": "10",
        "count/jobs.batch": "1",
    }
    status = {"hard": hard, "used": {"requests.nvidia.com/gpu": "3", "cpu": "2500m", "pods": "1"}}
    quota = {"metadata": {"name": "team"}, "status": status}
    text = "team: requests.nvidia.com/gpu 1 free of 4, cpu 0 free of 2, pods 9 free of 10"
    assert describe_quota(quota, ASKS) == text
    assert describe_quota(quota, {"memory": Decimal(1)}) == "team: limits.memory 8 GiB free of 8 GiB"
    assert describe_quota({**quota, "status": {"hard": {"secrets": "9"}}}, ASKS) == ""


@pytest.mark.feature("P12")
def test_cluster_queue_says_what_each_flavor_has_free() -> None:
    """Flavors that have nothing of what the pod requests are left out."""
    flavors = [
        {
            "name": "a100",
            "resources": [{"name": GPU, "nominalQuota": "4"}, {"name": "cpu", "nominalQuota": "8"}],
        },
        {"name": "disks", "resources": [{"name": "ephemeral-storage", "nominalQuota": "4"}]},
    ]
    used = [{"name": "a100", "resources": [{"name": GPU, "total": "3", "borrowed": "0"}]}]
    queue = {"spec": {"resourceGroups": [{"flavors": flavors}]}, "status": {"flavorsReservation": used}}
    assert describe_cluster_queue(queue, ASKS) == [f"flavor a100: cpu 8 free of 8, {GPU} 1 free of 4"]
