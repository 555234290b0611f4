"""Describe the error of a cell: the notebook shows this text if it cannot unpickle the error."""

import json
from itertools import islice
from typing import Any, Callable, Dict, List

from .. import protocol
from ..debug_log import logger

# File name of the code that executes the cell. The user's own frames come after its frames.
EXECUTE_FILENAME = f"{protocol.RUNNER_FILENAME}/worker/execute.py"
MAX_MESSAGE_CHARS = 64 << 10
MAX_JSON_CHARS = 512 << 10  # the whole description; the meta of a frame is limited to 1 MiB
MAX_FRAMES = 100
MAX_ERRORS = 20
CO_VARARGS, CO_VARKEYWORDS = 0x4, 0x8


def error_chain(error: BaseException) -> List[BaseException]:
    """Return an error with its causes, contexts and the members of its group; the error itself comes first."""
    found: List[BaseException] = [error]
    for each in found:
        others = [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
        for other in others:
            if isinstance(other, BaseException) and not any(other is known for known in found):
                found.append(other)
    return found[:MAX_ERRORS]


def to_picklable(error: BaseException, can_pickle: Callable[[Any], bool]) -> Any:
    """Return the form in which an error is pickled: itself, or (class, arguments, attributes).

    An error whose class has its own ``__init__`` cannot be unpickled from ``args``.

    Args:
        error: The error.
        can_pickle: Returns whether a value can be pickled; other attributes are dropped.
    """
    kind = type(error)
    if kind.__module__ == "builtins" or kind.__reduce__ is not BaseException.__reduce__:
        return error.with_traceback(None)
    attributes = {name: value for name, value in vars(error).items() if can_pickle(value)}
    return kind, error.args, attributes


def describe(errors: List[BaseException], stage: str) -> Dict[str, Any]:
    """Return the description of an error and of the errors that it is linked to, with sources of their frames.

    Args:
        errors: The result of :func:`error_chain`.
        stage: What the worker was doing: one of ``protocol.STAGE_...``.
    """
    indexes = {id(error): position for position, error in enumerate(errors)}
    max_chars = MAX_MESSAGE_CHARS
    sources = _sources(errors)
    while True:
        described = [_describe_one(error, indexes, max_chars) for error in errors]
        found = {"errors": described, "stage": stage, "sources": sources}
        if not max_chars or len(json.dumps(found)) <= MAX_JSON_CHARS:
            return found
        max_chars //= 2


def _columns(entry: Any) -> List[Any]:
    """Return [first column, last line, last column]; an empty list before Python 3.11."""
    code = entry.tb_frame.f_code
    if not hasattr(code, "co_positions"):
        return []
    _, end, first, last = next(islice(code.co_positions(), entry.tb_lasti // 2, None))
    return [first, end, last] if first is not None and last is not None else []


def _parameters(code: Any) -> List[Any]:
    """Return [number of parameters with one value each, whether there is a *, a **, all names]."""
    count = code.co_argcount + code.co_kwonlyargcount
    rest, words = bool(code.co_flags & CO_VARARGS), bool(code.co_flags & CO_VARKEYWORDS)
    return [count, rest, words, list(code.co_varnames[: count + rest + words])]


def _entries(error: BaseException) -> List[Any]:
    """Return the entries of an error's traceback that are the user's and their libraries', outermost first."""
    found: List[Any] = []
    entry = error.__traceback__
    while entry is not None:
        filename = entry.tb_frame.f_code.co_filename
        if filename == EXECUTE_FILENAME:
            found.clear()  # the frames so far are asyncio's, if the cell awaits
        elif not filename.startswith(protocol.RUNNER_FILENAME):
            found.append(entry)
        entry = entry.tb_next
    if len(found) > MAX_FRAMES:  # a deep recursion: keep its start and its end
        found = found[: MAX_FRAMES // 2] + found[-MAX_FRAMES // 2 :]
    return found


def _sources(errors: List[BaseException]) -> List[Any]:
    """Return the lines around the frames of errors, innermost frames first."""
    try:
        # Start-up cost: few cells fail.
        from . import frame_sources

        return frame_sources.excerpts(each for error in errors for each in reversed(_entries(error)))
    except Exception as failed:  # raised by a loader's get_source, say: the error itself matters more
        logger.debug("no sources of frames: %s: %s", type(failed).__name__, failed)
        return []


def _frame(entry: Any) -> List[Any]:
    """Return [file, line, function, its qualified name, its first line, its parameters, columns]."""
    code = entry.tb_frame.f_code
    qualname = getattr(code, "co_qualname", code.co_name)
    position = [code.co_filename, entry.tb_lineno, code.co_name, qualname, code.co_firstlineno]
    return [*position, _parameters(code), *_columns(entry)]


def _describe_one(error: BaseException, indexes: Dict[int, int], max_chars: int) -> Dict[str, Any]:
    try:
        message = str(error)
    except Exception as broken:
        message = f"<{type(broken).__name__} in __str__>"
    kind = type(error)
    return {
        "type": kind.__name__,
        "module": kind.__module__,
        "message": message[:max_chars],
        "notes": [str(note)[: min(max_chars, 1000)] for note in getattr(error, "__notes__", ())][:20],
        "frames": [_frame(entry) for entry in _entries(error)],
        "cause": indexes.get(id(error.__cause__)),
        "context": indexes.get(id(error.__context__)),
        "suppress": error.__suppress_context__,
        "members": [indexes.get(id(each)) for each in getattr(error, "exceptions", ())],
    }
