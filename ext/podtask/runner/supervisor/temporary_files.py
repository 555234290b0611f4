"""Temporary files and folders, in the first directory that can be written to.

A read-only root file system is common under Pod Security "restricted".
"""

import os
from typing import IO, Callable, Optional, TypeVar

from ..debug_log import logger

T = TypeVar("T")
TEMP_DIRS = ("/tmp", "/dev/shm")


def temporary_file() -> Optional[IO[bytes]]:
    """Return an unbuffered file in the first writable directory, None if there is none.

    The file is unlinked already, so none is left behind when the runner ends.
    """
    return _first_writable(_unlinked_file)


def temporary_folder() -> str:
    """Return the path of a new folder in the first writable directory, an empty string if there is none."""
    return _first_writable(_new_folder) or ""


def _first_writable(create: Callable[[str], T]) -> Optional[T]:
    for directory in (os.environ.get("TMPDIR"), *TEMP_DIRS):
        if directory is None:
            continue
        try:
            return create(os.path.join(directory, f"podtask-{os.urandom(8).hex()}"))
        except OSError as error:
            logger.debug("cannot write to %s: %s", directory, error.strerror)
    return None


def _unlinked_file(path: str) -> IO[bytes]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return os.fdopen(fd, "w+b", buffering=0)


def _new_folder(path: str) -> str:
    path = os.path.abspath(path)
    os.mkdir(path, 0o700)
    return path
