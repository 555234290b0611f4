"""A document that describes a pod: what a template takes from it, and what it leaves out. Pure.

A pod that was read from a cluster has fields that belong to that one pod: with its labels, the controller that
made it, or a Service, would take the new pod as its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, did_you_mean

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
PRIMARY = "primary"  # the primary container, unless something names another one
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OUR_PREFIX = "podtask/"
# Labels by which a controller finds its pods.
CONTROLLER_LABELS = frozenset(
    (
        "pod-template-hash",
        "pod-template-generation",
        "rollouts-pod-template-hash",
        "controller-revision-hash",
        "controller-uid",
        "job-name",
        "spark-app-selector",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
    )
)
CONTROLLER_PREFIXES = (
    "batch.kubernetes.io/",
    "jobset.sigs.k8s.io/",
    "leaderworkerset.sigs.k8s.io/",
    "ray.io/",
    "tekton.dev/",
    "training.kubeflow.org/",
    "workflows.argoproj.io/",
)
# What a cluster writes into the spec of one pod.
FIELDS_OF_ONE_POD = ("nodeName", "ephemeralContainers", "priority", "preemptionPolicy")
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
INJECTED_VOLUME_PREFIX = "kube-api-access-"  # the volume of the token
POD_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
METADATA_FIELDS = (
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)
HELM = re.compile(
    r"\{\{-?\s*(?:\$?\.(?:Values|Release|Chart|Capabilities|Files|Template)\b|(?:include|template|define)\s+\"|(?:toYaml|tpl|if|range|with|end)\b)"
)


@dataclass(frozen=True)
class PodDocument:
    """What a template takes from a document.

    Args:
        spec: The pod spec; None if the document has none.
        primary: Name of the container that runs the cell; None if the document does not say.
        labels: Labels of the pod.
        annotations: Annotations of the pod.
        namespace: Namespace of the pod; None if the document does not say.
        notices: One line for each thing that the user should know.
    """

    spec: Any
    primary: str | None
    labels: Any
    annotations: Any
    namespace: Any
    notices: tuple[str, ...]


def read_pod_document(document: dict[str, Any], where: str) -> PodDocument:
    """Read a Pod, a core/v1 PodTemplate, or a bare pod spec.

    Args:
        document: The document in wire form.
        where: The document in words, for messages: ``pod.yaml`` or ``the dict``.

    Raises:
        InputError: The document does not describe a pod.
    """
    notices: list[str] = []
    pod = _pod_of(document, where, notices)
    if not pod.keys() & {"metadata", "spec"} and "kind" not in pod:
        if _token_volumes(pod):
            pod = _without_fields_of_one_pod(pod, None, notices)
        return PodDocument(pod, None, None, None, None, tuple(notices))
    _check_fields(pod, where)
    metadata, spec = pod.get("metadata") or {}, pod.get("spec")
    is_of_cluster = bool(pod.get("status") or metadata.get("uid") or metadata.get("ownerReferences"))
    notices += _ignored_metadata(metadata, is_of_cluster)
    labels = metadata.get("labels")
    if isinstance(labels, dict) and labels and (is_of_cluster or _has_controller_label(labels)):
        notices.append(_dropped_labels(labels, metadata))
        labels = None
    if spec and (is_of_cluster or _token_volumes(spec)):
        spec = _without_fields_of_one_pod(spec, metadata.get("name"), notices)
    annotations = metadata.get("annotations")
    primary = annotations.get(DEFAULT_CONTAINER) if isinstance(annotations, dict) else None
    primary = primary or _only_container(spec or {}, notices)
    if isinstance(annotations, dict):
        annotations = {
            key: value
            for key, value in annotations.items()
            if key != LAST_APPLIED and not str(key).startswith(OUR_PREFIX)
        }
    return PodDocument(spec, primary, labels, annotations, metadata.get("namespace") or None, tuple(notices))


def check_not_a_chart(text: str, where: str) -> None:
    """Check that a text is not a Helm template, which is YAML only after it was rendered.

    Raises:
        InputError: It is one.
    """
    found = HELM.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise InputError(
            f"{where} is a Helm template (line {line}): render it first.",
            "helm template RELEASE CHART > pod.yaml prints YAML; keep only the pod of it.",
        )


def _pod_of(document: dict[str, Any], where: str, notices: list[str]) -> dict[str, Any]:
    """Return the document itself, or the pod in a core/v1 PodTemplate.

    Raises:
        InputError: It is another kind of object.
    """
    if document.get("kind") not in (None, "Pod", "PodTemplate"):
        raise InputError(
            f"{where} is a {document['kind']}, not a pod.", "Give a Pod, a PodSpec or a PodTemplate."
        )
    if not isinstance(document.get("template"), dict):
        return document
    metadata = document.get("metadata")
    namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
    if namespace:
        notices.append(
            f"metadata.namespace {namespace} is the namespace of the PodTemplate object and not of its pods "
            "(-n NAME sets that)"
        )
    pod: dict[str, Any] = {"kind": "Pod", **document["template"]}
    return pod


def _check_fields(pod: dict[str, Any], where: str) -> None:
    """Check the fields of a pod outside its spec.

    Raises:
        InputError: The metadata or the spec is not a mapping, or the API has no such field.
    """
    for part in ("metadata", "spec"):
        if not isinstance(pod.get(part) or {}, dict):
            raise InputError(f"The {part} in {where} is not a mapping.", "Write it as {key: value}.")
    beside = next((name for name in pod if name not in POD_FIELDS), None)
    if beside is not None:
        raise InputError(
            f"{where} has the field {beside!r} beside metadata and spec.{did_you_mean(beside, POD_FIELDS)}",
            "Put the fields of the pod spec, such as containers, below spec.",
        )
    unknown = next((name for name in pod.get("metadata") or {} if name not in METADATA_FIELDS), None)
    if unknown is not None:
        raise InputError(
            f"metadata.{unknown} in {where} is not a known field.{did_you_mean(unknown, METADATA_FIELDS)}",
            "Labels and annotations are the fields that a template uses.",
        )


def _ignored_metadata(metadata: dict[str, Any], is_of_cluster: bool) -> Iterator[str]:
    """Yield a notice for each field of the metadata that has no effect; those of a cluster's own pod are expected."""
    for field in () if is_of_cluster else ("name", "generateName"):
        if metadata.get(field):
            yield f"metadata.{field} {metadata[field]} is ignored: podtask names its pods (--name names the task)"
    if metadata.get("finalizers"):
        yield "metadata.finalizers are left out: podtask deletes the pod when its cell has ended"


def _has_controller_label(labels: dict[str, Any]) -> bool:
    return any(key in CONTROLLER_LABELS or str(key).startswith(CONTROLLER_PREFIXES) for key in labels)


def _dropped_labels(labels: dict[str, Any], metadata: dict[str, Any]) -> str:
    owners = [each for each in metadata.get("ownerReferences") or [] if isinstance(each, dict)]
    owner = f"{owners[0].get('kind')} {owners[0].get('name')}" if owners else "a controller"
    return (
        f"all labels are left out, so that neither {owner} nor a Service takes the pod: "
        f"{', '.join(f'{key}={value}' for key, value in labels.items())}. Give back what you need with labels="
    )


def _without_fields_of_one_pod(spec: dict[str, Any], name: object, notices: list[str]) -> dict[str, Any]:
    """Return a pod spec without what the cluster has set for one pod, and add a notice about it.

    Args:
        spec: The spec of the pod.
        name: Name of the pod. A StatefulSet sets it as the host name.
        notices: List that the notice is appended to.
    """
    fields = (*FIELDS_OF_ONE_POD, *(("hostname",) if spec.get("hostname") == name else ()))
    dropped = [f"spec.{field}" for field in fields if field in spec]
    kept = {key: value for key, value in spec.items() if key not in fields}
    if _is_bound_to_one_node(kept):
        kept = _without_node_affinity(kept)
        dropped.append("the affinity to one node")
    tokens = _token_volumes(spec)
    if tokens:
        kept["volumes"] = [each for each in _mappings(spec["volumes"]) if each.get("name") not in tokens]
        for kind in ("containers", "initContainers"):
            if kind in kept:
                kept[kind] = [_without_mounts(each, tokens) for each in kept[kind]]
        if not kept["volumes"]:
            del kept["volumes"]
        dropped += [f"volume {name}" for name in sorted(map(str, tokens))]
    if dropped:
        notices.append(f"left out, because a cluster sets it for each pod: {', '.join(dropped)}")
    return kept


def _is_bound_to_one_node(spec: dict[str, Any]) -> bool:
    """Return whether each term of the node affinity names a node, as a DaemonSet writes it."""
    value: Any = spec
    for field in ("affinity", "nodeAffinity", REQUIRED, "nodeSelectorTerms"):
        value = value.get(field) if isinstance(value, dict) else None
    return bool(value) and all("matchFields" in each for each in _mappings(value))


def _without_node_affinity(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a pod spec without the required node affinity."""
    affinity = spec["affinity"]
    node = {key: value for key, value in affinity["nodeAffinity"].items() if key != REQUIRED}
    rest = {key: value for key, value in affinity.items() if key != "nodeAffinity"}
    left = {**rest, "nodeAffinity": node} if node else rest
    kept = {key: value for key, value in spec.items() if key != "affinity"}
    return {**kept, "affinity": left} if left else kept


def _token_volumes(spec: dict[str, Any]) -> set[Any]:
    """Return the names of the volumes by which a cluster gives one pod its token."""
    names = {each.get("name") for each in _mappings(spec.get("volumes")) if "projected" in each}
    return {name for name in names if str(name).startswith(INJECTED_VOLUME_PREFIX)}


def _without_mounts(container: Any, volumes: set[Any]) -> Any:
    if not isinstance(container, dict) or not isinstance(container.get("volumeMounts"), list):
        return container
    mounts = [each for each in _mappings(container["volumeMounts"]) if each.get("name") not in volumes]
    rest = {key: value for key, value in container.items() if key != "volumeMounts"}
    return {**rest, "volumeMounts": mounts} if mounts else rest


def _only_container(spec: dict[str, Any], notices: list[str]) -> str | None:
    """Return the name of a pod's only container if it is not the default one, and add a notice; otherwise None."""
    names = [each.get("name") for each in _mappings(spec.get("containers"))]
    name = names[0] if len(names) == 1 else None
    if not isinstance(name, str) or name in ("", PRIMARY):
        return None
    notices.append(f"the cell runs in {name}, the pod's only container (--primary NAME for another one)")
    return name


def _mappings(items: Any) -> list[dict[str, Any]]:
    return [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
