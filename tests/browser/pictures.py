"""Take the pictures of the README and the documentation: ``python -m tests.browser.pictures``.

They show a real JupyterLab, with cells that run in pods of the tests' cluster. One of them moves: its frames are
pictures of the page while a cell runs.
"""

from __future__ import annotations

import io
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser import chromium
from tests.browser.form import Form
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook
from tests.cluster import provider
from tests.cluster.handle import start_cluster
from tests.pods.conftest import in_namespace

FOLDER = Path(__file__).parent.parent.parent / "docs" / "pictures"
NAMESPACE = "team-a"
MAX_PICTURE_BYTES = 200_000
MAX_TRIES = 5
WARM = "%%podtask --image python:3.11-slim\npass"  # the first task of a kernel imports the client library
LOAD = "%load_ext podtask"
CELL = """\
%%podtask --image python:3.11-slim --cpu 2 --memory 4Gi -o total
import platform
print("in", platform.node(), "with Python", platform.python_version())
total = sum(n * n for n in steps)
total"""
LIVE = """\
%%podtask --image python:3.11-slim --memory 4Gi -o total
import platform, time
print("in", platform.node())
total = 0
for part in range(5):
    total += sum(n * n for n in steps[part::5])
    print("part", part + 1, "of 5:", total)
    time.sleep(0.6)"""
USE = 'f"{total:,} is in the notebook now"'
MIN_FRAME_SECONDS = 0.15  # a look of the page that lasts less is left out
FIRST_FRAME_MS, LAST_FRAME_MS = 900, 4000
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


def take_pictures(folder: Path) -> list[Path]:
    """Take all pictures in the light and the dark theme, and return their paths.

    Args:
        folder: Folder for the pictures.

    Raises:
        RuntimeError: There is no browser or no cluster.
    """
    reason = provider.unavailable() or (None if chromium.find_executable() else chromium.NOT_INSTALLED)
    if reason is not None:
        raise RuntimeError(reason)
    cluster = start_cluster()
    folder.mkdir(parents=True, exist_ok=True)
    with (
        cluster.temporary_namespace(NAMESPACE),
        tempfile.TemporaryDirectory() as temporary,
        chromium.launch() as browser,
    ):
        config = in_namespace(cluster.kubeconfig, NAMESPACE, Path(temporary) / "config")
        lab = Lab(Path(temporary) / "lab", {"PODTASK_BACKEND": "", "KUBECONFIG": str(config)})
        try:
            taken = []
            for dark in (False, True):
                taken += _take_in_theme(browser, lab, dark, folder)
                cluster.kubectl("delete", "pod", "--all", "-n", NAMESPACE)  # of the detached cell
            return taken
        finally:
            lab.close()


def _take_in_theme(browser: Any, lab: Lab, dark: bool, folder: Path) -> list[Path]:
    look = "dark" if dark else "light"

    def open_notebook(name: str, height: int, *cells: str, warm: bool = False, width: int = 1060) -> Notebook:
        page = chromium.new_context(browser, width, height, scale=2).new_page()
        notebook = Notebook(page, lab, f"{name}-{look}", list(cells), dark)
        notebook.command("application:toggle-left-area")
        page.wait_for_selector("#jp-left-stack", state="hidden")
        if warm:
            notebook.run(0)
            notebook.run_hidden(WARM)
        return notebook

    def run_cell() -> Notebook:
        for _ in range(MAX_TRIES):
            notebook = open_notebook("train", 690, LOAD, "steps = range(10_000_000)", CELL, warm=True)
            notebook.run(1)
            notebook.run(2)
            notebook.open_details(2)
            notebook.wait_for_text(2, "pod, in YAML")
            # Events are read only if a pod takes a second to start: the light and dark pictures should agree.
            if not notebook.cell(2).get_by_text("events", exact=True).count():
                return notebook
            close(notebook)
        raise RuntimeError(
            f"no pod started within a second in {MAX_TRIES} tries: try again on an idle machine"
        )

    def close(notebook: Notebook) -> None:
        notebook.shut_down_kernel()
        notebook.page.context.close()

    def save(notebook: Notebook, name: str) -> Path:
        path = folder / f"{name}-{look}.png"
        notebook.page.mouse.move(0, 0)
        notebook.page.screenshot(path=path)
        with Image.open(path) as picture:  # 256 colors are enough for a page of text
            small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small.save(path, optimize=True)
        close(notebook)
        return path

    live = open_notebook("live", 600, LOAD, "steps = range(10_000_000)", LIVE, USE, warm=True, width=860)
    live.run(1)
    made = [_record(live, folder / f"live-{look}.png")]
    close(live)
    made.append(save(run_cell(), "cell"))
    form = open_notebook("template", 900, FORM)
    form.run(0)
    Form(form.page).open("Volumes")
    form.page.evaluate("document.querySelector('.pt').scrollIntoView({block: 'end'})")
    made.append(save(form, "form"))
    waits = open_notebook("waits", 760, LOAD, NEEDS, WAITS, warm=True)
    waits.run(1)
    waits.start(2)
    waits.wait_for_text(2, "nvidia.com/gpu")
    waits.open_details(2, "events")
    waits.wait_for_text(2, "FailedScheduling")
    made.append(save(waits, "waits"))
    tasks = open_notebook("tasks", 800, LOAD, DETACHED, TASKS, warm=True)
    tasks.run(1)
    tasks.wait_for_text(1, "epoch 3")
    tasks.run(2)
    tasks.page.locator("button[title='Logs train']").click()
    tasks.page.get_by_role("region", name="Log of train, container primary").wait_for()
    made.append(save(tasks, "tasks"))
    return made


def _record(notebook: Notebook, path: Path) -> Path:
    """Run the last two cells of a notebook, and save how its page looks meanwhile as an animated PNG."""
    page = notebook.page
    page.add_style_tag(content=".jp-cell-toolbar { display: none !important }")
    page.mouse.move(0, 0)
    clip = page.locator(".jp-NotebookPanel-notebook").bounding_box()
    looks: list[tuple[float, bytes]] = []  # when the page began to look so

    def take() -> None:
        looked = page.screenshot(clip=clip)
        if not looks or looks[-1][1] != looked:
            looks.append((time.monotonic(), looked))

    take()
    for number in (2, 3):
        notebook.start(number)
        while not notebook.has_run(number):
            take()
        take()
    times = [at for at, _ in looks] + [looks[-1][0] + LAST_FRAME_MS / 1000]
    lasting = [n for n in range(len(looks)) if n == 0 or times[n + 1] - times[n] >= MIN_FRAME_SECONDS]
    frames = [Image.open(io.BytesIO(looks[n][1])).convert("RGB") for n in lasting]
    # The most frequent colors, so that those of the large areas stay as they are.
    counted: Any = frames[-1].getcolors(1 << 20)
    colors = Image.new("P", (1, 1))
    colors.putpalette([part for _, color in sorted(counted)[:-129:-1] for part in color])
    small = [frame.quantize(palette=colors, dither=Image.Dither.NONE) for frame in frames]
    starts = [times[n] for n in lasting]
    durations = [round(1000 * (after - at)) for at, after in itertools.pairwise(starts)]
    durations = [FIRST_FRAME_MS, *durations[1:], LAST_FRAME_MS]
    small[0].save(path, save_all=True, append_images=small[1:], duration=durations, loop=0, optimize=True)
    return path


def main() -> int:
    """Take the pictures, and return the exit code."""
    try:
        made = take_pictures(FOLDER)
    except RuntimeError as error:
        print(f"no pictures: {error}", file=sys.stderr)
        return 1
    for path in made:
        size = path.stat().st_size
        print(f"{path.relative_to(Path.cwd())}  {size / 1000:.0f} kB")
        if size > MAX_PICTURE_BYTES:
            print(f"{path.name} is larger than {MAX_PICTURE_BYTES / 1000:.0f} kB", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
