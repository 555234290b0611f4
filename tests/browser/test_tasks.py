"""The task list in a real page: rows, logs, attach, cancel, the keyboard, both themes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.chromium import NARROW, WIDE
from tests.browser.lab import Lab

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
LOAD = """\
%load_ext podtask
t = {"containers": [{"name": "side", "image": "python:3.11-slim", "command":
     ["sh", "-c", "trap 'exit 0' TERM; echo side speaks; sleep 600 & wait"]}]}"""
TRAIN = """\
%%podtask -d --as train -t t --image python:3.11-slim
import os
os.mkfifo('/tmp/look')
os.mkfifo('/tmp/go')
print('step 1', flush=True)
open('/tmp/look').close()
print('step 2', flush=True)
open('/tmp/go').close()"""
SHOW = "from podtask_widgets import TaskList\ntasks = TaskList()\ntasks"


@pytest.mark.feature("N08", "N09", "P03")
@pytest.mark.parametrize(("dark", "width"), [(False, WIDE), (True, NARROW)], ids=["light", "dark-narrow"])
def test_list_of_tasks(
    open_notebook: Callable[..., Any],
    in_pods: Lab,
    dark: bool,
    width: int,
    cluster: Any,
    namespace: str,
) -> None:
    """A detached task is listed and kept up to date, its containers' logs are shown, and it can be attached to and cancelled."""
    notebook = open_notebook(LOAD, TRAIN, SHOW, lab=in_pods, dark=dark, width=width)
    notebook.run(0)
    notebook.run(1)
    notebook.wait_for_text(1, "step 1")
    notebook.run(2)
    page, task_list = notebook.page, notebook.cell(2).locator(".pt")
    task_list.get_by_text("1 task").wait_for()
    task_list.get_by_text("Running", exact=True).wait_for()
    task_list.get_by_text("step 1", exact=True).wait_for()
    pod = cluster.kubectl("get", "pods", "-n", namespace, "-o", "name").strip()
    cluster.kubectl("exec", pod, "-c", "primary", "-n", namespace, "--", "sh", "-c", ": > /tmp/look")
    task_list.get_by_text("step 2", exact=True).wait_for()  # while the page shows it, the list reloads itself
    task_list.get_by_role("button", name="Refresh").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.title") == "Logs train"
    page.keyboard.press("Enter")
    task_list.get_by_role("region", name="Log of train, container primary").get_by_text("step 2").wait_for()
    task_list.get_by_role("tab").filter(has_text="side").click()
    task_list.get_by_role("region", name="Log of train, container side").get_by_text("side speaks").wait_for()
    notebook.screenshot(f"tasks-{'dark' if dark else 'light'}", task_list)
    assert notebook.accessibility_violations(".pt") == []
    page.keyboard.press("Escape")
    task_list.locator("button[title='Attach train']").click()
    task_list.get_by_text("Attached to train").wait_for()
    task_list.get_by_role("region", name="Log of train, container primary").get_by_text("step 2").wait_for()
    task_list.locator("button[title='Cancel train']").click()
    task_list.get_by_text("Click Cancel again").wait_for()
    task_list.locator("button[title='Cancel train']").click()
    task_list.get_by_text("train was cancelled.").wait_for()
    cluster.kubectl("wait", "--for=delete", "pod", "--all", "-n", namespace, "--timeout=60s")
    task_list.get_by_role("button", name="Refresh").click()
    task_list.get_by_text("No tasks").wait_for()
