"""The sdist and the wheel are complete, and the wheel works in an empty environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import podtask
import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("build")
pytest.importorskip("hatchling")
# What a user does first: load the magic, run a cell, open the form.
SMOKE = """
import pathlib, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in ("%load_ext podtask", "r = 2", "%%podtask --local -o area\\narea = 3 * r * r\\nprint('in the runner')"):
    shell.run_cell(cell, store_history=True).raise_error()
import podtask, podtask_widgets
form = podtask_widgets.TemplateBuilder(podtask.PodTemplate(labels={"team": "a"}), "made")
print(shell.user_ns["area"], form.template.labels, podtask.__version__)
print(pathlib.Path(podtask.__file__).parent, pathlib.Path(podtask_widgets.__file__).parent)
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    """Return the wheel."""
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """Return the metadata of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


def package_files() -> set[str]:
    """Return the files of both packages, as paths in the wheel."""
    return {
        path.relative_to(top).as_posix()
        for top in (ROOT / "ext", ROOT / "widgets")
        for path in top.rglob("*")
        if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts)
    }


def test_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    """The wheel has all modules, the runner's too, the style sheets, the schema, py.typed, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    files = {name for name in names if ".dist-info/" not in name}
    assert files == package_files()
    assert {"podtask/py.typed", "podtask_widgets/py.typed", "podtask/runner/boot.py"} <= files
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_sdist_has_what_its_users_need(dist: Path) -> None:
    """The sdist has both packages, the notebooks and the texts, but no tests."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"{top}/{name}" for top, some in (("ext", "podtask/"), ("widgets", "podtask_widgets/"))
            for name in package_files() if name.startswith(some)} <= names  # fmt: skip
    notebooks = {f"notebooks/{each.name}" for each in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks | {"README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "CITATION.cff"} <= names
    assert not [name for name in names if name.startswith("tests")]


def test_metadata_has_what_an_index_shows(metadata: Message) -> None:
    """Version, license, addresses and extras are in the metadata; the version is the one of the module."""
    assert metadata["Version"] == podtask.__version__
    assert (metadata["License-Expression"], metadata["License-File"]) == ("Apache-2.0", "LICENSE")
    urls = dict(each.split(", ") for each in metadata.get_all("Project-URL", []))
    assert urls.keys() == {"Documentation", "Source", "Changelog", "Issues"}
    assert metadata.get_all("Provides-Extra") == ["demo", "docs", "lab", "test"]
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_links_of_the_readme_work_on_an_index(metadata: Message) -> None:
    """The description has no relative link or picture, and each one leads to a file of the repository."""
    text = metadata.get_payload()
    assert isinstance(text, str)
    links = re.findall(r"\]\(([^)]+)\)|src(?:set)?=\"([^\"]+)\"", text)
    targets = [link or picture for link, picture in links]
    assert len(targets) > 10
    for target in targets:
        assert target.startswith(("https://", "#")), target
        path = re.sub(
            r"^https://(raw\.githubusercontent|github)\.com/podtask/podtask/(blob/)?main/", "", target
        )
        if path != target:
            assert (ROOT / path.partition("#")[0]).exists(), path


def test_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Installed alone, with its dependencies from here, the wheel runs a local cell and shows the form."""
    home = tmp_path / "env"
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    install = ["--python", str(python), "install", "--no-index", "--no-deps", "--quiet", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, capture_output=True)
    (packages,) = home.glob("lib/python*/site-packages")
    # A path file of a path file does not count, so that the checkout that is installed here is not found.
    (packages / "dependencies.pth").write_text(
        "\n".join(each for each in sys.path if each.endswith("-packages"))
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PODTASK"))}
    env["IPYTHONDIR"] = str(tmp_path / "ipython")
    command = [str(python), "-W", "error", "-c", SMOKE]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "in the runner",
        f"12 {{'team': 'a'}} {podtask.__version__}",
        f"{packages / 'podtask'} {packages / 'podtask_widgets'}",
    ]
