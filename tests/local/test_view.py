"""The display of a task in a notebook: dropped frames, and the handle as HTML."""

from __future__ import annotations

import json

import pytest
from podtask import RunOptions, submit
from podtask.display.foreground import Foreground
from podtask.display.view import MAX_DISPLAY_BYTES, View
from podtask.frontend import Terminal
from podtask.interrupts import InterruptGuard
from podtask.lifecycle.updates import Update
from podtask.runner import protocol

from tests.notebook import Kernel


def test_incomplete_display_is_omitted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Frames after a gap are shown and counted; an incomplete display is omitted."""
    task = submit("1", options=RunOptions.of(local=True))
    task.wait()
    view = View(task, Terminal())
    whole = json.dumps({"data": {"text/plain": "whole"}, "metadata": {}}).encode()
    for frame in (
        protocol.Frame(protocol.DISPLAY, 1, {"more": True}, whole[:9]),
        protocol.Frame(protocol.GAP, 7, {"from": 2, "to": 7}, b""),
        protocol.Frame(protocol.DISPLAY, 8, {}, whole[9:]),
        protocol.Frame(protocol.GAP, 10, {"from": 9, "to": 10}, b""),
        protocol.Frame(protocol.DISPLAY, 11, {}, whole),
    ):
        view.show_update(Update("frame", frame=frame))
    view.end()
    out, err = capsys.readouterr()
    assert out == "whole\n"
    assert err.count("output was dropped here") == 1
    assert "[podtask: 8 pieces of output were dropped" in err


def test_end_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A task that ends before its output is shown has one closing line, after the output."""
    task = submit("print('shown')", options=RunOptions.of(local=True))
    task.wait()
    Foreground(task, Terminal()).follow(InterruptGuard())
    out, err = capsys.readouterr()
    assert out == "shown\n"
    assert err.count("✓") == 1


def test_task_shows_itself_as_html() -> None:
    """The HTML of a handle shows where the task is and the end of its output, escaped."""
    task = submit("print('<b>')\n1 / 0", options=RunOptions.of(local=True, name="my-task"))
    task.wait()
    shown = task._repr_html_()
    for text in ("my-task · error", "&lt;b&gt;", "division by zero"):
        assert text in shown
    assert "<b>" not in shown


@pytest.mark.fault(101)
def test_display_that_the_pod_should_not_have_sent_is_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """A display over 32 MiB is named in place of being put together; the next one is shown."""
    task = submit("1", options=RunOptions.of(local=True))
    task.wait()
    view = View(task, Terminal())
    part = bytes(protocol.MAX_DATA)
    for number in range(80):
        view.show_update(
            Update("frame", frame=protocol.Frame(protocol.DISPLAY, number, {"more": number < 79}, part))
        )
        assert sum(map(len, view._parts)) <= MAX_DISPLAY_BYTES
    whole = json.dumps({"data": {"text/plain": "whole"}, "metadata": {}}).encode()
    view.show_update(Update("frame", frame=protocol.Frame(protocol.DISPLAY, 81, {}, whole)))
    view.end()
    out, err = capsys.readouterr()
    assert out == "whole\n"
    assert "[podtask: too large to show: a display (40.0 MiB)]" in err


@pytest.mark.parametrize(
    "value",
    ["{'a': [bytes(3 << 20)] * 3, 'b': ('x' * (2 << 20),)}", "'ab' * (1 << 20)", "[Wide(), 1]"],
    ids=["bytes in containers", "a string", "a wide repr"],
)
def test_huge_result_that_came_back_is_cut(value: str, kernel: Kernel) -> None:
    """J6: the notebook shows the text that the pod has cut, although it has the whole value."""
    kernel.run("class Wide:\n    def __repr__(self): return 'w' * (3 << 20)")
    ran = kernel.run(f"%%podtask --local\n{value}")
    assert ran.result is not None
    text = ran.result["text/plain"]
    assert len(text) < 2 << 20
    assert "…\n[the first 1 MiB of the text of this " in text
    assert kernel.run("print(type(_).__name__)").stdout.strip() in ("dict", "str", "list")
