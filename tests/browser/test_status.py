"""The status lines of a cell that runs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def test_status_lines_are_aligned_with_the_output(open_notebook: Callable[..., Any]) -> None:
    """The status lines start at the same left edge as the cell's output."""
    notebook = open_notebook(LOAD, CELL)
    notebook.run(0)
    notebook.run(1)
    edges = notebook.page.evaluate(FIND_LEFT_EDGES, notebook.cell(1).element_handle())
    assert len(edges) == 4
    assert max(edges) - min(edges) < 1
