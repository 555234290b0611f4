"""Environment variables of the template have the values that a plain pod gives them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podtask.backends.local import template_env

from tests.unit.manifest.test_render import rendered

SECRET = {"secretKeyRef": {"name": "s", "key": "k"}}


def entries(*pairs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "value": value} if isinstance(value, str) else {"name": name, "valueFrom": value}
        for name, value in pairs
    ]


def env_of(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = rendered({"containers": [{"name": "primary", "env": given}]}).primary_container["env"]
    return [each for each in found if not each["name"].startswith("PODTASK_")]


@pytest.mark.pod("P5")
@pytest.mark.parametrize(
    "given",
    [
        entries(("L", "/a"), ("X", "$(L)"), ("L", "/b:$(L)")),
        entries(("PATH", "/opt/bin"), ("PATH", "$(PATH):/usr/bin"), ("PATH", "$(PATH):/usr/bin")),
        entries(("A", "1"), ("A", "2"), ("A", "1")),
        entries(("TOKEN", SECRET), ("URL", "http://$(TOKEN)@x"), ("TOKEN", "none")),
    ],
)
def test_entries_stay_where_they_are(given: list[dict[str, Any]]) -> None:
    """An entry whose removal could change a value stays, with its place among the others."""
    assert env_of(given) == given


@pytest.mark.pod("P5")
def test_exact_duplicates_are_merged() -> None:
    """A second entry that is equal to the last one of its name, and refers to nothing, changes nothing."""
    given = entries(("A", "1"), ("B", "$(A)"), ("A", "1"), ("T", SECRET), ("T", SECRET))
    assert env_of(given) == entries(("A", "1"), ("B", "$(A)"), ("T", SECRET))


NAMES = st.sampled_from("ABC")
VALUES = st.sampled_from(["", "1", "2", "$(A)", "$(B)-$(C)", "$$(A)", "$(D)", "a$(A)b$", "$(A"])


def expanded(given: list[dict[str, Any]]) -> dict[str, str]:
    """Return the variables as Kubernetes defines them, character by character."""
    env: dict[str, str] = {}
    for entry in given:
        text, value = entry["value"], ""
        while text:
            end = text.find(")")
            if text.startswith("$$"):
                value, text = value + "$", text[2:]
            elif text.startswith("$(") and end > 0:
                name, text = text[2:end], text[end + 1 :]
                value += env.get(name, f"$({name})")
            else:
                value, text = value + text[0], text[1:]
        env[entry["name"]] = value
    return env


@pytest.mark.pod("P5")
@given(st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_merging_changes_no_value(pairs: list[tuple[str, str]]) -> None:
    """Each variable has the value of a plain pod, in a pod and in a local run."""
    given = entries(*pairs)
    assert expanded(env_of(given)) == expanded(given)
    assert template_env(rendered({"containers": [{"name": "primary", "env": given}]})) == expanded(given)
