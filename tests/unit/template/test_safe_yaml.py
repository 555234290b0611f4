"""YAML from untrusted sources creates no objects, runs no code and cannot exhaust the memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from podtask import InputError, PodTemplate

LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    + ["spec: {containers: [], volumes: *a8}"]
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("spec: !!python/object/apply:os.mkdir ['made']\n", "could not determine a constructor"),
        ("spec: !!python/name:os.system ''\n", "could not determine a constructor"),
        (LAUGHS, "expand to more than 100,000 values"),
        ("spec: &me\n  containers: []\n  volumes: [*me]\n", "expand to more than"),
        ("spec: " + "[" * 5000 + "]" * 5000 + "\n", "recursion"),
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


def test_harmless_aliases_work() -> None:
    """An anchor that is used twice gives the same value twice."""
    template = PodTemplate.of(
        "spec:\n  containers:\n  - {name: primary, resources: {limits: &size {cpu: '1'}, requests: *size}}\n"
    )
    resources = template.to_dict()["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
