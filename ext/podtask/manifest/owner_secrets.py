"""The owner's secrets of this user's tasks: in memory, and in private files for the user's next kernels.

The pod of a task has only the hash of its secret. That of a session has no file: it is derived from a key of the user. A file is bound to the name and the key of the pod, so that
another pod with the same hash does not get the secret. It also says whether results are plain: whoever may change
the pod may remove its annotation.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
import time
from pathlib import Path

from .identity import Identity, lock_of

log = logging.getLogger(__name__)
PLAIN_MARK = " plain"
MAX_AGE_SECONDS = 60 * 86400  # longer than any task; the pods of such old files were deleted by others
POD_NAME = re.compile("[a-z0-9][-a-z0-9.]*")
_kernel_part_key = secrets.token_bytes(32)  # if that of the user cannot be kept
_secrets: dict[str, str] = {}  # of this process: name of the pod -> its key and its secret


def folder() -> Path:
    """Return the folder of the files on this platform."""
    # Start-up cost: loaded when it is first needed.
    from platformdirs import user_data_path

    return user_data_path("podtask", appauthor=False) / "tasks"


def save(identity: Identity, plain: bool = False) -> bool:
    """Keep the secret of a task; return whether other kernels of the user will have it, too.

    Args:
        identity: The task.
        plain: Whether nothing of its results may be unpickled.
    """
    text = f"{identity.key} {identity.secret}{PLAIN_MARK if plain else ''}"
    _secrets[identity.name] = text
    path = folder() / identity.name
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_private(path.parent.stat()):
            raise PermissionError(f"{path.parent} belongs to another user, or others may read it")
        _write_private(path, text)
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
    own_key, _, secret = _text_of(name).removesuffix(PLAIN_MARK).partition(" ")
    pairs = ((own_key, key), (lock_of(secret), lock))
    matches = all(hmac.compare_digest(own.encode(), given.encode()) for own, given in pairs)
    if secret and matches:
        return secret
    derived = session_secret(name, key)
    return derived if hmac.compare_digest(lock_of(derived).encode(), lock.encode()) else None


def session_secret(name: str, key: str) -> str:
    """Return the owner's secret of a session: all kernels that share the user's data folder derive it from its pod.

    Args:
        name: Name of the pod.
        key: Key of the session, as the pod has it.
    """
    own = hmac.new(part_key(), b"session", hashlib.sha256).digest()
    return hmac.new(own, f"{name} {key}".encode(), hashlib.sha256).hexdigest()


def is_plain(name: str) -> bool:
    """Return whether this user submitted a task of this name whose results may not be unpickled.

    Args:
        name: Name of the pod.
    """
    return _text_of(name).endswith(PLAIN_MARK)


def remove(name: str, key: str | None = None) -> None:
    """Forget the secret of a task whose pod was deleted; keep that of another task of the same name.

    Args:
        name: Name of the pod.
        key: Key of the task, as the pod had it: whoever creates a pod in another namespace chooses its name. None if
            this kernel has created the pod.
    """
    if not POD_NAME.fullmatch(name):
        return  # a path that the API server sent in place of a name
    if key is not None and not hmac.compare_digest(_text_of(name).partition(" ")[0].encode(), key.encode()):
        return
    _secrets.pop(name, None)
    try:
        (folder() / name).unlink(missing_ok=True)
    except OSError as error:
        log.debug("%s: its secret cannot be removed: %s", name, error)


def part_key() -> bytes:
    """Return the key of this user; this kernel's if it cannot be kept.

    The names of Secrets that several tasks share, and the owner's secrets of sessions, are made with it.
    """
    path = folder().parent / "part-key"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            _write_private(path, secrets.token_hex(32))
        if not _is_private(path.stat()):
            raise PermissionError(f"{path} belongs to another user, or others may read it")
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        log.debug("The key for shared Secrets is this kernel's only: %s", error)
        key = b""
    return key or _kernel_part_key


def _write_private(path: Path, text: str) -> None:
    """Write a new file that only this user may read.

    Raises:
        FileExistsError: The file exists.
        OSError: The file cannot be written, or cannot be made private.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        if not _is_private(os.fstat(descriptor)):  # some file systems have no permissions
            path.unlink()
            raise PermissionError(f"{path} cannot be made private")
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _text_of(name: str) -> str:
    if not POD_NAME.fullmatch(name):
        return ""
    return _secrets.get(name) or _read(folder() / name)


def _read(path: Path) -> str:
    try:
        if not (_is_private(path.parent.stat()) and _is_private(path.stat())):
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
