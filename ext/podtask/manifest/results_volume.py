"""The volume of a pod that a file for the values of a cell is on (``--results-in``). Pure."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from ..errors import InputError
from ..template.pod_document import DEFAULT_CONTAINER
from .pod_manifest import PodManifest

# Sources of volumes that are deleted with the pod, or that nothing can be written to.
NOT_KEPT = ("emptyDir", "ephemeral")
READER_CONTAINER_FIELDS = ("name", "image", "imagePullPolicy", "securityContext", "workingDir")
READER_POD_FIELDS = (  # where the volume can be mounted, and by whom
    *("securityContext", "imagePullSecrets", "serviceAccountName", "automountServiceAccountToken"),
    *("nodeSelector", "affinity", "tolerations", "runtimeClassName"),
)
READ_ONLY = ("configMap", "secret", "downwardAPI", "projected", "image")


def check_results_path(spec: dict[str, Any], primary: dict[str, Any], path: str) -> None:
    """Check that a file is on a volume that keeps it when the pod is deleted.

    Args:
        spec: Spec of the pod.
        primary: Its primary container.
        path: The file.

    Raises:
        InputError: It is on none, or on one that is deleted or read-only.
    """
    volumes = {each["name"]: each for each in spec.get("volumes", [])}
    mounts = primary.get("volumeMounts", [])
    kept = [each["mountPath"] for each in mounts if _problem(each, volumes.get(each["name"], {})) == ""]
    hint = (
        f"Name a file on a volume that keeps it: {kept[0].rstrip('/')}/results."
        if kept
        else ("Mount a volume, such as a PersistentVolumeClaim, in the template.")
    )
    mount = results_mount(primary, path)
    if not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise InputError(f"--results-in {path}: not an absolute path.", hint)
    if mount is None:
        raise InputError(f"--results-in {path}: container {primary['name']!r} mounts no volume there.", hint)
    if PurePosixPath(path) == PurePosixPath(mount["mountPath"]):
        raise InputError(f"--results-in {path}: this is the volume itself, not a file on it.", hint)
    problem = _problem(mount, volumes.get(mount["name"], {}))
    if problem:
        raise InputError(f"--results-in {path}: the volume at {mount['mountPath']} {problem}.", hint)


def results_mount(primary: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Return the mount that a file is on; None if the container mounts no volume there."""
    file = PurePosixPath(path)
    found = [
        each
        for each in primary.get("volumeMounts", [])
        if file.is_relative_to(PurePosixPath(each["mountPath"]))
    ]
    return max(found, key=lambda each: len(PurePosixPath(each["mountPath"]).parts), default=None)


def reading_pod(manifest: PodManifest, path: str) -> dict[str, Any]:
    """Return a template for a pod that reads a file of an ended task: its container and the volume, and no devices.

    Args:
        manifest: The pod of the task.
        path: The file.

    Raises:
        InputError: The pod does not mount a volume there: somebody else may have written the path.
    """
    spec, primary = manifest.pod["spec"], manifest.primary_container
    mount = results_mount(primary, path)
    if mount is None:
        raise InputError(f"The pod {manifest.name} mounts no volume at {path}.", "Load the file in a cell.")
    container = {name: primary[name] for name in READER_CONTAINER_FIELDS if name in primary}
    annotations = {name: value for name, value in manifest.annotations.items() if not _is_ours(name)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"annotations": {**annotations, DEFAULT_CONTAINER: primary["name"]}},
        "spec": {
            **{name: spec[name] for name in READER_POD_FIELDS if name in spec},
            "containers": [{**container, "volumeMounts": [mount]}],
            "volumes": [each for each in spec.get("volumes", []) if each["name"] == mount["name"]],
        },
    }


def _is_ours(annotation: str) -> bool:
    return annotation.startswith(("podtask/", "kubectl.kubernetes.io/"))


def _problem(mount: dict[str, Any], volume: dict[str, Any]) -> str:
    """Return why a volume does not keep a file, as a predicate; empty if it does."""
    for source in NOT_KEPT:
        if source in volume:
            return f"({source}) is deleted with the pod"
    for source in READ_ONLY:
        if source in volume:
            return f"({source}) cannot be written to"
    given = next((value for name, value in volume.items() if name != "name"), None)
    if mount.get("readOnly") or (isinstance(given, dict) and given.get("readOnly")):
        return "is read-only"
    return "" if isinstance(given, dict) else "(emptyDir) is deleted with the pod"
