"""YAML as HTML with syntax highlighting in the notebook's colors. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from html import escape

from podtask.formatting import yaml_line_html

# Scrolls the first changed line into view, where the front end allows scripts.
SCROLL_TO_CHANGE = (
    '<img src="data:," alt="" hidden onerror="const b=this.closest(\'.pt-side\'),'
    "n=b&&b.querySelector('.pt-new');if(n){const t=n.offsetTop-b.offsetTop;"
    'if(t<b.scrollTop||t>b.scrollTop+b.clientHeight-90)b.scrollTop=t-b.clientHeight/3}">'
)


def highlight(
    title: str, text: str, notes: Mapping[int, str], changed: AbstractSet[str] = frozenset()
) -> str:
    """Return YAML as HTML.

    Args:
        title: What the YAML describes.
        text: The YAML.
        notes: Notes to show at the end of lines, by line number from 0.
        changed: Lines to highlight as changed.
    """
    lines = [
        _line(line, notes.get(number, ""), line in changed) for number, line in enumerate(text.splitlines())
    ]
    return (
        f'<div class="pt-title" aria-hidden="true">{escape(title)}</div>'
        f'<pre class="pt-pre" tabindex="0" role="region" aria-label="{escape(title)}, in YAML">'
        + "".join(lines)
        + f"</pre>{SCROLL_TO_CHANGE if changed else ''}"
    )


def _line(line: str, note: str, is_changed: bool) -> str:
    markup = yaml_line_html(line)
    if note:
        markup += f' <span class="pt-mark">← {escape(note)}</span>'
    indent = len(line) - len(line.lstrip(" "))
    return f'<span class="pt-line{" pt-new" * is_changed}" style="--pt-indent:{indent}">{markup}</span>'
