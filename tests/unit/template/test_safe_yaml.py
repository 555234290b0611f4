"""YAML from untrusted sources creates no objects, runs no code and cannot exhaust the memory."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml
from podtask import InputError, PodTemplate
from podtask.template.safe_yaml import load_documents

LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    + ["spec: {containers: [], volumes: *a8}"]
)

# The same with merge keys: each level has the pairs of ten copies of the one before it.
MERGES = "\n".join(
    ["a0: &a0 {k0: x, k1: x, k2: x, k3: x, k4: x}"]
    + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 9)]
    + ["spec: {containers: [], <<: *a8}"]
)
MERGE_CHAIN = "\n".join(
    ["a0: &a0 {k: x}"] + [f"a{n}: &a{n} {{b: {{<<: *a{n - 1}}}, <<: *a{n - 1}}}" for n in range(1, 40)]
)


@pytest.mark.fault(93)
@pytest.mark.parametrize("text", [MERGES, MERGE_CHAIN, f"{MERGES}\n---\na: 1\n", "a: &a\n  <<: [*a, *a]\n"])
def test_merge_keys_are_counted_before_they_are_built(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merge keys that expand to too many values are refused, and nothing of them is built."""
    built: list[object] = []
    monkeypatch.setattr(yaml.SafeLoader, "construct_document", lambda _, node: built.append(node))
    with pytest.raises(ValueError, match="expand to more than"):
        load_documents(text)
    assert built == []


def test_harmless_merge_keys_work() -> None:
    """A merge key copies the pairs of another mapping, and its own pairs win."""
    text = "base: &base {a: 1, b: 2}\nnew: {<<: *base, b: 3}\n---\n---\nlast: 1\n"
    assert load_documents(text) == [{"base": {"a": 1, "b": 2}, "new": {"a": 1, "b": 3}}, {"last": 1}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("spec: !!python/object/apply:os.mkdir ['made']\n", "the tag tag:yaml.org,2002:python/"),
        ("spec: !!python/name:os.system ''\n", "the tag tag:yaml.org,2002:python/"),
        (LAUGHS, "expand to more than 100,000 values"),
        ("spec: &me\n  containers: []\n  volumes: [*me]\n", "expand to more than"),
        ("spec: " + "[" * 700 + "]" * 700 + "\n", "recursion"),
    ],
    ids=["object", "name", "billion laughs", "holds itself", "deep"],
)
def test_hostile_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    """Unsafe YAML is a short error that names the file, and has no effect."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pod.yaml").write_text(text)
    with pytest.raises(InputError, match=r"pod\.yaml is not valid YAML") as raised:
        PodTemplate.of(tmp_path / "pod.yaml")
    assert says in str(raised.value)
    assert len(str(raised.value)) < 500
    assert os.listdir(tmp_path) == ["pod.yaml"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1\nb: 2", "line 1: the bracket that opens here has no closing ]"),
        ("a:\n  b: {c: 1", "line 2: the bracket that opens here has no closing }"),
        ("a:\n  b: [", "line 2: the text ends before a bracket is closed"),
        ("a: [1]]", "line 1: ] has no opening bracket"),
        ("a: 'x\nb: 1", "line 1: the quote that opens here is not closed"),
        ("a:\n  b: 1\n c: 2", "line 3: the indentation differs"),
        ("a: 1\nfoo\nb: 1", "line 2: the key has no colon after it"),
        ("image: a: b", "line 1: a key is not possible here"),
        ("a:\n\tb: 1", "line 2: indented with a tab: use spaces"),
        ("a: @x", "line 1: text that begins with @ needs quotes"),
        ("a: *x", "line 1: *x refers to &x"),
        ("a: !x 1", "line 1: the tag !x is not allowed"),
        ("a: {{ x }}", "line 1: a list or a mapping cannot be a key"),
        ("a: \x00", "unacceptable character"),
    ],
)
def test_mistake_has_its_line_and_cause(text: str, says: str) -> None:
    """U30: a mistake is described by its line and its cause, without the words of the parser."""
    with pytest.raises(ValueError, match=re.escape(says)) as raised:
        load_documents(text)
    assert "while parsing" not in str(raised.value)
    assert "^" not in str(raised.value)


def test_harmless_aliases_work() -> None:
    """An anchor that is used twice gives the same value twice."""
    template = PodTemplate.of(
        "spec:\n  containers:\n  - {name: primary, resources: {limits: &size {cpu: '1'}, requests: *size}}\n"
    )
    resources = template.to_dict()["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
