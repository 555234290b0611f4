"""The words of a magic's line become options, by the one list of them."""

from __future__ import annotations

import argparse
import dataclasses
import re
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser

from ..config.options import RunOptions
from ..errors import nearest

EXAMPLE = """\
Run this cell in a Kubernetes pod; its output and result come back as if the kernel had run it.

    %%podtask -t template -o model --memory 8Gi
    model = train(data)

Defaults come from [tool.podtask] in pyproject.toml, from PODTASK_* and from `%podtask use`;
`%podtask config` shows them, `%podtask` alone lists the commands.
"""
ABOUT_FLAG = re.compile(r"argument (\S+): (?:expected one|ignored explicit) argument.*")  # argparse's


def parser() -> MagicArgumentParser:
    """Returns the parser of the magic's line."""
    made = _Parser(
        "%%podtask", description=EXAMPLE, add_help=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for field in dataclasses.fields(RunOptions):
        about = field.metadata
        more: dict[str, Any] = {"dest": field.name, "help": about["say"], "default": None}
        if about.get("flag"):
            more["action"] = "store_true"
        else:
            more["metavar"] = about["metavar"]
        if about.get("many"):
            more["action"] = "append"
        made.add_argument(*about["flags"], **more)
    return made


def flags() -> dict[str, dataclasses.Field[Any]]:
    """Returns each flag with its option."""
    return {flag: field for field in dataclasses.fields(RunOptions) for flag in field.metadata["flags"]}


def read(words: list[str]) -> dict[str, Any]:
    """Returns the options that words give, as they were given.

    Raises:
        UsageError: there is no such option, or its value is missing.
    """
    known, unknown = parser().parse_known_args(words)
    if unknown:
        raise UsageError(f"%%podtask: {_strange(unknown[0], words)}")
    return {name: value for name, value in vars(known).items() if value is not None}


def _strange(word: str, words: list[str]) -> str:
    """Returns what is said of a word that no option takes."""
    before = words[: words.index(word)] if word in words else []
    last = next((each for each in reversed(before) if each in flags()), "")
    if not word.startswith("-") and last and flags()[last].metadata["metavar"] == "NAMES":
        names = ",".join(part.strip(",") for part in [*before[before.index(last) + 1 :], word])
        return f"{word!r} stands apart from the names of {last}.\nWrite them without spaces: {last} {names}"
    return f"there is no option {word!r}.{nearest(word, flags())}\nSee %%podtask? for all of them."


class _Parser(MagicArgumentParser):
    """Says in our words what is wrong with a line."""

    def error(self, message: str) -> NoReturn:
        found = ABOUT_FLAG.fullmatch(message)
        if found is None:
            raise UsageError(f"%%podtask: {message}\nSee %%podtask? for all options.")
        flag = found[1].partition("/")[0]
        metavar = flags()[flag].metadata["metavar"]
        if not metavar:
            raise UsageError(f"%%podtask: {flag} takes no value.\nWrite just {flag}.")
        raise UsageError(
            f"%%podtask: {flag} has no value.\n"
            f"Write {flag} {metavar}, or {flag}={metavar} where that begins with a dash."
        )
