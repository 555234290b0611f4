"""What came of a task: values, the last expression, or the error to raise."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..backends.base import Termination
from ..channel.job import RunnerResult
from ..errors import StartError, TaskError, TaskTimeout
from ..pickling.exceptions import add_note, rebuild
from ..pickling.outputs import Undecoded, unpack
from ..runner.bundle import MINOR
from ..runner.pickler import mismatches
from ..runner.protocol import EXIT_NO_CLIENT, EXIT_OLD_PYTHON, EXIT_OTHER_PYTHON, EXIT_PIPES_CLOSED

LAST = "the last value"
SEE_RAW = "; see task.raw"


@dataclass(frozen=True)
class UndecodedValues:
    """Values that could not be decoded: their bytes, and another try once what lacked is here.

    Args:
        parts: the pickles, then the buffers that went apart.
        packed: where each item is.
    """

    parts: list[bytearray]
    packed: list[dict[str, Any]]

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)

    def load(self) -> dict[str, Any]:
        """Returns name -> value of all that can be decoded now; the last expression is ``_``.

        Raises:
            Exception: what unpickling raised, where still nothing can be decoded.
        """
        values = unpack(self.parts, self.packed)
        found = {item["name"] or "_": value for item, value in zip(self.packed, values, strict=True)}
        good = {name: value for name, value in found.items() if not isinstance(value, Undecoded)}
        if not good:
            raise next(value.error for value in values if isinstance(value, Undecoded))
        return good


@dataclass
class Outcome:
    """The end of a task, decoded.

    Args:
        status: ok, error, crashed, timeout, terminated, cancelled or failed.
        values: name -> value of what was asked for with ``-o``.
        result: the last expression's value, None where it stayed in the pod.
        error: what to raise.
        back: (name, type, bytes) of what came back.
        kept: (name, type, why) of what was asked for and did not come.
        left: (name, type) of new names that stayed in the pod.
        changed: names of inputs that the cell changed in place, and that did not come back.
        running: what the cell left running, which was ended: threads, processes, asyncio tasks.
        missing: names of ``-o`` that the cell never set.
        seconds: run time of the cell in the pod.
        usage: what it used: "cpu" in seconds, "process" and "container" in bytes of memory at most.
        raw: the pickles, where one could not be decoded here.
        notes: further lines for the user.
        has_result: whether the last value came back.
        call: name of the function whose call it was; empty for a cell.
    """

    status: str
    values: dict[str, Any] = field(default_factory=dict)
    result: Any = None
    error: BaseException | None = None
    back: list[tuple[str, str, int]] = field(default_factory=list)
    kept: list[tuple[str, str, str]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    seconds: float = 0.0
    usage: dict[str, float] = field(default_factory=dict)
    raw: UndecodedValues | None = None
    notes: list[str] = field(default_factory=list)
    has_result: bool = False
    call: str = ""

    @functools.cached_property
    def failure(self) -> BaseException | None:
        """What to raise for who asks for the result: the error, or why there is none."""
        stayed = [(kind, why) for name, kind, why in self.kept if name == LAST]
        return _absent(self, *stayed[0]) if stayed and self.error is None else self.error


def decode(verdict: RunnerResult, where: str, hint: Callable[[BaseException], str]) -> Outcome:
    """Returns the outcome of a verdict.

    Args:
        verdict: of the channel.
        where: pod and container, for the last line of an error.
        hint: says in a line what may mend an error; empty where nothing is known.
    """
    end = verdict.end
    packed = end.get("packed", [])
    outcome = Outcome(
        end["status"],
        kept=[
            (item["name"] or LAST, item["type"], item["why"])
            for item in end.get("kept", [])
            if item["role"] != "error"
        ],
        left=[(name, kind) for name, kind in end.get("left", [])],
        changed=end.get("changed", []),
        running=end.get("running", []),
        missing=end.get("missing", []),
        seconds=end.get("seconds", 0.0),
        usage=end.get("usage", {}),
        call=end.get("call", ""),
    )
    for root, version in end.get("versions", {}).items():
        outcome.notes += _mismatch(root, version)
    if "oom" in end and end["status"] != "crashed":
        limit = f"{end['oom'] / 2**20:.0f} Mi"
        outcome.notes.append(f"a child process was OOMKilled at the limit of {limit}: raise --memory")
    errors: dict[int, Any] = {}
    for item, value in zip(packed, unpack(verdict.parts, packed), strict=True):
        if item["role"] == "error":
            errors[int(item["name"])] = value
        elif isinstance(value, Undecoded):
            outcome.raw = UndecodedValues(verdict.parts, packed)
            why = f"cannot be decoded here ({type(value.error).__name__}: {value.error}){SEE_RAW}"
            outcome.kept.append((item["name"] or LAST, item["type"], why))
        elif item["role"] == "result":
            outcome.result, outcome.has_result = value, True
        else:
            outcome.values[item["name"]] = value
            outcome.back.append((item["name"], item["type"], item["size"]))
    if "error" in end and end["status"] == "error":
        outcome.error = _raised(end, errors, where, hint)
    else:
        outcome.error = _error(end, where, verdict.stopped)
    return outcome


def termination_error(name: str, termination: Termination) -> BaseException:
    """Return the error of a task whose runner ended without a result."""
    if termination.code == EXIT_OLD_PYTHON:
        return StartError(
            "The image's Python is older than 3.9, which podtask needs.", "Choose another image with --image."
        )
    if termination.code == EXIT_OTHER_PYTHON:
        return StartError(
            f"The image has not Python {MINOR}, which batch mode needs: the notebook's.",
            f"Choose another with --image: python:{MINOR}-slim, say.",
        )
    if termination.code == EXIT_NO_CLIENT:
        return TaskError(f"{name} ended because no notebook was connected.", "Run the cell again.")
    return (TaskError if termination.started else StartError)(termination.message, termination.hint)


def _mismatch(root: str, version: str) -> list[str]:
    try:
        return list(mismatches({root: version}, "in the pod", "in the notebook"))
    except ImportError:
        return []  # what needs it says so


def _raised(
    end: dict[str, Any],
    instances: dict[int, Any],
    where: str,
    hint: Callable[[BaseException], str],
) -> BaseException:
    described = end["error"]
    if described["stage"] == "pip" and described["errors"][0]["type"] == "InstallError":
        return StartError(*described["errors"][0]["message"].split("\n"))
    error = rebuild(described["errors"], instances)
    if described["stage"] == "load":
        what = f"{described['input']} was" if described.get("input") else "the cell's inputs were"
        add_note(error, f"This happened while {what} unpacked, before the cell's first line.")
    mend = hint(error)
    if mend:
        add_note(error, mend)
    elif described["stage"] == "load":
        for root, version in end.get("versions", {}).items():
            for unlike in _mismatch(root, version):
                add_note(
                    error, f"{unlike.partition(':')[0]}: name an image that has the notebook's with --image."
                )
    add_note(error, f"in {where}")
    return error


def _absent(outcome: Outcome, kind: str, why: str) -> TaskError:
    """Returns what to raise for a last value that is not None and is not here."""
    what = f"What {outcome.call} returned" if outcome.call else "The last value"
    if outcome.raw is not None:
        do = "Install here what it needs and call load() of the task's raw, or return plain data."
    elif why.startswith("over "):
        do = "Give it a name in the cell, and ask for that with -o (outputs=)."
    elif outcome.call:
        do = "Return what can be pickled (list(...) of a generator), or write it to a volume."
    else:
        do = "Let the cell end with what can be pickled, or write it to a volume."
    return TaskError(f"{what} ({kind}) did not come back: {why.removesuffix(SEE_RAW)}", do)


def _error(end: dict[str, Any], where: str, stopped: tuple[str, str, bool]) -> BaseException | None:
    status = end["status"]
    if status == "ok":
        return None
    if status == "timeout":
        return TaskTimeout(
            f"The cell ran longer than its --timeout and was stopped, in {where}.",
            "Raise --timeout, or let the cell do less.",
        )
    if status == "terminated":
        say, do, _ = stopped
        return TaskError(
            f"The pod was told to stop while the cell ran, in {where}{say and ': '}{say}.",
            do or "A drained node or a deletion does that: run the cell again.",
        )
    if "oom" in end:
        most = end.get("usage", {}).get("process", 0)
        held = f" when its largest process held {most / 2**20:.0f} Mi" if most else ""
        return TaskError(
            f"The cell used more memory than the limit of {end['oom'] / 2**20:.0f} Mi of its "
            f"container, and was killed (OOMKilled){held}, in {where}.",
            "Raise --memory.",
        )
    if end.get("exit") == EXIT_PIPES_CLOSED:
        return TaskError(
            f"The cell closed descriptors that are not its own, in {where}: what it leaves cannot be sent.",
            "Let it close only what it has opened.",
        )
    if "signal" not in end:
        return TaskError(
            f"The cell's process ended itself with exit code {end.get('exit')}, in {where}.",
            "os._exit does that, or code in C; its last output is above.",
        )
    say = f"The cell's process was killed by {end['signal']}, in {where}."
    if end["signal"] == "SIGKILL":
        return TaskError(say, "Often that is the memory limit: raise it with --memory.")
    return TaskError(say, "A crash of code in C does that; its last output is above.")
