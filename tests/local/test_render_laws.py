"""Laws for any template: rendering is pure, and changes only the fields that podtask owns."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podtask.template.template import PodTemplate

from tests.unit.manifest.test_render import rendered

TEXT = st.text(max_size=20)
WORD = st.from_regex(r"[a-z]([a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
ENV = st.lists(st.fixed_dictionaries({"name": WORD, "value": TEXT}), max_size=4)
QUANTITIES = st.dictionaries(st.sampled_from(["cpu", "memory", "x/y"]), st.just("1"), max_size=3)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "image": WORD,
        "command": st.lists(TEXT, max_size=2),
        "args": st.lists(TEXT, max_size=2),
        "env": ENV,
        "resources": st.fixed_dictionaries({}, optional={"requests": QUANTITIES}),
        "workingDir": TEXT,
        "tty": st.booleans(),
        "xNewerField": st.recursive(TEXT, st.lists),
        "securityContext": st.fixed_dictionaries({}, optional={"runAsUser": st.integers(0, 9)}),
    },
)
TEMPLATES = st.builds(
    lambda primary, sides, more, labels: PodTemplate(
        {
            "containers": [
                *({"name": f"{name}-side-car", "image": "s", **each} for name, each in sides.items()),
                *([{"name": "primary", **primary}] if primary is not None else []),
            ],
            **more,
        },
        labels=labels,
    ),
    st.none() | FIELDS,
    st.dictionaries(WORD, FIELDS, max_size=3),
    st.fixed_dictionaries(
        {},
        optional={
            "restartPolicy": st.sampled_from(["Always", "Never", "OnFailure"]),
            "serviceAccountName": WORD,
            "tolerations": st.lists(st.fixed_dictionaries({"key": WORD}), max_size=2),
            "nodeSelector": st.dictionaries(WORD, WORD, max_size=2),
        },
    ),
    st.dictionaries(WORD, WORD, max_size=3),
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "image": WORD,
        "cpu": st.integers(1, 9),
        "memory": st.just("8Gi"),
        "gpu": st.integers(1, 8),
        "shm": st.just("2Gi"),
        "restricted": st.booleans(),
        "queue": WORD,
        "env": st.just("A=b"),
        "entrypoint": st.sampled_from(["keep", "replace"]),
        "timeout": st.integers(1, 10**6),
    },
)


@pytest.mark.feature("A48")
@given(TEMPLATES, OPTIONS)
def test_rendering_changes_nothing_and_is_the_same_twice(
    template: PodTemplate, options: dict[str, Any]
) -> None:
    """Rendering does not change the template or the options, and gives the same pod twice."""
    before, given_options = copy.deepcopy(template), copy.deepcopy(options)
    first = rendered(template, **options)
    kept = copy.deepcopy(first)
    second = rendered(template, **options)
    assert first == second == kept
    second.pod["spec"]["containers"][0].clear()
    assert (template, options, first) == (before, given_options, kept)


@pytest.mark.feature("B23")
@given(TEMPLATES, OPTIONS)
def test_other_containers_are_never_touched(template: PodTemplate, options: dict[str, Any]) -> None:
    """Every sidecar is the same in the pod as in the template."""
    found = rendered(template, **options)
    theirs = [c for c in template.pod_spec["containers"] if c["name"] != "primary"]
    assert [c for c in found.pod["spec"]["containers"] if c["name"] != "primary"] == theirs


@given(TEMPLATES, WORD)
def test_any_template_comes_back(template: PodTemplate, name: str) -> None:
    """Any template survives a round trip through YAML, Python and a dict."""
    template = template.replace(primary_container_name=name)
    assert PodTemplate.of(template.to_yaml()) == template
    assert PodTemplate.of(template.to_dict()) == template
    assert eval(template.to_python(), {"PodTemplate": PodTemplate}) == template
