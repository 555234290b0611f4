"""Format values as Python source and as JSON, and build the HTML cards that notebooks show. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any

from .runner.safe_text import safe_text

MAX_LINE_CHARS = 88
MAX_ABBREVIATED_CHARS = 60
MAX_TEXT_CHARS = 16 << 10  # of a text of the cluster; a kubelet quotes 10 KiB of the answer to a probe
KEY_LINE = re.compile(r"^(\s*)((?:- )*)([^\s:'\"]+|'[^']*'|\"[^\"]*\")(:)( .*)?$")
ITEM_LINE = re.compile(r"^(\s*)((?:- )+)(.*)$")
COMMENT = re.compile(r"(?:^|(?<=\s))# .*$")
# Translucent greys and the notebook's own colours suit light and dark themes. ``!important`` overrides
# JupyterLab, which stripes the tables of an output, aligns them to the right, and takes the box of texts away.
STYLE = """
.podtask-card { border: 1px solid rgba(128,128,128,.35); border-radius: 6px; padding: .7em 1em;
  max-width: 52em; color: inherit; font-size: .92em; line-height: 1.5; }
.podtask-card .podtask-title { font-weight: 600; margin-bottom: .4em; }
.podtask-card table { border-collapse: collapse; margin: 0; color: inherit; }
.podtask-card table tr { background: none !important; }
.podtask-card table tr > th, .podtask-card table tr > td { text-align: left !important; border: 0;
  vertical-align: baseline; line-height: 1.5; padding: .15em 1.2em .15em 0; background: transparent; }
.podtask-card table tr > th { font-weight: normal; opacity: .65; white-space: nowrap; }
.podtask-card code { background: rgba(128,128,128,.14); color: inherit; padding: .05em .35em;
  border-radius: 3px; overflow-wrap: anywhere; }
.podtask-card .podtask-badge { border: 1px solid rgba(128,128,128,.5); border-radius: 9px;
  padding: 0 .55em; margin-left: .4em; font-size: .82em; }
.podtask-card summary { cursor: pointer; opacity: .75; margin-top: .4em; }
.podtask-card pre { background: rgba(128,128,128,.1) !important; color: inherit; margin: .4em 0 !important;
  padding: .6em .8em !important; line-height: 1.35 !important; border-radius: 4px; overflow-x: auto;
  white-space: pre-wrap !important; word-break: normal !important; overflow-wrap: anywhere; }
.podtask-card .pt-k { color: color-mix(in srgb, #1976d2 60%, currentColor); }
.podtask-card .pt-s { color: color-mix(in srgb, #c62828 40%, currentColor); }
.podtask-card .pt-n, .podtask-card .pt-a { color: color-mix(in srgb, #2e7d32 60%, currentColor); }
.podtask-card .pt-mark { color: color-mix(in srgb, #b26a00 60%, currentColor); font-style: italic; }
"""


def shorten_texts(document: Any) -> Any:
    """Return a JSON document in which long texts are cut to their ends: the cause of an error is at the end.

    Args:
        document: A part of an object of the cluster. Whoever may change the object chooses its texts.
    """
    if isinstance(document, str):
        return document[-MAX_TEXT_CHARS:]
    if isinstance(document, dict):
        return {name: shorten_texts(value) for name, value in document.items()}
    return [shorten_texts(each) for each in document] if isinstance(document, list) else document


def call_source(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the Python source of a call: on one line if it fits, otherwise with one argument per line.

    Args:
        name: Name of the function.
        arguments: Keyword arguments of the call.
    """
    parts = [f"{key}={value_source(value, 4, len(key) + 6)}" for key, value in arguments.items()]
    one_line = f"{name}({', '.join(parts)})"
    if len(one_line) <= MAX_LINE_CHARS and "\n" not in one_line:
        return one_line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def value_source(value: Any, indent: int = 0, used: int = 0) -> str:
    """Return the Python source of a value, with line breaks as a code formatter would set them.

    Args:
        value: Dicts, lists and plain values.
        indent: Number of columns by which all lines but the first are indented.
        used: Number of columns of the first line that are used already.
    """
    one_line = _one_line_source(value)
    if indent + used + len(one_line) < MAX_LINE_CHARS or not isinstance(value, (dict, list)) or not value:
        return one_line
    inner = " " * (indent + 4)
    if isinstance(value, dict):
        keys = [(_one_line_source(key), each) for key, each in value.items()]
        lines = [f"{key}: {value_source(each, indent + 4, len(key) + 3)}" for key, each in keys]
        opening, closing = "{}"
    else:
        lines = [value_source(each, indent + 4, 1) for each in value]
        opening, closing = "[]"
    body = "".join(f"{inner}{line},\n" for line in lines)
    return f"{opening}\n{body}{' ' * indent}{closing}"


def abbreviate(value: object) -> str:
    """Return a value as JSON, cut to 60 characters."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= MAX_ABBREVIATED_CHARS else text[: MAX_ABBREVIATED_CHARS - 1] + "…"


def html_card(
    title: str, rows: Sequence[tuple[str, str]], sections: Mapping[str, str], yaml: Collection[str] = ()
) -> str:
    """Return the HTML of a card: a title, a table, and sections that can be unfolded.

    Args:
        title: Title of the card, as text.
        rows: Rows of the table: heading as text, content as HTML. Rows without content are left out.
        sections: Heading -> text of the sections below the table.
        yaml: Headings of the sections that are YAML, which is shown in colors.
    """
    table = "".join(
        f"<tr><th>{escape(heading)}</th><td>{content}</td></tr>" for heading, content in rows if content
    )
    details = "".join(
        f"<details><summary>{escape(heading)}</summary>"
        f"<pre>{yaml_html(safe_text(text)) if heading in yaml else safe_html(text)}</pre></details>"
        for heading, text in sections.items()
    )
    return (
        f'<style>{STYLE}</style><div class="podtask-card"><div class="podtask-title">'
        f"{safe_html(title)}</div><table>{safe_text(table)}</table>{details}</div>"
    )


def yaml_html(text: str) -> str:
    """Return YAML as HTML with an element for each key, value and comment; style sheets give them colors."""
    return "\n".join(map(yaml_line_html, text.splitlines()))


def yaml_line_html(line: str) -> str:
    """Return one line of YAML as HTML, as :func:`yaml_html` does."""
    comment = COMMENT.search(line)
    if comment:
        line = line[: comment.start()]
    if match := KEY_LINE.match(line.rstrip()):
        indent, dashes, key, colon, value = match.groups("")
        shown = f"{indent}{dashes}{_yaml_span('k', key)}{colon}{_yaml_value(value)}"
    elif match := ITEM_LINE.match(line.rstrip()):
        shown = match[1] + match[2] + _yaml_value(match[3])
    else:
        shown = _yaml_value(line.rstrip())
    if not comment:
        return shown
    return f"{shown}{line[len(line.rstrip()) :]}{_yaml_span('mark', comment[0])}"


def _yaml_value(text: str) -> str:
    scalar = text.strip()
    if not scalar:
        return text
    if re.fullmatch(r"-?\d+(\.\d+)?", scalar):
        return _yaml_span("n", text)
    return _yaml_span("a" if scalar in ("true", "false", "null", "{}", "[]") else "s", text)


def _yaml_span(style: str, text: str) -> str:
    return f'<span class="pt-{style}">{escape(text, quote=False)}</span>'


def safe_html(text: str) -> str:
    """Return a text as HTML that is safe to show: escaped, without credentials and control characters."""
    return escape(safe_text(text))


def html_code(text: object) -> str:
    """Return a text as an HTML ``code`` element."""
    return f"<code>{escape(str(text))}</code>"


def _one_line_source(value: object) -> str:
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{_one_line_source(k)}: {_one_line_source(v)}" for k, v in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_one_line_source, value)) + "]"
    if isinstance(value, str) and '"' not in value and "\\" not in repr(value):
        return f'"{value}"'
    return repr(value)
