"""Local modules and versions of Python and of libraries, in pods."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.notebook import Shell

pytestmark = pytest.mark.cluster


@pytest.mark.feature("N11", "S06", "N05")
@pytest.mark.parametrize("image", ["python:3.9-slim", "python:3.11-slim", "python:3.13-slim"])
def test_local_module_runs_in_the_pod(
    pods: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: str
) -> None:
    """A module next to the notebook is imported in the pod, and errors show its lines."""
    (tmp_path / "near_mod.py").write_text(
        "class Box:\n    def __init__(self, n):\n        self.n = n\n\ndef fail(box):\n    raise KeyError(box.n)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        pods.run("import near_mod\nbox = near_mod.Box(5)")
        pods.run(f"%%podtask --image {image} -o back\nback = near_mod.Box(box.n + 1)")
        assert pods["back"].n == 6
        assert type(pods["back"]) is pods["near_mod"].Box
        shown = pods.shown_error(f"%%podtask --image {image}\nnear_mod.fail(box)")
        assert "raise KeyError(box.n)" in shown
    finally:
        del sys.modules["near_mod"]


@pytest.mark.feature("S08")
def test_missing_module_is_named_with_the_fix(pods: Shell) -> None:
    """If the image lacks the library of a value, the error names it before anything is unpickled."""
    pods.run("import yaml\nloader = yaml.SafeLoader")
    shown = pods.shown_error("%%podtask --image python:3.11-slim\nprint(loader)")
    assert "ModuleNotFoundError" in shown
    assert "yaml" in shown
    assert "--image" in shown
