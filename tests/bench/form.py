"""The form in a real JupyterLab: time until it is shown, time until a key is visible, and saved size."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.bench.table import Measurement
from tests.browser import chromium
from tests.browser.form import Form
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook
from tests.widgets.user import TITLES

KEYS = 40
# The template is created in a separate cell, so that only the form is measured.
LARGE = """\
from podtask import PodTemplate
from podtask.presets import pvc, sidecar
from podtask_widgets import TemplateBuilder
template = PodTemplate().with_(
    *(pvc(f"claim-{n}", f"/data/{n}") for n in range(10)),
    *(sidecar(f"side-{n}", "redis:7", memory="1Gi", ports=[6379 + n], env={"LEVEL": "warning"})
      for n in range(3)))"""
# A change is visible after the layout, so the next frame is measured.
OPENED = """n => new Promise(done => {
  const lab = window.jupyterapp, start = performance.now();
  const look = () => {
    const shown = document.querySelectorAll('.pt .pt-page input');
    const text = document.querySelector('.pt .pt-pre');
    if (shown.length && text && text.checkVisibility()) done(performance.now() - start);
    else requestAnimationFrame(look);
  };
  lab.shell.currentWidget.content.activeCellIndex = n;
  lab.commands.execute('notebook:run-cell');
  requestAnimationFrame(look);
})"""
LISTEN = """() => {
  window.pressed = []; window.seen = [];
  document.addEventListener('keydown', () => window.pressed.push(performance.now()), true);
  const text = () => document.querySelector('.pt .pt-pre').innerText;
  let last = text();
  const look = () => {
    const now = text();
    if (now !== last) { last = now; window.seen.push(performance.now()); }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
# Off by default. With this setting, a saved notebook grows the most.
STATE_TOO = {"@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True}}


def measure(rounds: int) -> list[Measurement]:
    """Return the rows of the form, or none if there is no browser."""
    if chromium.find_executable() is None:
        return []
    first: list[float] = []
    again: list[float] = []
    keys: list[float] = []
    sizes: list[float] = []
    with tempfile.TemporaryDirectory() as folder, chromium.launch() as browser:
        lab = Lab(Path(folder), {"PODTASK_BACKEND": "local", "KUBECONFIG": os.devnull}, STATE_TOO)
        try:
            for number in range(rounds):
                context = chromium.new_context(browser)
                cells = [LARGE, "b = TemplateBuilder(template)\nb"]
                notebook = Notebook(context.new_page(), lab, f"form-{number}", cells)
                notebook.run(0)
                notebook.save()
                before = notebook.file.stat().st_size
                first.append(notebook.page.evaluate(OPENED, 1) / 1000)
                for title in TITLES:
                    Form(notebook.page).open(title)
                notebook.save()
                sizes.append((notebook.file.stat().st_size - before) / 1000)
                notebook.command("notebook:clear-all-cell-outputs")
                notebook.page.wait_for_selector(".pt", state="detached")
                again.append(notebook.page.evaluate(OPENED, 1) / 1000)
                keys += _typed(notebook)
                context.close()
        finally:
            lab.close()
    what = "the form of 10 volumes and 3 sidecars"
    return [
        Measurement(f"{what} opens, first in its kernel", "s", first, [], None, "< 1.5"),
        Measurement(f"{what} opens again", "s", again, [], None, "< 1.5"),
        Measurement("a key until its letter is in the YAML", "ms", keys, [], None, "< 150"),
        Measurement(
            "a notebook saved with all its pages, widgets' state too, grows by",
            "kB",
            sizes,
            [],
            None,
            "< 300",
        ),
    ]


def _typed(notebook: Notebook) -> list[float]:
    """Type characters one after another; return the milliseconds until each is visible."""
    form, page = Form(notebook.page), notebook.page
    form.write("Image", "registry.example.org/")
    page.evaluate(LISTEN)
    for number in range(KEYS):
        page.keyboard.type("abcdefghij"[number % 10])
        page.wait_for_function("n => window.seen.length > n", arg=number)
    found: list[list[float]] = page.evaluate("[window.pressed, window.seen]")
    return [seen - pressed for pressed, seen in zip(*found, strict=True)]
