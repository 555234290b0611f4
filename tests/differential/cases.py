"""The cells of the suite, read from ``cells/*.ipy``.

A file is IPython code in sections::

    # %% a name | out a, b | needs numpy | python 3.10 | other stays
    set-up, run in the notebook
    #: cell
    what is run three ways
    #: then
    what is run in the notebook afterwards, and compared too (optional)

``out`` lists names for ``-o``. ``needs`` lists modules that notebook and image must have. ``python``
is the oldest version with the syntax. ``other`` is what happens in a pod with another minor version of
Python: one of the words in OTHER.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "cells"
OTHER = {
    "refused": "what the cell needs cannot travel as source and plain data",
    "stays": "functions and the pod's classes stay in a pod of another Python",
    "frames": "CPython changed which frames and lines a traceback has, or what it calls them",
    "differs": "CPython changed this text or value between its versions",
}


@dataclass(frozen=True)
class Case:
    """One cell of the suite.

    Args:
        theme: Name of the file.
        name: Unique name.
        setup: Code that runs in the notebook before the cell.
        cell: Source of the cell to compare.
        then: Code that runs in the notebook after the cell.
        out: Names that come back.
        needs: Required modules.
        python: Oldest version of Python that can run the cell.
        other: A word of OTHER; empty if the behavior is the same with another Python.
    """

    theme: str
    name: str
    setup: str
    cell: str
    then: str = ""
    out: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    python: tuple[int, int] = (3, 9)
    other: str = ""

    @property
    def id(self) -> str:
        """The ID of the test."""
        return f"{self.theme}-{self.name.replace(' ', '-')}"


def read_all() -> list[Case]:
    """Return all cells.

    Raises:
        ValueError: A file does not have the format above.
    """
    cases = [case for path in sorted(FOLDER.glob("*.ipy")) for case in _read(path)]
    names = [case.name for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"cells of the same name: {', '.join(sorted(twice))}")
    return cases


def _read(path: Path) -> list[Case]:
    parts = re.split(r"^# %% (.+)$", path.read_text(), flags=re.MULTILINE)
    return [_case(path.stem, *pair) for pair in zip(parts[1::2], parts[2::2], strict=True)]


def _case(theme: str, header: str, text: str) -> Case:
    name, *tags = [word.strip() for word in header.split("|")]
    setup, _, rest = text.partition("\n#: cell\n")
    cell, _, then = rest.partition("\n#: then\n")
    words = dict(tag.split(maxsplit=1) for tag in tags)
    unknown = words.keys() - {"out", "needs", "python", "other"}
    if unknown or not rest or words.get("other", "refused") not in OTHER:
        raise ValueError(f"{theme}: {header}: {unknown or 'no cell, or an unknown word'}")
    major, minor = words.get("python", "3.9").split(".")
    return Case(
        theme,
        name,
        setup.strip("\n"),
        cell.strip("\n"),
        then.strip("\n"),
        tuple(re.findall(r"\w+", words.get("out", ""))),
        tuple(words.get("needs", "").replace(",", " ").split()),
        (int(major), int(minor)),
        words.get("other", ""),
    )
