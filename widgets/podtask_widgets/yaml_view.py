"""YAML as HTML in the notebook's own colours. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from html import escape

KEY = re.compile(r"^(\s*)((?:- )*)([^\s:'\"]+|'[^']*'|\"[^\"]*\")(:)( .*)?$")
ITEM = re.compile(r"^(\s*)((?:- )+)(.*)$")
# Brings the first changed line into view; where scripts are not allowed, nothing is lost.
FOLLOW = (
    '<img src="data:," alt="" hidden onerror="const b=this.closest(\'.pt-side\'),'
    "n=b&&b.querySelector('.pt-new');if(n){const t=n.offsetTop-b.offsetTop;"
    'if(t<b.scrollTop||t>b.scrollTop+b.clientHeight-90)b.scrollTop=t-b.clientHeight/3}">'
)


def coloured(text: str, marks: Mapping[int, str], new: AbstractSet[str] = frozenset()) -> str:
    """Returns YAML as HTML.

    Args:
        text: the YAML.
        marks: what to say behind a line, by its number from 0.
        new: lines to show as changed.
    """
    lines = [_line(line, marks.get(number, ""), line in new) for number, line in enumerate(text.splitlines())]
    return (
        '<pre class="pt-pre" tabindex="0" role="region" aria-label="The template in YAML">'
        + "\n".join(lines)
        + f"</pre>{FOLLOW if new else ''}"
    )


def _line(line: str, mark: str, new: bool) -> str:
    match = KEY.match(line)
    if match:
        indent, dashes, key, colon, value = match.groups("")
        made = f"{indent}{dashes}{_span('k', key)}{colon}{_value(value)}"
    elif match := ITEM.match(line):
        made = match[1] + match[2] + _value(match[3])
    else:
        made = _value(line)
    if mark:
        made += f' <span class="pt-mark">← {escape(mark)}</span>'
    return f'<span class="pt-new">{made}</span>' if new else made


def _value(text: str) -> str:
    plain = text.strip()
    if not plain:
        return text
    if re.fullmatch(r"-?\d+(\.\d+)?", plain):
        return _span("n", text)
    return _span("a" if plain in ("true", "false", "null", "{}", "[]") else "s", text)


def _span(name: str, text: str) -> str:
    return f'<span class="pt-{name}">{escape(text, quote=False)}</span>'
