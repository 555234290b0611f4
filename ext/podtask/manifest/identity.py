"""The identity of a task: the name, key, port, labels and owner of its pod."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NAME_PREFIX = "podtask-"
TASK_NAME = re.compile(f"{NAME_PREFIX}[0-9a-f]{{10}}")  # see new_identity
MAP_PREFIX = "map-"
MAP_NAME = re.compile(f"{MAP_PREFIX}[0-9a-f]{{10}}")  # see new_map_name
KERNEL_ID = secrets.token_hex(6)  # labels the pods of this process


@dataclass(frozen=True)
class Identity:
    """What distinguishes the pod of one task from the pods of other tasks.

    The notebook chooses it, so that it can look up the pod when the API server's reply is lost.

    Args:
        name: Name of the pod.
        key: Secret shared with the runner; authenticates both sides. Whoever may read the pod knows it.
        secret: The owner's secret. The pod has only its hash (see :attr:`lock`): the runner takes the cell,
            interrupts, answers and the release of the result only from a client that shows the secret.
        port: Port on which the runner listens.
        kernel: Identifies the kernel that submits the task.
        user: Name of the user, as the value of a label.
        alias: The user's name for the task; empty if it has none.
        notebook: Identifies the notebook, whichever kernel it has; empty if it is unknown.
        owner: Owner reference to the notebook's own pod: Kubernetes deletes the task's pod with it.
    """

    name: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    port: int
    kernel: str = ""
    user: str = ""
    alias: str = ""
    notebook: str = ""
    owner: dict[str, Any] | None = None

    @property
    def lock(self) -> str:
        """The hash of the owner's secret, which the runner compares with."""
        return lock_of(self.secret)


def lock_of(secret: str) -> str:
    """Return the hash lock that an owner's secret opens: its SHA-256 in hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def label_value(text: str) -> str:
    """Turn a text into a valid label value: at most 63 characters, and only allowed ones.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
    """
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:63].strip("-_.")


def notebook_id(namespace: Mapping[str, Any]) -> str:
    """Return the value of a label that identifies a notebook, whichever kernel it has; empty for none.

    Args:
        namespace: Variables of the notebook.
    """
    # Jupyter Server sets the environment variable, VS Code the variable of the notebook.
    path = os.environ.get("JPY_SESSION_NAME") or namespace.get("__vsc_ipynb_file__")
    return hashlib.sha256(str(path).encode()).hexdigest()[:16] if path else ""


def new_map_name() -> str:
    """Return a random name for a map."""
    return f"{MAP_PREFIX}{secrets.token_hex(5)}"


def new_identity(port: int | None, alias: str, namespace: Mapping[str, Any]) -> Identity:
    """Return the identity of a new task, with a random name, key and owner's secret.

    Args:
        port: Port on which the runner listens; None for a random one.
        alias: The user's name for the task; empty for none.
        namespace: Variables of the notebook.
    """
    return Identity(
        name=f"{NAME_PREFIX}{secrets.token_hex(5)}",
        key=secrets.token_hex(32),
        secret=secrets.token_hex(32),
        port=port or 20000 + secrets.randbelow(10000),  # below node ports (30000) and outgoing connections
        kernel=KERNEL_ID,
        alias=alias,
        notebook=notebook_id(namespace),
    )
