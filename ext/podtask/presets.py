"""Presets: parts of a pod in Kubernetes' words, each a function for ``PodTemplate.with_``. Pure.

Example:
    PodTemplate().with_(pvc("data", "/data"), gpu(1), sidecar("redis", "redis:7", memory="1Gi"))
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import InputError, nearest
from .template.restricted import give_scratch, restrict
from .template.template import PodTemplate, primary_container

Preset = Callable[[PodTemplate], PodTemplate]
Edit = Callable[[dict[str, Any], dict[str, Any]], None]  # of the spec and its primary container
# Label of the node, and whether the node is tainted with it too.
SPOT = {
    "gke": ("cloud.google.com/gke-spot", "true", True),
    "aks": ("kubernetes.azure.com/scalesetpriority", "spot", True),
    "eks": ("eks.amazonaws.com/capacityType", "SPOT", False),
    "karpenter": ("karpenter.sh/capacity-type", "spot", False),
}


# -- volumes ----------------------------------------------------------------------------------------


def pvc(claim: str, mount: str, *, read_only: bool = False, sub_path: str | None = None) -> Preset:
    """Mounts a PersistentVolumeClaim: what one cell writes, the next reads."""
    source = {"claimName": claim, **_true(readOnly=read_only)}
    return _volume(claim, {"persistentVolumeClaim": source}, mount, read_only, sub_path)


def gcs_fuse(
    bucket: str,
    mount: str,
    *,
    read_only: bool = False,
    cpu_limit: str | None = None,
    memory_limit: str | None = None,
) -> Preset:
    """Mounts a Cloud Storage bucket on GKE: the CSI volume, and the annotations it needs.

    Source: https://cloud.google.com/kubernetes-engine/docs/how-to/cloud-storage-fuse-csi-driver-ephemeral
    """
    limits = {"gke-gcsfuse/cpu-limit": cpu_limit, "gke-gcsfuse/memory-limit": memory_limit}
    annotations = {"gke-gcsfuse/volumes": "true", **{k: v for k, v in limits.items() if v}}
    csi = {
        "driver": "gcsfuse.csi.storage.gke.io",
        **_true(readOnly=read_only),
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
    """Mounts an S3 bucket, by a claim or by a CSI driver that takes volumes in a pod.

    Args:
        bucket: its name.
        mount: where.
        claim: the claim of the bucket's volume: the one way with AWS' driver, ``s3.csi.aws.com``.
        driver: the CSI driver, where it takes volumes in a pod.
        read_only: whether it is.
        attributes: of the CSI volume; ``bucketName`` is given.

    Raises:
        InputError: neither a claim nor a driver is named, or both.
    """
    if (claim is None) == (driver is None):
        raise InputError(
            f"s3({bucket!r}) needs either a claim or a driver.",
            "With AWS' driver make a claim of the bucket's volume: claim='NAME'.",
        )
    if claim is not None:
        return pvc(claim, mount, read_only=read_only)
    csi = {
        "driver": driver,
        **_true(readOnly=read_only),
        "volumeAttributes": {"bucketName": bucket, **attributes},
    }
    return _volume(bucket, {"csi": csi}, mount, read_only)


def empty_dir(
    mount: str, *, name: str | None = None, memory: bool = False, size: str | None = None
) -> Preset:
    """Mounts an empty directory that all containers may share by its name.

    Args:
        mount: where, in the primary container.
        name: of the volume; by default made of the path.
        memory: whether it is kept in memory, which it counts as.
        size: its limit, ``2Gi``.
    """
    source = {**({"medium": "Memory"} if memory else {}), **({"sizeLimit": size} if size else {})}
    return _volume(name or mount, {"emptyDir": source}, mount)


def host_path(path: str, mount: str, *, read_only: bool = True, kind: str = "") -> Preset:
    """Mounts a path of the node; ``kind`` is its type: Directory, File, Socket and so on."""
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
    """Mounts a config map; ``items`` maps its keys to file names, ``mode`` is 0o400, say."""
    return _volume(name, {"configMap": {"name": name, **_files(items, mode, optional)}}, mount)


def secret(
    name: str,
    mount: str,
    *,
    items: Mapping[str, str] | None = None,
    mode: int | None = None,
    optional: bool = False,
) -> Preset:
    """Mounts a secret; as :func:`config_map`. Its values are never part of the template."""
    source = {"secretName": name, **_files(items, mode, optional)}
    return _volume(name, {"secret": source}, mount)


# -- environment ------------------------------------------------------------------------------------


def env_from_secret(name: str, *, optional: bool = False, **variables: str) -> Preset:
    """Sets variables from a secret: all its keys, or ``VARIABLE="key"`` just these."""
    return _environment("secret", name, optional, variables)


def env_from_config_map(name: str, *, optional: bool = False, **variables: str) -> Preset:
    """Sets variables from a config map; as :func:`env_from_secret`."""
    return _environment("configMap", name, optional, variables)


# -- containers -------------------------------------------------------------------------------------


def sidecar(name: str, image: str, **fields: Any) -> Preset:
    """Runs a container beside the cell; it is ended when the cell is done.

    Args:
        name: of the container.
        image: its image; nothing is built.
        fields: ``command``, ``args``, ``env`` and ``mounts`` (mappings; a mount is volume: path),
            ``ports`` (numbers, or mappings), ``cpu`` and ``memory`` (limits), or any field of a container.
    """
    return _container("containers", name, image, fields)


def native_sidecar(name: str, image: str, **fields: Any) -> Preset:
    """Runs a container that is up before the cell starts (Kubernetes 1.29); as :func:`sidecar`."""
    return _container("initContainers", name, image, {**fields, "restartPolicy": "Always"})


def init(name: str, image: str, **fields: Any) -> Preset:
    """Runs a container to its end before the cell starts; as :func:`sidecar`."""
    return _container("initContainers", name, image, fields)


# -- where and as whom ------------------------------------------------------------------------------


def gpu(count: int = 1, key: str = "nvidia.com/gpu") -> Preset:
    """Gives the cell GPUs: the limit, a toleration of their nodes, shared memory for frameworks."""

    def edit(spec: dict[str, Any], primary: dict[str, Any]) -> None:
        resources = primary.setdefault("resources", {})
        resources.setdefault("limits", {})[key] = str(count)
        if key in resources.get("requests", {}):  # an extended resource's must be its limit
            resources["requests"][key] = str(count)
        _append(spec, "tolerations", {"key": key, "operator": "Exists", "effect": "NoSchedule"})
        if not any(mount.get("mountPath") == "/dev/shm" for mount in primary.get("volumeMounts", [])):
            _append(spec, "volumes", {"name": "shm", "emptyDir": {"medium": "Memory"}})
            _append(primary, "volumeMounts", {"name": "shm", "mountPath": "/dev/shm"})

    return _preset(edit)


def spot(provider: str) -> Preset:
    """Runs on cheap nodes that may be taken away: of ``gke``, ``aks``, ``eks`` or ``karpenter``.

    Raises:
        InputError: the provider is none of these.
    """
    if provider not in SPOT:
        raise InputError(
            f"spot: {provider!r} is not known.{nearest(provider, SPOT)}",
            f"Known: {', '.join(SPOT)}. For others set nodeSelector and tolerations.",
        )
    key, value, tainted = SPOT[provider]

    def edit(spec: dict[str, Any], primary: dict[str, Any]) -> None:
        spec.setdefault("nodeSelector", {})[key] = value
        if tainted:
            wanted = {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
            _append(spec, "tolerations", wanted)

    return _preset(edit)


def restricted() -> Preset:
    """Makes all containers fulfil Pod Security's level "restricted"; the cell has a writable /tmp."""

    def edit(spec: dict[str, Any], primary: dict[str, Any]) -> None:
        for kind in ("initContainers", "containers"):
            for container in spec.get(kind, []):
                restrict(container, spec.get("securityContext", {}), [])
        give_scratch(spec, primary, "tmp")

    return _preset(edit)


def image_pull_secret(name: str) -> Preset:
    """Pulls images with the credentials of a secret."""
    return _preset(lambda spec, primary: _append(spec, "imagePullSecrets", {"name": name}))


def service_account(name: str) -> Preset:
    """Runs as a service account, whose token is then mounted."""
    return _preset(lambda spec, primary: spec.update(serviceAccountName=name))


# -- inside -----------------------------------------------------------------------------------------


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
    more = {**_true(readOnly=read_only), **({"subPath": sub_path} if sub_path else {})}

    def edit(spec: dict[str, Any], primary: dict[str, Any]) -> None:
        named = {each.get("name"): each for each in spec.get("volumes", [])}
        other = (f"{volume[:60]}-{number}" for number in itertools.count(2))
        name = next(
            each
            for each in itertools.chain([volume], other)
            if named.get(each, {"name": each, **source}) == {"name": each, **source}
        )
        _append(spec, "volumes", {"name": name, **source})
        _append(primary, "volumeMounts", {"name": name, "mountPath": mount, **more})

    return _preset(edit)


def _environment(kind: str, name: str, optional: bool, variables: Mapping[str, str]) -> Preset:
    reference = {"name": name, **_true(optional=optional)}
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
    limits = {key: str(rest.pop(key)) for key in ("cpu", "memory") if rest.get(key) is not None}
    made: dict[str, Any] = {"name": name, "image": image, **rest}
    if env:
        made["env"] = [{"name": key, "value": str(value)} for key, value in env.items()]
    if mounts:
        made["volumeMounts"] = [{"name": key, "mountPath": path} for key, path in mounts.items()]
    if ports:
        made["ports"] = [dict(p) if isinstance(p, Mapping) else {"containerPort": p} for p in ports]
    if limits:
        made["resources"] = {"requests": limits, "limits": limits}
    return _preset(lambda spec, primary: _append(spec, kind, made))


def _append(owner: dict[str, Any], field: str, item: dict[str, Any]) -> None:
    items = owner.setdefault(field, [])
    if item not in items:
        items.append(item)


def _files(items: Mapping[str, str] | None, mode: int | None, optional: bool) -> dict[str, Any]:
    listed: Sequence[Any] = [{"key": key, "path": path} for key, path in (items or {}).items()]
    return {
        **({"items": listed} if listed else {}),
        **({"defaultMode": mode} if mode is not None else {}),
        **_true(optional=optional),
    }


def _true(**given: bool) -> dict[str, bool]:
    return {name: True for name, value in given.items() if value}
