"""The lines under a cell that runs on this machine."""

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
EDGES = """cell => [...cell.querySelectorAll('.jp-OutputArea-output')].map(output => {
  const texts = document.createTreeWalker(output, NodeFilter.SHOW_TEXT);
  while (texts.nextNode() && !texts.currentNode.textContent.trim());
  const range = document.createRange();
  range.selectNodeContents(texts.currentNode);
  return range.getBoundingClientRect().left;
})"""


def test_nothing_flickers(open_notebook: Callable[..., Any]) -> None:
    """While seconds are counted and lines come, the output grows and is never lower than before."""
    notebook = open_notebook(LOAD, CELL)
    notebook.run(0)
    notebook.watch(1)
    notebook.run(1)
    notebook.shows(1, "back: total")
    heights = notebook.heights
    assert len(set(heights)) > 5
    assert heights == sorted(heights)


def test_lines_stand_where_the_output_does(open_notebook: Callable[..., Any]) -> None:
    """Status and closing line begin at the left edge of what the cell printed."""
    notebook = open_notebook(LOAD, CELL)
    notebook.run(0)
    notebook.run(1)
    edges = notebook.page.evaluate(EDGES, notebook.cell(1).element_handle())
    assert len(edges) == 4
    assert max(edges) - min(edges) < 1
