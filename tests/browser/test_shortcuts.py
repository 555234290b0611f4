"""Keys in the form and in the task list do not reach JupyterLab's shortcuts (row U2 of the cases of use)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.form import Form
from tests.browser.test_look import OPEN
from tests.widgets.user import TITLES

# An API server that cannot be reached: the list has its buttons and shows an error.
UNREACHABLE = """\
import os, pathlib
pathlib.Path("unreachable").write_text('''
apiVersion: v1
kind: Config
current-context: away
contexts: [{name: away, context: {cluster: away, user: me}}]
clusters: [{name: away, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: me, user: {token: t}}]
''')
os.environ.update(PODTASK_BACKEND="", KUBECONFIG="unreachable")
from podtask_widgets import TaskList
TaskList()"""
# Records the names of the commands that JupyterLab executes.
RECORD_COMMANDS = """() => { window.executed = [];
  window.jupyterapp.commands.commandExecuted.connect((_, args) => window.executed.push(args.id)) }"""
# Sends each shortcut without Ctrl, Alt and Cmd to each focusable element; typed characters would change the form.
SEND_SHORTCUTS = """([selector, only]) => {
  const layout = new Map([...Array(222).keys()].map(code => [String.fromCharCode(code), code]));
  const passes = keys => /^(Escape|Shift Enter)$/.test(keys);
  const bindings = window.jupyterapp.commands.keyBindings.map(binding => binding.keys)
    .filter(keys => keys.length && keys.every(k => k.trim() && !/Ctrl|Alt|Accel|Cmd/.test(k) && !passes(k)))
    .filter(keys => !only || only.includes(keys.join(',')));
  const elements = [...document.querySelectorAll(selector)].filter(e => e.tabIndex >= 0 && e.checkVisibility());
  for (const element of elements) for (const keys of bindings) {
    element.focus();
    for (const stroke of keys) {
      const key = stroke.split(' ').at(-1);
      element.dispatchEvent(new KeyboardEvent('keydown', {key, keyCode: layout.get(key) || 0, bubbles: true,
        code: key.length === 1 && /[A-Z]/.test(key) ? 'Key' + key : key, shiftKey: stroke.includes('Shift'),
        cancelable: true}));
    }
  }
  return [elements.length, bindings.map(keys => keys.join(','))];
}"""
CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
    cell => [cell.model.type, cell.model.sharedModel.getSource()])"""


def start_recording(notebook: Any) -> None:
    """Record the commands that JupyterLab executes from now on, in command mode."""
    notebook.page.evaluate(RECORD_COMMANDS)
    notebook.command("notebook:enter-command-mode")
    notebook.page.wait_for_function("window.executed.includes('notebook:enter-command-mode')")
    notebook.page.evaluate("window.executed.length = 0")


def send_shortcuts(notebook: Any, selector: str, *only: str) -> tuple[int, list[str]]:
    """Send shortcuts to elements, all or only some; return the number of the elements, and the shortcuts."""
    count, shortcuts = notebook.page.evaluate(SEND_SHORTCUTS, [selector, list(only) or None])
    return count, shortcuts


def executed(notebook: Any) -> list[str]:
    """Return the commands that JupyterLab has executed since the recording started.

    JupyterLab may execute a command after the event of its keys. Ctrl+S is sent last, and its command awaited.
    """
    notebook.page.keyboard.press("Control+S")
    notebook.page.wait_for_function("window.executed.includes('docmanager:save')")
    names: list[str] = notebook.page.evaluate("window.executed")
    notebook.page.evaluate("window.executed.length = 0")
    return [name for name in names if name != "docmanager:save"]


@pytest.fixture(scope="module")
def notebook(open_notebook: Callable[..., Any]) -> Any:
    """Return a notebook that shows a form and a task list, with cells around them."""
    notebook = open_notebook("1", OPEN, UNREACHABLE, "2")
    notebook.run(1)
    notebook.run(2)
    notebook.wait_for_text(2, "Refresh")
    start_recording(notebook)
    return notebook


@pytest.mark.parametrize(
    "focusable",
    [
        ".pt-page select",
        ".lm-TabBar-tab.lm-mod-current",
        ".pt-copy summary",
        ".pt-do:enabled",
        ".pt-add",
        ".pt-x",
        ".pt-state",
    ],
)
def test_letters_change_no_cell(notebook: Any, focusable: str) -> None:
    """U2: letters that are typed while a part of the form has the focus add, change and delete no cell."""
    Form(notebook.page).open("Volumes")
    before = notebook.page.evaluate(CELLS)
    notebook.page.locator(f".pt {focusable}").locator("visible=true").first.focus()
    for key in (*"abmddxzcvryjk", "Shift+M", "Shift+A", "Shift+B", "Shift+Z", "Control+Backspace"):
        notebook.page.keyboard.press(key)
    assert notebook.page.evaluate(CELLS) == before
    assert executed(notebook) == []


@pytest.mark.parametrize("title", TITLES)
def test_no_element_of_the_form_lets_a_shortcut_through(notebook: Any, title: str) -> None:
    """U2: none of JupyterLab's shortcuts without Ctrl, Alt or Cmd works on any element of the form."""
    Form(notebook.page).open(title)
    count, bindings = send_shortcuts(notebook, ".pt:has(.pt-copy) *")
    assert count > 10
    assert {"A", "B", "D,D", "M", "X", "Z", "Shift M"} <= set(bindings)
    assert executed(notebook) == []


def test_no_element_of_the_task_list_lets_a_shortcut_through(notebook: Any) -> None:
    """U2: the same in the task list."""
    count, _ = send_shortcuts(notebook, ".pt:not(:has(.pt-copy)) *")
    assert count >= 1
    notebook.page.locator(".pt button[title='Refresh']").focus()
    before = notebook.page.evaluate(CELLS)
    for key in "abmddxz":
        notebook.page.keyboard.press(key)
    assert notebook.page.evaluate(CELLS) == before
    assert executed(notebook) == []


def test_shortcuts_work_beside_the_form(open_notebook: Callable[..., Any]) -> None:
    """U2: the events of these tests do reach JupyterLab from an output that does not keep them."""
    notebook = open_notebook(
        "from IPython.display import HTML\nHTML('<button class=\"bare\">x</button>')", "2"
    )
    notebook.run(0)
    notebook.page.wait_for_selector(".bare")
    start_recording(notebook)
    # The order of the shortcuts changes from start to start, and others remove the output.
    assert send_shortcuts(notebook, ".bare", "A", "B")[0] == 1
    for place in ("above", "below"):
        notebook.page.wait_for_function(
            "name => window.executed.includes(name)", arg=f"notebook:insert-cell-{place}", timeout=10_000
        )


def test_keys_stay_after_the_cell_was_out_of_the_page(open_notebook: Callable[..., Any]) -> None:
    """U2: a form that is shown twice, moved to another view or scrolled away keeps its keys."""
    notebook = open_notebook(OPEN, "b")
    notebook.run(0)
    notebook.run(1)
    for number in range(2):
        notebook.cell(number).locator(".pt").wait_for()
    notebook.page.evaluate(
        "() => { const out = document.querySelector('.jp-OutputArea-output:has(.pt)');"
        " const parent = out.parentNode; out.remove(); parent.append(out) }"
    )
    start_recording(notebook)
    for number in range(2):
        notebook.cell(number).locator(".pt button[title^='Check']").focus()
        notebook.page.keyboard.type("bmdd")
    assert len(notebook.page.evaluate(CELLS)) == 2
    assert executed(notebook) == []


def test_escape_and_shift_enter_go_through(open_notebook: Callable[..., Any]) -> None:
    """U2: on every kind of element, Escape leads to command mode and Shift+Enter runs the form's cell; Ctrl+S saves."""
    notebook = open_notebook(OPEN, "2")
    notebook.run(0)
    start_recording(notebook)
    page = notebook.page
    for title, focusable in (
        ("Volumes", "select"),
        ("Volumes", "button.pt-add"),
        ("Volumes", ".pt-f input"),
        ("Basics", ".lm-TabBar-tab.lm-mod-current"),
        ("Basics", ".pt-name input"),
        ("YAML", "textarea"),
        ("YAML", "button.pt-do:enabled"),
        ("YAML", "summary"),
    ):
        form = Form(page)
        form.open(title)
        notebook.command("notebook:enter-edit-mode")
        page.wait_for_selector(".jp-Notebook.jp-mod-editMode")
        element = form.root.locator(focusable).locator("visible=true").first
        count = notebook.execution_count(0)
        element.focus()
        page.keyboard.press("Escape")
        page.wait_for_selector(".jp-Notebook.jp-mod-commandMode")
        element.focus()
        page.keyboard.press("Shift+Enter")
        page.wait_for_function(
            "n => window.jupyterapp.shell.currentWidget.content.widgets[0].model.executionCount === n",
            arg=count + 1,
        )
    Form(page).root.locator("select, button").locator("visible=true").first.focus()
    page.keyboard.press("Control+S")
    page.wait_for_function("window.executed.includes('docmanager:save')")
