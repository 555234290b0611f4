"""The Secrets of a detached task: its cell in parts, and the owner's secret. Pure.

The pod owns them: Kubernetes deletes them with it. The parts are deleted earlier, once the runner has read them. If
a Job creates the pods of the task, the Job owns them, and each pod reads them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from .identity import Identity
from .labels import MANAGED_BY, MANAGER, TASK_LABEL, USER_LABEL

PART_KEY = "part"
OWNER_KEY = "secret"  # of the owner's secret, which the pod does not mount


def part_name(pod: str, index: int) -> str:
    """Return the name of the Secret with a part of the cell.

    Args:
        pod: Name of the task's pod.
        index: Number of the part, from 0.
    """
    return f"{pod}-{index}"


def owner_name(pod: str) -> str:
    """Return the name of the Secret with the owner's secret.

    Args:
        pod: Name of the task's pod.
    """
    return f"{pod}-owner"


def task_secrets(identity: Identity, owner: dict[str, Any], parts: Sequence[bytes]) -> list[dict[str, Any]]:
    """Return the Secrets of a task, in wire form.

    Args:
        identity: The task.
        owner: Reference to its pod or Job.
        parts: Parts of the cell.
    """
    contents = {part_name(identity.name, index): {PART_KEY: part} for index, part in enumerate(parts)}
    contents[owner_name(identity.name)] = {OWNER_KEY: identity.secret.encode()}
    labels = {MANAGED_BY: MANAGER, TASK_LABEL: identity.name, USER_LABEL: identity.user}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "labels": {label: value for label, value in labels.items() if value},
                "ownerReferences": [owner],
            },
            "immutable": True,
            "data": {key: base64.b64encode(value).decode() for key, value in content.items()},
        }
        for name, content in contents.items()
    ]
