"""The runner imports nothing from folders that others may write to; the cell has the path of a plain Python."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from podtask.backends.local import LocalProcess
from podtask.channel.channel import Channel
from podtask.cluster.exec import RELAY_PROGRAM
from podtask.config.options import RunOptions
from podtask.manifest.identity import Identity
from podtask.manifest.render import render
from podtask.pickling.outputs import unpack
from podtask.runner import protocol
from podtask.runner.bundle import boot_program

from tests.local.listener import Listener
from tests.local.test_channel import KEY, SECRET, job

ROOT = Path(__file__).parent.parent.parent
# Modules that run when Python starts, in addition to those of the standard library.
STARTUP = ("sitecustomize", "usercustomize")
HOSTILE = """
import os
with open({log!r}, "a") as log:
    log.write(f"{{os.getpid()}} {{__name__}}\\n")
raise ImportError("hostile " + __name__)
"""
PYTHONS = [
    sys.executable,
    *sorted(map(str, Path.home().glob(".pyenv/versions/3.9.*/bin/python"))),
    *sorted(map(str, Path.home().glob(".pyenv/versions/3.13.*/bin/python"))),
]


def write_hostile_modules(folder: Path, log: Path, names: tuple[str, ...]) -> None:
    """Write a module for each name that reports its import and fails."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text(HOSTILE.format(log=str(log)))


def run_cell(source: str, outputs: list[str]) -> tuple[dict[str, Any], list[Any], int]:
    """Run a cell in a local runner; return the result's meta, its values, and the runner's process id."""

    async def scene() -> tuple[dict[str, Any], list[Any], int]:
        manifest = render(None, RunOptions()).stamped(Identity("podtask-test", KEY, SECRET, 1))
        backend = await LocalProcess.start(manifest, Listener())
        channel = Channel(backend, KEY, SECRET, lambda python: job(source, outputs), Listener())
        try:
            result = await asyncio.wait_for(channel.run(), 60)
        finally:
            await backend.delete()
        return result.end, unpack(result.parts, result.end["packed"]), backend._process.pid

    return asyncio.run(scene())


STANDARD = tuple(sorted(name for name in sys.stdlib_module_names if not name.startswith("_")))


@pytest.mark.fault(88)
@pytest.mark.parametrize("where", ["cwd", "PYTHONPATH", "user"])
def test_runner_imports_nothing_from_folders_of_others(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules named like every one of the standard library are not imported by the runner, and end no cell."""
    log = tmp_path / "log"
    folder = tmp_path / "shared"
    if where == "user":
        monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path / "base"))
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        folder = tmp_path / "base" / "lib" / version / "site-packages"
    names = STARTUP if where == "user" else (*STARTUP, *STANDARD)
    write_hostile_modules(folder, log, names)
    if where == "PYTHONPATH":
        monkeypatch.setenv("PYTHONPATH", str(folder))
    if where == "cwd":
        monkeypatch.chdir(folder)
    source = "def double(x):\n    return 2 * x\nvalue = double(21)\nfunction = double\nvalue"
    end, values, pid = run_cell(source, ["value", "function"])
    assert end["status"] == protocol.STATUS_OK
    assert values[0] == 42
    assert values[1](4) == 8
    imported = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    assert [name for process, name in imported if process == str(pid)] == []


@pytest.mark.fault(88)
@pytest.mark.parametrize("source", ["import queue\nfound = queue.MINE", "import helper\nfound = helper.MINE"])
def test_cell_imports_from_its_working_directory(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell imports the modules of its working directory, also those named like the standard library's."""
    for name in ("queue", "selectors", "helper"):
        (tmp_path / f"{name}.py").write_text("MINE = 1")
    monkeypatch.chdir(tmp_path)
    end, values, _ = run_cell(source, ["found"])
    assert (end["status"], values) == (protocol.STATUS_OK, [1])


LOOK = """
import json, os, site, sys
print(json.dumps({
    "path": sys.path,
    "user": site.ENABLE_USER_SITE,
    "custom": sorted({"sitecustomize", "usercustomize"} & {*sys.modules}),
    "hash": hash("x") if os.environ.get("PYTHONHASHSEED") else 0,
    "bytecode": sys.dont_write_bytecode,
    "environ": {name: value for name, value in os.environ.items() if "PYTHON" in name or "PODTASK" in name},
}))
"""
RESTORE = """
import sys, types
for name in ("runner", "runner.worker"):
    sys.modules[name] = types.ModuleType(name)
protocol = types.ModuleType("runner.protocol")
protocol.PATH_VARIABLE = {variable!r}
sys.modules["runner.protocol"] = sys.modules["runner"].protocol = protocol
module = types.ModuleType("runner.worker.import_path")
module.__package__ = "runner.worker"
exec({source!r}, module.__dict__)
module.restore()
"""


@pytest.mark.fault(88)
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("case", ["plain", "path", "no user site", "hash seed"])
def test_path_of_the_cell_is_that_of_python(python: str, case: str, tmp_path: Path) -> None:
    """The path, the customization modules and the environment are those of Python without ``-I``."""
    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    minor = ".".join(version.split(".")[:2])
    packages = tmp_path / "base" / "lib" / f"python{minor}" / "site-packages"
    for folder, name in ((packages, "usercustomize"), (tmp_path / "one", "sitecustomize")):
        folder.mkdir(parents=True)
        (folder / f"{name}.py").write_text("")
    (packages / "extra.pth").write_text(str(tmp_path))
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONUSERBASE": str(tmp_path / "base")}
    environ |= {
        "plain": {},
        "path": {"PYTHONPATH": f"{tmp_path / 'one'}:{tmp_path / 'two'}", "PYTHONDONTWRITEBYTECODE": "1"},
        "no user site": {"PYTHONNOUSERSITE": "1", "PYTHONPATH": "relative"},
        "hash seed": {"PYTHONHASHSEED": "7", "PYTHONPATH": str(tmp_path / "one")},
    }[case]
    source = (ROOT / "ext/podtask/runner/worker/import_path.py").read_text()
    begin = boot_program().partition("import binascii")[0]  # starts Python again if that is necessary
    program = begin + RESTORE.format(variable=protocol.PATH_VARIABLE, source=source)

    def look(*words: str) -> Any:
        done = subprocess.run(words, env=environ, cwd=tmp_path, capture_output=True, text=True)
        assert done.stderr == ""
        return json.loads(done.stdout)

    assert look(python, "-I", "-c", program + LOOK) == look(python, "-c", LOOK)


@pytest.mark.fault(88)
@pytest.mark.parametrize("python", PYTHONS)
def test_second_start_imports_nothing_from_its_working_directory(python: str, tmp_path: Path) -> None:
    """Python that starts again without ``-I`` imports nothing from the working directory, and returns to it."""
    log = tmp_path / "log"
    write_hostile_modules(tmp_path, log, (*STARTUP, *STANDARD))
    program = f"{boot_program().partition('import binascii')[0]}print(os.getcwd())"
    words = [python, "-I", "-c", program]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": "/nowhere"}
    done = subprocess.run(words, env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{tmp_path}\n", "")
    assert not log.exists()


@pytest.mark.fault(88)
def test_hash_seed_of_the_container_holds_in_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that Python reads when it starts have their effect in the cell."""
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    words = [sys.executable, "-c", "print(hash('x'))"]
    expected = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    _, values, _ = run_cell("import os\nfound = hash('x'), 'PODTASK_PATH' in os.environ", ["found"])
    assert values == [(expected, False)]


@pytest.mark.fault(88)
def test_process_of_a_library_imports_from_pythonpath(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that a library starts with the flags of the cell's Python, as joblib does, reads PYTHONPATH."""
    (tmp_path / "helper.py").write_text("print('found')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = "[sys.executable, *util._args_from_interpreter_flags(), '-c', 'import helper']"
    source = "import subprocess, sys\nfrom multiprocessing import util\n"
    _, values, _ = run_cell(f"{source}found = subprocess.check_output({command}, text=True)", ["found"])
    assert values == ["found\n"]


@pytest.mark.fault(88)
def test_relay_imports_nothing_from_its_working_directory(tmp_path: Path) -> None:
    """The relay of exec is started in the same way as the runner."""
    from podtask.backends import pod_connect

    log = tmp_path / "log"
    write_hostile_modules(tmp_path, log, ("socket", "threading", "selectors"))
    relay = pod_connect.relay_command("python3", 1)
    assert relay[0] == "python3"
    assert RELAY_PROGRAM in relay
    subprocess.run([sys.executable, *relay[1:]], cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL)
    assert not log.exists()
