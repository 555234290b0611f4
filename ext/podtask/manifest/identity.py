"""What makes a task's pod its own: its name, key, port and labels."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NAME_PREFIX = "podtask-"


@dataclass(frozen=True)
class Identity:
    """What makes a task's pod its own: chosen by us, so that a lost reply can be looked up.

    Args:
        name: of the pod.
        key: proves who may talk to the runner.
        port: of the runner.
        kernel: marks the pods of one kernel.
        user: whose it is.
        alias: the user's name for the task.
        notebook: marks the pods of one notebook, over kernels.
        owner: reference to the pod in which the notebook runs, with which this one goes.
    """

    name: str
    key: str = field(repr=False)
    port: int
    kernel: str = ""
    user: str = ""
    alias: str = ""
    notebook: str = ""
    owner: dict[str, Any] | None = None


def label_value(text: str) -> str:
    """Returns text as a label's value: at most 63 characters of those allowed.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
    """
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:63].strip("-_.")


KERNEL = secrets.token_hex(6)  # marks the pods of this process


def user() -> str:
    """Returns who we are, as a label's value; empty where that is not known."""
    try:
        return label_value(os.environ.get("JUPYTERHUB_USER") or getpass.getuser())
    except (KeyError, OSError):  # a container's number without a name
        return ""


def notebook_mark(namespace: Mapping[str, Any]) -> str:
    """Returns what marks a notebook over its kernels, as a label's value; empty for no notebook.

    Args:
        namespace: of the notebook.
    """
    # The one is Jupyter Server's, the other VS Code's.
    path = os.environ.get("JPY_SESSION_NAME") or namespace.get("__vsc_ipynb_file__")
    return hashlib.sha256(str(path).encode()).hexdigest()[:16] if path else ""


def new_identity(port: int | None, alias: str, namespace: Mapping[str, Any]) -> Identity:
    """Returns a fresh name, key and port (a random one, unless it is given) for a run.

    Args:
        port: of the runner.
        alias: the user's name for the task; empty for none.
        namespace: of the notebook.
    """
    return Identity(
        name=f"{NAME_PREFIX}{secrets.token_hex(5)}",
        key=secrets.token_hex(32),
        port=port or 20000 + secrets.randbelow(10000),  # beyond are nodes' and outgoing connections'
        kernel=KERNEL,
        user=user(),
        alias=alias,
        notebook=notebook_mark(namespace),
    )
