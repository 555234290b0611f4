"""The documents' own examples: every pod template in them, with nothing changed but the import."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from podtask import PodTemplate

from tests.ext import seeds
from tests.ext.clients import VERSIONS, run_with

TEXT = Path(__file__).with_name("documents.md").read_text()
EXAMPLES = dict(re.findall(r"^## ([^\n]*)\n\n```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
IMPORTS = {
    "import flyte": "import podtask as flyte",
    "from flytekitplugins.pod.task import Pod": "from podtask import PodTemplate as Pod",
    "from flytekit import task": "",  # a decorator of tasks, which a pod template is not
}
# In another process, with another client: all templates, as the dicts they become.
WHOLE = """
import json, kubernetes, sys
from tests.ext.test_documents import EXAMPLES, template_of
templates = {name: template_of(source) for name, source in EXAMPLES.items()}
print(json.dumps([kubernetes.__version__, kubernetes.__file__,
                  {name: made.to_dict() for name, made in templates.items()}]))
"""


def template_of(source: str) -> PodTemplate:
    """Runs an example's imports and the call that makes its template."""
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


def test_all_examples_are_here() -> None:
    """The eleven templates of the two documents are read."""
    assert set(EXAMPLES) == set(seeds.ALL)


@pytest.mark.feature("B01", "A12", "A14", "A17")
@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs_with_its_import_changed(name: str) -> None:
    """An example's template is the one that the other tests use."""
    assert template_of(EXAMPLES[name]) == seeds.ALL[name]


@pytest.mark.feature("A18", "B01")
@pytest.mark.parametrize("version", VERSIONS)
def test_examples_are_the_same_with_each_client(version: str) -> None:
    """Models of every supported client become the same dicts."""
    found, file, dicts = json.loads(run_with(version, WHOLE))
    assert (found, f"client-{version}" in file) == (version, True)
    assert dicts == {name: template.to_dict() for name, template in seeds.ALL.items()}
