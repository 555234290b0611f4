"""Statements of the README about images and commands are true."""

from __future__ import annotations

import re
from pathlib import Path

import podtask
import pytest
from PIL import Image, ImageSequence

from tests.browser.pictures import MAX_PICTURE_BYTES
from tests.notebook import Kernel, Shell

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
TEXT = " ".join(README.split())


@pytest.mark.feature("A30", "A32")
def test_images_are_used_unchanged_and_never_built() -> None:
    """Any image name is accepted for the cell and for sidecars, and no image is built."""
    assert "podtask does not build images" in TEXT
    side = {"name": "side", "image": "registry.example/team/side@sha256:" + "0" * 64}
    pod = podtask.render(template={"containers": [side]}, image="registry.example:5000/team/app:7")
    sidecar, primary = pod["spec"]["containers"]
    assert sidecar == side
    assert primary["image"] == "registry.example:5000/team/app:7"


@pytest.mark.feature("B10")
def test_command_of_the_primary_container_is_replaced_as_the_readme_says() -> None:
    """No option keeps the command of the primary container; a sidecar keeps its command."""
    assert "podtask always replaces the command of the primary container" in TEXT
    template = {
        "containers": [
            {"name": "primary", "command": ["serve"]},
            {"name": "side", "image": "x", "command": ["serve"]},
        ]
    }
    for entrypoint in ("replace", "keep"):
        primary, side = podtask.render(template=template, entrypoint=entrypoint)["spec"]["containers"]
        assert primary.get("command") != ["serve"]
        assert side["command"] == ["serve"]


def first_cells() -> list[str]:
    """Return the three cells with which the README begins."""
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)[:3]


@pytest.mark.parametrize("look", ["light", "dark"])
def test_picture_of_a_running_cell_moves(look: str) -> None:
    """The first picture is small and moves; a reader who asked for less motion sees one that does not."""
    name = f"docs/pictures/live-{look}.png"
    assert name in README
    assert f'(prefers-reduced-motion: reduce)" srcset="docs/pictures/cell-{look}.png' in README.replace(
        " and (prefers-color-scheme: dark)", ""
    )
    path = ROOT / name
    assert path.stat().st_size < MAX_PICTURE_BYTES
    with Image.open(path) as picture:
        assert len(ImageSequence.all_frames(picture)) > 5


def test_map_session_and_detached_cell_run(kernel: Kernel) -> None:
    """The cells of the README with --map, --session and -d run; the detached one keeps its value in its handle."""
    cells = [each for each in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "paths" in each]
    assert [each.split()[1] for each in cells] == ["--map", "--session", "-d"]
    kernel.run("%env PODTASK_BACKEND=local")
    kernel.run("paths = ['a', 'bb', 'ccc']\nevaluate = train = len\nread = list")
    for cell in cells:
        assert kernel.run(cell).error is None
    assert (
        kernel.run("print(score, size, nightly.exception(60), nightly.values)").stdout
        == "[1, 2, 3] 3 None {'model': 3}\n"
    )


def test_form_opens_as_the_readme_says(shell: Shell) -> None:
    """The README shows how the form is opened."""
    (cell,) = [each for each in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "Builder()" in each]
    assert type(shell.run(cell)).__name__ == "TemplateBuilder"


def test_readme_begins_with_the_installation() -> None:
    """U8: the first block installs podtask, and a text says who it is for, and what it is not."""
    assert re.search(r"```\w+\n(.*?)```", README, re.DOTALL)[1] == "pip install podtask\n"  # type: ignore[index]
    for heading in ("Is it for you?", "How fast it is", "Whom you trust"):
        assert f"## {heading}\n" in README
    assert "Each cell has a new pod" in README


def test_first_cells_run_on_this_machine(kernel: Kernel) -> None:
    """U8: the first cells run as pasted; the one for a cluster also runs with the setting for local runs."""
    first, second, third = first_cells()
    assert second.startswith("%%podtask --local ")
    assert kernel.run(first).error is None
    ran = kernel.run(second)
    assert (ran.error, ran.stdout) == (None, "sent: 100000 numbers\n")
    kernel.run("%env PODTASK_BACKEND=local")
    ran = kernel.run(third)
    assert ran.error is None
    assert ran.result is not None
    assert "333328333350000" in ran.result["text/plain"]
