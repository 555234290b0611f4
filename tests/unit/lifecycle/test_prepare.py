"""Preparing a cell."""

from __future__ import annotations

import threading
import unittest
from collections.abc import Callable
from typing import Any

import pytest
from podtask.cell.cell import Cell
from podtask.config.options import RunOptions
from podtask.errors import InputError, StartError
from podtask.lifecycle import prepare as prepare_module
from podtask.lifecycle.prepare import PreparedCell, prepare, remember_minor
from podtask.runner.bundle import MINOR

from tests.unit.packing import OTHER

Notebook = Callable[[str], dict[str, Any]]
UNKNOWN = "team/app:7"


@pytest.mark.fault(103)
@pytest.mark.parametrize(("given", "linger"), [({}, 600), ({"linger": "20s"}, 20), ({"linger": "2h"}, 7200)])
def test_a_local_runner_lingers_as_documented(given: dict[str, Any], linger: float) -> None:
    """A local runner waits 10 minutes for its notebook, or as long as --linger says."""
    prepared = prepare(Cell.of("x = 1"), RunOptions.of(local=True, **given), {})
    job = prepared.job_for(f"{MINOR}.0", "podtask-x", prepared.manifest.linger_seconds, print)
    assert job.meta["linger"] == linger


def test_g3_what_cannot_be_sent_to_tests() -> None:
    """G3: a test that cannot be sent is an error that names -i; a member that cannot be sent is a note."""
    lock = threading.Lock()
    test = type("TestLock", (unittest.TestCase,), {"lock": lock, "__module__": "__main__"})
    namespace = {"TestLock": test, "lock": lock, "rows": [1]}
    with pytest.raises(InputError, match=r"TestLock.*cannot be sent") as caught:
        prepare(Cell.of("import unittest\nunittest.main()"), RunOptions.of(local=True), namespace)
    assert "-i" in caught.value.hint
    cell = Cell.of("import inspect, __main__\ninspect.getmembers(__main__)")
    prepared = prepare(cell, RunOptions.of(local=True), namespace)
    assert prepared.inputs.about["steps"] == ["rows"]
    (note,) = prepared.inputs.notes
    assert "TestLock, lock stayed in the notebook" in note
    alone = prepare(cell, RunOptions.of(local=True, inputs=["rows"]), namespace)
    assert alone.inputs.notes == ()


class Counted:
    """An input that counts how often it is packed."""

    packed = 0

    def __reduce__(self) -> Any:
        Counted.packed += 1
        return complex, (0, 1)


@pytest.fixture
def minors(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """Forget which versions earlier pods had."""
    known: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(prepare_module, "_minors", known)
    return known


def prepared_for(
    image: str, namespace: dict[str, Any], source: str = "given", **options: Any
) -> PreparedCell:
    """Prepare a cell for an image."""
    return prepare(Cell.of(source), RunOptions.of(image=image, **options), namespace)


def data_of(prepared: PreparedCell, python: str = f"{OTHER}.0") -> bytes:
    """Return the inputs and the definitions that a pod with a version of Python gets."""
    job = prepared.job_for(python, "podtask-x", 0.0, lambda line: None)
    return b"".join(map(bytes, job.inputs)) + repr(job.meta["steps"]).encode()


@pytest.mark.fault(98)
@pytest.mark.parametrize("image", [f"python:{OTHER}-slim", f"mirror:5000/library/python:{OTHER}.18", UNKNOWN])
def test_inputs_are_those_of_the_call(
    minors: dict[tuple[str, str], str], notebook: Notebook, image: str
) -> None:
    """What the notebook changes after the call does not arrive: lists, attributes, functions, the globals they use."""
    namespace = notebook("class Box: pass\nbox = Box()\nbox.text = 'before'\ngiven = ['before']")
    notebook("word = 'before'\ndef read(): return word, 'old'")
    prepared = prepared_for(image, namespace, "given, box, read()")
    before = data_of(prepared)
    assert before.count(b"before") >= 3
    assert b"'old'" in before
    notebook("given.append('after')\nbox.text = word = 'after'\ndef read(): return word, 'new'")
    namespace["box"] = namespace["given"] = None
    assert data_of(prepared) == before
    assert data_of(prepared, f"{OTHER}.7") == before
    assert b"after" in data_of(prepared_for(image, namespace, "word"))


@pytest.mark.fault(98)
def test_inputs_for_the_notebooks_version_are_packed_once(minors: dict[tuple[str, str], str]) -> None:
    """A known version, also from an earlier pod, costs nothing more; nothing is packed for a job."""

    def count(image: str, **options: Any) -> int:
        before = Counted.packed
        prepared = prepared_for(image, {"given": Counted()}, **options)
        packed = Counted.packed
        prepared.job_for(f"{MINOR}.0", "podtask-x", 0.0, print)
        assert Counted.packed == packed
        return packed - before

    once = count(f"python:{MINOR}-slim")
    assert count(UNKNOWN, local=True) == count("", channel="auto") == once
    assert count(UNKNOWN, channel="batch") == once
    assert count(UNKNOWN) > once
    assert count(f"python:{MINOR}-slim", python="/opt/bin/python") > once  # the tag is not about this one
    remember_minor(prepared_for(UNKNOWN, {}, "1").manifest, f"{MINOR}.9")
    assert count(UNKNOWN) == once


@pytest.mark.fault(98)
def test_value_that_another_version_cannot_have_fails_when_it_is_known(
    minors: dict[tuple[str, str], str], notebook: Notebook
) -> None:
    """A known image fails before anything is sent, an unknown one only if its pod has another version."""
    namespace = notebook("given = [eval('lambda: 1')]")
    told = r"given\[0\] \(function\) cannot be sent: its source was not found"
    with pytest.raises(InputError, match=told):
        prepared_for(f"python:{OTHER}-slim", namespace)
    prepared = prepared_for(UNKNOWN, namespace)
    assert data_of(prepared, f"{MINOR}.0")
    with pytest.raises(InputError, match=told):
        data_of(prepared)


@pytest.mark.fault(98)
def test_image_that_has_changed_its_version_is_refused(minors: dict[tuple[str, str], str]) -> None:
    """A pod that unexpectedly has another version gets no later inputs; the next call packs for it."""
    given = {"given": [1]}
    prepared = prepared_for(f"python:{MINOR}-slim", given)
    with pytest.raises(
        StartError, match=f"python:{MINOR}-slim has Python {OTHER}; .* said {MINOR}"
    ) as caught:
        data_of(prepared)
    assert "Run the cell again" in caught.value.hint
    remember_minor(prepared.manifest, f"{OTHER}.0")
    assert data_of(prepared_for(f"python:{MINOR}-slim", given))


def test_ended_cell_keeps_sizes_only() -> None:
    """Without its values, a prepared cell still knows what was sent."""
    emptied = prepared_for(UNKNOWN, {"given": [1]}).without_values()
    assert emptied.inputs.sizes["given"][0] == "list"
    assert (emptied.values, emptied.inputs.parts, emptied.plain_inputs) == ({}, (), None)
