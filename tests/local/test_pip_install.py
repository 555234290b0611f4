"""``--pip`` and script metadata install packages next to those of the image, or explain why they cannot."""

from __future__ import annotations

import http.server
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask.cell.script_metadata import ScriptMetadata
from podtask.config.options import RunOptions
from podtask.errors import InputError, StartError

from tests.notebook import Kernel, Shell


def wheel(folder: Path, name: str, version: str, requires: str = "") -> None:
    """Create a wheel with one module that knows its version, in the folder of its name in an index."""
    about = f"{name}-{version}.dist-info"
    meta = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    meta += f"Requires-Dist: {requires}\n" if requires else ""
    tag = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"version = {version!r}\n")
        file.writestr(f"{about}/METADATA", meta)
        file.writestr(f"{about}/WHEEL", tag)
        file.writestr(f"{about}/RECORD", "")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """HTTP handler that serves folders as a package index does."""

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[int]:
    """Yield the port of a package index that the test serves on all addresses of this machine."""
    for version in ("1.0", "1.5", "2.0", "3.0rc1"):
        wheel(tmp_path / "one", "podtasktest", version)
    wheel(tmp_path / "one", "needing", "1.0", "podtasktest<2")
    wheel(tmp_path / "two", "elsewhere", "7.0")
    handler = partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("", 0), handler)
    threading.Thread(target=server.serve_forever).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def url(port: int, folder: str = "one") -> str:
    return f"http://localhost:{port}/{folder}/"


def run(source: str, **options: Any) -> Any:
    return podtask.submit(source, options=RunOptions.of(local=True, **options)).result(60)


VERSION = "import podtasktest\npodtasktest.version"


@pytest.mark.feature("A28", "A29")
def test_pip_and_its_options(index: int, tmp_path: Path) -> None:
    """Versions, pre-releases, constraints as text or file, extra indexes and dependencies work."""
    assert run(VERSION, pip="podtasktest", index_url=url(index)) == "2.0"
    assert run(VERSION, pip="podtasktest<2", index_url=url(index)) == "1.5"
    assert run(VERSION, pip="podtasktest", index_url=url(index), pre=True) == "3.0rc1"
    bounds = tmp_path / "bounds.txt"
    bounds.write_text("# ours\npodtasktest==1.0  # not newer\n")
    assert run(VERSION, pip="podtasktest", index_url=url(index), constraint=str(bounds)) == "1.0"
    both = {
        "index_url": url(index),
        "extra_index_url": url(index, "two"),
        "pip": ["needing", "elsewhere"],
    }
    assert run(f"import elsewhere\n{VERSION}", **both) == "1.5"


@pytest.mark.feature("A28")
def test_installing_is_shown_with_its_time(kernel: Kernel, index: int) -> None:
    """During the installation, the status line names the packages; a note shows its duration."""
    ran = kernel.run(f"%%podtask --local --pip podtasktest --index-url {url(index)}\n{VERSION}")
    assert ran.result is not None, ran
    assert any("● installing podtasktest" in line for line in ran.lines)
    (note,) = [line for line in ran.lines if line.startswith("Installed podtasktest in ")]
    assert note.endswith(" s.")
    assert "podtasktest" not in kernel.run("import sys\nprint([*sys.path, *sys.modules])").stdout


@pytest.mark.feature("A28")
def test_failed_installation_is_explained(shell: Shell, index: int) -> None:
    """An unknown version or an unreachable index is an error of two or three lines without a traceback."""
    head = "%%podtask --local --pip "
    shown = shell.shown_error(f"{head} 'podtasktest>9' --index-url {url(index)}\n1")
    assert "pip cannot install podtasktest>9" in shown
    assert "--constraint" in shown
    shown = shell.shown_error(f"{head} podtasktest --index-url http://localhost:1/secret-name/\n1")
    assert "Cannot install podtasktest: no package index can be reached from where the cell runs" in shown
    assert "WARNING" not in shown
    assert "--index-url" in shown
    assert "Traceback" not in shown


@pytest.mark.feature("A31")
def test_script_metadata_names_packages(index: int) -> None:
    """The ``dependencies`` of script metadata are installed together with those of --pip."""
    block = "# /// script\n# requires-python = '>=3.9'\n# dependencies = ['podtasktest<2']\n# ///\n"
    source = f"{block}import elsewhere\n{VERSION}, elsewhere.version"
    options = {"index_url": url(index), "extra_index_url": url(index, "two"), "pip": "elsewhere"}
    assert run(source, **options) == ("1.5", "7.0")


def block(python: str) -> str:
    return f'# /// script\n# requires-python = "{python}"\n# ///\n1'


@pytest.mark.feature("A31")
@pytest.mark.parametrize(
    ("python", "version", "fits"),
    [
        (">=3.11", "3.11.2", True),
        (">=3.11,<3.13", "3.13.0", False),
        ("==3.12", "3.12.4", True),
        ("==3.12.*", "3.11.4", False),
        ("!=3.12.*", "3.12.1", False),
        ("~=3.11", "3.13.1", True),
        ("~=3.11.2", "3.12.0", False),
        (">3.11", "3.11.9", False),
        ("<=3.11", "3.11.9", True),
        ("", "3.9.1", True),
    ],
)
def test_required_python(python: str, version: str, fits: bool) -> None:
    """Version specifiers of ``requires-python`` are evaluated."""
    assert ScriptMetadata.parse(block(python)).accepts(version) is fits


@pytest.mark.feature("A31")
def test_required_python_chooses_the_default_image() -> None:
    """The default image has the notebook's minor version or the newest allowed; a contradiction fails."""
    assert ScriptMetadata.parse(block(">=3.9")).choose_minor("3.11") == "3.11"
    assert ScriptMetadata.parse(block("==3.12")).choose_minor("3.11") == "3.12"
    assert ScriptMetadata.parse(block("<3.11")).choose_minor("3.13") == "3.10"
    with pytest.raises(InputError, match="No Python version from"):
        ScriptMetadata.parse(block(">=4")).choose_minor("3.11")
    task = podtask.submit(block("==2.7"), options=RunOptions.of(local=True))
    with pytest.raises(StartError, match=r"requires Python ==2\.7"):
        task.result(60)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("# /// script\n# dependencies = [\n# ///\n1", "is not valid TOML"),
        ("# /// script\n# dependencies = 'requests'\n# ///\n1", "of the wrong type"),
        (block("latest"), "is not a valid version specifier"),
        (block(">=3.9") + "\n" + block(">=3.9"), "2 blocks"),
    ],
)
def test_wrong_script_metadata(source: str, says: str) -> None:
    """An invalid metadata block is an error before anything is sent."""
    with pytest.raises(InputError, match=says):
        podtask.submit(source, options=RunOptions.of(local=True))


def test_tokens_of_an_index_are_not_shown() -> None:
    """The address of an index may contain a token, and no repr shows it."""
    options = RunOptions.of(index_url="https://user:hunter2@index.example/simple", env="A=hunter3")
    assert "hunter" not in repr(options)
