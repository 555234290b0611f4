"""The owner of a task: a name in a label of its pod.

The name decides which tasks come first and which are cleaned up. It proves nothing, because whoever
may create a pod chooses its labels. See ``manifest/owner_secrets.py`` for the secret that proves the owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import hashlib
import logging
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..cluster.namespace import Namespace
from ..errors import ClusterError
from ..manifest import owner_secrets
from ..manifest.identity import KERNEL_ID, label_value
from ..manifest.task_pod import TaskPod

log = logging.getLogger(__name__)
USER_VARIABLES = ("PODTASK_USER", "JUPYTERHUB_USER")
MAX_REVIEW_SECONDS = 5.0  # a cell does not wait longer for the API server's name of the user
MAX_LABEL_CHARS = 63
SHARED_OS_USERS = ("root", "jovyan")  # the users of images
SHARED_CLUSTER_USERS = ("kubernetes-admin", "kubernetes-super-admin")
ADMIN_GROUP = "system:masters"  # of the certificates that come with a cluster, whatever their name
AWS_SESSION = re.compile(r"(arn:[\w-]+:sts::\d*:assumed-role/.+)/[^/]+")  # each login has another session


@dataclass(frozen=True)
class User:
    """The user of this kernel.

    Args:
        name: The user's name, as the value of a label.
        old_name: The label that podtask 0.1.0 has given to the user's tasks.
    """

    name: str
    old_name: str

    def owns(self, pod: TaskPod) -> bool:
        """Return whether a task is the user's."""
        names = (self.name, self.old_name) if pod.is_of_first_version else (self.name,)
        return pod.user in names and bool(pod.user)


async def current_user(ns: Namespace) -> User:
    """Return the user of this kernel. The API server is asked at most once in a session.

    Args:
        ns: A namespace of the cluster that knows the user.
    """
    name = next(filter(None, (_label_of(os.environ.get(each, "")) for each in USER_VARIABLES)), "")
    if not name:
        name = _label_of(person_name(await _read_user_info(ns)))
    return await asyncio.to_thread(_complete, name)


def person_name(user_info: Mapping[str, Any]) -> str:
    """Return the name of a person, as the cluster knows it; empty for an account that is not one person's.

    Args:
        user_info: The UserInfo of a SelfSubjectReview.
    """
    name, groups = str(user_info.get("username") or ""), user_info.get("groups") or ()
    if name.startswith("system:") or name in SHARED_CLUSTER_USERS or ADMIN_GROUP in groups:
        return ""
    session = AWS_SESSION.fullmatch(name)
    return session[1] if session else name


async def _read_user_info(ns: Namespace) -> dict[str, Any]:
    try:
        return await asyncio.wait_for(ns.user_info(), MAX_REVIEW_SECONDS)
    except (ClusterError, asyncio.TimeoutError) as error:  # the next source of a name is used
        log.debug("Cannot get the name of the user from the API server: %s", error)
        return {}


def _complete(name: str) -> User:
    os_user = _os_user()
    if not name and os_user not in SHARED_OS_USERS:
        name = _label_of(os_user)
    old_name = label_value(os.environ.get("JUPYTERHUB_USER") or os_user)
    return User(name or _saved_name(), old_name)


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):  # in a container, a user ID may have no name
        return ""


def _saved_name() -> str:
    """Return a random name that is kept in the user's data folder; one of this kernel if that is not possible."""
    path = owner_secrets.folder().parent / "user"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
            file.write(f"user-{secrets.token_hex(6)}")
        kept = _label_of(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        log.debug("Cannot save the random name of the user: %s", error)
        kept = ""
    return kept or f"user-{KERNEL_ID}"


def _label_of(name: str) -> str:
    """Return a name as the value of a label; different names stay different, even long ones with the same start."""
    label = label_value(name)
    if len(name) <= MAX_LABEL_CHARS and name.isascii():
        return label
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{label[: MAX_LABEL_CHARS - 13]}-{digest}".lstrip("-")
