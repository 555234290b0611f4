"""Presets: each adds one part to a pod template, such as a volume, a sidecar or a GPU. Pure.

Example:
    PodTemplate().with_(pvc("data", "/data"), gpu(1), sidecar("redis", "redis:7", memory="1Gi"))
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .config.option_types import parse_gpus
from .config.quantities import parse_cpu, parse_memory
from .errors import InputError, did_you_mean
from .template.gpus import set_gpus
from .template.restricted import give_scratch, restrict
from .template.shared_memory import is_shared_memory_mounted, mount_shared_memory
from .template.template import PodTemplate, primary_container

Preset = Callable[[PodTemplate], PodTemplate]
Edit = Callable[[dict[str, Any], dict[str, Any]], None]  # edits a pod spec and its primary container in place
# Provider -> key and value of the label of spot nodes, and whether the nodes have a taint of that name.
SPOT_LABELS = {
    "gke": ("cloud.google.com/gke-spot", "true", True),
    "aks": ("kubernetes.azure.com/scalesetpriority", "spot", True),
    "eks": ("eks.amazonaws.com/capacityType", "SPOT", False),
    "karpenter": ("karpenter.sh/capacity-type", "spot", False),
}


# -- volumes ----------------------------------------------------------------------------------------


def pvc(claim: str, mount: str, *, read_only: bool = False, sub_path: str | None = None) -> Preset:
    """Mount a PersistentVolumeClaim: what a cell writes there, later cells can read.

    Args:
        claim: Name of the claim.
        mount: Path in the primary container.
        read_only: Whether the volume is mounted read-only.
        sub_path: Path in the volume that is mounted; by default its root.
    """
    source = {"claimName": claim, **_true_flags(readOnly=read_only)}
    return _volume(claim, {"persistentVolumeClaim": source}, mount, read_only, sub_path)


def gcs_fuse(
    bucket: str,
    mount: str,
    *,
    read_only: bool = False,
    cpu_limit: str | None = None,
    memory_limit: str | None = None,
) -> Preset:
    """Mount a Cloud Storage bucket on GKE: add the CSI volume and the annotations that it needs.

    Args:
        bucket: Name of the bucket.
        mount: Path in the primary container.
        read_only: Whether the volume is mounted read-only.
        cpu_limit: CPU limit of the sidecar that GKE adds.
        memory_limit: Memory limit of the sidecar that GKE adds.

    Source: https://cloud.google.com/kubernetes-engine/docs/how-to/cloud-storage-fuse-csi-driver-ephemeral
    """
    limits = {"gke-gcsfuse/cpu-limit": cpu_limit, "gke-gcsfuse/memory-limit": memory_limit}
    annotations = {"gke-gcsfuse/volumes": "true", **{k: v for k, v in limits.items() if v}}
    csi = {
        "driver": "gcsfuse.csi.storage.gke.io",
        **_true_flags(readOnly=read_only),
        "volumeAttributes": {"bucketName": bucket},
    }
    volume = _volume(bucket, {"csi": csi}, mount, read_only)

    def change(template: PodTemplate) -> PodTemplate:
        return volume(template.replace(annotations={**(template.annotations or {}), **annotations}))

    return change


def s3(
    bucket: str,
    mount: str,
    *,
    claim: str | None = None,
    driver: str | None = None,
    read_only: bool = False,
    **attributes: str,
) -> Preset:
    """Mount an S3 bucket, through a claim or through a CSI driver that supports inline volumes.

    Args:
        bucket: Name of the bucket.
        mount: Path in the primary container.
        claim: Name of the claim of the bucket's volume. AWS' driver, ``s3.csi.aws.com``, needs one.
        driver: Name of a CSI driver that supports inline volumes.
        read_only: Whether the volume is mounted read-only.
        attributes: Attributes of the CSI volume, in addition to ``bucketName``.

    Raises:
        InputError: Both the claim and the driver are given, or neither.
    """
    if (claim is None) == (driver is None):
        raise InputError(
            f"s3({bucket!r}) needs either a claim or a driver.",
            "With AWS' driver, create a claim for the bucket's volume and pass claim='NAME'.",
        )
    if claim is not None:
        return pvc(claim, mount, read_only=read_only)
    csi = {
        "driver": driver,
        **_true_flags(readOnly=read_only),
        "volumeAttributes": {"bucketName": bucket, **attributes},
    }
    return _volume(bucket, {"csi": csi}, mount, read_only)


def empty_dir(
    mount: str, *, name: str | None = None, memory: bool = False, size: str | None = None
) -> Preset:
    """Mount an empty directory; other containers can mount the same volume by its name.

    Args:
        mount: Path in the primary container.
        name: Name of the volume; by default made from the path.
        memory: Whether the directory is kept in memory, where it counts towards the memory limit.
        size: Size limit, for example ``2Gi``.
    """
    limit = {"sizeLimit": _parsed(parse_memory, size, f"size of {mount}")} if size else {}
    source = {**({"medium": "Memory"} if memory else {}), **limit}
    return _volume(name or mount, {"emptyDir": source}, mount)


def host_path(path: str, mount: str, *, read_only: bool = True, kind: str = "") -> Preset:
    """Mount a path of the node.

    Args:
        path: Path on the node.
        mount: Path in the primary container.
        read_only: Whether the volume is mounted read-only.
        kind: Type of the path that Kubernetes checks: Directory, File, Socket and so on.
    """
    source = {"path": path, **({"type": kind} if kind else {})}
    return _volume(f"host-{path}", {"hostPath": source}, mount, read_only)


def config_map(
    name: str,
    mount: str,
    *,
    items: Mapping[str, str] | None = None,
    mode: int | None = None,
    optional: bool = False,
) -> Preset:
    """Mount a config map.

    Args:
        name: Name of the config map.
        mount: Path in the primary container.
        items: Key -> file name; by default each key is a file.
        mode: Permissions of the files, for example ``0o400``.
        optional: Whether the pod starts even if the config map does not exist.
    """
    return _volume(name, {"configMap": {"name": name, **_file_fields(items, mode, optional)}}, mount)


def secret(
    name: str,
    mount: str,
    *,
    items: Mapping[str, str] | None = None,
    mode: int | None = None,
    optional: bool = False,
) -> Preset:
    """Mount a secret. Its values are never part of the template.

    Args:
        name: Name of the secret.
        mount: Path in the primary container.
        items: Key -> file name; by default each key is a file.
        mode: Permissions of the files, for example ``0o400``.
        optional: Whether the pod starts even if the secret does not exist.
    """
    source = {"secretName": name, **_file_fields(items, mode, optional)}
    return _volume(name, {"secret": source}, mount)


# -- environment ------------------------------------------------------------------------------------


def env_from_secret(name: str, *, optional: bool = False, **variables: str) -> Preset:
    """Set environment variables from a secret.

    Args:
        name: Name of the secret.
        optional: Whether the pod starts even if the secret does not exist.
        variables: Variable -> key of the secret; by default each key becomes a variable.
    """
    return _environment("secret", name, optional, variables)


def env_from_config_map(name: str, *, optional: bool = False, **variables: str) -> Preset:
    """Set environment variables from a config map.

    Args:
        name: Name of the config map.
        optional: Whether the pod starts even if the config map does not exist.
        variables: Variable -> key of the config map; by default each key becomes a variable.
    """
    return _environment("configMap", name, optional, variables)


# -- containers -------------------------------------------------------------------------------------


def sidecar(name: str, image: str, **fields: Any) -> Preset:
    """Run a container alongside the cell; it is terminated when the cell ends.

    Args:
        name: Name of the container.
        image: Image of the container; podtask does not build images.
        fields: Any field of a container, and these short forms: ``env`` (variable -> value),
            ``mounts`` (volume -> path), ``ports`` (numbers, or mappings), and ``cpu`` and ``memory``
            (both request and limit).
    """
    return _container("containers", name, image, fields)


def native_sidecar(name: str, image: str, **fields: Any) -> Preset:
    """Run a native sidecar: it is started before the cell. This needs Kubernetes 1.29.

    Args:
        name: Name of the container.
        image: Image of the container.
        fields: Fields of the container, as of :func:`sidecar`.
    """
    return _container("initContainers", name, image, {**fields, "restartPolicy": "Always"})


def init(name: str, image: str, **fields: Any) -> Preset:
    """Run an init container: it runs to completion before the cell starts.

    Args:
        name: Name of the container.
        image: Image of the container.
        fields: Fields of the container, as of :func:`sidecar`.
    """
    return _container("initContainers", name, image, fields)


# -- nodes and accounts -----------------------------------------------------------------------------


def gpu(count: int = 1, key: str = "nvidia.com/gpu") -> Preset:
    """Give the cell GPUs: set the limit, tolerate the taint of GPU nodes, and mount shared memory.

    Args:
        count: Number of GPUs.
        key: Resource name of the GPU.
    """
    number = _parsed(parse_gpus, count, key)

    def edit(spec: dict[str, Any], primary: dict[str, Any]) -> None:
        set_gpus(spec, primary, key, number)
        if not is_shared_memory_mounted(primary):
            mount_shared_memory(spec, primary, "shm")

    return _preset(edit)


def spot(provider: str) -> Preset:
    """Run on spot nodes, which are cheaper, but may be reclaimed at any time.

    Args:
        provider: ``gke``, ``aks``, ``eks`` or ``karpenter``.

    Raises:
        InputError: The provider is not one of these.
    """
    if provider not in SPOT_LABELS:
        raise InputError(
            f"spot: unknown provider {provider!r}.{did_you_mean(provider, SPOT_LABELS)}",
            f"Providers: {', '.join(SPOT_LABELS)}. For others, set nodeSelector and tolerations.",
        )
    key, value, tainted = SPOT_LABELS[provider]

    def edit(spec: dict[str, Any], primary: dict[str, Any]) -> None:
        spec.setdefault("nodeSelector", {})[key] = value
        if tainted:
            toleration = {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
            _append(spec, "tolerations", toleration)

    return _preset(edit)


def restricted() -> Preset:
    """Make all containers comply with the Pod Security level "restricted"; the cell has a writable /tmp."""

    def edit(spec: dict[str, Any], primary: dict[str, Any]) -> None:
        for kind in ("initContainers", "containers"):
            for container in spec.get(kind, []):
                restrict(container, spec.get("securityContext", {}), [])
        give_scratch(spec, primary, "tmp")

    return _preset(edit)


def image_pull_secret(name: str) -> Preset:
    """Pull images with the credentials of a secret.

    Args:
        name: Name of the secret.
    """
    return _preset(lambda spec, primary: _append(spec, "imagePullSecrets", {"name": name}))


def service_account(name: str) -> Preset:
    """Run as a service account and mount its token.

    Args:
        name: Name of the service account.
    """
    return _preset(lambda spec, primary: spec.update(serviceAccountName=name))


# -- helpers ----------------------------------------------------------------------------------------


def _preset(edit: Edit) -> Preset:
    def change(template: PodTemplate) -> PodTemplate:
        spec = template.to_dict()["spec"]
        edit(spec, primary_container(spec, template.primary_container_name))
        return template.replace(pod_spec=spec)

    return change


def _volume(
    name: str, source: dict[str, Any], mount: str, read_only: bool = False, sub_path: str | None = None
) -> Preset:
    volume = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-") or "volume"
    fields = {**_true_flags(readOnly=read_only), **({"subPath": sub_path} if sub_path else {})}

    def edit(spec: dict[str, Any], primary: dict[str, Any]) -> None:
        by_name = {each.get("name"): each for each in spec.get("volumes", [])}
        numbered = (f"{volume[:60]}-{number}" for number in itertools.count(2))
        # The first name that is free, or that belongs to the same volume.
        name = next(
            each
            for each in itertools.chain([volume], numbered)
            if by_name.get(each, {"name": each, **source}) == {"name": each, **source}
        )
        _append(spec, "volumes", {"name": name, **source})
        _append(primary, "volumeMounts", {"name": name, "mountPath": mount, **fields})

    return _preset(edit)


def _environment(kind: str, name: str, optional: bool, variables: Mapping[str, str]) -> Preset:
    reference = {"name": name, **_true_flags(optional=optional)}
    entries = [
        {"name": variable, "valueFrom": {f"{kind}KeyRef": {**reference, "key": key}}}
        for variable, key in variables.items()
    ]

    def edit(spec: dict[str, Any], primary: dict[str, Any]) -> None:
        for entry in entries:
            _append(primary, "env", entry)
        if not entries:
            _append(primary, "envFrom", {f"{kind}Ref": reference})

    return _preset(edit)


def _container(kind: str, name: str, image: str, fields: dict[str, Any]) -> Preset:
    rest = dict(fields)
    env, mounts, ports = rest.pop("env", {}), rest.pop("mounts", {}), rest.pop("ports", [])
    limits = {
        key: _parsed(parse, rest.pop(key), f"{key} of container {name!r}")
        for key, parse in (("cpu", parse_cpu), ("memory", parse_memory))
        if rest.get(key) is not None
    }
    container: dict[str, Any] = {"name": name, "image": image, **rest}
    if env:
        container["env"] = [{"name": key, "value": str(value)} for key, value in env.items()]
    if mounts:
        container["volumeMounts"] = [{"name": key, "mountPath": path} for key, path in mounts.items()]
    if ports:
        container["ports"] = [dict(p) if isinstance(p, Mapping) else {"containerPort": p} for p in ports]
    if limits:
        container["resources"] = {"requests": limits, "limits": limits}
    return _preset(lambda spec, primary: _append(spec, kind, container))


def _parsed(parse: Callable[[Any], Any], value: Any, name: str) -> Any:
    """Return a parsed value; an error names what has the value."""
    try:
        return parse(value)
    except InputError as error:
        raise InputError(f"{name}: {error.message}", error.hint) from None


def _append(owner: dict[str, Any], field: str, item: dict[str, Any]) -> None:
    items = owner.setdefault(field, [])
    if item not in items:
        items.append(item)


def _file_fields(items: Mapping[str, str] | None, mode: int | None, optional: bool) -> dict[str, Any]:
    listed: Sequence[Any] = [{"key": key, "path": path} for key, path in (items or {}).items()]
    return {
        **({"items": listed} if listed else {}),
        **({"defaultMode": mode} if mode is not None else {}),
        **_true_flags(optional=optional),
    }


def _true_flags(**flags: bool) -> dict[str, bool]:
    """Return the flags that are true, so that false ones are left out of the manifest."""
    return {name: True for name, value in flags.items() if value}
