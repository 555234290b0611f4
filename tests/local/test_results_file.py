"""Values that a cell writes to a file on a volume (``--results-in``), and ``podtask.load``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import podtask
import pytest
from podtask.channel.channel import Channel
from podtask.errors import InputError, TaskError
from podtask.lifecycle.outcome import Outcome, decode
from podtask.manifest.labels import CELL_VOLUME
from podtask.template.template import PodTemplate

from tests.local.listener import Listener
from tests.local.test_enclosure import IDENTITY, pod_of, prepared, runner

Run = Callable[..., Outcome]


def on_volume(folder: Path) -> PodTemplate:
    """Return a template that mounts a claim at a folder."""
    return PodTemplate(
        {
            "containers": [{"name": "primary", "volumeMounts": [{"name": "data", "mountPath": str(folder)}]}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "results"}}],
        }
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs a cell whose pod has a volume at ``tmp_path``."""

    def run(source: str, namespace: dict[str, Any] | None = None, **options: Any) -> Outcome:
        cell = prepared(source, namespace, template=on_volume(tmp_path), **options)

        async def scene() -> Outcome:
            async with runner(pod_of(cell), tmp_path) as backend:
                channel = Channel(
                    backend,
                    IDENTITY.key,
                    IDENTITY.secret,
                    lambda python: cell.job_for(python, IDENTITY.name, 60, print),
                    Listener(),
                )
                return decode(await asyncio.wait_for(channel.run(), 60), "here", lambda error: "")

        return asyncio.run(scene())

    return run


SOURCE = """
import numpy as np

class Model:
    rate = 0.5

model, weights = Model(), np.arange(1_000_000)
model.weights = weights
"""


def test_values_are_in_the_file_and_come_back(run: Run, tmp_path: Path) -> None:
    """The values of -o come back and are in the file, and load() returns them with what they share."""
    path = str(tmp_path / "new" / "folder" / "night")
    outcome = run(f"{SOURCE}'last'", outputs="model,weights", results_in=path)
    assert outcome.notes == [f"values in {path}"]
    loaded = podtask.load(path)
    assert set(loaded) == {"model", "weights", "_"}
    assert loaded["_"] == outcome.result == "last"
    assert np.array_equal(loaded["weights"], outcome.values["weights"])
    assert loaded["model"].weights is loaded["weights"]
    assert loaded["model"].rate == 0.5
    assert [each.name for each in (tmp_path / "new" / "folder").iterdir()] == ["night"]


def test_load_works_in_a_cell(run: Run, tmp_path: Path) -> None:
    """Another cell loads the file, also instances of a class of the notebook that it does not have."""
    path = str(tmp_path / "night")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("class Setting:\n    def __init__(self, n):\n        self.n = n", namespace)
    setting = namespace["Setting"](6)
    run("kept = [setting, type(setting)]", {**namespace, "setting": setting}, outputs="kept", results_in=path)
    source = f"import podtask\nkept = podtask.load({path!r})['kept']\nkept[0].n, type(kept[0]) is kept[1]"
    assert run(source).result == (6, True)


def test_cell_that_fails_keeps_the_earlier_file(run: Run, tmp_path: Path) -> None:
    """An error of the cell does not replace the values of an earlier run."""
    path = str(tmp_path / "night")
    run("x = 1", outputs="x", results_in=path)
    assert isinstance(run("x = 2\n1 / 0", outputs="x", results_in=path).error, ZeroDivisionError)
    assert podtask.load(path) == {"x": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["night"]


def test_folder_in_place_of_the_file_ends_the_cell_before_its_first_line(run: Run, tmp_path: Path) -> None:
    """A file that cannot be written is an error before the cell runs, not after hours."""
    (tmp_path / "night").mkdir()
    begun = tmp_path / "begun"
    outcome = run(f"open({str(begun)!r}, 'w')", results_in=str(tmp_path / "night"))
    assert isinstance(outcome.error, IsADirectoryError)
    assert "it is a folder; name a file in it" in str(outcome.error)
    assert not begun.exists()


def test_plain_values_are_loaded_without_pickle(run: Run, tmp_path: Path) -> None:
    """With --results plain, the file has no pickles."""
    path = str(tmp_path / "night")
    run("x = {'a': [1, 2]}", outputs="x", results_in=path, results="plain")
    assert podtask.load(path) == {"x": {"a": [1, 2]}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"something else", "was not written with --results-in"),
        (b"podtask results 1\n{\n", "is damaged"),
        (b'podtask results 1\n{"packed": [], "sizes": [9], "plain": false}\nabc', "is not complete"),
    ],
)
def test_other_files_are_refused(content: bytes, said: str, tmp_path: Path) -> None:
    """A file that is not one of podtask, or has lost its end, is refused with a clear error."""
    path = tmp_path / "night"
    path.write_bytes(content)
    with pytest.raises(TaskError, match=said):
        podtask.load(str(path))


VOLUMES: dict[str, dict[str, Any]] = {
    "claim": {"persistentVolumeClaim": {"claimName": "results"}},
    "scratch": {"emptyDir": {}},
    "settings": {"configMap": {"name": "settings"}},
    "fixed": {"persistentVolumeClaim": {"claimName": "fixed", "readOnly": True}},
}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/elsewhere/night", "container 'primary' mounts no volume there."),
        ("night", "not an absolute path."),
        ("/claim/../night", "not an absolute path."),
        ("/claim", "this is the volume itself, not a file on it."),
        ("/claims/night", "container 'primary' mounts no volume there."),
        ("/scratch/night", "the volume at /scratch (emptyDir) is deleted with the pod."),
        ("/claim/scratch/night", "the volume at /claim/scratch (emptyDir) is deleted with the pod."),
        ("/settings/night", "the volume at /settings (configMap) cannot be written to."),
        ("/fixed/night", "the volume at /fixed is read-only."),
    ],
)
def test_path_that_keeps_nothing_is_refused_early(path: str, said: str) -> None:
    """Before anything is sent, the error says what is wrong with the path, and names one that works."""
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in VOLUMES]
    mounts.append({"name": "scratch", "mountPath": "/claim/scratch"})
    template = PodTemplate(
        {
            "containers": [{"name": "primary", "volumeMounts": mounts}],
            "volumes": [{"name": name, **source} for name, source in VOLUMES.items()],
        }
    )
    with pytest.raises(InputError) as found:
        podtask.render(template=template, results_in=path)
    assert found.value.message == f"--results-in {path}: {said}"
    assert found.value.hint == "Name a file on a volume that keeps it: /claim/results."
    podtask.render(template=template, results_in="/claim/deep/night")


def test_path_is_refused_without_a_volume_and_locally() -> None:
    """Without any volume the error says what to mount; with --local there is none."""
    with pytest.raises(InputError, match="mounts no volume there") as found:
        podtask.render(results_in="/data/night")
    assert "Mount a volume" in found.value.hint
    with pytest.raises(InputError, match="--local runs without one"):
        prepared("1", results_in="/data/night", local=True)
    assert CELL_VOLUME not in str(podtask.render(template=on_volume(Path("/data")), results_in="/data/night"))
