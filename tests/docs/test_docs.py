"""The documentation site builds without warnings, and everything that its pages name exists."""

from __future__ import annotations

import ast
import html
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import podtask
import pytest
import yaml
from podtask.config.options import RunOptions
from podtask.diagnosis import endings, queueing, scheduling
from podtask.diagnosis.containers import SIDECAR_FAILING
from podtask.diagnosis.model import LOST_CATEGORIES
from podtask.lifecycle.task import Task
from podtask.magics.commands import COMMANDS, HELP_WORDS, usage
from podtask.magics.doctor import role
from podtask.magics.rbac import manifests

from tests.browser import chromium
from tests.browser.notebook import AXE, FIND_VIOLATIONS

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
SOURCE = ROOT / "ext" / "podtask"
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")),
    DOCS / "index.md",
    *sorted(DOCS.glob("*/*.md")),
]
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
# Flags of nbconvert, of the help, and the beginning of a flag that Tab completes.
OTHERS = {"--execute", "--me", "--help"}
# Flags of commands of %podtask.
COMMAND_FLAGS = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", usage()))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site; a warning is an error."""
    built = tmp_path_factory.mktemp("site")
    warnings = tmp_path_factory.mktemp("log") / "warnings.txt"  # stderr also has the lines of the kernels
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-w",
        str(warnings),
        "-b",
        "html",
        str(DOCS),
        str(built),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, warnings.read_text()) == (0, ""), done.stderr
    return built


def test_options_and_commands_are_all_in_the_reference(site: Path) -> None:
    """The reference has an entry for every option and a section with an example for every command."""
    options = (site / "reference" / "options.html").read_text()
    for field in fields(RunOptions):
        assert f'<span class="pre">{field.metadata["flags"][-1]}</span>' in options
    commands = (site / "reference" / "commands.html").read_text()
    for name in COMMANDS:
        assert f'<section id="{name}">' in commands
        assert f"%podtask {name}" in re.sub(r"<[^>]*>", "", commands)


def test_every_page_and_notebook_is_reached(site: Path) -> None:
    """The tables of contents on the first page link to every page and notebook."""
    index = (site / "index.html").read_text()
    for page in DOCS.glob("*/*"):
        if page.suffix in (".md", ".ipynb"):
            assert f"{page.parent.name}/{page.stem}.html" in index


def text_of(page: Path) -> str:
    """Return the text of a page, or the text of a notebook without the cells that are meant to fail."""
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
    """Every flag and command that a page or a notebook names is one of podtask."""
    known = {flag for field in fields(RunOptions) for flag in field.metadata["flags"]} | COMMAND_FLAGS
    text = text_of(page)
    for cell in re.findall(r"%%podtask([^\n`]*)", text):
        for flag in re.findall(r"(?<!\S)--?[a-z][-a-z]*", cell):
            assert flag in known | OTHERS, flag
    for flag in re.findall(r"`(--[a-z][-a-z]*)", text):
        assert flag in known | OTHERS, flag
    for command in re.findall(r"%podtask ([a-z]+)", text.replace("%%podtask", "")):
        assert command in {*COMMANDS, *HELP_WORDS}, command


def test_every_picture_is_shown() -> None:
    """Each picture is shown on a page or in the README."""
    text = "".join(page.read_text() for page in PAGES)
    for picture in DOCS.glob("pictures/*.png"):
        assert f"pictures/{picture.name}" in text


def test_notebooks_of_the_site_have_outputs(site: Path) -> None:
    """Notebooks that need no cluster show their outputs; a form appears as in a saved notebook."""
    for name, shown in (("quickstart", "12.56636"), ("errors", "Did you mean"), ("form", "podtask-card")):
        assert shown in (site / "notebooks" / f"{name}.html").read_text()


def test_reference_of_a_task_has_all_that_is_for_its_user(site: Path) -> None:
    """The reference lists every public member of Task except those that only podtask uses."""
    page = (site / "reference" / "python.html").read_text()
    listed = set(re.findall(r'id="podtask\.Task\.([a-z_]+)"', page))
    own = {
        "cancel_nowait",
        "is_own",
        "is_untrusted",
        "location",
        "map_name",
        "notification",
        "notifies",
        "outcome",
        "own_cell",
        "phases",
        "plain",
        "reply",
        "reply_nowait",
        "request_snapshot",
        "shared_values",
        "start_time_left",
        "update_log",
        "updates",
        "wait_submitted",
    }
    # Called by executors, or by the pickler.
    own |= {"set_exception", "set_result", "set_running_or_notify_cancel", "stays_here"}
    assert listed == {name for name in dir(Task) if not name.startswith("_")} - own


def mapped_files() -> dict[Path, Path]:
    """Return each file or folder in the map of CONTRIBUTING.md, with its folder.

    In the map, a folder is at the start of a line, and its modules are indented below it.
    """
    text = (ROOT / "CONTRIBUTING.md").read_text()
    text = text[text.index("### What a user types") : text.index("## How to add")]
    found: dict[Path, Path] = {}
    for block in re.findall(r"```text\n(.*?)```", text, re.DOTALL):
        folder = SOURCE
        for line in block.splitlines():
            name = re.match(r"( *)([\w/]+(?:/|\.py))(?: |$)", line)
            if name is None:
                continue
            if not name[1]:
                top = ROOT if name[2].startswith("widgets/") else SOURCE
                folder = top / name[2]
                found[folder] = top
            else:
                found[folder / name[2]] = folder
    return found


def test_map_of_the_code_names_every_module() -> None:
    """CONTRIBUTING.md lists every module of podtask under its package, and no missing module."""
    named = {path for path in mapped_files() if path.is_relative_to(SOURCE) and path.suffix}
    assert named == {path for path in SOURCE.rglob("*.py") if path.name != "__init__.py"}


def test_map_of_the_widgets_names_every_module() -> None:
    """CONTRIBUTING.md lists every module of the widgets except the pages of the form."""
    folder = ROOT / "widgets" / "podtask_widgets"
    named = {path for path in mapped_files() if folder in path.parents and path.suffix}
    assert named == {path for path in folder.glob("*.py") if path.name != "__init__.py"}


def test_imports_of_the_map_are_the_contract() -> None:
    """The order of imports in CONTRIBUTING.md is the one that import-linter checks."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    written = re.search(r"```text\n(magics\n.*?)```", text, re.DOTALL)
    assert written is not None
    contracts = (ROOT / "pyproject.toml").read_text()
    layers = re.search(r"^exhaustive = true\nlayers = \[(.*?)^\]", contracts, re.DOTALL | re.MULTILINE)
    assert layers is not None
    assert written[1].splitlines() == re.findall(r'"(.*?)"', layers[1])


def test_paths_that_contributing_names_exist() -> None:
    """Each path in CONTRIBUTING.md exists, from the root or from ext/podtask."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`([\w./-]+(?:/|\.py|\.md|\.txt))`", text))
    assert len(named) > 40
    for path in named:
        assert (SOURCE / path).exists() or (ROOT / path).exists(), path
    for module in re.findall(r"python -m (tests[\w.]+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
    for block in re.findall(r"```text\n(tests/\n.*?)```", text, re.DOTALL):
        for path in re.findall(r"^    ([\w/]+(?:/|\.py)) ", block, re.MULTILINE):
            assert (ROOT / "tests" / path).exists(), path


def test_main_objects_are_where_contributing_says() -> None:
    """Each row of "Main objects" names a class, and the file that defines it."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([\w/]+\.py)` \|", text, re.MULTILINE)
    assert {name for name, _ in rows} >= {"Cell", "PodTemplate", "Task", "Backend", "Channel"}
    for name, path in rows:
        assert re.search(rf"^class {name}\b", (SOURCE / path).read_text(), re.MULTILINE), name


def test_names_that_contributing_uses_are_defined() -> None:
    """Each class, function, field and constant that CONTRIBUTING.md names is defined in podtask."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = {
        name for found in re.findall(r"`(\w+(?:\.(?!py)\w+)?)(?:\(\))?`", text) for name in found.split(".")
    }
    defined = {"import", "PODTASK_TEST_KUBECONFIG"}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                defined.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                defined.add(node.id)
    assert len(named) > 20
    assert named <= defined


@pytest.mark.parametrize("page", ["rights", "jupyterhub"])
def test_roles_of_the_pages_are_the_least_role(page: str) -> None:
    """The Role that a page shows is the one that `%podtask rbac` prints."""
    text = (DOCS / "howto" / f"{page}.md").read_text()
    (block,) = [each for each in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "kind: Role\n" in each]
    (written,) = [each for each in yaml.safe_load_all(block) if each["kind"] == "Role"]
    assert written == role(written["metadata"]["namespace"])


def test_binding_of_the_page_is_the_printed_one() -> None:
    """U38: the manifests that the page on rights shows are those that `%podtask rbac --user` prints."""
    text = (DOCS / "howto" / "rights.md").read_text()
    (block,) = [each for each in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "kind: Role\n" in each]
    assert list(yaml.safe_load_all(block)) == manifests("search", "User", "alice@example.com")


def test_tests_that_the_threat_table_names_exist() -> None:
    """Each test that SECURITY.md names exists."""
    named = re.findall(r"`(tests/[^`:]+)(?:::([^`]+))?`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 10
    for path, test in named:
        assert (ROOT / path).is_file(), path
        assert f"def {test}(" in (ROOT / path).read_text() if test else True, test


def known_reasons() -> set[str]:
    """Return the categories of all diagnoses: why a pod waits, and how it has ended."""
    found = {SIDECAR_FAILING, "gated", *LOST_CATEGORIES}
    tables = [(scheduling.SCHEDULER_REASONS, 1), (queueing.REFUSALS, 1)]
    tables += [(tuple(queueing.EVICTIONS.values()), 0), (tuple(endings.DISRUPTIONS.values()), 0)]
    for rows, column in tables:
        found |= {str(row[column]) for row in rows}
    arguments = {"Diagnosis": 3, "_ended": 3, "_waits": 2}  # function -> position of the category
    for path in (SOURCE / "diagnosis").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if isinstance(node, ast.Call) and len(node.args) > arguments.get(name, 99):
                category = node.args[arguments[name]]
                found |= {
                    each.value
                    for each in (ast.walk(category) if isinstance(category, ast.IfExp) else [category])
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
    return found - {"", "claim"}


def test_each_reason_has_a_place_in_troubleshooting() -> None:
    """Every reason why a pod waits or has ended has an anchor on the page, and the page has no other."""
    text = (DOCS / "howto" / "troubleshooting.md").read_text()
    anchors = re.findall(r"^\(reason-([a-z-]+)\)=$", text, re.MULTILINE)
    assert len(anchors) == len(set(anchors))
    reasons = known_reasons()
    assert len(reasons) > 35
    assert {each.replace(" ", "-") for each in reasons} == set(anchors)


def test_each_error_text_has_a_place_in_troubleshooting(site: Path) -> None:
    """Every error of the catalog of error texts has an anchor of its own on the page, with its text."""
    page = (site / "howto" / "troubleshooting.html").read_text()
    catalog = (ROOT / "tests/local/error_texts.txt").read_text()
    titles = re.findall(r"^---- (.*)$", catalog, re.MULTILINE)
    anchors = ["error-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") for title in titles]
    assert len(anchors) == len(set(anchors)) > 60
    for anchor in anchors:
        assert f'id="{anchor}"' in page, anchor
    assert "Did you mean '--timeout'?" in html.unescape(re.sub(r"<[^>]*>", "", page))


def test_links_of_the_pages_lead_somewhere() -> None:
    """Each relative link of a page, the README and the changelog is a file, and its anchor is on it."""
    for page in [*PAGES, DOCS / "changelog.md"]:
        for target in re.findall(r"\]\(([^)#:\s]+\.(?:md|ipynb))(?:#[\w-]+)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_code_of_the_cloud_page_makes_pods() -> None:
    """The templates of the page on clouds are valid pods."""
    text = (DOCS / "howto" / "clouds.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        names: dict[str, object] = {}
        exec(block, names)
        made = [each for each in names.values() if isinstance(each, podtask.PodTemplate)]
        assert made
        for template in made:
            assert podtask.render(template=template)["spec"]["containers"]


@pytest.mark.parametrize("width", [1400, 900])
def test_no_page_hides_text(site: Path, width: int) -> None:
    """No table or block of code of a page is wider than its place, and each block has a button that copies it."""
    if chromium.find_executable() is None:
        pytest.skip(chromium.NOT_INSTALLED)
    pages = sorted(each for each in site.rglob("*.html") if each.parent.name != "_static")
    hidden = {}
    with chromium.launch() as browser:
        page = chromium.new_context(browser, width, 900).new_page()
        for path in pages:
            page.goto(path.as_uri())
            found = page.evaluate(
                """() => [...document.querySelectorAll("article .table-wrapper, article pre")]
                    .filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.innerText.slice(0, 60))"""
            )
            if found:
                hidden[path.name] = found
        page.goto((site / "howto" / "install.html").as_uri())
        assert page.locator("div.highlight .copy-code").count() == page.locator("div.highlight").count() > 0
    assert hidden == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(site: Path, scheme: str) -> None:
    """axe-core finds nothing serious on a page with pictures, options, commands, tables or a notebook."""
    if chromium.find_executable() is None:
        pytest.skip(chromium.NOT_INSTALLED)
    names = ["index", "explanation/namespaces", "explanation/peers", "howto/form", "howto/troubleshooting"]
    names += ["notebooks/quickstart", "notebooks/plots", "reference/options", "reference/commands"]
    found = {}
    with chromium.launch() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme=scheme)
        for name in names:
            page.goto((site / f"{name}.html").as_uri())
            page.evaluate(AXE)
            violations = page.evaluate(FIND_VIOLATIONS, "html")
            serious = [each for each in violations if each.startswith(("serious", "critical"))]
            if serious:
                found[name] = serious
    assert found == {}
