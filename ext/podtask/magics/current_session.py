"""The session that the notebook is in: ``%podtask in NAME`` sends every later cell there until ``%podtask out``."""

from __future__ import annotations

import logging
import re
from typing import Any

from ..frontend import current_screen

log = logging.getLogger(__name__)
HERE = "%%here"
NOTEBOOK_MARK = "notebook"
# IPython's own magics that concern the notebook, or only show something in the page. Its others, such as %timeit and
# %%bash, depend on where they run: the session refuses them, and the error says what to write instead.
NOTEBOOK_LINE_MAGICS = (
    *(
        "alias",
        "alias_magic",
        "autosave",
        "colors",
        "config",
        "connect_info",
        "doctest_mode",
        "hist",
        "history",
    ),
    *(
        "load",
        "load_ext",
        "loadpy",
        "logoff",
        "logon",
        "logstart",
        "logstate",
        "logstop",
        "lsmagic",
        "macro",
        "magic",
    ),
    *(
        "notebook",
        "page",
        "pastebin",
        "pdoc",
        "precision",
        "psource",
        "qtconsole",
        "quickref",
        "recall",
        "reload_ext",
    ),
    *("rep", "rerun", "save", "subshell", "unalias", "unload_ext", "xmode"),
)
PAGE_CELL_MAGICS = ("html", "HTML", "javascript", "js", "latex", "markdown", "svg", "SVG")
MAGIC_LINE = re.compile(r"%([^\W\d]\w*)(?:\s|$)")
CELL_MAGIC_LINE = re.compile(r"%%([^\W\d]\w*)(?:\s|$)")
HELP = re.compile(r"\?{1,2}\s*%{0,2}[\w.*]+|%{0,2}[\w.*]+\s*\?{1,2}")
VARIABLE_HELP = re.compile(r"\?{1,2}\s*([^\W\d][\w.]*)|([^\W\d][\w.]*)\s*\?{1,2}")
DOTTED_NAME = re.compile(r"(?<![\w.)\]\"'])(?P<path>(?:[^\W\d]\w*\.)*)(?P<prefix>(?:[^\W\d]\w*)?)$")
ENDS_OF_KERNEL = ("exit", "exit()", "quit", "quit()")


class CurrentSession:
    """An input transformer that sends the cells of a notebook to the session that the notebook is in.

    Args:
        shell: The IPython shell.

    Attributes:
        name: Name of the session; empty while the notebook is in none.
        options: Options of ``%podtask in``, as given; they are those of each cell that runs in the session.
    """

    has_side_effects = True  # IPython leaves it out where it only looks whether the input is complete

    def __init__(self, shell: Any = None) -> None:
        self._shell = shell
        self._depth = 0  # of cells that run: the code that a cell gives to run_cell is the cell's own matter
        self.name = ""
        self.options: dict[str, Any] = {}

    def enter(self, name: str, options: dict[str, Any]) -> None:
        """Send every later cell to a session.

        Args:
            name: Name of the session.
            options: Options of the cells, as given.
        """
        if not self.name:
            # First: the later transformers see a cell magic, and IPython removes blank lines of the body only then.
            self._shell.input_transformers_cleanup.insert(0, self)
            self._depth = 0
            self._shell.events.register("pre_execute", self._begin_cell)
            self._shell.events.register("post_execute", self._end_cell)
            self._shell.events.register("pre_run_cell", self._mark_cell_of_notebook)
        self.name, self.options = name, options

    def leave(self) -> None:
        """Run every later cell in the notebook."""
        if self.name:
            # Other transformers need not compare with others.
            self._shell.input_transformers_cleanup[:] = [
                each for each in self._shell.input_transformers_cleanup if each is not self
            ]
            self._shell.events.unregister("pre_execute", self._begin_cell)
            self._shell.events.unregister("post_execute", self._end_cell)
            self._shell.events.unregister("pre_run_cell", self._mark_cell_of_notebook)
        self.name, self.options = "", {}

    def __call__(self, lines: list[str]) -> list[str]:
        """Return the lines of a cell; those of one that runs in the session begin with the cell magic."""
        if self._depth or _is_silent(self._shell):
            return lines
        help_line = VARIABLE_HELP.fullmatch("".join(lines).strip())
        if help_line:
            source = " --source" if "??" in help_line[0] else ""
            return [f"%podtask inspect {help_line[1] or help_line[2]}{source}\n"]
        if not runs_in_session(lines, self._shell):
            return lines
        return [f"%%podtask --session {self.name}\n", *lines]

    def complete(self, text: str, cell: str) -> tuple[str, list[str], bool]:
        """Return completions of the session.

        Args:
            text: The line of code before the cursor.
            cell: The whole cell.

        Returns:
            What they complete, the completions, and whether they are the attributes of a variable of the session.
        """
        match = DOTTED_NAME.search(text) if self.name else None
        if match is None or not match[0] or not runs_in_session(cell.splitlines(keepends=True), self._shell):
            return "", [], False
        path = match["path"].split(".")[:-1]
        words = self._ask({"path": path, "prefix": match["prefix"]}).get("words", [])
        return match["prefix"], [str(word) for word in words], bool(path)

    def describe(self, name: str, with_source: bool) -> str:
        """Return the help on a variable of the session, a dotted name; empty if the session does not answer."""
        path = name.split(".")
        return str(self._ask({"path": path, "source": with_source}).get("text", "")) if self.name else ""

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        from ..api.session import ask_session  # start-up cost

        try:
            return ask_session(self.name, question)
        except Exception:  # Tab shows what the notebook knows, whatever is wrong
            log.exception("session %s was not asked", self.name)
            return {}

    def _begin_cell(self) -> None:
        self._depth += 1

    def _end_cell(self) -> None:
        self._depth = max(0, self._depth - 1)

    def _mark_cell_of_notebook(self, info: Any) -> None:
        """Show in front of the output of a cell that it runs in the notebook; the other cells show their own mark."""
        lines = str(info.raw_cell).splitlines(keepends=True)
        if self._depth != 1 or runs_in_session(lines, self._shell):
            return
        first = _first_line(lines)
        is_own = first.split()[:1] in (["%podtask"], ["%%podtask"]) or HELP.fullmatch(first)  # these show it
        if _has_code(lines) and not is_own:
            current_screen().show_mark(NOTEBOOK_MARK)


def run_here(lines: list[str]) -> list[str]:
    """Turn a cell with ``%%here`` into a plain cell of the notebook: an input transformer of IPython."""
    for number, line in enumerate(lines):
        if line.strip():
            if line.split() != [HERE]:
                return lines
            rest = lines[number + 1 :]
            if CELL_MAGIC_LINE.match(_first_line(rest)):  # IPython looks for it in the first line
                return rest
            return [*lines[:number], f"# {HERE}\n", *rest]  # tracebacks count it, too
    return lines


def runs_in_session(lines: list[str], shell: Any) -> bool:
    """Return whether a cell runs in the session while the notebook is in one.

    Args:
        lines: Its lines, as typed.
        shell: The IPython shell, which knows the magics.
    """
    first = _first_line(lines)
    cell_magic = CELL_MAGIC_LINE.match(first)
    if cell_magic:
        name = cell_magic[1]
        return name not in PAGE_CELL_MAGICS and _is_of_ipython(shell.find_cell_magic(name))
    if first in ENDS_OF_KERNEL and len([line for line in lines if line.strip()]) == 1:
        return False
    statements = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return not all(_concerns_notebook(line, shell) for line in statements)


def _concerns_notebook(statement: str, shell: Any) -> bool:
    """Return whether a line of a cell is a magic that runs in the notebook, or asks for help."""
    if HELP.fullmatch(statement):
        return True
    magic = MAGIC_LINE.match(statement)
    if magic is None:
        return False
    name = magic[1]
    return name in NOTEBOOK_LINE_MAGICS or not _is_of_ipython(shell.find_line_magic(name))


def _is_of_ipython(magic: Any) -> bool:
    """Return whether a magic is one of IPython or its kernel, and not of an extension; False for None."""
    owner = getattr(magic, "__self__", None)
    module = getattr(magic if owner is None else type(owner), "__module__", None) or ""
    # %time of a shell is a method of a class in IPython.core.magics; autoreload is an extension that comes with IPython.
    return module.startswith(("IPython.core.", "IPython.terminal.", "ipykernel."))


def _first_line(lines: list[str]) -> str:
    return next((line.strip() for line in lines if line.strip()), "")


def _has_code(lines: list[str]) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def _is_silent(shell: Any) -> bool:
    """Return whether a page executes code of its own, such as a list of variables, which is not a cell."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return False
    content = kernel.get_parent("shell").get("content", {})
    return bool(content.get("silent")) or content.get("store_history") is False
