"""The outcome of an ended task: its values, the value of the last expression, or the error to raise."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..backends.base import StopReason, Termination
from ..channel.job import RunnerResult
from ..errors import StartError, TaskError, TaskTimeout
from ..pickling.exceptions import add_note, hide_own_frames, rebuild
from ..pickling.ipython_names import HISTORY, NAMES
from ..pickling.outputs import Undecoded, unpack
from ..pickling.plain_values import IS_PICKLE, RefusedValue, decode_value, plain_error
from ..runner import protocol
from ..runner.bundle import MINOR
from ..runner.pickler import mismatches
from ..runner.worker import definition_changes

AUTO = "auto"  # the name of -o for all that the cell sets or changes
LAST_VALUE = "the last value"
LOCAL_PLACE = "a process on this machine"  # where a cell with --local runs
SEE_RAW = "; see task.raw"


@dataclass(frozen=True)
class UndecodedValues:
    """Values that could not be decoded in this kernel.

    Args:
        parts: The pickles, then the buffers that were sent separately.
        packed: Where each value is in the parts.
    """

    parts: list[bytearray]
    packed: list[dict[str, Any]]

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)

    def load(self) -> dict[str, Any]:
        """Decode again, and return name -> value of all that can be decoded; the last expression is ``_``.

        Raises:
            Exception: The error of unpickling, if no value can be decoded.
        """
        values = unpack(self.parts, self.packed)
        named = {
            item["name"] or "_": value
            for item, value in zip(self.packed, values, strict=True)
            if item["role"] in protocol.VALUE_ROLES
        }
        decoded = {name: value for name, value in named.items() if not isinstance(value, Undecoded)}
        if not decoded:
            raise next(value.error for value in values if isinstance(value, Undecoded))
        return decoded


@dataclass
class Outcome:
    """The outcome of an ended task.

    Args:
        status: ok, error, crashed, timeout, terminated, cancelled or failed.
        values: The variables named with ``-o``, by name.
        changes: What the cell changed on classes and functions of the notebook that were requested.
        result: Value of the last expression; None if it was not returned.
        error: The error to raise; None if there is none.
        returned: (name, type, bytes) of each returned variable.
        not_returned: (name, type, reason) of each requested value that was not returned.
        left_in_pod: (name, type) of each new variable that was not requested.
        changed_inputs: Names of inputs that the cell changed in place and that were not returned.
        left_running: Threads, processes and asyncio tasks that the cell left running; they were ended.
        never_set: Names of ``-o`` that the cell never set.
        seconds: Run time of the cell in the pod.
        usage: Used resources: "cpu" in seconds, peak "process" and "container" memory in bytes.
        raw: The pickles, if a value could not be decoded.
        notes: Further lines for the user.
        has_result: Whether the value of the last expression was returned.
        call: Name of the called function; empty for a cell.
        state: The states of generators of random numbers, by module, for a notebook that waits.
    """

    status: str
    values: dict[str, Any] = field(default_factory=dict)
    changes: list[Any] = field(default_factory=list)
    result: Any = None
    error: BaseException | None = None
    returned: list[tuple[str, str, int]] = field(default_factory=list)
    not_returned: list[tuple[str, str, str]] = field(default_factory=list)
    left_in_pod: list[tuple[str, str]] = field(default_factory=list)
    changed_inputs: list[str] = field(default_factory=list)
    left_running: list[str] = field(default_factory=list)
    never_set: list[str] = field(default_factory=list)
    seconds: float = 0.0
    usage: dict[str, float] = field(default_factory=dict)
    raw: UndecodedValues | None = None
    notes: list[str] = field(default_factory=list)
    has_result: bool = False
    call: str = ""
    state: dict[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def failure(self) -> BaseException | None:
        """What ``result()`` raises: the error, or an error that says why there is no result."""
        reasons = [(kind, why) for name, kind, why in self.not_returned if name == LAST_VALUE]
        return _no_result_error(self, *reasons[0]) if reasons and self.error is None else self.error

    def assign(self, namespace: dict[str, Any]) -> None:
        """Assign the values to variables, and make the cell's changes on the notebook's classes and functions."""
        namespace.update(self.values)
        for change in self.changes:
            definition_changes.apply(change)

    def unassigned_error(self, wanted: Iterable[str]) -> TaskError | None:
        """Return the error for variables that could not be assigned; None if there are none.

        Args:
            wanted: The names that were asked for, or that have an older value.
        """
        failed = {name: (kind, why) for name, kind, why in self.not_returned if name in {*wanted}}
        if not failed:
            return None
        name, (kind, why) = next(iter(failed.items()))
        others = f", nor was {', '.join(list(failed)[1:])}" if len(failed) > 1 else ""
        hint = "Convert it to something that can be pickled, or write it to a volume."
        if self.raw is not None and why.endswith(SEE_RAW):
            hint = "Install what it needs in the notebook and call task.raw.load(), or return plain data."
        return TaskError(f"-o {name} ({kind}) was not returned: {why.removesuffix(SEE_RAW)}{others}", hint)


def decode(
    result: RunnerResult,
    where: str,
    hint_for: Callable[[BaseException], str],
    plain: bool = False,
    wanted: Collection[str] = (AUTO,),
) -> Outcome:
    """Decode the result of a runner.

    Args:
        result: The result, as the channel received it.
        where: Pod and container in words, for the last line of an error.
        hint_for: Returns a one-line hint for an error, empty if there is none.
        plain: Whether nothing may be unpickled, because the pod is not trusted.
        wanted: The names of the variables that a pod that is not trusted may return; "auto" for all names except
            those of Python and IPython.

    Raises:
        TaskError: A pod that is not trusted has sent something else than a result.
    """
    if not plain:
        return _decode(result, where, hint_for)
    try:
        return _decode_plain(result, where, wanted)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise TaskError(
            f"The result is not readable, in {where}: {error!r}.", "Run the cell again."
        ) from error


def _decode_plain(result: RunnerResult, where: str, wanted: Collection[str]) -> Outcome:
    """Decode a result without unpickling, and without importing a module that the pod has named."""
    end = result.end
    if end["status"] not in protocol.STATUSES:
        raise ValueError(f"its status is {end['status']!r}")
    outcome = _outcome_of(end)
    outcome.state = {}  # the random numbers of the notebook are its own
    data = memoryview(b"".join(result.parts))
    start = 0
    for item in end.get("packed", []):
        stop = int(item["stream"])
        if not start <= stop <= len(data):
            raise ValueError("its values overlap")
        name = str(item["name"])
        is_last = item["role"] == protocol.ROLE_LAST_VALUE
        is_wanted = is_last or name in wanted or (AUTO in wanted and _is_own_name(name))
        if item["role"] in protocol.VALUE_ROLES and is_wanted:
            _add_plain_value(outcome, item, bytes(data[start:stop]))
        elif item["role"] in protocol.VALUE_ROLES:
            outcome.notes.append(f"ignored: {name}, which the cell was not asked for")
        start = stop
    if "error" in end and end["status"] == protocol.STATUS_ERROR:
        outcome.error = plain_error(end["error"])
        add_note(outcome.error, f"in {where}")
        hide_own_frames(outcome.error)
    else:
        outcome.error = _end_error(end, where, result.stop_reason)
    return outcome


def _is_own_name(name: str) -> bool:
    """Return whether a variable may have a name: a name of Python or IPython keeps its meaning in the notebook."""
    is_special = name.startswith("_") or hasattr(builtins, name) or name in {*HISTORY, *NAMES}
    return name.isidentifier() and not is_special


def _add_plain_value(outcome: Outcome, item: dict[str, Any], data: bytes) -> None:
    name, kind = str(item["name"]), str(item["type"])
    try:
        value = decode_value(data, item)
    except RefusedValue as error:
        outcome.not_returned.append((name or LAST_VALUE, kind, str(error)))
        return
    if item["role"] == protocol.ROLE_LAST_VALUE:
        outcome.result, outcome.has_result = value, True
    else:
        outcome.values[name] = value
        outcome.returned.append((name, kind, len(data)))


def _outcome_of(end: dict[str, Any]) -> Outcome:
    """Return the outcome without values and error."""
    return Outcome(
        str(end["status"]),
        not_returned=[
            (str(item["name"] or LAST_VALUE), str(item["type"]), str(item["why"]))
            for item in end.get("kept", [])
            if item["role"] != protocol.ROLE_ERROR
        ],
        left_in_pod=[(str(name), str(kind)) for name, kind in end.get("left", [])],
        changed_inputs=_strings_of(end, "changed"),
        left_running=_strings_of(end, "running"),
        never_set=_strings_of(end, "missing"),
        seconds=float(end.get("seconds", 0.0)),
        usage={str(name): float(value) for name, value in end.get("usage", {}).items()},
        call=str(end.get("call", "")),
        notes=_strings_of(end, "notes"),
        state=end.get("state", {}),
    )


def _strings_of(end: Mapping[str, Any], name: str) -> list[str]:
    """Return a list of texts of a result; the pod may have sent something else."""
    return [str(each) for each in end.get(name, [])]


def _decode(result: RunnerResult, where: str, hint_for: Callable[[BaseException], str]) -> Outcome:
    end = result.end
    packed = end.get("packed", [])
    outcome = _outcome_of(end)
    for root, version in end.get("versions", {}).items():
        outcome.notes += _version_mismatches(root, version)
    if "oom" in end and end["status"] != protocol.STATUS_CRASHED:
        limit = f"{end['oom'] / 2**20:.0f} Mi"
        outcome.notes.append(f"a child process was OOMKilled at the limit of {limit}: raise --memory")
    errors = _decode_values(outcome, result, packed)
    if "error" in end and end["status"] == protocol.STATUS_ERROR:
        outcome.error = _cell_error(end, errors, where, hint_for)
    else:
        outcome.error = _end_error(end, where, result.stop_reason)
    return outcome


def _decode_values(outcome: Outcome, result: RunnerResult, packed: list[dict[str, Any]]) -> dict[int, Any]:
    """Decode the items of a result into an outcome; return the cell's errors by their place."""
    errors: dict[int, Any] = {}
    for item, value in zip(packed, unpack(result.parts, packed, result.early), strict=True):
        if item["role"] == protocol.ROLE_ERROR:
            errors[int(item["name"])] = value
        elif item["role"] == protocol.ROLE_DEFINITIONS:
            pass  # unpack has used them, if this kernel needs them
        elif isinstance(value, Undecoded):
            outcome.raw = UndecodedValues(result.parts, packed)
            why = (
                f"it cannot be decoded in the notebook ({type(value.error).__name__}: {value.error}){SEE_RAW}"
            )
            outcome.not_returned.append((item["name"] or LAST_VALUE, item["type"], why))
        elif item["role"] == protocol.ROLE_LAST_VALUE:
            outcome.result, outcome.has_result = value, True
        elif item["role"] == protocol.ROLE_CHANGES:
            outcome.changes.append(value)
            if item["name"] not in [name for name, _, _ in outcome.returned]:
                outcome.returned.append((item["name"], "changes", item["size"]))
        else:
            outcome.values[item["name"]] = value
            outcome.returned.append((item["name"], item["type"], item["size"]))
    return errors


def termination_error(name: str, termination: Termination) -> BaseException:
    """Return the error of a task whose runner ended without a result."""
    if termination.code == protocol.EXIT_OLD_PYTHON:
        return StartError(
            "The Python of the image is older than 3.9, the oldest version that podtask supports.",
            "Choose another image with --image.",
        )
    if termination.code == protocol.EXIT_OTHER_PYTHON:
        reason = termination.message.rpartition("podtask: ")[2]
        return StartError(
            f"The image cannot run the cell: {reason}",
            f"Choose another image with --image, for example python:{MINOR}-slim.",
        )
    if termination.code == protocol.EXIT_NO_CLIENT:
        return TaskError(f"{name} ended because no notebook was connected.", "Run the cell again.")
    return (TaskError if termination.started else StartError)(termination.message, termination.hint)


def _version_mismatches(root: str, version: str) -> list[str]:
    try:
        return list(mismatches({root: version}, "in the pod", "in the notebook"))
    except ImportError:
        return []  # the value that needs the module fails to decode, and names it


def _cell_error(
    end: dict[str, Any],
    instances: dict[int, Any],
    where: str,
    hint_for: Callable[[BaseException], str],
) -> BaseException:
    described = end["error"]
    if described["stage"] == protocol.STAGE_PIP and described["errors"][0]["type"] == "InstallError":
        return StartError(*described["errors"][0]["message"].split("\n"))
    error = rebuild(described["errors"], instances, described.get("sources", ()))
    if described["stage"] == protocol.STAGE_LOAD:
        subject = f"{described['input']} was" if described.get("input") else "the cell's inputs were"
        add_note(error, f"This happened while {subject} unpacked, before the cell's first line.")
    hint = hint_for(error)
    if hint:
        add_note(error, hint)
    elif described["stage"] == protocol.STAGE_LOAD:
        for root, version in end.get("versions", {}).items():
            for mismatch in _version_mismatches(root, version):
                versions = mismatch.partition(":")[0]
                add_note(error, f"{versions}: choose an image with the notebook's version with --image.")
    add_note(error, f"in {where}")
    hide_own_frames(error)
    return error


def _no_result_error(outcome: Outcome, kind: str, reason: str) -> TaskError:
    """Return the error for a last value that is not None and was not returned."""
    value = f"The return value of {outcome.call}" if outcome.call else "The last value"
    if outcome.raw is not None:
        hint = "Install what it needs in the notebook and call task.raw.load(), or return plain data."
    elif reason == IS_PICKLE:
        hint = "If you trust the task, attach to it with --trust (trust=True). That runs code of the pod."
    elif reason.startswith("over "):
        hint = "Assign it to a variable in the cell, and name that variable with -o (outputs=)."
    elif outcome.call:
        hint = "Return a picklable value (list(...) of a generator), or write it to a volume."
    else:
        hint = "End the cell with a picklable value, or write the value to a volume."
    return TaskError(f"{value} ({kind}) was not returned: {reason.removesuffix(SEE_RAW)}", hint)


def _end_error(end: dict[str, Any], where: str, stop_reason: StopReason) -> BaseException | None:
    status = end["status"]
    if status == protocol.STATUS_OK:
        return None
    if status == protocol.STATUS_TIMEOUT:
        return TaskTimeout(
            f"The cell ran longer than its --timeout and was stopped, in {where}.",
            "Raise --timeout, or make the cell do less work.",
        )
    if status == protocol.STATUS_TERMINATED:
        cause = f": {stop_reason.message}" if stop_reason.message else ""
        local = where == LOCAL_PLACE
        return TaskError(
            f"The {'process' if local else 'pod'} was terminated while the cell was running, in {where}{cause}.",
            stop_reason.hint
            or (
                "Another program has ended it. Run the cell again."
                if local
                else "This happens when a node is drained or the pod is deleted. Run the cell again."
            ),
        )
    if "unrun" in end:
        return TaskError(
            f"Nothing has run, in {where}: {end['unrun']}.",
            "Run the cells again that make these variables.",
        )
    if "oom" in end:
        peak = end.get("usage", {}).get("process", 0)
        peak_note = f" when its largest process used {peak / 2**20:.0f} Mi" if peak else ""
        return TaskError(
            f"The cell used more memory than its container's limit of {end['oom'] / 2**20:.0f} Mi "
            f"and was killed (OOMKilled){peak_note}, in {where}.",
            "Raise --memory.",
        )
    if end.get("exit") == protocol.EXIT_PIPES_CLOSED:
        return TaskError(
            f"The cell closed file descriptors that it had not opened, in {where}. Its values cannot be returned.",
            "Close only file descriptors that the cell has opened.",
        )
    if "signal" not in end:
        return TaskError(
            f"The cell's process exited with code {end.get('exit')}, in {where}.",
            "It called os._exit, or C code ended the process. Its last output is above.",
        )
    message = f"The cell's process was killed by {end['signal']}, in {where}."
    if end["signal"] == "SIGKILL":
        return TaskError(message, "The usual cause is the memory limit: raise it with --memory.")
    return TaskError(message, "The usual cause is a crash in C code. Its last output is above.")
