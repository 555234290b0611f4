"""Strings in the YAML that podtask writes are strings for parsers of YAML 1.1, of YAML 1.2 and of Go."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from podtask import PodTemplate
from podtask.template.safe_yaml import load_documents
from podtask.template.yaml_writer import dump_yaml

ROOT = Path(__file__).parents[3]
# Plain scalars that at least one parser reads as another type than text.
AMBIGUOUS = (
    *("y", "Y", "n", "N", "yes", "No", "on", "OFF", "true", "False", "null", "Null", "~", "", "=", "<<"),
    *(
        "1e3",
        "72225e2",
        "1E5",
        "0o17",
        "0b1",
        "0x1F",
        "017",
        "1_000",
        "12:30",
        "1:2:3.4",
        "+1",
        "-.5",
        "1.",
        ".5e3",
    ),
    *(
        ".inf",
        "-.Inf",
        ".NaN",
        "2024-01-01",
        "2024-1-1",
        "2001-12-14t21:59:43.10Z",
        "2001-12-14 21:59:43",
        "0x_1",
    ),
)
# What go-yaml (for kubectl) reads as another type: resolve.go of go.yaml.in/yaml/v2.
GO_WORDS = re.compile(
    r"y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|true|True|TRUE|false|False|FALSE|null|Null|NULL|~||<<"
)
GO_NUMBERS = re.compile(
    r"[-+]?(0[bB][01_]+|0[oO]?[0-7_]+|0[xX][0-9a-fA-F_]+|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9]+([eE][-+]?[0-9]+)?)"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?"
)
TEXTS = st.one_of(
    st.sampled_from(AMBIGUOUS),
    st.from_regex(r"\A[-+.]?[0-9a-fA-FxXoO_eE.:+-]{0,8}\Z"),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)


def plain_scalars(text: str) -> list[str]:
    """Return the scalars of a YAML text that have no quotes."""
    tokens = yaml.scan(text, Loader=yaml.SafeLoader)
    return [each.value for each in tokens if isinstance(each, yaml.ScalarToken) and each.plain]


@pytest.mark.pod("P6")
@given(st.dictionaries(TEXTS, st.lists(TEXTS, max_size=3), max_size=4))
@example({each: [each] for each in AMBIGUOUS})
def test_strings_are_strings_for_every_parser(value: dict[str, Any]) -> None:
    """No string is written plain if a parser reads it as another type, and all come back."""
    text = dump_yaml(value)
    assert yaml.safe_load(text) == value
    assert load_documents(text) == [value]
    for scalar in plain_scalars(text):
        assert not GO_WORDS.fullmatch(scalar)
        assert not GO_NUMBERS.fullmatch(scalar)


@pytest.mark.pod("P6")
@pytest.mark.parametrize("value", AMBIGUOUS)
def test_ambiguous_values_come_back_from_a_template(value: str) -> None:
    """A value of an environment variable and a label survive to_yaml."""
    env = [{"name": "ACCEPT_EULA", "value": value}]
    template = PodTemplate({"containers": [{"name": "primary", "env": env}]}, labels={"rev": value})
    assert f"value: {value}\n" not in template.to_yaml()
    assert PodTemplate.of(template.to_yaml()) == template


@pytest.mark.pod("P6")
def test_all_yaml_has_one_writer() -> None:
    """No other module writes YAML: the form, saved templates and copied kubectl lines have the same quotes."""
    files = [path for folder in ("ext", "widgets") for path in (ROOT / folder).rglob("*.py")]
    writers = [path.name for path in files if re.search(r"yaml\.(safe_)?dump", path.read_text())]
    assert writers == ["yaml_writer.py"]


@pytest.mark.pod("P6")
def test_other_values_have_no_quotes() -> None:
    """Quantities, images, paths and flags stay readable, and no object is an anchor."""
    shared = {"cpu": "500m", "memory": "8Gi"}
    value = {"a": shared, "b": shared, "c": ["python:3.11-slim", "/data", "-c", "--flag", "1.5 GB"]}
    assert "'" not in dump_yaml(value)
    assert "&" not in dump_yaml(value)
