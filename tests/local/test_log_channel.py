"""Batch mode without a cluster: a real runner writes a log, and the channel reads it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from podtask.cell.cell import Cell
from podtask.channel import enclosure
from podtask.channel.enclosure import embed_job
from podtask.channel.job import RunnerResult
from podtask.channel.log_channel import LogChannel
from podtask.config.options import RunOptions
from podtask.errors import ClusterError, InputError, TaskError
from podtask.lifecycle.outcome import decode
from podtask.lifecycle.prepare import PreparedCell, prepare
from podtask.manifest.identity import Identity
from podtask.manifest.labels import CELL_ANNOTATION
from podtask.manifest.pod_manifest import PodManifest
from podtask.runner import protocol
from podtask.runner.bundle import MINOR
from podtask.runner.log_lines import cell_output

from tests.local.listener import Listener

KEY = "ab" * 32


def made(source: str, namespace: dict[str, Any] | None = None, **options: Any) -> PodManifest:
    """Return a pod with the cell embedded."""
    chosen = RunOptions.of(**options)
    work: PreparedCell = prepare(Cell.of(source), chosen, namespace or {})
    manifest = work.manifest.stamped(Identity("podtask-x", KEY, "cd" * 32, 0))
    return embed_job(manifest, work.job_for(f"{MINOR}.0", "podtask-x", 1.0, print))


def log_of(manifest: PodManifest, folder: Path) -> tuple[bytes, int]:
    """Return the log of the primary container and its exit code."""
    primary = manifest.pod["spec"]["containers"][0]
    file = folder / "cell"  # in the format of the kubelet
    file.write_text(manifest.pod["metadata"]["annotations"][CELL_ANNOTATION])
    command = [sys.executable, *primary["command"][1:-1], str(file)]
    ran = subprocess.run(command, env=manifest.env, capture_output=True, timeout=60)
    assert ran.stderr.decode() == ""
    return ran.stdout, ran.returncode


class Text:
    """A log that breaks off after each of the given numbers of lines and is complete afterwards."""

    def __init__(self, data: bytes, *breaks: int) -> None:
        self._data = data
        self._breaks = list(breaks)

    async def follow_log(self) -> AsyncGenerator[bytes, None]:
        """Yield lines."""
        stop = self._breaks.pop(0) if self._breaks else None
        for line in self._data.splitlines()[:stop]:
            yield line

    async def whole_log(self) -> bytes:
        """Return the complete log, or its first lines while it still breaks off."""
        if self._breaks:
            return b"\n".join(self._data.splitlines()[: self._breaks[0]])
        return self._data


def heard(log: Text, key: str = KEY) -> tuple[list[protocol.Frame], RunnerResult]:
    frames: list[protocol.Frame] = []
    result = asyncio.run(asyncio.wait_for(LogChannel(log, key, Listener(frames.append)).run(), 30))
    return frames, result


def text(frames: list[protocol.Frame]) -> str:
    return b"".join(each.data for each in frames if each.kind == protocol.STREAM).decode()


CELL_SOURCE = "print('a', a)\nfor n in range(5):\n    print(n, flush=True)\nx = a * 2\nx + 1"


def test_output_and_values_come_back_through_the_log(tmp_path: Path) -> None:
    """Output, value and names arrive once and complete, although the log breaks off."""
    data, code = log_of(made(CELL_SOURCE, {"a": 20}, outputs="x"), tmp_path)
    assert code == 0
    count = len(data.splitlines())
    for breaks in [(), (1, 2), (count - 1, 0, 3), tuple(range(count))]:
        frames, result = heard(Text(data, *breaks))
        assert text(frames) == "a 20\n0\n1\n2\n3\n4\n"
        assert [each.seq for each in frames] == sorted({each.seq for each in frames})
        outcome = decode(result, "here", lambda error: "")
        assert (outcome.result, outcome.values) == (41, {"x": 40})


@pytest.mark.pod("P14")
@pytest.mark.parametrize(
    ("source", "code"), [("6 * 7", 0), ("print('a')", 0), ("1 / 0", 1), ("import os\nos._exit(5)", 1)]
)
def test_runner_exits_as_its_cell_has_ended(source: str, code: int, tmp_path: Path) -> None:
    """The exit code of the container is 0 for a good cell, and 1 for one that failed."""
    assert log_of(made(source), tmp_path)[1] == code


def test_output_beyond_a_line_is_whole(tmp_path: Path) -> None:
    """A display of 360 kB arrives complete, over many lines of the log."""
    source = "from IPython.display import HTML, display\ndisplay(HTML('<p>' + 'é' * 60_000))"
    frames, _ = heard(Text(log_of(made(source), tmp_path)[0]))
    (shown,) = [each for each in frames if each.kind == protocol.DISPLAY]
    assert json.loads(shown.data)["data"]["text/html"] == "<p>" + "é" * 60_000


def test_input_in_batch_mode_raises_eoferror(tmp_path: Path) -> None:
    """``input()`` raises EOFError, and the error of the cell comes back as in other modes."""
    data, _ = log_of(made("print('before')\ninput('name? ')"), tmp_path)
    frames, result = heard(Text(data))
    assert text(frames) == "before\n"
    error = decode(result, "here", lambda error: "").error
    assert isinstance(error, EOFError)


def test_lines_that_are_not_the_runners_are_not_shown(tmp_path: Path) -> None:
    """Forged or changed lines and lines with another key are ignored; missing frames are reported."""
    data, _ = log_of(made(CELL_SOURCE, {"a": 20}), tmp_path)
    lines = data.splitlines()
    frame = protocol.encode(protocol.STREAM, {"name": "stdout"}, b"forged\n", 2)
    forged = f"{protocol.FRAME_LINE_PREFIX} 2 0/1 {'0' * 32} {base64.b64encode(frame).decode()}".encode()
    frames, _ = heard(Text(b"\n".join([b"noise", forged, *lines]) + b"\n"))
    assert text(frames) == "a 20\n0\n1\n2\n3\n4\n"
    found: list[protocol.Frame] = []
    with pytest.raises(TaskError, match="was not written with the task's key"):
        LogChannel(Text(b""), "cd" * 32, Listener(found.append)).read_result(data)
    assert found == []


@pytest.mark.fault(32)
def test_rotated_output_is_reported(tmp_path: Path) -> None:
    """Output that was rotated away is shown as a gap in its place."""
    found: list[protocol.Frame] = []
    data, _ = log_of(made(CELL_SOURCE, {"a": 20}), tmp_path)
    frames = [line for line in data.splitlines() if line.startswith(protocol.FRAME_LINE_PREFIX.encode())]
    assert LogChannel(Text(b""), KEY, Listener(found.append)).read_result(b"\n".join(frames[2:])) is None
    assert found[0].kind == protocol.GAP
    assert found[0].meta == {"from": 1, "to": 2}
    assert len(found) == len(frames) - 1


@pytest.mark.fault(114)
@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("print('a')\nprint('b', end='', flush=True)\n1 / 0", "a\nb"),
        ("from IPython.display import HTML, display\ndisplay(HTML('<p>' + 'é' * 60_000))\nprint('ü')", "ü\n"),
        (
            "print('x' * 40_000)\nimport os; os.write(1, b'y\\n')\nprint('z')",
            "x" * 40_000 + "\ny\nz\n",
        ),
    ],
)
def test_the_log_of_a_batch_task_reads_as_its_output(source: str, output: str, tmp_path: Path) -> None:
    """Who reads the log of a batch task sees the output of the cell, and none of the runner's lines."""
    data, _ = log_of(made(source), tmp_path)
    shown = cell_output(data.decode())
    own = [
        line for line in shown.splitlines(keepends=True) if not line.startswith(protocol.RESULT_WAITS_PREFIX)
    ]
    assert "".join(own) == output
    for start in range(len(data.splitlines())):  # a tail may begin within a frame
        tail = cell_output(b"\n".join(data.splitlines()[start:]).decode())
        assert "podtask-" not in tail
        assert shown.endswith(tail)


def test_another_python_is_refused_by_the_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod with another minor version of Python ends before it loads byte code or pickles."""
    with monkeypatch.context() as notebook:
        notebook.setattr(enclosure, "MINOR", "3.1")
        manifest = made("1")
    data, code = log_of(manifest, tmp_path)
    assert code == protocol.EXIT_OTHER_PYTHON
    assert b"batch mode needs the notebook's Python, 3.1" in data


def test_inputs_beyond_an_annotation_are_refused() -> None:
    """Inputs of more than 160 kB are rejected; the error has the size and a hint."""
    with pytest.raises(InputError, match="the limit of batch mode is 160 kB") as found:
        made("len(data)", {"data": os.urandom(200_000)})
    assert "pods/portforward or pods/exec" in found.value.hint


class Away(Text):
    """A log that cannot be read completely at first.

    Attributes:
        asked: Number of requests for the log.
    """

    asked = 0

    async def whole_log(self) -> bytes:
        """Raise an error twice, then return the log."""
        self.asked += 1
        if self.asked < 3:
            raise ClusterError("not reached")
        return await super().whole_log()


def test_whole_log_is_read_after_its_record_begins(tmp_path: Path) -> None:
    """The whole log is read after the record has begun, and again after a failure."""
    data, _ = log_of(made(CELL_SOURCE, {"a": 20}), tmp_path)
    log = Away(data, 1, 2, 3, 3)
    frames, result = heard(log)
    assert log.asked == 3
    assert text(frames) == "a 20\n0\n1\n2\n3\n4\n"
    assert result.end["status"] == "ok"
