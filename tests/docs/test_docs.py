"""The docs site is built without a warning, and its examples are examples that work."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from podtask.config.options import RunOptions
from podtask.lifecycle.task import Task
from podtask.magics.commands import COMMANDS
from podtask.magics.doctor import role

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")),
    DOCS / "index.md",
    *sorted(DOCS.glob("*/*.md")),
]
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
# Of nbconvert and of %podtask save; and one of which Tab is to make more.
OTHERS = {"--execute", "--user", "--me"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning is an error."""
    built = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        str(DOCS),
        str(built),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return built


def test_options_and_commands_are_all_in_the_reference(site: Path) -> None:
    """The tables are made from the lists that the magics use."""
    options = (site / "reference" / "options.html").read_text()
    for field in fields(RunOptions):
        assert f'<span class="pre">{field.metadata["flags"][-1]}</span>' in options
    commands = (site / "reference" / "commands.html").read_text()
    for name in COMMANDS:
        assert f'<span class="pre">{name}</span>' in commands


def test_every_page_and_notebook_is_reached(site: Path) -> None:
    """The first page's tables of contents name all pages and all notebooks."""
    index = (site / "index.html").read_text()
    for page in DOCS.glob("*/*"):
        if page.suffix in (".md", ".ipynb"):
            assert f"{page.parent.name}/{page.stem}.html" in index


def text_of(page: Path) -> str:
    """Returns the text of a page; of a notebook all cells but those that are to fail."""
    if page.suffix != ".ipynb":
        return page.read_text()
    cells = json.loads(page.read_text())["cells"]
    return "\n\n".join(
        "".join(cell["source"])
        for cell in cells
        if "raises-exception" not in cell["metadata"].get("tags", ())
    )


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_flags_that_pages_name_exist(page: Path) -> None:
    """No page and no notebook tells of an option that is gone, and none of another project's."""
    known = {flag for field in fields(RunOptions) for flag in field.metadata["flags"]}
    text = text_of(page)
    for cell in re.findall(r"%%podtask([^\n`]*)", text):
        for flag in re.findall(r"(?<!\S)--?[a-z][-a-z]*", cell):
            assert flag in known | OTHERS, flag
    for flag in re.findall(r"`(--[a-z][-a-z]*)", text):
        assert flag in known | OTHERS, flag
    for command in re.findall(r"%podtask ([a-z]+)", text.replace("%%podtask", "")):
        assert command in COMMANDS, command


def test_every_picture_is_shown() -> None:
    """Each picture is on a page, or in the README."""
    text = "".join(page.read_text() for page in PAGES)
    for picture in DOCS.glob("pictures/*.png"):
        assert f"pictures/{picture.name}" in text


def test_notebooks_of_the_site_have_outputs(site: Path) -> None:
    """What a notebook shows is on its page, where it needs no cluster; the form as in a file."""
    for name, shown in (("quickstart", "12.56636"), ("errors", "Did you mean"), ("form", "podtask-card")):
        assert shown in (site / "notebooks" / f"{name}.html").read_text()


def test_reference_of_a_task_has_all_that_is_for_its_user(site: Path) -> None:
    """The members are listed by name: those that podtask itself uses are left out, and no other."""
    page = (site / "reference" / "python.html").read_text()
    listed = set(re.findall(r'id="podtask\.Task\.([a-z_]+)"', page))
    own = {"abandon", "answer_soon", "feed", "glimpse", "outcome", "patience", "reply", "updates"}
    # For executors, and for the pickler.
    own |= {"set_exception", "set_result", "set_running_or_notify_cancel", "stays_here"}
    assert listed == {name for name in dir(Task) if not name.startswith("_")} - own


def test_map_of_the_code_names_every_module() -> None:
    """CONTRIBUTING.md names each package, and each module in it."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    listed = set(text[text.index("```\nmagics/") : text.index("In `runner/`")].replace("/", " ").split())
    for path in (ROOT / "ext" / "podtask").glob("*/*.py"):
        assert path.stem in listed | {"__init__"}, path
        assert path.parent.name in listed, path


@pytest.mark.parametrize("page", ["rights", "jupyterhub"])
def test_roles_of_the_pages_are_the_least_role(page: str) -> None:
    """What a page tells people to apply is what `%podtask rbac` prints."""
    text = (DOCS / "howto" / f"{page}.md").read_text()
    (block,) = [each for each in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "kind: Role\n" in each]
    (written,) = [each for each in yaml.safe_load_all(block) if each["kind"] == "Role"]
    assert written == role(written["metadata"]["namespace"])


def test_tests_that_the_threat_table_names_exist() -> None:
    """Each row of SECURITY.md that tells what happens names a test that there is."""
    named = re.findall(r"`(tests/[^`:]+)(?:::([^`]+))?`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 10
    for path, test in named:
        assert (ROOT / path).is_file(), path
        assert f"def {test}(" in (ROOT / path).read_text() if test else True, test
