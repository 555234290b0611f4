"""State that is in no variable, with --local: random numbers, notes in the closing line, hints (rows C2 to C6)."""

from __future__ import annotations

import io
import logging
import random
import wave  # noqa: F401 -- stands for a library that the notebook has imported
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask.pickling import state
from podtask.runner.state import libraries

from tests.notebook import Shell

DRAW = "import random\nvalue = random.random()"


pytestmark = pytest.mark.usefixtures("local_backend")


def closing_notes(shell: Shell) -> list[str]:
    """Return what the last task says in its closing line about state."""
    notes: list[str] = shell["_task"].outcome().notes
    return notes


def test_c3_two_cells_draw_what_the_kernel_draws(shell: Shell) -> None:
    """C3: the generator goes on from cell to cell, with -o, after an error and between podtask.run and a cell."""
    random.seed(5)
    wanted = [random.random() for _ in range(4)]
    shell.run("import random; random.seed(5)")
    shell.output(f"%%podtask -o value\n{DRAW}")
    found = [shell["value"]]
    with pytest.raises(ZeroDivisionError):
        shell.output("%%podtask\nimport random\nrandom.random()\n1 / 0")
    found += [wanted[1], podtask.run("__import__('random').random()"), random.random()]
    assert found == wanted


def test_c3_a_called_task_draws_from_the_notebook(shell: Shell) -> None:
    """C3: so does the call of a decorated function; its submit does not."""
    shell.run(
        "import podtask, random\n@podtask.task(local=True)\ndef draw():\n    import random\n    return random.random()\n"
    )
    random.seed(9)
    wanted = [random.random() for _ in range(2)]
    shell.run("random.seed(9)")
    assert shell.run("draw()") == wanted[0]
    assert shell.run("draw.submit().result()") not in wanted
    assert random.random() == wanted[1]


def test_c3_detached_cells_start_fresh(shell: Shell) -> None:
    """C3: two detached cells differ, the notebook's generator stays, and the closing line tells what to do."""
    shell.run("import random; random.seed(1)")
    before = random.getstate()
    values = []
    for _ in range(2):
        shell.output(f"%%podtask -d\n{DRAW}\nvalue")
        values.append(shell["_task"].result())
    assert values[0] != values[1]
    assert random.getstate() == before
    (note,) = closing_notes(shell)
    assert note.startswith("random was seeded in the notebook")
    assert note.endswith("seed it in the cell")


def test_c3_no_line_where_nothing_was_seeded(shell: Shell) -> None:
    """C3: a detached cell that draws has no line if no cell of the notebook has set a seed, or if it draws nothing."""
    shell.output(f"%%podtask -d\n{DRAW}")
    assert closing_notes(shell) == []
    shell.run("import random; random.seed(1)")
    shell.output("%%podtask -d\n1 + 1")
    assert closing_notes(shell) == []


def test_c3_map_draws_different_numbers(shell: Shell) -> None:
    """C3: the calls of a map differ, although the notebook has set a seed."""
    shell.run(
        "import podtask, random\nrandom.seed(3)\n@podtask.task(local=True)\ndef draw(n):\n    import random\n"
        "    return random.random()\n"
    )
    first, second = shell.run("draw.map([1, 2])")
    assert first != second


def test_c3_state_of_a_module_that_the_notebook_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """C3: what a cell seeds in a module that the notebook has not imported is there in the next cell."""
    data = [[1] * 624, 3, 0, 0.0]
    monkeypatch.setattr(state, "_waiting", {})
    monkeypatch.delitem(__import__("sys").modules, "numpy.random", raising=False)
    state.restore_state({"numpy.random": data})
    entries = state.capture_state({}, waits=True).entries
    assert ("numpy.random", "numpy_random", data) in entries
    assert "numpy.random" not in [name for name, *_ in state.capture_state({}, waits=False).entries]


def test_c2_handlers_for_files_are_named(shell: Shell, tmp_path: Path) -> None:
    """C2: a handler that cannot be sent is named in the closing line, if the cell uses logging at all."""
    handler = logging.FileHandler(tmp_path / "train.log")
    logger = logging.getLogger("c2_files")
    logger.addHandler(handler)
    try:
        shell.output("%%podtask\nimport logging")
        assert closing_notes(shell) == [
            "the FileHandler of the logger c2_files stays in the notebook: set it up in the cell"
        ]
        shell.output("%%podtask\n1 + 1")
        assert closing_notes(shell) == []
    finally:
        logger.removeHandler(handler)
        handler.close()


def test_c2_a_handler_of_a_library_is_named_if_the_cell_imports_it(shell: Shell) -> None:
    """C2: a library may add a handler to its own logger when it is imported: no matter for other cells."""
    handler = logging.StreamHandler(io.StringIO())
    logger = logging.getLogger("wave.reader")
    logger.addHandler(handler)
    try:
        shell.output("%%podtask\nimport logging")
        assert closing_notes(shell) == []
        shell.output("%%podtask\nimport logging, wave")
        assert closing_notes(shell) == [
            "the StreamHandler of the logger wave.reader stays in the notebook: set it up in the cell"
        ]
    finally:
        logger.removeHandler(handler)


def test_c4_a_setting_that_cannot_be_sent_is_named(shell: Shell) -> None:
    """C4: an option that cannot be pickled is named, and the cell runs."""
    pandas: Any = pytest.importorskip("pandas")
    shell.run("import threading; lock = threading.Lock()")
    pandas.set_option("display.float_format", shell.run("lambda x: lock and str(x)"))
    try:
        out, _ = shell.output("%%podtask\nimport pandas\nprint(pandas.Series([1.5])[0])")
        assert "1.5" in out
        (note,) = closing_notes(shell)
        assert note.startswith("pandas' option display.float_format stays in the notebook")
    finally:
        pandas.reset_option("display.float_format")


def test_c4_libraries_are_not_imported_in_the_pod(shell: Shell) -> None:
    """C4: a library that the cell does not import is not imported for its settings."""
    numpy: Any = pytest.importorskip("numpy")
    numpy.set_printoptions(precision=2)
    try:
        out, _ = shell.output(
            "%%podtask\nimport sys\nprint('numpy' in sys.modules, 'logging' in sys.modules)"
        )
        assert "False False" in out
    finally:
        numpy.set_printoptions(precision=8)


def test_c4_a_missing_library_is_not_an_error(shell: Shell) -> None:
    """C4: state of a library that the pod lacks changes nothing."""
    importer = libraries.StateImporter()
    importer.after_import("no_such_library", lambda module: None)
    assert importer.find_spec("no_such_library") is None


def test_c5_attribute_of_an_earlier_cell_gets_a_hint(shell: Shell) -> None:
    """C5: the error of an attribute that a cell has added says to run that line in the cell."""
    shell.run("import fractions\nfractions.Fraction.percent = lambda self: float(self) * 100")
    try:
        shown = shell.shown_error("%%podtask\nfrom fractions import Fraction\nFraction(1, 2).percent()")
        assert "The notebook's Fraction has percent" in shown
        assert "such as: fractions.Fraction.percent = lambda" in shown
    finally:
        shell.run("del fractions.Fraction.percent")


def test_c5_registration_of_a_library_gets_a_hint(shell: Shell) -> None:
    """C5: so does an accessor that a library registers."""
    pytest.importorskip("tqdm")
    pandas: Any = pytest.importorskip("pandas")
    shell.run("from tqdm import tqdm\ntqdm.pandas()")
    try:
        shown = shell.shown_error("%%podtask\nimport pandas\npandas.Series([1]).progress_apply(abs)")
        assert "Run the line that adds it in the cell, such as: tqdm.pandas()" in shown
    finally:
        for kind in (pandas.Series, pandas.DataFrame):
            del kind.progress_apply


def test_every_library_has_its_functions() -> None:
    """Every row of the table of libraries names a module with the two functions."""
    for file in {*libraries.LIBRARIES.values(), *libraries.GENERATORS.values()}:
        module = libraries.library(file)
        assert callable(module.capture)
        assert callable(module.apply)


def test_variable_of_contextvars_that_a_cell_sets_stays_in_the_pod(shell: Shell) -> None:
    """The notebook and its next cell have the notebook's value, also when the variable is an output."""
    shell.run("import contextvars\nuser = contextvars.ContextVar('user', default='nobody')\nuser.set('ann')")
    before = shell["user"]
    assert shell.output("%%podtask -o user\nuser.set('bob')\nprint(user.get())")[0].startswith("bob\n")
    assert shell["user"] is before
    assert shell.output("print(user.get())")[0] == "ann\n"
    assert shell.output("%%podtask\nprint(user.get())")[0].startswith("ann\n")
