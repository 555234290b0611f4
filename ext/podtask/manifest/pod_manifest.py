"""The pod of a task in wire form, and what podtask reads from it. Pure."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass, field
from typing import Any

from ..template.pod_document import DEFAULT_CONTAINER
from .identity import TASK_NAME, Identity
from .labels import (
    BOUNDS_ANNOTATION,
    CELL_ANNOTATION,
    CELL_VOLUME,
    ENCLOSED_ANNOTATION,
    KERNEL_LABEL,
    MAP_LABEL,
    NAME_LABEL,
    NOTEBOOK_LABEL,
    SESSION_ANNOTATION,
    SESSION_LABEL,
    TASK_LABEL,
    USER_LABEL,
)
from .session_pod import SessionRecord
from .task_secrets import SHARED_NAME, part_name

DEFAULT_GRACE_SECONDS = 5  # of a pod in which nothing but the runner has to terminate
KUBERNETES_GRACE_SECONDS = 30  # the default of the API server
LINGER_SECONDS = 3600.0
BOUNDS = {"start_timeout", "pull_timeout", "timeout", "linger", "grace", "keep", "end"}  # in the annotation
MAX_BOUND_SECONDS = 1e9  # 30 years
JOB_API_VERSION, JOB_KIND = "batch/v1", "Job"
HIDDEN_CELL = "(the cell and its inputs)"
HIDDEN_KEY = "(made when the cell is submitted)"
HIDDEN_LOCK = "(hash of the owner's secret, which is made when the cell is submitted)"
HIDDEN_PORT = "(chosen when the cell is submitted)"


@dataclass(frozen=True)
class JobReference:
    """The Job that creates the pods of a task, one after another.

    Args:
        name: Name of the Job, which is the name of the task.
        uid: UID of the Job, which no other Job ever has.
    """

    name: str
    uid: str

    def to_owner(self) -> dict[str, Any]:
        """Return the reference with which an object names the Job that it is deleted with."""
        return {"apiVersion": JOB_API_VERSION, "kind": JOB_KIND, "name": self.name, "uid": self.uid}


@dataclass(frozen=True)
class PodManifest:
    """The pod of a task.

    A rendered manifest belongs to no task yet: :meth:`stamped` gives it the name, key, port, labels
    and owner of one.

    Args:
        pod: The pod in wire form (camelCase).
        notices: One line for each field of the template that a rule has overwritten.
    """

    pod: dict[str, Any] = field(repr=False)  # it has the key
    notices: tuple[str, ...] = ()

    def stamped(self, identity: Identity) -> PodManifest:
        """Return a copy that belongs to one task.

        Args:
            identity: Name, key, port, labels and owner of the task.
        """
        pod = copy.deepcopy(self.pod)
        metadata: dict[str, Any] = pod["metadata"]
        labels = {
            TASK_LABEL: identity.name,
            KERNEL_LABEL: identity.kernel,
            USER_LABEL: identity.user,
            NAME_LABEL: identity.alias,
            NOTEBOOK_LABEL: identity.notebook,
        }
        for part in ("name", "generateName"):
            metadata.pop(part, None)
        metadata["labels"] = {
            **metadata.get("labels", {}),
            **{label: value for label, value in labels.items() if value},
        }
        if identity.owner:
            metadata["ownerReferences"] = [identity.owner]
        pod["metadata"] = {"name": identity.name, **metadata}
        stamped = dataclasses.replace(self, pod=pod)
        values = {
            "PODTASK_KEY": identity.key,
            "PODTASK_LOCK": identity.lock,
            "PODTASK_PORT": str(identity.port),
        }
        for entry in stamped.primary_container["env"]:
            if entry["name"] in values:
                entry["value"] = values[entry["name"]]
        return stamped

    def for_session(self, session: str, record: SessionRecord) -> PodManifest:
        """Return a copy that has a session.

        Args:
            session: Name of the session.
            record: What the pod says of it.
        """
        pod = copy.deepcopy(self.pod)
        metadata = pod["metadata"]
        metadata["labels"] = {**metadata.get("labels", {}), SESSION_LABEL: session}
        metadata["annotations"] = {**metadata.get("annotations", {}), SESSION_ANNOTATION: record.to_text()}
        return dataclasses.replace(self, pod=pod)

    def for_map(self, name: str) -> PodManifest:
        """Return a copy that has a worker of a map.

        Args:
            name: Name of the map.
        """
        pod = copy.deepcopy(self.pod)
        metadata = pod["metadata"]
        metadata["labels"] = {**metadata.get("labels", {}), MAP_LABEL: name}
        return dataclasses.replace(self, pod=pod)

    @property
    def map(self) -> str:
        """Name of the map whose worker the pod has; empty for the pod of a task."""
        return self.labels.get(MAP_LABEL, "")

    @property
    def session(self) -> str:
        """Name of the session that runs in the pod; empty for the pod of a task."""
        return self.labels.get(SESSION_LABEL, "") if self.session_record else ""

    @property
    def session_record(self) -> SessionRecord | None:
        """What the pod says of its session; None for the pod of a task."""
        return SessionRecord.parse(self.annotations.get(SESSION_ANNOTATION, ""))

    @property
    def name(self) -> str:
        """Name of the pod."""
        return str(self.pod["metadata"]["name"])

    @property
    def job(self) -> JobReference | None:
        """The Job that has created the pod and replaces it if it is lost; None for a pod of its own."""
        metadata = self.pod["metadata"]
        for owner in metadata.get("ownerReferences", []):
            name = str(owner.get("name"))
            is_job = owner.get("controller") and (owner.get("apiVersion"), owner.get("kind")) == (
                JOB_API_VERSION,
                JOB_KIND,
            )
            # Whoever creates a pod chooses its owner, so only a Job of podtask counts.
            if is_job and TASK_NAME.fullmatch(name) and self.labels.get(TASK_LABEL) == name:
                return JobReference(name, str(owner["uid"]))
        return None

    @property
    def task(self) -> str:
        """Name of the task: that of its Job, or of the pod."""
        return self.job.name if self.job else self.name

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the pod."""
        return dict(self.pod["metadata"].get("labels", {}))

    @property
    def annotations(self) -> dict[str, str]:
        """Annotations of the pod."""
        return dict(self.pod["metadata"].get("annotations", {}))

    @property
    def primary(self) -> str:
        """Name of the container that runs the cell."""
        return self.annotations.get(DEFAULT_CONTAINER, "primary")

    @property
    def primary_container(self) -> dict[str, Any]:
        """The container that runs the cell; empty if the pod does not have it."""
        containers = self.pod["spec"]["containers"]
        return next((each for each in containers if each["name"] == self.primary), {})

    @property
    def env(self) -> dict[str, str]:
        """Plain environment variables of the primary container."""
        entries = self.primary_container.get("env", [])
        return {entry["name"]: str(entry["value"]) for entry in entries if "value" in entry}

    @property
    def key(self) -> str:
        """Key of the task, in hexadecimal digits."""
        return self.env["PODTASK_KEY"]

    @property
    def lock(self) -> str:
        """Hash of the owner's secret; empty for a task of podtask 0.1.0."""
        return self.env.get("PODTASK_LOCK", "")

    @property
    def port(self) -> int:
        """Port on which the runner listens."""
        return int(self.env["PODTASK_PORT"])

    @property
    def python(self) -> str:
        """Python that starts the runner in the primary container."""
        container = self.primary_container
        return str((container.get("command") or container.get("args") or ["python3"])[0])

    @property
    def image(self) -> str:
        """Image of the primary container."""
        return str(self.primary_container.get("image", ""))

    @property
    def bounds(self) -> dict[str, float]:
        """Time limits of the task in seconds, by name; empty if the annotation is missing or damaged."""
        text = self.annotations.get(BOUNDS_ANNOTATION, "")
        try:
            found = {name: float(value) for name, value in (part.split("=") for part in text.split())}
        except ValueError:
            return {}
        # Whoever may change the pod may write anything.
        sound = found.keys() <= BOUNDS and all(0 <= value <= MAX_BOUND_SECONDS for value in found.values())
        return found if sound else {}

    @property
    def linger_seconds(self) -> float:
        """Seconds that the runner waits for its notebook after the cell has ended."""
        return self.bounds.get("linger", LINGER_SECONDS)

    @property
    def grace_seconds(self) -> int:
        """Seconds that the containers of a finished pod get to terminate.

        Sidecars and preStop hooks get the grace period of Kubernetes: they may have data to upload. The
        template's grace period takes precedence, but is never 0. It is read from the annotation rather than the
        spec, where the API server sets the default.
        """
        default = KUBERNETES_GRACE_SECONDS if self._has_sidecars_or_hooks else DEFAULT_GRACE_SECONDS
        return max(1, int(self.bounds.get("end", default)))

    @property
    def _has_sidecars_or_hooks(self) -> bool:
        """Whether the pod has other containers that run until its end, or a preStop hook."""
        spec = self.pod["spec"]
        native = [each for each in spec.get("initContainers", []) if each.get("restartPolicy") == "Always"]
        others = [each for each in spec["containers"] if each["name"] != self.primary]
        return bool(native or others or "preStop" in self.primary_container.get("lifecycle", {}))

    @property
    def has_stop_hooks(self) -> bool:
        """Whether a container of the pod has a preStop hook."""
        spec = self.pod["spec"]
        containers = [*spec["containers"], *spec.get("initContainers", [])]
        return any("preStop" in (each.get("lifecycle") or {}) for each in containers)

    @property
    def is_batch(self) -> bool:
        """Whether no notebook can connect to the runner: the pod brings its cell, and the log has the output."""
        return CELL_ANNOTATION in self.annotations

    @property
    def is_enclosed(self) -> bool:
        """Whether the pod brings its cell, and its runner serves notebooks that connect."""
        volumes = self.pod["spec"].get("volumes", [])
        return not self.is_batch and any(each["name"] == CELL_VOLUME for each in volumes)

    @property
    def part_names(self) -> list[str]:
        """Names of the Secrets that have the cell of this task alone; none if the next pod of a Job needs them.

        Whoever creates a pod cannot make it name others.
        """
        is_read_once = self.job is None and TASK_NAME.fullmatch(self.name)
        return [
            name
            for index, name in enumerate(self._mounted)
            if is_read_once and name == part_name(self.name, index)
        ]

    @property
    def shared_part_names(self) -> list[str]:
        """Names of the Secrets with inputs that other tasks may need, too; none if the next pod of a Job needs them.

        Whoever creates a pod may make it name those of others. The pod is not an owner of these.
        """
        return [name for name in self._mounted if self.job is None and SHARED_NAME.fullmatch(name)]

    @property
    def _mounted(self) -> list[str]:
        """Names of the Secrets with parts of a cell that the primary container mounts."""
        volumes = [each for each in self.pod["spec"].get("volumes", []) if each["name"] == CELL_VOLUME]
        sources = volumes[0].get("projected", {}).get("sources", []) if volumes else []
        return [str(each.get("secret", {}).get("name")) for each in sources]

    def without_secrets(self) -> PodManifest:
        """Return a copy that may be shown: without the task's key, the cell and its inputs."""
        pod = copy.deepcopy(self.pod)
        annotations = pod["metadata"].get("annotations", {})
        for name in (CELL_ANNOTATION, ENCLOSED_ANNOTATION):
            if name in annotations:
                annotations[name] = HIDDEN_CELL
        for container in pod["spec"]["containers"]:
            for entry in container.get("env", []):
                if entry["name"] == "PODTASK_KEY":
                    entry["value"] = HIDDEN_KEY
        return dataclasses.replace(self, pod=pod)
