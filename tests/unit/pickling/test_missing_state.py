"""Hints for state that earlier cells made outside of variables (rows C5 and C6)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from podtask.errors import InputError
from podtask.pickling.missing_state import (
    missing_attribute_hint,
    missing_registration_hint,
    missing_variable_hint,
)


class Table:
    """A class that a library has patched."""


def caught(work: Callable[[], Any]) -> BaseException:
    """Return the error that a function raises."""
    with pytest.raises(BaseException) as error:  # noqa: PT011
        work()
    return error.value


def test_c6_missing_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """C6: a KeyError of os.environ names the option that sends the variable, and not its value."""
    error = caught(lambda: os.environ["SERVICE_TOKEN"])
    assert missing_variable_hint(error, {}) == ""  # the notebook lacks it too
    monkeypatch.setenv("SERVICE_TOKEN", "secret-value")
    hint = missing_variable_hint(error, {})
    assert "--env SERVICE_TOKEN" in hint
    assert "secret-value" not in hint
    assert missing_variable_hint(error, {"SERVICE_TOKEN": "x"}) == ""


@pytest.mark.parametrize(
    "work", [lambda: dict[str, str]()["PATH"], lambda: int("PATH")], ids=["another KeyError", "another error"]
)
def test_c6_other_errors_have_no_hint(work: Callable[[], Any]) -> None:
    """C6: the same name missing in another mapping, and other errors, are not about the environment."""
    assert missing_variable_hint(caught(work), {}) == ""


def test_c6_deleted_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """C6: deleting a variable that the pod lacks gets the hint too."""
    monkeypatch.delenv("REGION", raising=False)
    error = caught(lambda: os.environ.__delitem__("REGION"))
    monkeypatch.setenv("REGION", "eu")
    assert "--env REGION" in missing_variable_hint(error, {})


def test_c6_the_hint_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """C6: --env NAME sends the notebook's value; without one it is an error."""
    from podtask.config.option_types import parse_env

    monkeypatch.setenv("REGION", "eu=1")
    assert parse_env(["REGION", "A=b"]) == (("REGION", "eu=1"), ("A", "b"))
    monkeypatch.delenv("REGION")
    with pytest.raises(InputError, match="has no value"):
        parse_env(["REGION"])


def test_c5_accessor_of_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """C5: an attribute that the notebook's class has is found by an instance, and the line is quoted."""
    error = caught(lambda: Table().progress_apply)  # type: ignore[attr-defined]
    assert missing_attribute_hint(error, {}) == ""  # nor has the notebook
    monkeypatch.setattr(Table, "progress_apply", lambda self: self, raising=False)
    Table.progress_apply.__module__ = "tqdm.std"  # type: ignore[attr-defined]
    cells = ["from tqdm.auto import tqdm\ntqdm.pandas()", "df = 1"]
    hint = missing_attribute_hint(error, {"df": Table(), "In": cells})
    assert hint.startswith("The notebook's Table has progress_apply")
    assert hint.endswith("tqdm.pandas()")


def test_c5_attribute_that_a_cell_has_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    """C5: the assignment of an earlier cell is quoted; so is the registration of an accessor."""
    error = caught(lambda: Table.total)  # type: ignore[attr-defined]
    monkeypatch.setattr(Table, "total", property(lambda self: 1), raising=False)
    assert missing_attribute_hint(error, {"In": ["Table.total = property(one)"]}).endswith("property(one)")
    registered = {"In": ['@pd.api.extensions.register_dataframe_accessor("total")\nclass T: pass']}
    assert missing_attribute_hint(error, registered).endswith('accessor("total")')


def test_c5_module_that_a_cell_has_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """C5: an attribute that a cell has set in a module."""
    import json

    error = caught(lambda: json.shout)  # type: ignore[attr-defined]
    assert missing_attribute_hint(error, {}) == ""
    monkeypatch.setattr(json, "shout", str.upper, raising=False)
    assert "json.shout = str.upper" in missing_attribute_hint(error, {"In": ["json.shout = str.upper"]})


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("'mine' is not a valid value for cmap"), "mpl.colormaps.register(cmap, name='mine')"),
        (KeyError("mine"), 'register("mine", Environment)'),
        (LookupError("unknown error handler name 'mine'"), "codecs.register_error('mine', handle)"),
        (RuntimeError("type 'mine' is not supported"), "sqlite3.register_adapter(mine, str)"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_c5_names_that_were_registered(error: Exception, line: str) -> None:
    """C5: an error about a name that an earlier cell has registered with a library quotes that line."""
    hint = missing_registration_hint(error, {"In": ["", f"x = 1\n{line}", "mine"]})
    assert hint == (
        f"An earlier cell has registered mine, which the pod lacks. Run that line in the cell: {line}"
    )
    others = [
        "register(minefield)",
        "x.mine",
        "get_ipython().run_cell_magic('podtask', '', 'register(mine)')",
    ]
    assert missing_registration_hint(error, {"In": others}) == ""


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("'int' object has no attribute 'missing'"),
        AttributeError("'Shape' object has no attribute 'missing'"),
        TypeError("unsupported operand type(s) for +: 'Shape' and 'int'"),
    ],
    ids=str,
)
def test_c5_types_in_a_message_are_not_registered_names(error: Exception) -> None:
    """C5: a message that mentions a class with functions of ``singledispatch`` has no such hint."""
    cells = ["@area.register(int)\n@area.register(Shape)\ndef _(shape): ..."]
    assert missing_registration_hint(error, {"In": cells}) == ""


@pytest.mark.parametrize(
    "error", [KeyError(3), KeyboardInterrupt("'mine'"), ValueError(), ValueError(["'mine'"])]
)
def test_c5_errors_about_other_things(error: BaseException) -> None:
    """C5: errors without a name have no such hint."""
    assert missing_registration_hint(error, {"In": ["register('mine')"]}) == ""
