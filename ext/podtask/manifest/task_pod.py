"""The pod of a task as it is read from the cluster: properties of its labels and its status. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..config.options import ALL, PLAIN, RunOptions
from ..diagnosis.model import cell_status, container_status, container_statuses, one_line, pod_condition
from ..diagnosis.queueing import QUEUE_LABEL, diagnose_eviction, is_queued, queue_name
from ..errors import InputError, TaskError
from ..runner.protocol import EXIT_NO_CLIENT, EXIT_PORT_TAKEN, PROTOCOL_VERSION
from .labels import (
    KERNEL_LABEL,
    MANAGED_BY,
    MANAGER,
    NAME_LABEL,
    NOTEBOOK_LABEL,
    PROTOCOL_ANNOTATION,
    RESULTS_ANNOTATION,
    USER_LABEL,
)
from .pod_manifest import PodManifest
from .retrying_job import awaited_pod

MAX_PORT = 65535
SELECTOR = f"{MANAGED_BY}={MANAGER}"


@dataclass(frozen=True)
class TaskPod(PodManifest):
    """The pod of a task, as the API server has it."""

    @property
    def uid(self) -> str:
        """UID of the pod, which no other pod ever has."""
        return str(self.pod["metadata"]["uid"])

    @property
    def is_managed(self) -> bool:
        """Whether podtask has created the pod."""
        return self.labels.get(MANAGED_BY) == MANAGER

    @property
    def is_of_first_version(self) -> bool:
        """Whether podtask 0.1.0 has created the pod, which did not write the version of the protocol."""
        return PROTOCOL_ANNOTATION not in self.annotations

    @property
    def is_terminating(self) -> bool:
        """Whether the pod is being deleted."""
        return bool(self.pod["metadata"].get("deletionTimestamp"))

    @property
    def alias(self) -> str:
        """The user's name for the task; the name of the pod if it has none."""
        return self.labels.get(NAME_LABEL) or self.task

    @property
    def user(self) -> str:
        """Name of the user who submitted the task; empty if it is unknown."""
        return self.labels.get(USER_LABEL, "")

    @property
    def owner(self) -> str:
        """Name of that user in words."""
        return self.user or "an unknown user"

    @property
    def kernel(self) -> str:
        """Identifies the kernel that submitted the task."""
        return self.labels.get(KERNEL_LABEL, "")

    @property
    def notebook(self) -> str:
        """Identifies the notebook that submitted the task; empty if it is unknown."""
        return self.labels.get(NOTEBOOK_LABEL, "")

    def container_name(self, requested: str | None) -> str:
        """Return the name of a container of the pod.

        Args:
            requested: Name of the container; None for the primary one.

        Raises:
            InputError: The pod has no such container.
        """
        name = requested or self.primary
        spec = self.pod["spec"]
        names = [each["name"] for each in [*spec["containers"], *spec.get("initContainers", [])]]
        if name not in names:
            raise InputError(f"{self.name} has no container {name!r}.", f"Containers: {', '.join(names)}.")
        return name

    @property
    def shown_key(self) -> str:
        """What the pod shows as key of its task, which may be anything; empty if there is none."""
        return self.env.get("PODTASK_KEY", "")

    @property
    def key(self) -> str:
        """Key of the task, in hexadecimal digits.

        Raises:
            InputError: The pod does not run a task.
        """
        env = self.env
        try:
            bytes.fromhex(env["PODTASK_KEY"])
            is_sound = KERNEL_LABEL in self.labels and 0 < int(env["PODTASK_PORT"]) <= MAX_PORT
        except (KeyError, ValueError):
            is_sound = False
        if not is_sound:  # another person may have written it
            raise InputError(
                f"The pod {self.name} does not run a podtask task.", "%podtask list shows the pods that do."
            )
        return env["PODTASK_KEY"]

    def check_protocol(self) -> None:
        """Check that this version of podtask can connect to the runner.

        Raises:
            TaskError: The runner speaks another version of the protocol.
        """
        spoken = self.annotations.get(PROTOCOL_ANNOTATION, "1")  # podtask 0.1.0 did not write it
        if spoken == str(PROTOCOL_VERSION) or self.is_finished:
            return  # the log of a finished pod is the same in all versions
        kind = "an older" if spoken == "1" else "another"
        raise TaskError(
            f"{self.name} was started by {kind} version of podtask (protocol {spoken}, here "
            f"{PROTOCOL_VERSION}). It keeps running.",
            f"Attach to it with that version, or wait for its end. %podtask logs {self.name} shows its output.",
        )

    @property
    def options(self) -> RunOptions:
        """Options with the time limits of the task, and what may be unpickled of its results; the defaults if the annotation is not readable."""
        limits = {name: value for name, value in self.bounds.items() if name != "end"}
        results = PLAIN if self.annotations.get(RESULTS_ANNOTATION) == PLAIN else ALL
        try:
            return RunOptions.of(**limits, results=results)
        except InputError:  # written by another version of podtask, or by hand
            return RunOptions(results=results)

    @property
    def exit_code(self) -> int | None:
        """Exit code of the primary container; None until it terminates."""
        code = self._terminated.get("exitCode")
        return None if code is None else int(code)

    @property
    def is_finished(self) -> bool:
        """Whether the cell has ended, or can never start."""
        return self.exit_code is not None or self.pod["status"].get("phase") in ("Failed", "Succeeded")

    @property
    def is_queued(self) -> bool:
        """Whether Kueue holds the pod in a queue."""
        return is_queued(self.pod)

    @property
    def queue(self) -> str:
        """Name of the queue that the pod belongs to; empty if it belongs to none."""
        return queue_name(self.pod)

    @property
    def has_no_log_yet(self) -> bool:
        """Whether no container of the cell has started."""
        return not self.is_finished and self.pod["status"].get("phase") == "Pending"

    @property
    def is_result_fetched(self) -> bool:
        """Whether a notebook has fetched the result: the runner exits with 0 or 1 only after that."""
        return not self.is_batch and self.exit_code in (0, 1) and bool(self.cell_status)

    @property
    def is_result_in_log(self) -> bool:
        """Whether the runner wrote the result to its log: in batch mode, or if no notebook fetched it in time."""
        is_logged = self.exit_code == EXIT_NO_CLIENT or (self.is_batch and self.exit_code in (0, 1))
        return is_logged and bool(self.cell_status)

    @property
    def has_never_got_its_cell(self) -> bool:
        """Whether the runner waited in vain for the notebook that had the cell."""
        return self.exit_code == EXIT_NO_CLIENT and not self.cell_status

    @property
    def is_replaced(self) -> bool:
        """Whether the pod has ended, and its Job counts it as lost (see ``retrying_job.py``)."""
        if self.job is None or self.is_awaited or not self.is_finished:
            return False
        is_lost = pod_condition(self.pod, "DisruptionTarget").get("status") == "True"
        return is_lost or self.exit_code in (None, EXIT_PORT_TAKEN)

    @property
    def is_awaited(self) -> bool:
        """Whether this is a pod that its Job has yet to create."""
        return self.job is not None and self.job.uid == self.uid

    @property
    def cell_status(self) -> str:
        """How the cell ended, as the runner wrote it to its termination message; empty if it did not."""
        return cell_status(self._terminated)

    @property
    def state(self) -> str:
        """The state of the task in one to three words."""
        if self.is_terminating:
            eviction = diagnose_eviction(self.pod)
            return eviction[1].capitalize() if eviction else "Terminating"
        if self.is_result_in_log:
            return f"{self.cell_status}, in its log"
        if self.is_result_fetched:
            return f"{self.cell_status}, fetched"
        if self.exit_code is not None:
            return one_line(self._terminated.get("reason")) or "Error"
        if self.is_queued:
            return "Queued"
        status = self.pod.get("status", {})
        return one_line(status.get("reason") or self._waiting_reason or status.get("phase", "Unknown"))

    @property
    def _waiting_reason(self) -> str:
        """Why the cell's container does not run yet, in the words of kubectl; empty if it runs, or nothing is known."""
        if "running" in container_status(self.pod, self.primary).get("state", {}):
            return ""
        for condition in self.pod["status"].get("conditions", []):
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return str(condition.get("reason") or "")
        waiting = [
            each.get("state", {}).get("waiting", {}) for _, each in container_statuses(self.pod, self.primary)
        ]
        return next((str(each["reason"]) for each in waiting if each.get("reason")), "")

    def age_seconds(self, now: dt.datetime) -> float:
        """Return the seconds since the pod was created."""
        return (now - self.created).total_seconds()

    def finished_seconds(self, now: dt.datetime) -> float:
        """Return the seconds since the task finished; 0 if it has not."""
        if not self.is_finished:
            return 0.0
        finished_at = self._terminated.get("finishedAt")
        return (now - _parse_time(finished_at)).total_seconds() if finished_at else self.age_seconds(now)

    def is_start_overdue(self, now: dt.datetime) -> bool:
        """Return whether the pod has not started in the task's ``--start-timeout``.

        The kernel that waits for such a pod has deleted it, so this one has none. The time since the last change
        counts, and in a queue, where ``--start-timeout`` does not count, the task's ``--keep``.
        """
        if self.pod["status"].get("phase") != "Pending" or self.is_terminating:
            return False
        conditions = self.pod["status"].get("conditions", [])
        changes = [
            _parse_time(each["lastTransitionTime"]) for each in conditions if each.get("lastTransitionTime")
        ]
        waited_seconds = (now - max([self.created, *changes])).total_seconds()
        options = self.options
        is_queued = bool(self.pod["spec"].get("schedulingGates")) or QUEUE_LABEL in self.labels
        limit = max(options.start_seconds, options.keep) if is_queued else options.start_seconds
        return waited_seconds > limit

    def is_expired(self, now: dt.datetime) -> bool:
        """Return whether the task finished longer ago than its ``--keep``, did not start in time, or never got its cell."""
        is_old = self.finished_seconds(now) > self.options.keep
        return is_old or self.is_start_overdue(now) or self.has_never_got_its_cell

    @property
    def created(self) -> dt.datetime:
        """When the pod was created."""
        return _parse_time(self.pod["metadata"]["creationTimestamp"])

    @property
    def _terminated(self) -> dict[str, Any]:
        return dict(container_status(self.pod, self.primary).get("state", {}).get("terminated", {}))


def current_pods(pods: Iterable[TaskPod], jobs: Iterable[dict[str, Any]] = ()) -> list[TaskPod]:
    """Return one pod for each task: of the pods that a Job has created, the newest one.

    A Job that has yet to create its pod, or the next one, stands for this pod.

    Args:
        pods: All pods of the tasks.
        jobs: Jobs that create pods of tasks; those that are known.
    """
    newest: dict[str, TaskPod] = {}
    for pod in pods:
        key = pod.job.uid if pod.job else pod.uid
        if key not in newest or newest[key].created <= pod.created:
            newest[key] = pod
    for job in jobs:
        awaited = TaskPod(awaited_pod(job))
        found = newest.get(awaited.uid)
        if awaited.job and (found is None or (found.is_replaced and not awaited.is_finished)):
            newest[awaited.uid] = awaited
    return list(newest.values())


def _parse_time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
