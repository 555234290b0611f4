"""What a pod requests, and what is free on the nodes, in a quota and in a queue of Kueue. Pure.

Source: https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..config.quantities import byte_size, to_decimal
from ..errors import InputError

Amounts = dict[str, Decimal]
BYTE_RESOURCES = ("memory", "storage", "hugepages-")
FIRST_RESOURCES = ("cpu", "memory")
PODS = "pods"


@dataclass(frozen=True)
class NodeRoom:
    """What a node has, and what its pods leave free of it.

    Args:
        name: Name of the node.
        total: What pods may request in all, by resource.
        free: What they have not requested yet; None if the pods of the node may not be read.
        cordoned: Whether the node takes no new pods.
    """

    name: str
    total: Amounts
    free: Amounts | None
    cordoned: bool = False

    def fits(self, requests: Amounts) -> bool:
        """Return whether the requests of a pod fit."""
        if self.free is None or self.cordoned:
            return False
        return all(self.free.get(name, Decimal(0)) >= wanted for name, wanted in requests.items())

    def describe(self, requests: Amounts) -> str:
        """Return how much is free of each resource that a pod requests."""
        # The number of pods is said only where it is what keeps the pod away.
        left_out = {PODS} if self.free is None or self.free.get(PODS, Decimal(0)) >= 1 else set()
        parts = [
            _describe_amount(name, None if self.free is None else self.free.get(name, Decimal(0)), self.total)
            for name in requests
            if name not in left_out
        ]
        return f"{self.name}{' (cordoned)' if self.cordoned else ''}: {', '.join(parts)}"


def pod_requests(pod: Mapping[str, Any]) -> Amounts:
    """Return what the scheduler reserves for a pod, by resource; one of "pods", too."""
    spec = pod["spec"]
    total = _sum(_requests(each) for each in spec["containers"])
    started: Amounts = {}  # by the sidecars that run while the next init container does
    largest: Amounts = {}
    for container in spec.get("initContainers", []):
        own = _requests(container)
        if container.get("restartPolicy") == "Always":
            started = _sum([started, own])
            largest = _largest(largest, started)
        else:
            largest = _largest(largest, _sum([started, own]))
    total = _largest(_sum([total, started]), largest)
    total |= _requests(spec)
    total = _sum([total, _amounts(spec.get("overhead") or {})])
    names = sorted(total, key=lambda name: (name not in FIRST_RESOURCES, name))
    return {**{name: total[name] for name in names if total[name]}, PODS: Decimal(1)}


def node_rooms(
    nodes: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]] | None, requests: Amounts
) -> list[NodeRoom]:
    """Return what each node has free, those with the most room for a pod first.

    Args:
        nodes: The nodes.
        pods: All pods that occupy them; None if they may not be read.
        requests: The requests of the pod.
    """
    used: dict[str, Amounts] | None = None
    if pods is not None:
        used = {}
        for pod in pods:
            node = str(pod["spec"].get("nodeName", ""))
            used[node] = _sum([used.get(node, {}), pod_requests(pod)])
    rooms = []
    for each in nodes:
        name = str(each["metadata"]["name"])
        total = _amounts(each.get("status", {}).get("allocatable", {}))
        free = None if used is None else _sum([total, used.get(name, {})], -1)
        rooms.append(NodeRoom(name, total, free, bool(each.get("spec", {}).get("unschedulable"))))

    def room(node: NodeRoom) -> tuple[bool, Decimal]:
        has = node.total if node.free is None else node.free
        return node.cordoned, -min(has.get(name, Decimal(0)) / wanted for name, wanted in requests.items())

    return sorted(rooms, key=room)


def describe_requests(requests: Amounts) -> str:
    """Return the requests of a pod in one line."""
    return ", ".join(
        f"{name} {format_amount(name, amount)}" for name, amount in requests.items() if name != PODS
    )


def describe_quota(quota: Mapping[str, Any], requests: Amounts) -> str:
    """Return what a ResourceQuota leaves of the resources that a pod requests; empty if it limits none of them."""
    status = quota.get("status", {})
    hard, used = _amounts(status.get("hard", {})), _amounts(status.get("used", {}))
    left = {
        name: most - used.get(name, Decimal(0))
        for name, most in hard.items()
        if _quota_resource(name) in requests
    }
    parts = [_describe_amount(name, left[name], hard, _quota_resource(name)) for name in left]
    return f"{quota['metadata']['name']}: {', '.join(parts)}" if parts else ""


def describe_cluster_queue(queue: Mapping[str, Any], requests: Amounts) -> list[str]:
    """Return what each flavor of a ClusterQueue of Kueue has free of the resources that a pod requests.

    What its cohort lends is not counted: it depends on the other queues.
    """
    used = {
        str(flavor["name"]): _amounts(
            {each["name"]: each.get("total", "0") for each in flavor.get("resources", [])}
        )
        for flavor in queue.get("status", {}).get("flavorsReservation", [])
    }
    lines = []
    for group in queue.get("spec", {}).get("resourceGroups", []):
        for flavor in group.get("flavors", []):
            total = _amounts({each["name"]: each.get("nominalQuota", "0") for each in flavor["resources"]})
            free = _sum([total, used.get(str(flavor["name"]), {})], -1)
            parts = [_describe_amount(name, free[name], total) for name in requests if name in total]
            if parts:
                lines.append(f"flavor {flavor['name']}: {', '.join(parts)}")
    return lines


def format_amount(resource: str, amount: Decimal) -> str:
    """Return an amount of a resource in a readable form, such as ``1.5`` or ``12 GiB``."""
    if any(part in resource for part in BYTE_RESOURCES):
        return byte_size(int(amount)) if amount >= 0 else f"-{byte_size(int(-amount))}"
    return f"{amount.quantize(Decimal('0.001')).normalize():f}"


def _describe_amount(name: str, free: Decimal | None, total: Amounts, resource: str = "") -> str:
    whole = format_amount(resource or name, total.get(name, Decimal(0)))
    if free is None:
        return f"{name} {whole} in all"
    return f"{name} {format_amount(resource or name, max(free, Decimal(0)))} free of {whole}"


def _quota_resource(name: str) -> str:
    """Return the resource that a quota limits: requests.cpu is cpu, count/pods is pods."""
    for prefix in ("requests.", "limits.", "count/"):
        name = name.removeprefix(prefix)
    return name


def _requests(container: Mapping[str, Any]) -> Amounts:
    resources = container.get("resources") or {}
    return _amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _amounts(quantities: Mapping[str, Any]) -> Amounts:
    """Return quantities as numbers; what is not a quantity is left out, because others have written it."""
    found = {}
    for name, quantity in quantities.items():
        try:
            found[str(name)] = to_decimal(quantity)
        except InputError:
            continue
    return found


def _sum(parts: Iterable[Amounts], sign: int = 1) -> Amounts:
    """Return the first part and the others added to it, or subtracted from it."""
    total: Amounts = {}
    for number, part in enumerate(parts):
        for name, amount in part.items():
            total[name] = total.get(name, Decimal(0)) + (amount if number == 0 else sign * amount)
    return total


def _largest(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, Decimal(0)), other.get(name, Decimal(0))) for name in {**one, **other}}
