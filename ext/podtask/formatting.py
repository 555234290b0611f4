"""Values as readable Python, and a pod template as HTML that suits light and dark. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH = 88
MAX_ABBREVIATED_CHARS = 60
# Only greys of half opacity and the notebook's own colours: right on any background. JupyterLab
# aligns tables of outputs to the right and stripes them.
STYLE = """
.podtask-card { border: 1px solid rgba(128,128,128,.35); border-radius: 6px; padding: .7em 1em;
  max-width: 52em; color: inherit; font-size: .92em; line-height: 1.5; }
.podtask-card .podtask-title { font-weight: 600; margin-bottom: .4em; }
.podtask-card table { border-collapse: collapse; margin: 0; color: inherit; }
.podtask-card table tr { background: none !important; }
.podtask-card table tr > th, .podtask-card table tr > td { text-align: left !important; vertical-align: top; border: 0;
  padding: .15em 1.2em .15em 0; background: transparent; }
.podtask-card table tr > th { font-weight: normal; opacity: .65; white-space: nowrap; }
.podtask-card code { background: rgba(128,128,128,.14); color: inherit; padding: .05em .35em;
  border-radius: 3px; overflow-wrap: anywhere; }
.podtask-card .podtask-badge { border: 1px solid rgba(128,128,128,.5); border-radius: 9px;
  padding: 0 .55em; margin-left: .4em; font-size: .82em; }
.podtask-card summary { cursor: pointer; opacity: .75; margin-top: .4em; }
.podtask-card pre { background: rgba(128,128,128,.1); color: inherit; padding: .6em .8em;
  border-radius: 4px; overflow-x: auto; }
"""


def call(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the source of a call: on one line where it fits, else an argument a line."""
    parts = [f"{key}={python(value, 4, len(key) + 6)}" for key, value in arguments.items()]
    flat = f"{name}({', '.join(parts)})"
    if len(flat) <= WIDTH and "\n" not in flat:
        return flat
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def python(value: Any, indent: int = 0, used: int = 0) -> str:
    """Return the source of a value as a formatter would lay it out.

    Args:
        value: dicts, lists and plain values.
        indent: columns that its lines after the first are indented by.
        used: columns taken on its first line.
    """
    flat = _flat(value)
    if indent + used + len(flat) < WIDTH or not isinstance(value, (dict, list)) or not value:
        return flat
    inner = " " * (indent + 4)
    if isinstance(value, dict):
        keys = [(_flat(key), each) for key, each in value.items()]
        lines = [f"{key}: {python(each, indent + 4, len(key) + 3)}" for key, each in keys]
        first, last = "{}"
    else:
        lines = [python(each, indent + 4, 1) for each in value]
        first, last = "[]"
    body = "".join(f"{inner}{line},\n" for line in lines)
    return f"{first}\n{body}{' ' * indent}{last}"


def abbreviate(value: Any) -> str:
    """Return a value as JSON, cut to 60 characters."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= MAX_ABBREVIATED_CHARS else text[: MAX_ABBREVIATED_CHARS - 1] + "…"


def card(title: str, rows: Sequence[tuple[str, str]], folds: Mapping[str, str]) -> str:
    """Return a card.

    Args:
        title: text.
        rows: (heading as text, content as HTML); rows without content are left out.
        folds: texts to unfold, by their headings.
    """
    table = "".join(f"<tr><th>{escape(head)}</th><td>{cell}</td></tr>" for head, cell in rows if cell)
    rest = "".join(
        f"<details><summary>{escape(head)}</summary><pre>{escape(text)}</pre></details>"
        for head, text in folds.items()
    )
    return (
        f'<style>{STYLE}</style><div class="podtask-card"><div class="podtask-title">'
        f"{escape(title)}</div><table>{table}</table>{rest}</div>"
    )


def _code(text: Any) -> str:
    return f"<code>{escape(str(text))}</code>"


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flat(k)}: {_flat(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    if isinstance(value, str) and '"' not in value and "\\" not in repr(value):
        return f'"{value}"'
    return repr(value)
