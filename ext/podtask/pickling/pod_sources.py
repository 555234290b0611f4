"""Sources of libraries in a pod, for tracebacks: the notebook lacks the file, or has another version of it."""

from __future__ import annotations

import inspect
import linecache
import types
from collections.abc import Iterable, Sequence
from typing import Any

from ..runner.worker.frame_sources import CUT

PREFIX = "pod:"  # before the path of a file that the notebook has with other lines, or not at all
MAX_FILES = 500

_files: dict[str, dict[int, str]] = {}  # name in tracebacks -> number of a line -> the line


def register(excerpts: Iterable[Sequence[Any]]) -> dict[str, str]:
    """Let tracebacks find excerpts of the pod's files; return by which names, where they are not the paths.

    A file of the notebook is never replaced: the lines of a pod have names of their own.

    Args:
        excerpts: (path in the pod, its lines by their number).
    """
    renamed: dict[str, str] = {}
    for path, lines in excerpts:
        numbered = {int(number): line for number, line in lines.items()}
        linecache.checkcache(path)
        own = linecache.getlines(path)
        if not _are_in(numbered, own):
            name = path if path.startswith("<") and not own else PREFIX + path
            _add(name, numbered)
            renamed[path] = name
    return renamed


def can_be_shown(frame: types.FrameType) -> bool:
    """Return whether IPython can render a frame: it tokenizes the function, as this version of Python does."""
    try:
        inspect.getsourcelines(frame)
    except OSError:
        pass  # IPython expects that
    except Exception:  # noqa: BLE001 -- an excerpt, or another Python's source, raises errors of many kinds
        return False
    return True


def _are_in(numbered: dict[int, str], own: list[str]) -> bool:
    """Return whether a file of the notebook has the lines."""
    return all(
        number <= len(own)
        and (
            own[number - 1].startswith(line[: -len(CUT)])
            if line.endswith(CUT)
            else own[number - 1].rstrip("\r\n") == line
        )
        for number, line in numbered.items()
    )


def _add(name: str, numbered: dict[int, str]) -> None:
    """Add lines to the excerpt of a file; replace it if it is of another version of the file."""
    known = _files.pop(name, {})
    if any(known.get(number, line) != line for number, line in numbered.items()):
        known = {}
    _files[name] = known | numbered  # the last one used is the last one dropped
    if len(_files) > MAX_FILES:
        oldest = next(iter(_files))
        del _files[oldest]
        linecache.cache.pop(oldest, None)
    found = _files[name]
    lines = [found.get(number, "") + "\n" for number in range(1, max(found) + 1)]
    # No time of modification: the cache keeps it.
    linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
