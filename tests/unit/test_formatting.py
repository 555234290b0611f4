"""A template as Python and as HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podtask import PodTemplate
from podtask.formatting import MAX_LINE_CHARS, value_source, yaml_html

from tests.unit import document_templates
from tests.unit.characters import CHARACTERS

HOSTILE = "<script>alert('x')</script>&\"\\\n"
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(CHARACTERS)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(CHARACTERS), inner),
    max_leaves=20,
)


@pytest.mark.parametrize("name", document_templates.ALL)
def test_python_makes_an_equal_template(name: str) -> None:
    """The output of to_python evaluates to an equal template, uses no other name, and has narrow lines."""
    source = document_templates.ALL[name].to_python()
    assert eval(source, {"PodTemplate": PodTemplate}) == document_templates.ALL[name]
    assert max(map(len, source.splitlines())) <= MAX_LINE_CHARS + 2


def test_python_has_a_readable_layout() -> None:
    """Short values are on one line, long ones have one item per line, with double quotes."""
    template = PodTemplate({"containers": [{"name": "main", "args": ["a" * 70, "b"]}]}, "main")
    assert template.to_python() == (
        "PodTemplate(\n"
        "    pod_spec={\n"
        '        "containers": [\n'
        "            {\n"
        '                "name": "main",\n'
        '                "args": [\n'
        f'                    "{"a" * 70}",\n'
        '                    "b",\n'
        "                ],\n"
        "            },\n"
        "        ],\n"
        "    },\n"
        '    primary_container_name="main",\n'
        ")"
    )
    assert PodTemplate(labels={"a": "b"}).to_python() == 'PodTemplate(labels={"a": "b"})'


@given(VALUES)
def test_any_value_comes_back_from_its_source(value: Any) -> None:
    """The source of a value evaluates to that value."""
    assert eval(value_source(value), {"inf": float("inf")}) == value


def test_html_summarizes_a_pod() -> None:
    """The HTML shows containers, images, mounts, volumes, labels, YAML and Python, and marks the primary."""
    html = document_templates.BUCKET.replace(labels={"team": "one"})._repr_html_()
    for shown in (
        "the cell runs here",
        "/mnt/gcs",
        "csi",
        "team: one",
        "gke-gcsfuse/volumes: true",
        "<summary>YAML</summary>",
        "<summary>Python</summary>",
    ):
        assert shown in html
    style = re.sub(r"color-mix\([^;]* currentColor\)", "", html.split("</style>")[0])
    assert "#" not in style.replace("rgba", "")  # no color that suits only one theme


def test_html_escapes_all_of_the_template() -> None:
    """No text of a template is interpreted as markup: names, images, values, keys."""

    class Tags(HTMLParser):
        found: set[str] = set()  # noqa: RUF012 - one parser a class

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.found.add(tag)

    container = {
        "name": HOSTILE,
        "image": HOSTILE,
        "resources": {"limits": {HOSTILE: HOSTILE}},
        "volumeMounts": [{"name": HOSTILE, "mountPath": HOSTILE}],
        HOSTILE: HOSTILE,
    }
    spec = {
        "containers": [container, container],
        "initContainers": [container],
        HOSTILE: HOSTILE,
        "volumes": [{"name": HOSTILE, HOSTILE: {}}],
    }
    template = PodTemplate(spec, HOSTILE, {HOSTILE: HOSTILE}, {HOSTILE: HOSTILE})
    parser = Tags()
    parser.feed(template._repr_html_())
    assert parser.found == {
        "style",
        "div",
        "table",
        "tr",
        "th",
        "td",
        "code",
        "span",
        "br",
        "details",
        "summary",
        "pre",
    }
    assert eval(template.to_python(), {"PodTemplate": PodTemplate}) == template


@pytest.mark.parametrize(
    ("line", "html"),
    [
        (
            "  - name: a  # was: <b>",
            '  - <span class="pt-k">name</span>:<span class="pt-s"> a</span>  <span class="pt-mark"># was: &lt;b&gt;</span>',
        ),
        ("# all", '<span class="pt-mark"># all</span>'),
        ("- 3", '- <span class="pt-n">3</span>'),
        ("a: {}", '<span class="pt-k">a</span>:<span class="pt-a"> {}</span>'),
        ("a: b#c", '<span class="pt-k">a</span>:<span class="pt-s"> b#c</span>'),
        ("command:  # added", '<span class="pt-k">command</span>:  <span class="pt-mark"># added</span>'),
    ],
)
def test_yaml_in_colors(line: str, html: str) -> None:
    """U25: keys, values and comments have an element each; markup is escaped."""
    assert yaml_html(line) == html
