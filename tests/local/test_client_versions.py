"""Templates work with every supported version of the client library, each in a process of its own."""

from __future__ import annotations

import json

import pytest

from tests.local.clients import EACH_VERSION, VERSIONS, run_with
from tests.unit import document_templates
from tests.unit.template.test_exports import ODD

# Prints the templates of the two original documents as dicts.
WHOLE = """
import json, kubernetes, sys
from tests.unit.template.test_documents import EXAMPLES, from_flyte, template_of
templates = {name: template_of(source) for name, source in EXAMPLES.items()}
assert all(from_flyte(made.to_flyte()) == made for made in templates.values())
print(json.dumps([kubernetes.__version__, kubernetes.__file__,
                  {name: made.to_dict() for name, made in templates.items()}]))
"""
# Runs Flyte's source, which the newest client wrote, with another version, and prints the template.
RUN = """
import json, kubernetes
from tests.unit.template.test_documents import from_flyte
print(json.dumps([kubernetes.__version__, from_flyte({source!r}).to_dict()]))
"""


@pytest.mark.feature("A18", "B01")
@pytest.mark.parametrize("version", EACH_VERSION)
def test_examples_are_the_same_with_each_client(version: str) -> None:
    """Models of every supported client become the same dicts."""
    found, file, dicts = json.loads(run_with(version, WHOLE))
    assert (found, f"client-{version}" in file) == (version, True)
    assert dicts == {name: template.to_dict() for name, template in document_templates.ALL.items()}


@pytest.mark.pod("P11")
@pytest.mark.parametrize("version", [VERSIONS[0], pytest.param(VERSIONS[-1], marks=pytest.mark.matrix)])
def test_flyte_source_runs_with_each_client(version: str) -> None:
    """Quantities are text, which the models of the oldest and the newest client accept."""
    found, whole = json.loads(run_with(version, RUN.format(source=ODD.to_flyte())))
    assert found == version
    (container,) = whole["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "2500000000.0", "nvidia.com/gpu": "2"}
    assert whole["spec"]["volumes"] == [{"name": "v", "emptyDir": {"sizeLimit": "1024"}}]
    assert container["livenessProbe"] == {"httpGet": {"port": 8080}}
