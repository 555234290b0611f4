"""The status line of a cell that runs on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LOAD = "%load_ext podtask"
CELL = """\
%%podtask --local -o total
import time
total = 0
for n in range(8):
    print("line", n, flush=True)
    total += n
    time.sleep(0.3)
total"""
FIND_LEFT_EDGES = """cell => [...cell.querySelectorAll('.jp-OutputArea-output')].map(output => {
  const line = output.querySelector('summary');
  if (line) return line.getBoundingClientRect().left;
  const texts = document.createTreeWalker(output, NodeFilter.SHOW_TEXT);
  while (texts.nextNode() && !texts.currentNode.textContent.trim());
  const range = document.createRange();
  range.selectNodeContents(texts.currentNode);
  return range.getBoundingClientRect().left;
})"""


def test_nothing_flickers(open_notebook: Callable[..., Any]) -> None:
    """While the seconds count and lines are printed, the output only grows."""
    notebook = open_notebook(LOAD, CELL)
    notebook.run(0)
    notebook.record_heights(1)
    notebook.run(1)
    notebook.wait_for_text(1, "back: total")
    heights = notebook.recorded_heights
    assert len(set(heights)) > 5
    assert heights == sorted(heights)


def test_status_line_is_aligned_with_the_output(open_notebook: Callable[..., Any]) -> None:
    """The triangle of the status line has the left edge of the cell's output."""
    notebook = open_notebook(LOAD, CELL)
    notebook.run(0)
    notebook.run(1)
    edges = notebook.page.evaluate(FIND_LEFT_EDGES, notebook.cell(1).element_handle())
    assert len(edges) == 3
    assert max(edges) - min(edges) < 1


UNFOLDED = "cell => cell.querySelector('.jp-OutputArea details').open"


def test_details_stay_unfolded_and_text_stays_selected(
    open_notebook: Callable[..., Any], tmp_path: Path
) -> None:
    """U26: while the seconds count, the line is not replaced; when it is, what was unfolded stays unfolded."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    notebook = open_notebook(LOAD, f"%%podtask --local\nprint('up', flush=True)\nopen({str(gate)!r}).close()")
    notebook.run(0)
    notebook.start(1)
    notebook.wait_for_text(1, "running, local")
    notebook.open_details(1)
    phase = notebook.cell(1).locator("details").get_by_text("Running", exact=True)
    phase.first.wait_for()  # the details have their last version until the end of the cell
    cell = notebook.cell(1).element_handle()
    notebook.page.evaluate(
        "cell => { const words = cell.querySelector('summary').firstElementChild.nextSibling;"
        " getSelection().setBaseAndExtent(words, 1, words, 8) }",
        cell,
    )
    notebook.page.wait_for_function(
        "cell => /\\s[2-9] s/.test(cell.querySelector('summary').textContent)", arg=cell
    )
    assert notebook.page.evaluate("String(getSelection())") == "running"
    notebook.record_heights(1)
    gate.write_text("")
    notebook.wait_for_cell(1)
    notebook.wait_for_text(1, "s, local")
    assert notebook.page.evaluate(UNFOLDED, cell)
    heights = notebook.recorded_heights
    assert min(heights) >= heights[0] - 30, heights  # nothing collapses for a moment


def test_question_and_stop_are_said_at_once(open_notebook: Callable[..., Any]) -> None:
    """U16, U19: the line says that the cell waits for an answer, and after the stop button that it stops."""
    notebook = open_notebook(
        LOAD,
        "%%podtask --local\ninput('name? ')",
        "%%podtask --local\nwhile True:\n    try:\n        import signal\n        print('up', flush=True)\n"
        "        signal.pause()\n    except KeyboardInterrupt:\n        pass",
    )
    notebook.run(0)
    notebook.start(1)
    notebook.wait_for_text(1, "waiting for your input")
    notebook.page.locator(".jp-Stdin-input").fill("Ada")
    notebook.page.keyboard.press("Enter")
    notebook.wait_for_cell(1)
    notebook.start(2)
    notebook.wait_for_text(2, "up")
    stop = notebook.page.get_by_role("button", name="Interrupt the kernel")
    stop.click()
    notebook.wait_for_text(2, "stopping; press again to end the process")
    stop.click()
    notebook.wait_for_cell(2)
    assert notebook.output(2).startswith("■ stopped after ")


FAKE_NOTIFICATION = """() => {
  window.shown = [];
  window.asked = 0;
  window.Notification = class {
    static permission = 'default';
    static requestPermission() { window.asked += 1; this.permission = 'granted'; }
    constructor(title, options) { window.shown.push([title, options.body]); }
  };
}"""


@pytest.mark.feature("P14")
def test_page_asks_once_and_notifies_once(open_notebook: Callable[..., Any]) -> None:
    """The page asks for its permission when the cell starts, and shows one notification at its end."""
    notebook = open_notebook(LOAD, CELL.replace("--local", "--local --notify --name night"))
    notebook.page.evaluate(FAKE_NOTIFICATION)
    notebook.run(0)
    notebook.run(1)
    notebook.page.wait_for_function("() => window.shown.length")
    notebook.wait_for_text(1, "back: total")
    ((title, text),) = notebook.page.evaluate("() => window.shown")
    assert title == "podtask"
    assert text.startswith("night succeeded after ")
    assert notebook.page.evaluate("() => window.asked") == 1
