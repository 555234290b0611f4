"""Run cells in several kernels in parallel, and record what the notebook shows for each."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from tests.differential.cases import Case
from tests.notebook import Kernel, strip_ansi

PROBE = "__import__('importlib').import_module('tests.differential.probe')"
ROOT = Path(__file__).parents[2]
SECONDS = 60  # time limit without a message from any kernel
Event = tuple[Any, ...]
Error = tuple[str, str, str]
CellOutput = tuple[list[Event], Error | None]
Script = Generator[str, CellOutput, "Observation"]


@dataclass
class Observation:
    """What the notebook shows for a cell.

    Args:
        events: Streams, displays, updates, clears and the result, in the order of their messages.
        error: (name, message, traceback) as shown in the notebook.
        report: Report of the probe: values, last result, last error.
        after: Events of the code that ran in the notebook afterwards.
        leftovers: Names that still existed after the reset.
    """

    events: list[Event] = field(default_factory=list)
    error: Error | None = None
    report: dict[str, Any] = field(default_factory=dict)
    after: list[Event] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)


class CellRunner:
    """Run cells in one way, on a few kernels at the same time.

    One thread serves all kernels, because their clients are not thread-safe.

    Args:
        line: First line of the cell; ``{out}`` is replaced with ``-o`` and its names.
        kernels: Number of cells that run in parallel.
        env: Environment of the kernels.
    """

    def __init__(self, line: str, kernels: int, env: dict[str, str]) -> None:
        self._line = line
        self._env = env
        self._most = kernels
        self._slots: list[_KernelSlot] = []
        self._waiting: deque[Case] = deque()
        self._done: dict[str, Observation | AssertionError] = {}

    def start(self, cases: list[Case]) -> None:
        """Queue the cells that are neither queued nor done."""
        known = {*self._done, *(case.id for case in self._waiting)}
        known |= {slot.case.id for slot in self._slots if slot.case}
        self._waiting.extend(case for case in cases if case.id not in known)

    def seen(self, case: Case) -> Observation:
        """Wait until a cell has run and return what was observed.

        Raises:
            AssertionError: The set-up or the probe failed, or the cell did not end.
        """
        known = [*self._waiting, *(slot.case for slot in self._slots)]
        if case.id not in self._done and case not in known:
            self._waiting.appendleft(case)
        while case.id not in self._done:
            self._step()
        done = self._done[case.id]
        if isinstance(done, AssertionError):
            raise done
        return done

    def close(self) -> None:
        """End the kernels."""
        self._waiting.clear()
        for slot in self._slots:
            slot.close()
        self._slots = []

    def _step(self) -> None:
        while self._waiting and len(self._slots) < self._most:
            self._slots.append(_KernelSlot(self._env))
        for slot in self._slots:
            if slot.case is None and self._waiting:
                case = self._waiting.popleft()
                self._advance(slot, case, _script(case, self._line))
        busy = {slot.kernel.socket: slot for slot in self._slots if slot.case}
        poller = zmq.Poller()
        for socket in busy:
            poller.register(socket, zmq.POLLIN)
        ready = poller.poll(SECONDS * 1000)
        for socket, _ in ready:
            slot = busy[socket]
            if slot.process_message():
                self._advance(slot, slot.case)
        if not ready:  # the kernel may be unusable, so it is replaced
            for slot in busy.values():
                assert slot.case is not None
                self._done[slot.case.id] = AssertionError(f"it has not ended in {SECONDS} s")
                slot.close()
                self._slots.remove(slot)

    def _advance(self, slot: _KernelSlot, case: Case | None, script: Script | None = None) -> None:
        assert case is not None
        try:
            slot.advance(case, script)
        except StopIteration as end:
            self._done[case.id] = end.value
            slot.case = None
        except AssertionError as error:
            self._done[case.id] = error
            slot.case = None


class _KernelSlot:
    """Kernel and the cell that runs in it. It has a working directory of its own, as cells write files."""

    def __init__(self, env: dict[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cells-")
        path = os.pathsep.join([str(ROOT), *filter(None, [env.get("PYTHONPATH")])])  # for the probe
        self.kernel = Kernel({**env, "PYTHONPATH": path}, self._folder.name)
        self.kernel.run("%load_ext podtask")
        self.kernel.run(f"{PROBE}.remember(get_ipython())")
        self.case: Case | None = None
        self._script: Script | None = None
        self._ran: CellOutput = ([], None)

    def close(self) -> None:
        """End the kernel and remove its working directory."""
        self.kernel.close()
        self._folder.cleanup()

    def advance(self, case: Case, script: Script | None) -> None:
        """Run the next source of a script."""
        if script is not None:
            self.case, self._script = case, script
            source = next(script)
        else:
            assert self._script is not None
            source = self._script.send(self._ran)
        while not source:
            assert self._script is not None
            source = self._script.send(([], None))
        self._ran = ([], None)
        self.kernel.start(source)

    def process_message(self) -> bool:
        """Process one message; return whether the running source has ended with it."""
        message = self.kernel.message()
        if message is None:
            return False
        events, error = self._ran
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            events.append((content["name"], content["text"]))
        elif kind in ("display_data", "update_display_data"):
            shown = content.get("transient", {}).get("display_id")
            events.append((kind, content["data"], content["metadata"], shown))
        elif kind == "clear_output":
            events.append(("clear", content["wait"]))
        elif kind == "execute_result":
            events.append(("result", content["data"], content["metadata"]))
        elif kind == "error":
            shown = strip_ansi("\n".join(content["traceback"]))
            error = (content["ename"], content["evalue"], shown)
        self._ran = events, error
        return bool(kind == "status" and content["execution_state"] == "idle")


def _script(case: Case, line: str) -> Script:
    """Yield each source to run for a case, receive its outcome, and return the observation."""
    seen = Observation()
    _, error = yield case.setup
    if error is not None:
        yield f"{PROBE}.reset(get_ipython())"  # its error must not be the last one of the next case
        raise AssertionError(f"the set-up of {case.id} fails: {error[2]}")
    yield f"{PROBE}.mark(get_ipython())"
    out = f"-o {','.join(case.out)}" if case.out else ""
    seen.events, seen.error = yield f"{line.format(out=out)}\n{case.cell}"
    result = any(event[0] == "result" for event in seen.events)
    seen.report = _json((yield f"{PROBE}.report(get_ipython(), {case.out!r}, {result})"))
    seen.after, error = yield case.then
    if error is not None:
        seen.after.append(("error", *error[:2]))
    seen.leftovers = _json((yield f"{PROBE}.reset(get_ipython())"))
    return seen


def _json(ran: CellOutput) -> Any:
    events, error = ran
    if error is not None:
        raise AssertionError(f"the probe failed: {error[2]}")
    return json.loads("".join(event[1] for event in events if event[0] == "stdout"))


def frames(traceback: str) -> list[str]:
    """Return the frames of a shown traceback and the lines between chained errors.

    A frame of a cell is ``line function``. A frame of a file is only its name, because libraries in a pod may
    have other versions.
    """
    found = []
    for line in traceback.splitlines():
        frame = re.match(r"\s*(?:\|\s*)?Cell In\[\d+\], line (\d+)(?:, in (.*))?", line)
        if frame:
            found.append(f"{frame[1]} {frame[2] or '<module>'}")
        elif file := re.match(r"\s*(?:\|\s*)?File (\S+?):\d+, in ", line):
            found.append(Path(file[1]).name)
        elif "direct cause" in line or "During handling" in line:
            found.append(line.strip())
    return found
