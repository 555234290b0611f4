"""What podtask leaves to others, or keeps for itself: said in the README, and so."""

from __future__ import annotations

from pathlib import Path

import podtask
import pytest

README = (Path(__file__).parent.parent.parent / "README.md").read_text()
SAID = " ".join(README.split())


@pytest.mark.feature("A30", "A32")
def test_images_are_taken_as_they_are_and_never_built() -> None:
    """Any name is taken, for the cell and for sidecars; the README says that none is built."""
    assert "podtask builds none" in SAID
    side = {"name": "side", "image": "registry.example/team/side@sha256:" + "0" * 64}
    pod = podtask.render(template={"containers": [side]}, image="registry.example:5000/team/app:7")
    sidecar, primary = pod["spec"]["containers"]
    assert sidecar == side
    assert primary["image"] == "registry.example:5000/team/app:7"


@pytest.mark.feature("B10")
def test_command_of_the_primary_is_ours_which_the_readme_says() -> None:
    """A command of the template does not stay, by no option; a sidecar's does."""
    assert "The primary container's command is always ours" in SAID
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
