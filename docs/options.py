"""Sphinx directives that generate the reference of options and commands from the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils.statemachine import StringList
from podtask.config.options import RunOptions
from podtask.config.settings import SETTABLE_OPTIONS
from podtask.magics.arguments import GROUPS as OPTION_GROUPS
from podtask.magics.commands import COMMANDS
from podtask.magics.commands import GROUPS as COMMAND_GROUPS
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx


ERROR_TEXTS = Path(__file__).parent.parent / "tests" / "local" / "error_texts.txt"


class Generated(SphinxDirective):
    """Base class of directives that write Markdown."""

    def lines(self) -> Iterator[str]:
        """Yield the lines of Markdown."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Return the lines as nodes."""
        return self.parse_text_to_nodes(StringList(list(self.lines()), "options"))


class Options(Generated):
    """``podtask-options``: the options of one topic, as ``%%podtask?`` groups them."""

    required_arguments = 1
    final_argument_whitespace = True

    def lines(self) -> Iterator[str]:
        """Yield the lines of each option: its flags, what it does, its default, its keyword and setting."""
        options = {field.name: field for field in fields(RunOptions)}
        for name in OPTION_GROUPS[self.arguments[0]]:
            field = options[name]
            about = field.metadata
            value = f" {about['metavar']}" if about["metavar"] else ""
            flags = ", ".join(f"{flag}{value}" for flag in about["flags"])
            setting = f"`{name}`" if name in SETTABLE_OPTIONS else f"`{name}` (no setting)"
            facts = [f"Keyword and setting: {setting}."]
            if about.get("many"):
                facts.append("Can be repeated.")
            if default := _default(field.default):
                facts.append(f"Default: {default}.")
            text = about["help"]
            yield from (
                f":::{{option}} {flags}",
                f"{text[0].upper()}{text[1:]}.",
                "",
                " ".join(facts),
                ":::",
                "",
            )


class Command(Generated):
    """``podtask-command``: the arguments of a command of ``%podtask``, what it does, and an example."""

    required_arguments = 1

    def lines(self) -> Iterator[str]:
        """Yield the lines of the command."""
        name = self.arguments[0]
        usage, _, does = (COMMANDS[name].__doc__ or "").splitlines()[0].partition(": ")
        example = next(group[name] for group in COMMAND_GROUPS.values() if name in group)
        yield from ("```text", usage, "```", "", f"{does[0].upper()}{does[1:]}", "")
        yield from ("```python", f"%podtask {example}", "```")


class ErrorTexts(Generated):
    """``podtask-error-texts``: the errors of the tests' catalog, each with an anchor."""

    def lines(self) -> Iterator[str]:
        """Yield the lines of each error: its anchor and title, the cells, and what is shown."""
        for section in ERROR_TEXTS.read_text().split("---- ")[1:]:
            title, _, rest = section.partition("\n")
            code, _, shown = rest.partition("#: shows\n")
            yield from (f"({error_anchor(title)})=", "", f"**{title[0].upper()}{title[1:]}**", "")
            for cell in code.split("\n#:\n"):
                yield from ("```text", *cell.strip("\n").splitlines(), "```", "")
            yield from ("```text", *shown.strip("\n").splitlines(), "```", "")


def error_anchor(title: str) -> str:
    """Return the anchor of an error of the catalog, such as ``error-an-unknown-magic``."""
    return "error-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _default(value: Any) -> str:
    if value is None or value == () or value is False:
        return ""
    return f"`{value:g} s`" if isinstance(value, float) else f"`{value}`"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("podtask-options", Options)
    app.add_directive("podtask-error-texts", ErrorTexts)
    app.add_directive("podtask-command", Command)
    return {"parallel_read_safe": True}
