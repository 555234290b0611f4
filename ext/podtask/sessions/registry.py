"""The sessions of this kernel, by name."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ..config.options import RunOptions
from ..errors import InputError, did_you_mean
from ..event_loop import loop
from ..manifest.session_pod import plain_value
from .session import POD_OPTIONS, Session

if TYPE_CHECKING:
    from ..manage.session_pods import SessionPod

log = logging.getLogger(__name__)

MAX_FIELDS = 4  # of a template that are named
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
        if found is not None and options.replace_session and not found.ended:
            found.end()
        if found is not None and not found.ended:
            _check_same_pod(found, options, given)
            return found
        session = _sessions[name] = _begin(name, options, given, found)
        return session


def _begin(name: str, options: RunOptions, given: Collection[str], before: Session | None) -> Session:
    """Return a session of this kernel: one that another kernel has started, or a new one.

    Args:
        name: Its name.
        options: Options of its first cell in this kernel.
        given: Names of the options that the cell gives itself.
        before: The session of this name that this kernel had before, and that has ended; None if it had none.

    Raises:
        InputError: The session of another kernel has another pod, or this kernel cannot attach to it.
        PodtaskError: The cluster cannot be asked.
    """
    note = ""
    if before is not None and not options.replace_session:
        note = f"Session {name} had ended: {before.ended}. A new one begins, without its variables."
    if options.local:
        return Session(name, options, note)
    # Start-up cost: a local run needs no client library.
    from . import takeover

    pods = loop().run(takeover.find(name, options))
    if pods.running is None:
        if pods.ended is not None and not note and not options.replace_session:
            why = loop().run(takeover.describe_end(pods.ended))
            note = f"Session {name} had ended: {why}. A new one begins, without its variables."
        return Session(name, options, note, newest_uid=pods.newest_uid)
    kept = takeover.kept_options(pods.running.pod, options)
    session = Session(name, kept, takeover.GOES_ON.format(name=name), pods.running)
    _check_same_pod(session, options, given)
    if before is not None:
        session.share_history(before)
    return session


def cell_options(session: Session, options: RunOptions) -> RunOptions:
    """Return the options of a cell, with those of its session where they shape the pod."""
    return dataclasses.replace(options, **{name: getattr(session.options, name) for name in POD_OPTIONS})


def find_other_session(name: str, options: RunOptions) -> SessionPod | None:
    """Return the pod of a session that this kernel does not have; None if it has an open session with this name.

    Args:
        name: Name of the session.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        InputError: No kernel of the user has such a session.
        ClusterError: The cluster cannot be asked.
    """
    found = _sessions.get(name)
    if found is not None and not found.ended:
        return None
    running = loop().run(_find_in_cluster(name, options))
    if running is None:
        find_session(name)  # says so
    return running


async def _find_in_cluster(name: str, options: RunOptions) -> SessionPod | None:
    # Start-up cost: a local session needs no client library.
    from ..cluster.namespace import open_namespace
    from ..manage.session_pods import find_session_pods

    try:
        await open_namespace(options.context, options.namespace)
    except InputError as error:  # a user without a cluster has the sessions of this machine
        log.debug("Session %s is not looked up in a cluster: %s", name, error)
        return None
    return (await find_session_pods(name, options)).running


def take_over(name: str, options: RunOptions) -> Session:
    """Return a session that this kernel goes on with.

    Args:
        name: Name of the session.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: It does not run any more, or this kernel cannot attach to it.
    """
    with _lock:
        session = _sessions[name] = _begin(name, options, (), _sessions.get(name))
    return session


def find_session(name: str) -> Session:
    """Return the session with a name.

    Raises:
        InputError: This kernel has no such session, or it has ended.
    """
    found = _sessions.get(name)
    if found is None:
        known = [each.name for each in open_sessions()]
        raise InputError(
            f"You have no session {name!r} here.{did_you_mean(name, known)}",
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
    kept = session.pod_options
    different = [
        name
        for name in POD_OPTIONS
        if name in given and plain_value(getattr(options, name)) != kept.get(name)
    ]
    if not different:
        return
    parts = [
        f"{RunOptions.__dataclass_fields__[name].metadata['flags'][-1]} is "
        f"{_shown(kept.get(name))} there and {_shown(plain_value(getattr(options, name)))} here"
        for name in different
        if name != "template"
    ]
    if "template" in different:
        fields = _template_differences(session, options)
        parts.append(f"the template differs ({', '.join(fields)})" if fields else "another template")
    raise InputError(
        f"Session {session.name} has another pod: {'; '.join(parts)}. Nothing has run.",
        "Leave the option out; or add --replace, which ends the session and begins a new one.",
    )


def _template_differences(session: Session, options: RunOptions) -> list[str]:
    """Return the fields in which the pod of a cell differs from the one of its session."""
    if session.manifest is None:
        return []
    # Start-up cost: only for an error.
    from ..manifest.diff import changed_fields
    from ..manifest.render import render
    from ..template.template import PodTemplate

    template = None if options.template is None else PodTemplate.of(options.template)
    ours = render(template, options).pod["spec"]
    found = changed_fields(ours, session.manifest.pod["spec"], "spec")
    shown = [f"{path}: {theirs} there, {own} here" for path, own, theirs in found[:MAX_FIELDS]]
    return shown + [f"and {len(found) - MAX_FIELDS} more"] * (len(found) > MAX_FIELDS)


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)
