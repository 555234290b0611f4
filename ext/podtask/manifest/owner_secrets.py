"""The owner's secrets of this user's tasks: in memory, and in private files for the user's next kernels.

The pod of a task has only the hash of its secret. A file is bound to the name and the key of the pod, so that
another pod with the same hash does not get the secret.
"""

from __future__ import annotations

import hmac
import logging
import os
import stat
import time
from pathlib import Path

from .identity import Identity, lock_of

log = logging.getLogger(__name__)
MAX_AGE_SECONDS = 60 * 86400  # longer than any task; the pods of such old files were deleted by others
_secrets: dict[str, str] = {}  # of this process: name of the pod -> its key and its secret


def folder() -> Path:
    """Return the folder of the files on this platform."""
    # Start-up cost: loaded when it is first needed.
    from platformdirs import user_data_path

    return user_data_path("podtask", appauthor=False) / "tasks"


def save(identity: Identity) -> bool:
    """Keep the secret of a task; return whether other kernels of the user will have it, too.

    Args:
        identity: The task.
    """
    text = f"{identity.key} {identity.secret}"
    _secrets[identity.name] = text
    path = folder() / identity.name
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_private(path.parent.stat()):
            raise PermissionError(f"{path.parent} belongs to another user, or others may read it")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            if not _is_private(os.fstat(descriptor)):  # some file systems have no permissions
                path.unlink()
                raise PermissionError(f"{path} cannot be made private")
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
        _remove_old(path.parent)
    except OSError as error:
        log.debug("%s: its secret is kept in memory only: %s", identity.name, error)
        return False
    return True


def load(name: str, key: str, lock: str) -> str | None:
    """Return the secret of a task; None if this user does not have it.

    Args:
        name: Name of the pod.
        key: Key of the task, as the pod has it.
        lock: Hash of the secret, as the pod has it.
    """
    text = _secrets.get(name) or _read(folder() / name)
    own_key, _, secret = text.partition(" ")
    matches = hmac.compare_digest(own_key, key) and hmac.compare_digest(lock_of(secret), lock)
    return secret if secret and matches else None


def remove(name: str) -> None:
    """Forget the secret of a task whose pod was deleted.

    Args:
        name: Name of the pod.
    """
    _secrets.pop(name, None)
    try:
        (folder() / name).unlink(missing_ok=True)
    except OSError as error:
        log.debug("%s: its secret cannot be removed: %s", name, error)


def _read(path: Path) -> str:
    try:
        if not _is_private(path.stat()):
            log.debug("%s is ignored: it belongs to another user, or others may read it", path)
            return ""
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""  # it was never written, or the task is another user's


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077


def _remove_old(parent: Path) -> None:
    oldest = time.time() - MAX_AGE_SECONDS
    with os.scandir(parent) as entries:
        for entry in entries:
            if entry.stat(follow_symlinks=False).st_mtime < oldest:
                os.unlink(entry.path)
