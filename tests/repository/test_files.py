"""Workflows, templates, citation and recipe agree with the project's own files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import podtask
import pytest
import yaml

from tests.cluster.program import DEFAULT_VERSION, OTHER_VERSIONS

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PYPROJECT = (ROOT / "pyproject.toml").read_text()
CONDA_NAMES = {"kubernetes": "python-kubernetes"}


def read_yaml(path: str) -> Any:
    """Return the content of a YAML file of the repository."""
    return yaml.safe_load((ROOT / path).read_text())


def steps_of(workflow: Path) -> list[dict[str, Any]]:
    """Return the steps of all jobs of a workflow."""
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_targets_that_exist(workflow: Path) -> None:
    """Each `make` of a workflow is a target of the Makefile, its test folders exist, and actions have versions."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    steps = steps_of(workflow)
    for command in (step["run"] for step in steps if "run" in step):
        for target in re.findall(r"\bmake ([a-z-]+)", command):
            assert target in targets, target
        for folder in re.findall(r"\btests/\w+", command):
            assert (ROOT / folder).is_dir(), folder
    for action in (step["uses"] for step in steps if "uses" in step):
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", action), action
    assert yaml.safe_load(workflow.read_text())["permissions"] == {"contents": "read"}


def test_workflows_cover_the_supported_versions() -> None:
    """The unit tests run with each Python of the classifiers, and with kind on each minor version of Kubernetes."""
    jobs = read_yaml(".github/workflows/tests.yml")["jobs"]
    pythons = jobs["unit"]["strategy"]["matrix"]["python"]
    assert set(re.findall(r"Python :: (3\.\d+)", PYPROJECT)) <= set(pythons)
    assert re.search(r'requires-python = ">=(.*)"', PYPROJECT)[1] == pythons[0]  # type: ignore[index]
    minors = [version.split(".")[1] for version in jobs["kind"]["strategy"]["matrix"]["kubernetes"]]
    assert minors[0] == OTHER_VERSIONS[0].split(".")[1]
    assert DEFAULT_VERSION.split(".")[1] in minors


def test_release_is_published_without_a_stored_token() -> None:
    """Only the job that publishes gets an identity for PyPI, and no workflow uses a secret."""
    jobs = read_yaml(".github/workflows/release.yml")["jobs"]
    assert [name for name, job in jobs.items() if "permissions" in job] == ["publish"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert not [path for path in WORKFLOWS if "secrets." in path.read_text()]


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_issue_forms_are_valid(form: str) -> None:
    """An issue form has a name and a description, and each field has an id of its own and a label."""
    content = read_yaml(f".github/ISSUE_TEMPLATE/{form}.yml")
    assert content["name"]
    assert content["description"]
    fields = content["body"]
    assert len({field["id"] for field in fields}) == len(fields)
    for field in fields:
        assert field["type"] in ("textarea", "dropdown")
        assert field["attributes"]["label"]


def test_version_is_in_one_place() -> None:
    """The version is written in the module only; build, citation and recipe read it or leave it out."""
    assert f'__version__ = "{podtask.__version__}"' in (ROOT / "ext/podtask/__init__.py").read_text()
    assert not re.search(r"^version = ", PYPROJECT, re.MULTILINE)
    assert "version" not in read_yaml("CITATION.cff")
    assert read_yaml("conda/recipe.yaml")["context"]["version"] == '${{ env.get("PODTASK_VERSION") }}'


def test_recipe_has_the_dependencies_of_the_project() -> None:
    """The conda recipe requires what pyproject.toml requires, under conda's names."""
    recipe = read_yaml("conda/recipe.yaml")["requirements"]
    for key, block in (("run", "dependencies"), ("host", "requires")):
        lines = re.search(rf"^{block} = \[\n(.*?)^\]", PYPROJECT, re.MULTILINE | re.DOTALL)
        assert lines is not None
        wanted = set()
        for stated in re.findall(r'^  "([^";]+)', lines[1], re.MULTILINE):
            name, bound = re.fullmatch(r"([\w-]+)(.*)", stated).groups()  # type: ignore[union-attr]
            wanted.add(f"{CONDA_NAMES.get(name, name.lower())} {bound}")
        assert set(recipe[key]) - {"pip", "python >=3.10"} == wanted


def test_citation_has_the_required_fields() -> None:
    """The citation file has what its format requires, and the license and address of the project."""
    citation = read_yaml("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert f'license = "{citation["license"]}"' in PYPROJECT
    assert f'Source = "{citation["repository-code"]}"' in PYPROJECT
