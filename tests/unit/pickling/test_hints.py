"""Hints for errors about names that the notebook has and the pod lacks."""

from __future__ import annotations

import importlib
import sys
import types
import zipfile
from pathlib import Path

import pytest
from podtask.pickling.hints import missing_module_hint, missing_name, missing_name_hint


class UndefinedVariableError(NameError):
    """An error with the same name as one of pandas."""


class Broken(NameError):
    """Message whose text cannot be read."""

    def __str__(self) -> str:
        raise RuntimeError


Theirs = type("UndefinedVariableError", (NameError,), {"__module__": "pandas.errors"})


@pytest.mark.parametrize(
    ("error", "source", "name"),
    [
        (NameError("name 'x' is not defined"), "", "x"),
        (Theirs("local variable 'limit' is not defined"), "", "limit"),
        (UndefinedVariableError("name 'x' is not defined"), "", ""),
        (Broken("name 'x' is not defined"), "", ""),
        (NameError(Broken()), "", ""),
        (NameError(), "", ""),
        (AttributeError("module '__main__' has no attribute 'z'"), "", "z"),
        (AttributeError("module 'json' has no attribute 'z'"), "", ""),
        (KeyError("x"), "'{x}'.format(**globals())", "x"),
        (KeyError("x"), "d['x']", ""),
        (ValueError("name 'x' is not defined"), "", ""),
    ],
)
def test_missing_name(error: BaseException, source: str, name: str) -> None:
    """The missing name is taken only from the standard messages of Python and pandas."""
    assert missing_name(error, source) == name


def test_hint_for_a_missing_name() -> None:
    """A variable that was not detected can be sent by name, and one that was left out cannot."""
    namespace = {"x": 1, "con": 2, "a": 3}
    sent = {"a": 3}
    assert missing_name_hint("x", namespace, sent, {}).endswith("Send it with -i a,x.")
    assert "con cannot be sent (no)" in missing_name_hint("con", namespace, sent, {"con": "no"})
    assert missing_name_hint("a", namespace, sent, {}) == ""
    assert missing_name_hint("new", namespace, sent, {}) == ""


def test_hint_for_a_module_in_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E5: a module that the notebook imports from an archive is on no index: the hint names the archive."""
    archive = tmp_path / "tools.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("e5_zipped.py", "x = 1")
    monkeypatch.syspath_prepend(archive)
    importlib.import_module("e5_zipped")
    monkeypatch.setitem(sys.modules, "e5_zipped", sys.modules["e5_zipped"])
    hint = missing_module_hint(ModuleNotFoundError(name="e5_zipped"))
    assert hint.startswith(f"The notebook imports it from {archive}")
    assert "--pip" not in hint


def test_hint_for_pyarrow_says_what_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """B: a table of pandas with texts needs pyarrow in the pod if the notebook has it; the cell does not mention it."""
    error = ModuleNotFoundError(name="pyarrow")
    monkeypatch.setitem(sys.modules, "pandas", types.ModuleType("pandas"))
    assert missing_module_hint(error) == (
        "The image lacks this module, in which the notebook's pandas keeps texts of tables. Install it with --pip, or "
        "choose an image that has it with --image."
    )
    monkeypatch.delitem(sys.modules, "pandas")
    assert missing_module_hint(error).startswith("The image lacks this module. Install it")
