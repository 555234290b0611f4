"""The rows of the HTML card for a pod template. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from ..formatting import html_code


def spec_rows(
    spec: Mapping[str, Any], primary: str, labels: Mapping[str, Any], annotations: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Return the rows of a card that summarizes a pod spec."""
    containers = [_container(each, primary) for each in spec.get("containers", [])]
    volumes = [
        html_code(each["name"]) + " " + ", ".join(escape(kind) for kind in each if kind != "name")
        for each in spec.get("volumes", [])
    ]
    known = {"containers", "initContainers", "volumes"}
    return [
        ("containers", "<br>".join(containers)),
        ("init containers", "<br>".join(_container(e, "") for e in spec.get("initContainers", []))),
        ("volumes", "<br>".join(volumes)),
        ("labels", "<br>".join(html_code(f"{key}: {value}") for key, value in labels.items())),
        ("annotations", "<br>".join(html_code(f"{k}: {v}") for k, v in annotations.items())),
        ("also", ", ".join(escape(_field(name, spec[name])) for name in spec if name not in known)),
    ]


def _field(name: str, value: Any) -> str:
    """Return a field with its value, or its name alone if the value has parts."""
    return (
        name
        if isinstance(value, (dict, list))
        else f"{name}: {json.dumps(value) if value in (True, False) else value}"
    )


def _container(container: Mapping[str, Any], primary: str) -> str:
    shown = html_code(container["name"])
    if container["name"] == primary:
        shown += '<span class="podtask-badge">the cell runs here</span>'
    if container.get("image"):
        shown += f" {escape(str(container['image']))}"
    resources = container.get("resources") or {}
    resources_by_name = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    if resources_by_name:
        shown += " · " + escape(", ".join(f"{key} {value}" for key, value in resources_by_name.items()))
    mounts = [mount.get("mountPath", "") for mount in container.get("volumeMounts") or []]
    if mounts:
        shown += " · mounts " + " ".join(map(html_code, mounts))
    return shown
