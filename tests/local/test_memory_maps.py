"""Memory maps of numpy: shared with a process on this machine, copied to a pod (row J5 of the cases)."""

from __future__ import annotations

from pathlib import Path

import pytest
from podtask.pickling.inputs import pack_inputs
from podtask.runner.bundle import MINOR

from tests.notebook import Shell
from tests.unit.packing import OTHER, remote

numpy = pytest.importorskip("numpy")


@pytest.fixture(autouse=True)
def _local(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("made", "write", "expected"),
    [
        ("m = m", "m[0] = 5\nm.flush()", [5, 0, 0, 0, 0, 0]),
        ("m = m[2:5]", "m[:] = 1", [0, 0, 1, 1, 1, 0]),
        ("m = m.reshape(2, 3).T", "m[0, 1] = 7", [0, 0, 0, 7, 0, 0]),
        ("held = {'m': m}", "held['m'][1] = 2", [0, 2, 0, 0, 0, 0]),
    ],
    ids=["whole", "slice", "transposed", "in a dict"],
)
def test_writes_reach_the_file(
    shell: Shell, tmp_path: Path, made: str, write: str, expected: list[float]
) -> None:
    """J5: with --local a cell writes to the file of a memory map, and the notebook sees it."""
    shell.run(f"import numpy as np\nm = whole = np.memmap('m.bin', 'f8', 'w+', 8, (6,))\n{made}")
    _, err = shell.output(f"%%podtask --local\n{write};")
    assert numpy.fromfile(tmp_path / "m.bin", offset=8).tolist() == expected
    assert shell["whole"].tolist() == expected
    assert "changed in the process" not in err or made.startswith("held")


@pytest.mark.parametrize(
    "made", ["np.memmap('m.bin', 'f8', 'c', shape=(4,))", "m[::2]", "m + 1", "np.sum(m)"]
)
def test_other_arrays_are_copied(shell: Shell, made: str) -> None:
    """J5: a private map, an array with gaps, and what numpy computes from a map are values as always."""
    shell.run(
        f"import numpy as np\nm = np.memmap('m.bin', 'f8', 'w+', shape=(4,))\nm[:] = [1, 2, 3, 4]\nm.flush()\n"
        f"x = {made}\nbefore = np.array(x)"
    )
    shell.run("%%podtask --local -o got\ngot = np.array(x)\nif got.ndim:\n    x[0] = 99")
    assert shell["got"].tolist() == shell["before"].tolist()
    assert numpy.fromfile("m.bin").tolist() == [1, 2, 3, 4]


def test_a_copy_in_a_pod_is_named() -> None:
    """J5: for a pod a line says that writes do not reach the file; not for a map that is read only."""
    numpy.arange(4.0).tofile("m.bin")
    written, read = (numpy.memmap("m.bin", "f8", mode) for mode in ("r+", "r"))
    inputs = pack_inputs({"written": written, "read": read}, {})
    (note,) = inputs.notes
    assert note.startswith("The pod has a copy of these memory maps of files: written (m.bin).")
    assert pack_inputs({"written": written}, {}, local=True).notes == ()


@pytest.mark.parametrize("python", [MINOR, OTHER])
def test_a_copy_of_a_map_is_read_only_if_the_map_is(python: str) -> None:
    """J5: a write to a map that was opened to be read is an error in a pod, as in the kernel; others can be changed."""
    numpy.arange(4.0).tofile("m.bin")
    read, written = (numpy.memmap("m.bin", "f8", mode) for mode in ("r", "r+"))
    values = {"read": [read, read[1:3]], "written": written}
    cell = "written[0] = 7\nprint(written.tolist(), [each.tolist() for each in read])\n"
    cell += "print([each.flags.writeable for each in read], type(read[0]).__name__)"
    found = remote(pack_inputs(values, values, python), cell)
    assert found == "[7.0, 1.0, 2.0, 3.0] [[0.0, 1.0, 2.0, 3.0], [1.0, 2.0]]\n[False, False] memmap\n"
