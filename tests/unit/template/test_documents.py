"""Every pod template in the two original documents works with only its import changed."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from podtask import PodTemplate

from tests.unit import document_templates

TEXT = Path(__file__).with_name("documents.md").read_text()
EXAMPLES = dict(re.findall(r"^## ([^\n]*)\n\n```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
IMPORTS = {
    "import flyte": "import podtask as flyte",
    "from flytekitplugins.pod.task import Pod": "from podtask import PodTemplate as Pod",
    "from flytekit import task": "",  # a decorator of tasks, which does not concern the template
}


def template_of(source: str) -> PodTemplate:
    """Run the imports of an example and the call that creates its template."""
    for theirs, ours in IMPORTS.items():
        source = re.sub(f"^{theirs}$", ours, source, flags=re.MULTILINE)
    names: dict[str, Any] = {}
    made: PodTemplate | None = None
    for node in ast.parse(source).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            exec(ast.unparse(node), names)
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in (
                "flyte.PodTemplate",
                "Pod",
            ):
                made = eval(ast.unparse(call), names)
    assert isinstance(made, PodTemplate)
    return made


def from_flyte(source: str) -> PodTemplate:
    """Run the program for Flyte with our PodTemplate class; Flyte requires containers."""
    assert source.startswith("from flytekit import PodTemplate\n")
    names: dict[str, Any] = {}
    exec(source.replace("from flytekit import", "from podtask import"), names)
    made: PodTemplate = names["template"]
    return made if made.pod_spec.get("containers") else made.replace(pod_spec=None)


def test_all_examples_are_found() -> None:
    """All eleven templates of the two documents are found."""
    assert set(EXAMPLES) == set(document_templates.ALL)


@pytest.mark.feature("B01", "A12", "A14", "A17")
@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs_with_its_import_changed(name: str) -> None:
    """The template of an example equals the one that the other tests use."""
    assert template_of(EXAMPLES[name]) == document_templates.ALL[name]


@pytest.mark.feature("N14")
@pytest.mark.parametrize("name", EXAMPLES)
def test_copy_for_flyte_makes_the_same_template(name: str) -> None:
    """The program for Flyte, run with its import changed, creates the template of the document."""
    source = document_templates.ALL[name].to_flyte()
    assert from_flyte(source) == document_templates.ALL[name]
    assert max(len(line) for line in source.splitlines()) <= 100


def test_copy_for_flyte_lists_unknown_fields() -> None:
    """A field that the client library does not know is listed in a comment."""
    given = PodTemplate({"containers": [{"name": "primary"}], "newerThanThis": {"a": 1}})
    source = given.to_flyte()
    assert "# Not in this version of the client library: spec.newerThanThis\n" in source
    assert from_flyte(source) == PodTemplate({"containers": [{"name": "primary"}]})
