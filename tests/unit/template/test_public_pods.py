"""Pods from the documentation of other programs, and of the rows of pods.txt: every way in and out gives the same pod."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from podtask import PodTemplate
from podtask.template.yaml_writer import dump_yaml
from podtask_widgets.draft import Draft
from podtask_widgets.validation import validate

from tests.unit.manifest.test_render import rendered
from tests.unit.template.test_documents import from_flyte

PODS: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("public_pods.yaml").read_text())
ROW_PODS: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("row_pods.yaml").read_text())
ALL_PODS = PODS | ROW_PODS


def text_quantities(value: Any) -> Any:
    """Return a spec with its quantities as text, as Flyte's source has them."""
    if isinstance(value, list):
        return [text_quantities(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: {key: str(each) for key, each in part.items()}
        if name in ("limits", "requests")
        else text_quantities(part)
        for name, part in value.items()
    }


@pytest.mark.pod("P2", "P4", "P7", "P11")
@pytest.mark.parametrize("name", ALL_PODS)
def test_every_form_is_the_same_pod(name: str, tmp_path: Path) -> None:
    """A file, a dict, V1 objects, YAML, Python, the form and Flyte's source give the same pod, with the same container."""
    document = ALL_PODS[name]["pod"]
    file = tmp_path / "pod.yaml"
    file.write_text(dump_yaml(document))
    template = PodTemplate.of(file)
    flyte = from_flyte(template.to_flyte())
    if "containers" in template.pod_spec:
        assert flyte.pod_spec == text_quantities(template.pod_spec)
    for each in (
        PodTemplate.of(document),
        PodTemplate.of(template.to_yaml()),
        PodTemplate.of(template.to_dict()),
        PodTemplate.of({"kind": "PodTemplate", "template": template.to_dict()}),
        eval(template.to_python(), {"PodTemplate": PodTemplate}),
        Draft(template).template(),
        flyte.replace(
            pod_spec=template.pod_spec, namespace=template.namespace
        ),  # Flyte chooses the namespace
    ):
        assert each == template
    found = rendered(template)
    assert found.primary == ALL_PODS[name]["cell"]
    names = [each["name"] for each in template.pod_spec.get("containers", [])]
    assert [each["name"] for each in found.pod["spec"]["containers"]] == (
        names if found.primary in names else [*names, found.primary]
    )
    assert any("added container" in each for each in found.notices) == ALL_PODS[name].get("added", False)
    assert validate(Draft(template)).problems == ()
