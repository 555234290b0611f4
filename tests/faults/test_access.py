"""A missing right ends nothing that has started: no pod is deleted and no cell runs twice."""

from __future__ import annotations

from pathlib import Path

import podtask
import pytest

from .scripts_access import TRIES, BatchLogAway, NoNewStreams, TakenAway
from .user import SECONDS, Play, submit

WAITS = "import pathlib, time\nprint('begun', flush=True)\nwhile not pathlib.Path({!r}).exists():\n    time.sleep(0.01)\n42"


def notes(task: podtask.Task) -> list[str]:
    """Return the lines that the user sees after a task has ended."""
    found = []
    while not task.updates.empty():
        update = task.updates.get_nowait()
        if update.kind == "note":
            found.append(update.text)
    return found


@pytest.mark.fault(5)
@pytest.mark.parametrize("channel", ["auto", "port-forward"])
def test_stream_that_is_forbidden_after_the_first(play: Play, channel: str, tmp_path: Path) -> None:
    """If streams become forbidden, podtask shows one note and retries; the cell runs once, in one pod."""
    server = play(TakenAway())
    ran = tmp_path / "ran"
    source = f"with open({str(ran)!r}, 'a') as file:\n    file.write('x')\nprint('cut here', flush=True)\n42"
    task = submit(source, channel=channel)
    assert task.result(SECONDS) == 42
    assert server.script.times > TRIES
    assert server.count("POST", "/pods") == 1
    assert ran.read_text() == "x"
    told = [note for note in notes(task) if "was revoked" in note]
    assert len(told) == 1
    assert "keeps running" in told[0]
    assert task.channel != "batch"


@pytest.mark.fault(5)
def test_attach_that_is_forbidden_deletes_nothing(play: Play, tmp_path: Path) -> None:
    """The error names the rights; the pod, which another kernel follows, keeps running."""
    script = NoNewStreams()
    play(script)
    gate = tmp_path / "gate"
    task = submit(WAITS.format(str(gate)))
    while "begun" not in task.logs():
        task.updates.get(timeout=SECONDS)
    script.forbidden = True
    with pytest.raises(podtask.ClusterError, match="neither forward ports"):
        podtask.attach(task.name).result(SECONDS)
    gate.touch()
    assert task.result(SECONDS) == 42


@pytest.mark.fault(10)
@pytest.mark.parametrize("code", [0, 401, 403])
def test_batch_task_outlives_a_log_that_is_away(play: Play, code: int, tmp_path: Path) -> None:
    """The result of a batch task survives an outage, expired credentials and a revoked right."""
    gate = tmp_path / "gate"
    server = play(BatchLogAway(code, gate))
    task = submit(WAITS.format(str(gate)), channel="batch")
    assert task.result(SECONDS) == 42
    assert task.logs() == "begun\n"
    assert server.script.times == TRIES
    assert server.count("POST", "/pods") == 1
    told = [note for note in notes(task) if "keeps running" in note]
    assert len(told) == (1 if code else 0)
