"""The Jobs of a scripted cluster, and the controller that creates their pods."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from .pods import STAMP, Object, Pods, is_owned, version_text

Live = Callable[[str], Coroutine[Any, Any, None]]


class Jobs:
    """The Jobs of one namespace. They share versions and changes with the pods.

    Args:
        pods: Pods of the namespace.

    Attributes:
        found: Existing Jobs, by name.
        history: (version, type of event, Job) of all changes.
    """

    def __init__(self, pods: Pods) -> None:
        self.found: dict[str, Object] = {}
        self.history: list[tuple[int, str, Object]] = []
        self.state_changed = pods.state_changed
        self._pods = pods

    @property
    def version(self) -> int:
        """The version of the last change in the cluster."""
        return self._pods.version

    async def add(self, sent: Object) -> Object:
        """Store a new Job and return it as the server shows it."""
        job = copy.deepcopy(sent)
        job["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": STAMP}
        job["status"] = {}
        self.found[job["metadata"]["name"]] = job
        await self._happened("ADDED", job)
        return copy.deepcopy(job)

    async def run(self, name: str, live: Live) -> None:
        """Create pods until one succeeds, one must not be replaced, or too many have failed.

        Args:
            name: Name of the Job.
            live: Simulates the life of a pod.
        """
        job = self.found[name]
        spec, number, failed = job["spec"], 0, 0
        while name in self.found:
            number += 1
            pod = await self._run_pod(job, f"{name}-pod{number}", live)
            if pod["status"]["phase"] == "Succeeded":
                await self._end(job, "Complete", "CompletionsReached")
                return
            failed += 1
            job["status"]["failed"] = failed
            if _action(spec["podFailurePolicy"]["rules"], pod) == "FailJob":
                await self._end(job, "Failed", "PodFailurePolicy")
                return
            if failed > spec["backoffLimit"]:
                await self._end(job, "Failed", "BackoffLimitExceeded")
                return
            await self._happened("MODIFIED", job)

    async def delete(self, name: str) -> None:
        """Delete a Job, then its pods and Secrets."""
        job = self.found.pop(name)
        await self._happened("DELETED", job)
        self._pods.collect(job)
        for pod in [each for each in self._pods.found.values() if is_owned(each, job)]:
            await self._pods.delete(pod["metadata"]["name"])

    async def _run_pod(self, job: Object, name: str, live: Live) -> Object:
        """Run a pod to its end; return its last state. A pod that is being deleted is removed then."""
        template = copy.deepcopy(job["spec"]["template"])
        owner = {"apiVersion": "batch/v1", "kind": "Job", "controller": True}
        owner |= {part: job["metadata"][part] for part in ("name", "uid")}
        labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": job["metadata"]["name"]}
        metadata = {**template["metadata"], "name": name, "labels": labels, "ownerReferences": [owner]}
        await self._pods.add({"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata})
        pod = self._pods.found[name]
        await live(name)
        if "deletionTimestamp" in pod["metadata"]:
            await self._pods.remove(name)
        return pod

    async def _end(self, job: Object, kind: str, reason: str) -> None:
        message = f"the Job has ended with {reason}"
        job["status"]["conditions"] = [{"type": kind, "status": "True", "reason": reason, "message": message}]
        await self._happened("MODIFIED", job)

    async def _happened(self, kind: str, job: Object) -> None:
        self._pods.version += 1
        job["metadata"]["resourceVersion"] = version_text(self._pods.version)
        self.history.append((self._pods.version, kind, copy.deepcopy(job)))
        async with self.state_changed:
            self.state_changed.notify_all()


def _action(rules: list[Object], pod: Object) -> str:
    """Return the action of the first rule of a pod failure policy that matches a failed pod; "Count" without one."""
    true_conditions = {
        each["type"] for each in pod["status"].get("conditions", []) if each["status"] == "True"
    }
    codes = {
        each["name"]: each["state"].get("terminated", {}).get("exitCode")
        for each in pod["status"].get("containerStatuses", [])
    }
    for rule in rules:
        wanted = {each["type"] for each in rule.get("onPodConditions", [])}
        exits = rule.get("onExitCodes", {"containerName": "", "values": []})
        code = codes.get(exits["containerName"])
        if wanted & true_conditions or (code and code not in exits["values"]):
            return str(rule["action"])
    return "Count"
