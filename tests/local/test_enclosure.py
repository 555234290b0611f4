"""Cells that their pod brings: a real runner reads them from files, and begins without a client."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from podtask.backends.base import Backend, ByteStream
from podtask.backends.local import LocalProcess
from podtask.cell.cell import Cell
from podtask.channel.channel import Channel
from podtask.channel.enclosure import (
    FOLDER,
    MAX_ANNOTATION_BYTES,
    MAX_PART_BYTES,
    MAX_PARTS,
    EnclosedCell,
    Enclosure,
    enclose_in_secrets,
    max_enclosure_bytes,
    pack_enclosure,
)
from podtask.channel.job import Job
from podtask.config.options import RunOptions
from podtask.lifecycle.enclose import enclose
from podtask.lifecycle.outcome import decode
from podtask.lifecycle.prepare import PreparedCell, prepare
from podtask.manifest.identity import Identity
from podtask.manifest.labels import PARTS_ANNOTATION, TASK_LABEL
from podtask.manifest.pod_manifest import PodManifest
from podtask.manifest.task_secrets import (
    PART_KEY,
    CellPart,
    owner_secret,
    parse_sizes,
    part_name,
    part_secret,
    shared_name,
)
from podtask.runner.bundle import MINOR
from podtask.runner.protocol import ANY_PYTHON, EXIT_OTHER_PYTHON
from podtask.template.template import PodTemplate

from tests.local.listener import Listener
from tests.local.test_channel import T, Unreliable
from tests.local.test_pip_install import index, url

__all__ = ["index"]  # the fixture
IDENTITY = Identity("podtask-0123456789", "ab" * 32, "cd" * 32, 1)
IMAGE = f"python:{MINOR}-slim"  # the notebook's Python, so that the inputs are packed once
UNKNOWN_IMAGE = "registry.example/research:1"


def prepared(source: str, namespace: dict[str, Any] | None = None, **options: Any) -> PreparedCell:
    """Return a cell that is ready to be enclosed."""
    return prepare(Cell.of(source), RunOptions.of(**{"image": IMAGE, **options}), namespace or {})


def pod_of(cell: PreparedCell) -> PodManifest:
    """Return the pod of a task with this cell."""
    return cell.manifest.stamped(IDENTITY)


@asynccontextmanager
async def runner(manifest: PodManifest, folder: Path) -> AsyncIterator[LocalProcess]:
    """Start the command of the primary container, whose files are in a folder."""
    command = [each.replace(FOLDER, str(folder)) for each in manifest.primary_container["command"][1:]]
    with socket.create_server(("127.0.0.1", 0)) as server:
        env = {**os.environ, **manifest.env, "PODTASK_PORT": f"fd:{server.fileno()}"}
        log = tempfile.TemporaryFile()
        process = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, *command],
            env=env,
            pass_fds=[server.fileno()],
            stdout=log,
            stderr=log,
        )
        backend = LocalProcess(manifest.name, process, server.getsockname()[1], log)
    try:
        yield backend
    finally:
        await backend.delete()


async def value_of(backend: Backend, job_for: Any = None) -> Any:
    """Return the value of the cell, as another kernel fetches it; or as this one does, if it has the job."""
    channel = Channel(backend, IDENTITY.key, IDENTITY.secret, job_for, Listener())
    outcome = decode(await asyncio.wait_for(channel.run(), 60), "here", lambda error: "")
    assert outcome.error is None, outcome.error
    return outcome.result


def test_cell_begins_before_a_client_comes(tmp_path: Path) -> None:
    """The runner reads the cell from its files and runs it; a kernel that comes later gets the value."""
    cell = prepared("open(path, 'w').close()\nsum(data)", {"path": str(tmp_path / "begun"), "data": [40, 2]})
    manifest, parts = enclose_in_secrets(pod_of(cell), packed(cell))
    os.mkfifo(tmp_path / "begun")

    async def scene() -> Any:
        write(parts, tmp_path)
        async with runner(manifest, tmp_path) as backend:
            await asyncio.to_thread((tmp_path / "begun").read_bytes)  # the cell has opened it
            return await value_of(backend)

    assert asyncio.run(scene()) == 42


def test_runner_waits_for_files_that_are_late(tmp_path: Path) -> None:
    """Files that the kubelet writes after the start bring the cell, once all are there."""
    cell = prepared("sum(data) + len(noise)", {"data": [40, 2], "noise": os.urandom(MAX_PART_BYTES)})
    manifest, parts = enclose_in_secrets(pod_of(cell), packed(cell))
    assert len(parts) == 2

    async def scene() -> Any:
        async with runner(manifest, tmp_path) as backend:
            write(parts[:1], tmp_path)
            talk = asyncio.ensure_future(value_of(backend))  # another kernel has no job
            write(parts, tmp_path)
            return await talk

    assert asyncio.run(scene()) == 42 + MAX_PART_BYTES


def test_notebook_brings_the_cell_if_the_files_are_missing(tmp_path: Path) -> None:
    """A notebook that connects before the files are there sends the cell, as to any pod."""
    cell = prepared("sum(data)", {"data": [40, 2]})
    manifest, _ = enclose_in_secrets(pod_of(cell), packed(cell))

    async def scene() -> Any:
        async with runner(manifest, tmp_path) as backend:
            return await value_of(backend, lambda python: cell.job_for(python, manifest.name, 60, print))

    assert asyncio.run(scene()) == 42


class GoesAway(Unreliable):
    """A backend whose only connection breaks after a number of bytes."""

    def __init__(self, backend: LocalProcess, budget: int) -> None:
        super().__init__(backend, [budget])
        self.gone = asyncio.Event()

    async def connect(self, greet: Callable[[ByteStream], Awaitable[T]]) -> T:
        if not self._budgets:
            self.gone.set()
            await asyncio.Event().wait()
        return await super().connect(greet)


def test_files_bring_the_cell_if_its_notebook_goes_away(tmp_path: Path) -> None:
    """A notebook that was faster than the files, and goes away before it has sent all inputs, leaves them to the files."""
    cell = prepared("hashlib.sha256(noise).hexdigest()", {"hashlib": hashlib, "noise": os.urandom(3_000_000)})
    manifest, parts = enclose_in_secrets(pod_of(cell), packed(cell))

    async def scene() -> Any:
        async with runner(manifest, tmp_path) as backend:
            leaving = GoesAway(backend, 1_500_001)
            sending = asyncio.ensure_future(
                value_of(leaving, lambda python: cell.job_for(python, manifest.name, 60, print))
            )
            await asyncio.wait_for(leaving.gone.wait(), 60)
            sending.cancel()
            write(parts, tmp_path)
            return await value_of(backend)

    noise = next(each for each in cell.inputs.parts if len(each) == 3_000_000)
    assert asyncio.run(scene()) == hashlib.sha256(noise).hexdigest()


def test_replaced_files_are_not_run(tmp_path: Path) -> None:
    """Who may write Secrets cannot make the runner run another program: the pod has the hash of the right one."""
    cell, other = prepared("'the cell'"), prepared("'another one'")
    manifest, _ = enclose_in_secrets(pod_of(cell), packed(cell))
    _, replaced = enclose_in_secrets(pod_of(other), packed(other))

    async def scene() -> Any:
        write(replaced, tmp_path)
        async with runner(manifest, tmp_path) as backend:
            return await value_of(backend, lambda python: cell.job_for(python, manifest.name, 60, print))

    assert asyncio.run(scene()) == "the cell"


def write(parts: list[CellPart], folder: Path) -> None:
    """Write the files that the kubelet makes from Secrets, each at once."""
    for number, part in enumerate(parts):
        (folder / "new").write_bytes(part.content)
        (folder / "new").rename(folder / str(number))


def packed(cell: PreparedCell) -> Enclosure:
    """Return the enclosure of a cell."""
    enclosure = pack_enclosure(cell.enclosed_cells(IDENTITY.name, 60), max_enclosure_bytes())
    assert enclosure is not None
    return enclosure


@pytest.mark.parametrize(
    ("options", "source", "refusal"),
    [
        ({"image": IMAGE}, "1", f"the cell was packed for Python {MINOR}"),
        ({"image": UNKNOWN_IMAGE}, "function()", "function"),
    ],
)
def test_pod_with_another_python_says_why_it_cannot_run_the_cell(
    options: dict[str, Any], source: str, refusal: str, tmp_path: Path
) -> None:
    """A cell that cannot be sent to another version of Python ends the pod there, with the reason in its log."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("function = lambda: 1", namespace)  # without source lines
    cell = prepared(source, namespace, **options)
    others = [each for each in cell.enclosed_cells(IDENTITY.name, 60) if each.python != MINOR]
    code, said = asyncio.run(ended(cell, others, tmp_path))
    assert code == EXIT_OTHER_PYTHON
    assert "podtask: Python 3." in said
    assert refusal in said


def test_pod_with_a_python_that_the_metadata_excludes_ends(tmp_path: Path) -> None:
    """The Python that the script metadata of the cell requires is checked in the pod, too."""
    cell = prepared(f'# /// script\n# requires-python = "!={MINOR}"\n# ///\n1', image=UNKNOWN_IMAGE)
    code, said = asyncio.run(ended(cell, cell.enclosed_cells(IDENTITY.name, 60), tmp_path))
    assert code == EXIT_OTHER_PYTHON
    assert f"requires Python !={MINOR}" in said


async def ended(cell: PreparedCell, cells: list[EnclosedCell], folder: Path) -> tuple[int | None, str]:
    """Return exit code and log of a runner that cannot run its cell."""
    enclosure = pack_enclosure(cells, max_enclosure_bytes())
    assert enclosure is not None
    manifest, parts = enclose_in_secrets(pod_of(cell), enclosure)
    write(parts, folder)
    async with runner(manifest, folder) as backend:
        termination = await asyncio.wait_for(backend.wait_until_ended(), 60)
        return termination.code, await backend.logs(None)


def test_cell_for_another_python_is_sent_as_source(tmp_path: Path) -> None:
    """What is enclosed for the other versions of Python runs: definitions are sent as source."""
    source = "def double(n):\n    return 2 * n\n"
    namespace: dict[str, Any] = {"n": 21, "__name__": "__main__"}
    cell = prepared(f"{source}double(n)", namespace, image=UNKNOWN_IMAGE)
    others = [each for each in cell.enclosed_cells(IDENTITY.name, 60) if each.python == ANY_PYTHON]
    enclosure = pack_enclosure(others, max_enclosure_bytes())
    assert enclosure is not None
    manifest, parts = enclose_in_secrets(pod_of(cell), enclosure)

    async def scene() -> Any:
        write(parts, tmp_path)
        async with runner(manifest, tmp_path) as backend:
            return await value_of(backend)

    assert asyncio.run(scene()) == 42


@pytest.mark.parametrize("python", [MINOR, ANY_PYTHON], ids=["own Python", "another Python"])
def test_packages_modules_and_variables_are_enclosed(
    python: str, index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pod installs the packages of --pip, and has the user's own modules and the values of --env, without a notebook."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "own_enclosed_mod.py").write_text("def double(n):\n    return 2 * n\n")
    monkeypatch.syspath_prepend(own)
    monkeypatch.delitem(sys.modules, "own_enclosed_mod", raising=False)
    module = importlib.import_module("own_enclosed_mod")
    cell = prepared(
        "import os, podtasktest\nown_enclosed_mod.double(21), podtasktest.version, os.environ['TOKEN']",
        {"own_enclosed_mod": module, "__name__": "__main__"},
        image=UNKNOWN_IMAGE,
        pip="podtasktest<2",
        index_url=url(index),
        env={"TOKEN": "hunter2"},
    )
    cells = [each for each in cell.enclosed_cells(IDENTITY.name, 60) if each.python == python]
    enclosure = pack_enclosure(cells, max_enclosure_bytes())
    assert enclosure is not None
    manifest, parts = enclose_in_secrets(pod_of(cell), enclosure)
    assert "hunter2" not in str(manifest.pod)
    shutil.rmtree(own)  # what the runner imports is what the pod has brought

    async def scene() -> Any:
        write(parts, tmp_path)
        async with runner(manifest, tmp_path) as backend:
            return await value_of(backend)

    assert asyncio.run(scene()) == (42, "1.5", "hunter2")


def test_only_the_primary_container_mounts_the_cell() -> None:
    """Sidecars and init containers do not see the cell, its inputs and ``--env``; the pod starts without Secrets, too."""
    spec = {
        "initContainers": [{"name": "init", "image": "busybox"}],
        "containers": [{"name": "primary"}, {"name": "sidecar", "image": "busybox"}],
    }
    cell = prepared("1", template=PodTemplate(spec), env={"TOKEN": "hunter2"})
    enclosed = enclose(cell, pod_of(cell), "")
    pod = enclosed.manifest.pod["spec"]
    mounting = [
        each["name"] for each in (*pod["initContainers"], *pod["containers"]) if "volumeMounts" in each
    ]
    assert mounting == ["primary"]
    sources = pod["volumes"][0]["projected"]["sources"]
    assert [each["secret"]["optional"] for each in sources] == [True] * len(enclosed.parts)
    assert [each["secret"]["name"] for each in sources] == enclosed.manifest.part_names
    assert "hunter2" not in str(enclosed.manifest.pod)


def test_secrets_belong_to_the_pod() -> None:
    """Each Secret has the pod as its owner; the owner's secret is in one that the pod does not mount."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": IDENTITY.name, "uid": "the-uid"}
    own = part_secret(IDENTITY, owner, CellPart(part_name(IDENTITY.name, 0), b"a"))
    shared = part_secret(IDENTITY, owner, CellPart(shared_name(KEY, b"b"), b"b", is_shared=True))
    of_owner = owner_secret(IDENTITY, owner)
    for each in (own, shared, of_owner):
        assert each["metadata"]["ownerReferences"] == [owner]
        assert each["immutable"]
    assert own["metadata"]["name"] == part_name(IDENTITY.name, 0)
    assert own["metadata"]["labels"][TASK_LABEL] == IDENTITY.name
    assert TASK_LABEL not in shared["metadata"]["labels"]
    assert (own["data"], shared["data"]) == ({PART_KEY: "YQ=="}, {PART_KEY: "Yg=="})
    assert of_owner["metadata"]["name"] == f"{IDENTITY.name}-owner"


def test_secrets_of_another_name_are_not_deleted() -> None:
    """A pod that somebody else has made to look like a task's, with another name, leads to no Secrets."""
    cell = prepared("1")
    manifest, _ = enclose_in_secrets(cell.manifest.stamped(Identity("database", "ab", "cd", 1)), packed(cell))
    assert manifest.is_enclosed
    assert manifest.part_names == []


def test_large_inputs_are_enclosed_for_one_version_of_python() -> None:
    """Many small inputs that fit once, and not for each version of Python, are enclosed for the notebook's version only."""
    cell = prepared("len(data)", {"data": [os.urandom(100_000) for _ in range(50)]}, image=UNKNOWN_IMAGE)
    enclosed = enclose(cell, pod_of(cell), "")
    assert (len(enclosed.parts), enclosed.note) == (6, "")
    assert b"too large to be kept for other versions" in enclosed.parts[0].content


def test_large_pieces_are_enclosed_once_for_all_versions_of_python() -> None:
    """A large value that has the same bytes for each version of Python is enclosed once."""
    cell = prepared("len(data)", {"data": os.urandom(5_000_000)}, image=UNKNOWN_IMAGE)
    enclosed = enclose(cell, pod_of(cell), "")
    assert [part.is_shared for part in enclosed.parts] == [False] + [True] * 6
    assert b"too large" not in enclosed.parts[0].content
    assert sum(len(part.content) for part in enclosed.parts) < 5_500_000


KEY = b"of the user"


def test_tasks_with_equal_inputs_have_equal_parts() -> None:
    """Tasks that differ in small inputs and in their source share the Secrets with a large one; another user does not."""
    data = os.urandom(2_000_000)
    enclosures = [
        packed(prepared(f"len(data) + step + {step}", {"step": step, "data": data})) for step in (1, 2)
    ]
    first, second = (enclose_in_secrets(pod_of(prepared("1")), each, KEY)[1] for each in enclosures)
    assert first[0].content != second[0].content
    assert [part.is_shared for part in first] == [False, True, True, True]
    assert first[1:] == second[1:]
    _, others = enclose_in_secrets(pod_of(prepared("1")), enclosures[0], b"of another user")
    assert not {part.name for part in first[1:]} & {part.name for part in others}


def test_cell_is_read_from_shared_parts(tmp_path: Path) -> None:
    """The runner gets small and large inputs in their order, with a large one that two names share and one that recurs."""
    large, other = os.urandom(700_000), bytes(1_000_000)
    namespace: dict[str, Any] = {
        "a": large,
        "b": bytearray(large),
        "c": other,
        "d": [large, 1],
        "e": large[:-1] + b"x",
    }
    source = (
        "import hashlib\nsame = d[0] is a\n[hashlib.sha256(each).hexdigest() for each in (a, b, c, e)], same"
    )
    cell = prepared(source, namespace)
    manifest, parts = enclose_in_secrets(pod_of(cell), packed(cell), KEY)
    assert any(part.is_shared for part in parts)
    expected = [hashlib.sha256(namespace[name]).hexdigest() for name in "abce"]
    assert manifest.shared_part_names == [part.name for part in parts if part.is_shared]
    assert manifest.part_names == [part.name for part in parts if not part.is_shared]
    sizes = {part.name: len(part.content) for part in parts}
    assert parse_sizes(manifest.annotations[PARTS_ANNOTATION]) == sizes

    async def scene() -> Any:
        write(parts, tmp_path)
        async with runner(manifest, tmp_path) as backend:
            return await value_of(backend)

    assert asyncio.run(scene()) == (expected, True)


def test_many_large_inputs_are_not_shared() -> None:
    """Large pieces that would need more than eight Secrets are in those of the task alone."""
    cell = prepared("len(data)", {"data": [os.urandom(310_000) for _ in range(10)]})
    _, parts = enclose_in_secrets(pod_of(cell), packed(cell), KEY)
    assert len(parts) <= MAX_PARTS
    assert not any(part.is_shared for part in parts)


def test_inputs_beyond_all_secrets_need_the_notebook() -> None:
    """A cell that neither Secrets nor an annotation can bring has a pod as any other; a line says what it needs."""
    cell = prepared("len(data)", {"data": os.urandom(8_000_000)})
    enclosed = enclose(cell, pod_of(cell), "")
    assert enclosed.manifest.pod == pod_of(cell).pod
    assert not enclosed.manifest.is_enclosed
    assert enclosed.note == (
        "This notebook must stay until the pod has started: its cell and inputs (7 MiB) are too large to be kept in Secrets."
    )


def test_enclosure_is_compressed() -> None:
    """Text of a megabyte fits into an annotation."""
    job = Job({"exec": "x", "source": "1"}, (b"line of text\n" * 100_000,), "ab" * 32)
    enclosure = pack_enclosure([EnclosedCell(ANY_PYTHON, job)], MAX_ANNOTATION_BYTES)
    assert enclosure is not None
    assert len(enclosure.all_bytes) < 10_000
