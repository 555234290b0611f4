"""The sessions of this kernel, by name."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Collection
from typing import Any

from ..config.options import RunOptions
from ..errors import InputError, did_you_mean
from .session import Session

# Options that shape the pod of a session; its later cells take them from the first.
POD_OPTIONS = (
    *("template", "image", "cpu", "memory", "limits", "gpu", "gpu_key", "shm", "primary", "python"),
    *("entrypoint", "keep_probes", "queue", "restricted", "namespace", "context", "local", "channel", "idle"),
)
UNSUPPORTED = ("retries", "results_in", "notify")  # of one-shot tasks

_sessions: dict[str, Session] = {}
_lock = threading.Lock()


def session_for(options: RunOptions, given: Collection[str]) -> Session:
    """Return the session of a cell; begin one if there is none.

    Args:
        options: Options of the cell, with the name of the session; the template is resolved.
        given: Names of the options that the cell gives itself.

    Raises:
        InputError: The cell asks for another pod than the session has, or for what a session does not do.
    """
    name = options.session
    assert name is not None
    for option in UNSUPPORTED:
        if option in given:
            flag = RunOptions.__dataclass_fields__[option].metadata["flags"][-1]
            raise InputError(
                f"A session does not take {flag}.", "Leave it out, or run the cell without --session."
            )
    with _lock:
        found = _sessions.get(name)
        if found is not None:
            found.check_connection()
        if found is not None and options.replace_session:
            found.end()
        if found is not None and not found.ended:
            _check_same_pod(found, options, given)
            return found
        note = ""
        if found is not None and not options.replace_session:
            note = f"Session {name} had ended: {found.ended}. A new one begins, without its variables."
        session = _sessions[name] = Session(name, options, note)
        return session


def cell_options(session: Session, options: RunOptions) -> RunOptions:
    """Return the options of a cell, with those of its session where they shape the pod."""
    return dataclasses.replace(options, **{name: getattr(session.options, name) for name in POD_OPTIONS})


def find_session(name: str) -> Session:
    """Return the session with a name.

    Raises:
        InputError: This kernel has no such session, or it has ended.
    """
    found = _sessions.get(name)
    if found is None:
        known = [each.name for each in open_sessions()]
        raise InputError(
            f"This kernel has no session {name!r}.{did_you_mean(name, known)}",
            f"Sessions: {', '.join(known) or 'none'}. %%podtask --session {name} begins it.",
        )
    if found.ended:
        raise InputError(
            f"Session {name} has ended: {found.ended}.", f"%%podtask --session {name} begins a new one."
        )
    return found


def open_sessions() -> list[Session]:
    """Return the sessions of this kernel that have not ended."""
    return [each for each in _sessions.values() if not each.ended]


def _check_same_pod(session: Session, options: RunOptions, given: Collection[str]) -> None:
    """Check that a cell asks for no other pod than the one of its session.

    Raises:
        InputError: It does. The message has the difference.
    """
    different = [
        name
        for name in POD_OPTIONS
        if name in given and getattr(options, name) != getattr(session.options, name)
    ]
    if not different:
        return
    parts = [
        f"{RunOptions.__dataclass_fields__[name].metadata['flags'][-1]} is "
        f"{_shown(getattr(session.options, name))} there and {_shown(getattr(options, name))} here"
        for name in different
    ]
    raise InputError(
        f"Session {session.name} has another pod: {'; '.join(parts)}. Nothing has run.",
        "Leave the option out; or add --replace, which ends the session and begins a new one.",
    )


def _shown(value: Any) -> str:
    if isinstance(value, (str, int, float, bool)) or value is None:
        return "not set" if value is None else str(value)
    return "another template" if hasattr(value, "to_yaml") else str(value)
