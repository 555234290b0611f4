"""The Secrets of a detached task: its cell in parts, and the owner's secret. Pure.

The pod owns them: Kubernetes deletes them with it. The parts are deleted earlier, once the runner has read them. If
a Job creates the pods of the task, the Job owns them, and each pod reads them.

Large inputs are in parts of their own, which tasks of one user with equal inputs share: each of the tasks is an owner.
The name of such a part is a keyed hash of its content, so that whoever may read the pod can neither check a guess at the
inputs nor foresee the name.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .identity import NAME_PREFIX, Identity
from .labels import MANAGED_BY, MANAGER, TASK_LABEL, USER_LABEL

PART_KEY = "part"
OWNER_KEY = "secret"  # of the owner's secret, which the pod does not mount
SHARED_NAME = re.compile(f"{NAME_PREFIX}part-[0-9a-f]{{32}}")  # see shared_name


@dataclass(frozen=True)
class CellPart:
    """A part of an enclosed cell, which one Secret has.

    Args:
        name: Name of the Secret.
        content: The part.
        is_shared: Whether other tasks with an equal part use the same Secret.
    """

    name: str
    content: bytes = field(repr=False)
    is_shared: bool = False


def part_name(pod: str, index: int) -> str:
    """Return the name of the Secret with a part of the cell that no other task has.

    Args:
        pod: Name of the task's pod.
        index: Number of the part, from 0.
    """
    return f"{pod}-{index}"


def shared_name(key: bytes, content: bytes) -> str:
    """Return the name of the Secret with a part of the inputs, which is the same for all tasks of the user.

    Args:
        key: The user's key for such names.
        content: The part.
    """
    return f"{NAME_PREFIX}part-{hmac.new(key, content, hashlib.sha256).hexdigest()[:32]}"


def owner_name(pod: str) -> str:
    """Return the name of the Secret with the owner's secret.

    Args:
        pod: Name of the task's pod.
    """
    return f"{pod}-owner"


def session_owner_name(pod: str, key: str) -> str:
    """Return the name of the Secret with the owner's secret of a session.

    The pod of a session may have had the name of an earlier one, whose Secret is still being deleted.

    Args:
        pod: Name of the session's pod.
        key: Key of the session, as the pod has it.
    """
    return f"{pod}-{hashlib.sha256(key.encode()).hexdigest()[:10]}-owner"


def part_secret(identity: Identity, owner: dict[str, Any], part: CellPart) -> dict[str, Any]:
    """Return the Secret of a part, in wire form.

    Args:
        identity: The task.
        owner: Reference to its pod or Job.
        part: A part of its cell.
    """
    task = "" if part.is_shared else identity.name
    return _secret(part.name, task, identity.user, owner, {PART_KEY: part.content})


def owner_secret(identity: Identity, owner: dict[str, Any]) -> dict[str, Any]:
    """Return the Secret with the owner's secret of a task, in wire form.

    Args:
        identity: The task.
        owner: Reference to its pod or Job.
    """
    content = {OWNER_KEY: identity.secret.encode()}
    return _secret(owner_name(identity.name), identity.name, identity.user, owner, content)


def session_secret(identity: Identity, owner: dict[str, Any]) -> dict[str, Any]:
    """Return the Secret with the owner's secret of a session, in wire form.

    Args:
        identity: The session.
        owner: Reference to its pod.
    """
    name = session_owner_name(identity.name, identity.key)
    content = {OWNER_KEY: identity.secret.encode()}
    return _secret(name, identity.name, identity.user, owner, content)


def format_sizes(parts: Iterable[CellPart]) -> str:
    """Return the names and sizes of parts, as the annotation of the pod has them."""
    return " ".join(f"{part.name}={len(part.content)}" for part in parts)


def parse_sizes(text: str) -> dict[str, int]:
    """Return the sizes of parts in bytes, by name; empty if the annotation is missing or damaged."""
    try:
        return {name: max(0, int(size)) for name, size in (each.split("=") for each in text.split())}
    except ValueError:  # whoever may change the pod may write anything
        return {}


def _secret(
    name: str, task: str, user: str, owner: dict[str, Any], content: dict[str, bytes]
) -> dict[str, Any]:
    labels = {MANAGED_BY: MANAGER, TASK_LABEL: task, USER_LABEL: user}
    return {
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
