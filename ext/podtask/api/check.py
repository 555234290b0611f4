"""Check a pod before it is used: what podtask changes in the template, and what the API server says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from ..config.options import RunOptions
from ..manifest.diff import differences, dropped_fields
from ..manifest.pod_manifest import PodManifest


@dataclass(frozen=True)
class ServerDryRun:
    """The pod as the API server would store it.

    Args:
        namespace: Namespace that the pod would be created in.
        dropped_fields: Paths of the fields that the API server ignores.
    """

    namespace: str
    dropped_fields: tuple[str, ...]


async def server_dry_run(pod: dict[str, Any], options: RunOptions) -> ServerDryRun:
    """Send a pod to the API server as a dry run; nothing is created.

    Args:
        pod: The pod, in wire form.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: The API server rejects the pod, or cannot be reached.
    """
    from ..cluster.namespace import open_namespace  # start-up cost: loads the Kubernetes client

    ns = await open_namespace(options.context, options.namespace)
    stored = await ns.dry_run(pod, PodManifest(pod).primary)
    return ServerDryRun(
        stored["metadata"]["namespace"], tuple(dropped_fields(pod["spec"], stored["spec"], "spec"))
    )


def overwritten_fields(
    node: yaml.Node | None, template: dict[str, Any], pod: dict[str, Any]
) -> dict[int, Any]:
    """Return the new values of the template's fields that podtask overwrites, by line number from 0.

    Args:
        node: The template's YAML, composed by PyYAML.
        template: The template, in wire form.
        pod: The pod that was rendered from the template.
    """
    changes = differences(node, template, pod)
    # A field that the template does not have was added by podtask: nothing is overwritten.
    return {change.line: change.other_value for change in changes if change.yaml_value is not None}
