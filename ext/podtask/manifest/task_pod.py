"""A task's pod as somebody finds it who has not made it: what its labels and status say. Pure."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from ..config.options import RunOptions
from ..diagnosis.model import status_of
from ..errors import InputError
from .labels import (
    KERNEL_LABEL,
    MANAGED_BY,
    NAME_LABEL,
    NO_CLIENT,
    NOTEBOOK_LABEL,
    USER_LABEL,
)
from .pod_manifest import PodManifest

SELECTOR = f"{MANAGED_BY}=podtask"
WAITS = "podtask: ended ("  # the runner's line in its log when its result waits


@dataclass(frozen=True)
class TaskPod(PodManifest):
    """The pod of a task, as the API server has it."""

    @property
    def alias(self) -> str:
        """The user's name for the task; the pod's if it has none."""
        return self.labels.get(NAME_LABEL) or self.name

    @property
    def user(self) -> str:
        """Whose it is; empty where nobody knows."""
        return self.labels.get(USER_LABEL, "")

    @property
    def kernel(self) -> str:
        """Marks the kernel that made it."""
        return self.labels.get(KERNEL_LABEL, "")

    @property
    def notebook(self) -> str:
        """Marks the notebook that made it; empty for none."""
        return self.labels.get(NOTEBOOK_LABEL, "")

    def container(self, named: str | None) -> str:
        """Returns the name of a container; the primary one's where none is named.

        Raises:
            InputError: there is no such container.
        """
        chosen = named or self.primary
        spec = self.pod["spec"]
        names = [each["name"] for each in [*spec["containers"], *spec.get("initContainers", [])]]
        if chosen not in names:
            raise InputError(f"{self.name} has no container {chosen!r}.", f"Containers: {', '.join(names)}.")
        return chosen

    @property
    def key(self) -> str:
        """The task's key, hex.

        Raises:
            InputError: this is no task's pod.
        """
        env = self.env
        try:
            bytes.fromhex(env["PODTASK_KEY"])
            int(env["PODTASK_PORT"])
        except (KeyError, ValueError):
            raise InputError(
                f"The pod {self.name} runs no task of podtask.", "%podtask list shows those that do."
            ) from None
        return env["PODTASK_KEY"]

    @property
    def options(self) -> RunOptions:
        """The bounds that it was given."""
        bounds = {name: value for name, value in self.bounds.items() if name != "end"}
        try:
            return RunOptions.of(**bounds)
        except InputError:  # by a podtask of another version, or by hand
            return RunOptions()

    @property
    def exit(self) -> int | None:
        """Exit code of the primary container; None while it has not ended."""
        code = self._terminated.get("exitCode")
        return None if code is None else int(code)

    @property
    def over(self) -> bool:
        """Whether the cell can run no more."""
        return self.exit is not None or self.pod["status"].get("phase") in ("Failed", "Succeeded")

    @property
    def taken(self) -> bool:
        """Whether its result was taken: the runner leaves with 0 or 1 only then."""
        return self.exit in (0, 1) and bool(self.note)

    @property
    def waits(self) -> bool:
        """Whether the runner ended and nobody had come: its log has the result."""
        return self.exit == NO_CLIENT and bool(self.note)

    @property
    def note(self) -> str:
        """The status that the runner noted at the end of the cell; empty where it has not."""
        try:
            return str(json.loads(self._terminated.get("message", ""))["status"])
        except (ValueError, KeyError, TypeError):
            return ""

    @property
    def state(self) -> str:
        """In a word or three."""
        if self.pod["metadata"].get("deletionTimestamp"):
            return "Terminating"
        if self.waits:
            return f"{self.note}, in its log"
        if self.taken:
            return f"{self.note}, taken"
        if self.exit is not None:
            return str(self._terminated.get("reason") or "Error")
        status = self.pod.get("status", {})
        return str(status.get("reason") or status.get("phase", "Unknown"))

    def age(self, now: dt.datetime) -> float:
        """Returns seconds since it was created."""
        return (now - _time(self.pod["metadata"]["creationTimestamp"])).total_seconds()

    def idle(self, now: dt.datetime) -> float:
        """Returns seconds since it ended; 0 where it has not."""
        ended = self._terminated.get("finishedAt")
        if not self.over:
            return 0.0
        return (now - _time(ended)).total_seconds() if ended else self.age(now)

    @property
    def _terminated(self) -> dict[str, Any]:
        return dict(status_of(self.pod, self.primary).get("state", {}).get("terminated", {}))


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
