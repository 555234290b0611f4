"""``python -m tests.browser.pictures``: takes the pictures of the README and the documentation anew.

They are of a real JupyterLab, with cells that ran in pods of the tests' cluster.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser import chromium
from tests.browser.form import Form
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook
from tests.cluster import provider
from tests.cluster.handle import Cluster
from tests.cluster.node import Node
from tests.pods.conftest import in_namespace

FOLDER = Path(__file__).parent.parent.parent / "docs" / "pictures"
NAMESPACE = "team-a"
LARGEST = 200_000  # bytes of a picture
TRIES = 5
WARM = "%%podtask --image python:3.11-slim\npass"  # a kernel's first task imports the client library
LOAD = "%load_ext podtask"
CELL = """\
%%podtask --image python:3.11-slim --cpu 2 --memory 4Gi -o total
import platform
print("in", platform.node(), "with Python", platform.python_version())
total = sum(n * n for n in steps)
total"""
FORM = """\
from podtask import PodTemplate
from podtask.presets import gpu, pvc, sidecar
from podtask_widgets import TemplateBuilder

train = PodTemplate(labels={"team": "vision"}).with_(
    gpu(1), pvc("imagenet", "/data", read_only=True), sidecar("redis", "redis:7", memory="1Gi"))
TemplateBuilder(train, "gpu-train")"""
NEEDS = """\
from podtask import PodTemplate
from podtask.presets import gpu

train = PodTemplate().with_(gpu(1))"""
DETACHED = """\
%%podtask -d --as train --image python:3.11-slim
import time
for epoch in range(1, 1000):
    print("epoch", epoch, "loss", round(1 / epoch, 3))
    time.sleep(1)"""
TASKS = """\
from podtask_widgets import TaskList
TaskList()"""
WAITS = """\
%%podtask -t train --image python:3.11-slim
print("a GPU is needed here")"""


def take(folder: Path) -> list[Path]:
    """Takes all pictures, light and dark; returns their files.

    Args:
        folder: where to put them.

    Raises:
        RuntimeError: there is no browser or no cluster; says why.
    """
    reason = provider.unavailable() or (None if chromium.path() else chromium.NONE)
    if reason is not None:
        raise RuntimeError(reason)
    given = provider.given_kubeconfig()
    node = None if given else Node()
    if node is not None:
        node.up()
    cluster = Cluster(given or node.layout.kubeconfig, node)  # type: ignore[union-attr]
    cluster.kubectl("create", "namespace", NAMESPACE)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        cluster.kubectl("wait", "--for=create", "serviceaccount/default", "-n", NAMESPACE)
        with tempfile.TemporaryDirectory() as made, chromium.launched() as browser:
            config = in_namespace(cluster.kubeconfig, NAMESPACE, Path(made) / "config")
            lab = Lab(Path(made) / "lab", {"PODTASK_BACKEND": "", "KUBECONFIG": str(config)})
            try:
                taken = []
                for dark in (False, True):
                    taken += _taken(browser, lab, dark, folder)
                    cluster.kubectl("delete", "pod", "--all", "-n", NAMESPACE)  # what is detached
                return taken
            finally:
                lab.close()
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _taken(browser: Any, lab: Lab, dark: bool, folder: Path) -> list[Path]:
    look = "dark" if dark else "light"

    def opened(name: str, height: int, *cells: str, warm: bool = False) -> Notebook:
        page = chromium.window(browser, 1060, height, scale=2).new_page()
        notebook = Notebook(page, lab, f"{name}-{look}", list(cells), dark)
        notebook.command("application:toggle-left-area")
        page.wait_for_selector("#jp-left-stack", state="hidden")
        if warm:
            notebook.run(0)
            notebook.run_unseen(WARM)
        return notebook

    def quick() -> Notebook:
        for _ in range(TRIES):
            notebook = opened("train", 690, LOAD, "steps = range(10_000_000)", CELL, warm=True)
            notebook.run(1)
            notebook.run(2)
            notebook.unfold(2)
            notebook.shows(2, "pod, in YAML")
            # Events are asked for where a pod takes a second to start: light and dark are to agree.
            if not notebook.cell(2).get_by_text("events", exact=True).count():
                return notebook
            closed(notebook)
        raise RuntimeError(f"no pod started within a second, in {TRIES} tries: take them on a quiet machine")

    def closed(notebook: Notebook) -> None:
        notebook.end_kernel()
        notebook.page.context.close()

    def shot(notebook: Notebook, name: str) -> Path:
        path = folder / f"{name}-{look}.png"
        notebook.page.mouse.move(0, 0)
        notebook.page.screenshot(path=path)
        with Image.open(path) as picture:  # 256 colours are enough for a page of text
            small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small.save(path, optimize=True)
        closed(notebook)
        return path

    made = [shot(quick(), "cell")]
    form = opened("template", 900, FORM)
    form.run(0)
    Form(form.page).open("Volumes")
    form.page.evaluate("document.querySelector('.pt').scrollIntoView({block: 'end'})")
    made.append(shot(form, "form"))
    waits = opened("waits", 760, LOAD, NEEDS, WAITS, warm=True)
    waits.run(1)
    waits.start(2)
    waits.shows(2, "nvidia.com/gpu")
    waits.unfold(2, "events")
    waits.shows(2, "FailedScheduling")
    made.append(shot(waits, "waits"))
    tasks = opened("tasks", 800, LOAD, DETACHED, TASKS, warm=True)
    tasks.run(1)
    tasks.shows(1, "epoch 3")
    tasks.run(2)
    tasks.page.locator("button[title='Logs train']").click()
    tasks.page.get_by_role("region", name="Log of train, container primary").wait_for()
    made.append(shot(tasks, "tasks"))
    return made


def main() -> int:
    """Takes them; returns the exit code."""
    try:
        made = take(FOLDER)
    except RuntimeError as error:
        print(f"no pictures: {error}", file=sys.stderr)
        return 1
    for path in made:
        size = path.stat().st_size
        print(f"{path.relative_to(Path.cwd())}  {size / 1000:.0f} kB")
        if size > LARGEST:
            print(f"{path.name} is larger than {LARGEST / 1000:.0f} kB", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
