"""Cells that run in pods, started from a real page: the form's template, stop, run all, reload, reopen."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.chromium import NARROW
from tests.browser.form import Form
from tests.browser.lab import Lab

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
LOAD = "%load_ext podtask"
FORM = "from podtask_widgets import TemplateBuilder\nb = TemplateBuilder()\nb"
IMAGE = "python:3.11-slim"
GO = "import pathlib, time\nwhile not pathlib.Path('/tmp/go').exists():\n    time.sleep(0.05)"


def let_cell_continue(cluster: Any, namespace: str) -> None:
    """Create the file that the cell in the pod waits for."""
    (pod,) = cluster.kubectl_json("get", "pods", "-n", namespace)["items"]
    cluster.kubectl(
        "exec", "-n", namespace, pod["metadata"]["name"], "-c", "primary", "--", "touch", "/tmp/go"
    )


@pytest.mark.feature("A01", "N09", "N15")
def test_cell_uses_the_template_of_the_form(open_notebook: Callable[..., Any], in_pods: Lab) -> None:
    """After a click on Use, the next cell runs with the form's template, and its details can be opened."""
    cell = "%%podtask\nimport os, sys\nprint(os.environ['GREETING'], sys.version_info[:2])"
    notebook = open_notebook(LOAD, FORM, cell, lab=in_pods)
    notebook.run(0)
    notebook.run(1)
    form = Form(notebook.page)
    form.open("Basics")
    form.write("Image", IMAGE)
    form.open("Environment")
    form.click("Add variable")
    form.write("Variable 1, name", "GREETING")
    form.write("Variable 1, value", "hello from the form")
    form.click("Use")
    notebook.page.wait_for_selector("text=All cells of this session use this template now")
    notebook.screenshot("cells-form-used", form.root)
    notebook.run(2)
    shown = notebook.output(2)
    assert "hello from the form (3, 11)" in shown
    assert re.match(r"✓ \d+\.\d\ss in a pod", shown)
    notebook.open_details(2, "pod, in YAML")
    assert "GREETING" in notebook.output(2)
    notebook.screenshot("cells-details", notebook.cell(2))


@pytest.mark.feature("A03")
def test_stop_and_rerun(open_notebook: Callable[..., Any], in_pods: Lab) -> None:
    """The stop button interrupts a cell in its pod as it does in the kernel, and the cell can run again."""
    cell = f"%%podtask --image {IMAGE} -o n\nimport os, time\nprint('begun', flush=True)\nn = 1\n{GO}"
    notebook = open_notebook(LOAD, cell, "%%podtask --image python:3.11-slim\nprint(6 * 7)", lab=in_pods)
    notebook.run(0)
    for _ in range(2):
        notebook.start(1)
        notebook.wait_for_text(1, "begun")
        notebook.screenshot("cells-running")
        notebook.page.get_by_role("button", name="Interrupt the kernel").click()
        notebook.wait_for_cell(1)
        assert "KeyboardInterrupt" in notebook.output(1)
    notebook.run(2)
    assert "42" in notebook.output(2)


def test_run_all(open_notebook: Callable[..., Any], in_pods: Lab) -> None:
    """Run All runs cells in their order; an error in a pod stops the cells after it."""
    first = f"%%podtask --image {IMAGE} -o x\nx = 20"
    second = f"%%podtask --image {IMAGE} -o y\ny = 2 * x + 2\nprint(y)"
    fails = f"%%podtask --image {IMAGE}\nraise ValueError('stops here')"
    notebook = open_notebook(LOAD, first, second, "print('all', y)", fails, "print('never')", lab=in_pods)
    notebook.command("notebook:run-all-cells")
    notebook.wait_for_text(4, "ValueError: stops here")
    notebook.wait_for_cell(4)
    assert "42" in notebook.output(2)
    assert "all 42" in notebook.output(3)
    assert notebook.execution_count(5) is None
    notebook.screenshot("cells-run-all")


def test_reload_while_a_cell_runs(
    open_notebook: Callable[..., Any], in_pods: Lab, cluster: Any, namespace: str
) -> None:
    """A cell keeps running while its page is reloaded, and its values arrive in the kernel."""
    cell = f"%%podtask --image {IMAGE} -o n\nprint('begun', flush=True)\n{GO}\nn = 7"
    notebook = open_notebook(LOAD, cell, "print('came back:', n)", lab=in_pods)
    notebook.run(0)
    notebook.start(1)
    notebook.wait_for_text(1, "begun")
    notebook.save()
    notebook.reload()
    notebook.wait_for_text(1, "begun")
    notebook.wait_for_connection()
    notebook.start(2)
    let_cell_continue(cluster, namespace)
    notebook.wait_for_text(2, "came back: 7")
    notebook.screenshot("cells-reloaded")


def test_nothing_flickers(open_notebook: Callable[..., Any], in_pods: Lab) -> None:
    """The output of a cell only grows, from the first phase to the value and the details."""
    lines = "import time\nfor n in range(8):\n    print(n, flush=True)\n    time.sleep(0.3)"
    notebook = open_notebook(LOAD, f"%%podtask --image {IMAGE} -o n\n{lines}\nn", lab=in_pods)
    notebook.run(0)
    notebook.record_heights(1)
    notebook.run(1)
    notebook.wait_for_text(1, "back: n")
    heights = notebook.recorded_heights
    assert len(set(heights)) > 5
    assert heights == sorted(heights)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_saved_and_opened_again(open_notebook: Callable[..., Any], in_pods: Lab, dark: bool) -> None:
    """A saved notebook shows the output and state of its cells, in both themes and a narrow window."""
    cell = f"%%podtask --image {IMAGE} -o x\nprint('some output')\nx = 1\nx"
    notebook = open_notebook(LOAD, cell, lab=in_pods, dark=dark, width=NARROW)
    for number in range(2):
        notebook.run(number)
    before = notebook.output(1)
    notebook.save()
    notebook.shut_down_kernel()
    notebook.reload()
    notebook.wait_for_text(1, "back: x")
    assert notebook.output(1) == before
    assert re.match(r"✓ \d+\.\d\ss in a pod", before)
    notebook.open_details(1, "pod, in YAML")
    notebook.screenshot(f"cells-reopened-{'dark' if dark else 'light'}")
    assert notebook.accessibility_violations(".jp-OutputArea-output") == []
