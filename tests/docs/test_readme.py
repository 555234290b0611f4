"""Statements of the README about images and commands are true."""

from __future__ import annotations

from pathlib import Path

import podtask
import pytest

README = (Path(__file__).parent.parent.parent / "README.md").read_text()
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
