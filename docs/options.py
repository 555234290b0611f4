"""Sphinx directives that generate the tables of options and commands from the code."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from docutils.statemachine import StringList
from podtask.config.options import RunOptions
from podtask.config.settings import SETTABLE_OPTIONS
from podtask.magics.commands import COMMANDS
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx


class Table(SphinxDirective):
    """Base class of directives that write a Markdown table."""

    def lines(self) -> Iterator[str]:
        """Yield the lines of the table."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Return the table as nodes."""
        return self.parse_text_to_nodes(StringList(list(self.lines()), "options"))


class Options(Table):
    """``podtask-options``: the flags, help text, default and keyword of each option."""

    def lines(self) -> Iterator[str]:
        """Yield one line for each option."""
        yield "| option | what it does | default | keyword, setting |"
        yield "|---|---|---|---|"
        for field in fields(RunOptions):
            about = field.metadata
            flags = ", ".join(f"`{flag}`" for flag in about["flags"])
            metavar = f" *{about['metavar']}*".replace("|", " or ") if about["metavar"] else ""
            setting = f"`{field.name}`" + ("" if field.name in SETTABLE_OPTIONS else " (no setting)")
            yield f"| {flags}{metavar} | {about['help']} | {_default(field.default)} | {setting} |"


class Commands(Table):
    """``podtask-commands``: the commands of ``%podtask``."""

    def lines(self) -> Iterator[str]:
        """Yield one line for each command."""
        yield "| command | what it does |"
        yield "|---|---|"
        for command in COMMANDS.values():
            usage, _, does = (command.__doc__ or "").splitlines()[0].partition(": ")
            yield f"| `{usage}` | {does} |"


def _default(value: Any) -> str:
    if value is None or value == () or value is False:
        return ""
    return f"`{value:g} s`" if isinstance(value, float) else f"`{value}`"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("podtask-options", Options)
    app.add_directive("podtask-commands", Commands)
    return {"parallel_read_safe": True}
