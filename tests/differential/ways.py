"""Runs cells in kernels, several at once, and takes down what a notebook gets to see of each."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from tests.differential.cases import Case
from tests.notebook import Kernel, plain

PROBE = "__import__('importlib').import_module('tests.differential.probe')"
SECONDS = 60  # without a message from any kernel
Event = tuple[Any, ...]
Error = tuple[str, str, str]
Ran = tuple[list[Event], Error | None]
Script = Generator[str, Ran, "Seen"]


@dataclass
class Seen:
    """What a cell gave.

    Args:
        events: streams, displays, updates, clears and the result, as the messages came.
        error: (name, message, traceback) as the notebook shows it.
        report: of the probe: values, last result, last error.
        after: the events of the code that ran in the notebook afterwards.
        left: names that were still there after the reset.
    """

    events: list[Event] = field(default_factory=list)
    error: Error | None = None
    report: dict[str, Any] = field(default_factory=dict)
    after: list[Event] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


class Way:
    """One way of running cells, on a few kernels that work at the same time.

    One thread looks after all kernels: their clients do not take to several.

    Args:
        line: the first line of the cell; ``{out}`` is where ``-o`` goes.
        kernels: how many cells are in flight at once.
        env: the kernels' environment.
    """

    def __init__(self, line: str, kernels: int, env: dict[str, str]) -> None:
        self._line = line
        self._env = env
        self._most = kernels
        self._benches: list[_Bench] = []
        self._waiting: deque[Case] = deque()
        self._done: dict[str, Seen | AssertionError] = {}

    def start(self, cases: list[Case]) -> None:
        """Queue the cells that are neither queued nor done."""
        known = {*self._done, *(case.id for case in self._waiting)}
        known |= {bench.case.id for bench in self._benches if bench.case}
        self._waiting.extend(case for case in cases if case.id not in known)

    def seen(self, case: Case) -> Seen:
        """Returns what a cell gave, when it has run.

        Raises:
            AssertionError: its set-up or the probe failed, or it did not end.
        """
        known = [*self._waiting, *(bench.case for bench in self._benches)]
        if case.id not in self._done and case not in known:
            self._waiting.appendleft(case)
        while case.id not in self._done:
            self._step()
        done = self._done[case.id]
        if isinstance(done, AssertionError):
            raise done
        return done

    def close(self) -> None:
        """Ends the kernels."""
        self._waiting.clear()
        for bench in self._benches:
            bench.kernel.close()
        self._benches = []

    def _step(self) -> None:
        while self._waiting and len(self._benches) < self._most:
            self._benches.append(_Bench(self._env))
        for bench in self._benches:
            if bench.case is None and self._waiting:
                case = self._waiting.popleft()
                self._advance(bench, case, _script(case, self._line))
        busy = {bench.kernel.socket: bench for bench in self._benches if bench.case}
        poller = zmq.Poller()
        for socket in busy:
            poller.register(socket, zmq.POLLIN)
        ready = poller.poll(SECONDS * 1000)
        for socket, _ in ready:
            bench = busy[socket]
            if bench.take():
                self._advance(bench, bench.case)
        if not ready:  # the kernel may be of no more use: it is replaced
            for bench in busy.values():
                assert bench.case is not None
                self._done[bench.case.id] = AssertionError(f"it has not ended in {SECONDS} s")
                bench.kernel.close()
                self._benches.remove(bench)

    def _advance(self, bench: _Bench, case: Case | None, script: Script | None = None) -> None:
        assert case is not None
        try:
            bench.advance(case, script)
        except StopIteration as end:
            self._done[case.id] = end.value
            bench.case = None
        except AssertionError as error:
            self._done[case.id] = error
            bench.case = None


class _Bench:
    """A kernel and the cell that is on it."""

    def __init__(self, env: dict[str, str]) -> None:
        self.kernel = Kernel(env)
        self.kernel.run("%load_ext podtask")
        self.kernel.run(f"{PROBE}.remember(get_ipython())")
        self.case: Case | None = None
        self._script: Script | None = None
        self._ran: Ran = ([], None)

    def advance(self, case: Case, script: Script | None) -> None:
        """Goes on to the next piece of source that a script wants to be run."""
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

    def take(self) -> bool:
        """Takes in one message; says whether it was the last of what runs."""
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
            shown = plain("\n".join(content["traceback"]))
            error = (content["ename"], content["evalue"], shown)
        self._ran = events, error
        return bool(kind == "status" and content["execution_state"] == "idle")


def _script(case: Case, line: str) -> Script:
    """Yields what to run for a case and is sent what came of it; returns what was seen."""
    seen = Seen()
    _, error = yield case.setup
    if error is not None:
        raise AssertionError(f"the set-up of {case.id} fails: {error[2]}")
    yield f"{PROBE}.mark(get_ipython())"
    out = f"-o {','.join(case.out)}" if case.out else ""
    seen.events, seen.error = yield f"{line.format(out=out)}\n{case.cell}"
    result = any(event[0] == "result" for event in seen.events)
    seen.report = _json((yield f"{PROBE}.report(get_ipython(), {case.out!r}, {result})"))
    seen.after, error = yield case.then
    if error is not None:
        seen.after.append(("error", *error[:2]))
    seen.left = _json((yield f"{PROBE}.reset(get_ipython())"))
    return seen


def _json(ran: Ran) -> Any:
    events, error = ran
    if error is not None:
        raise AssertionError(f"the probe failed: {error[2]}")
    return json.loads("".join(event[1] for event in events if event[0] == "stdout"))


def frames(traceback: str) -> list[str]:
    """Returns the frames of a shown traceback, and its joints.

    A cell's frame is ``line function``; one of a file is its name alone, as libraries may be of
    other versions in a pod.
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
