"""Parse the line of ``%%podtask`` into options; the flags are made from the fields of RunOptions."""

from __future__ import annotations

import argparse
import dataclasses
import re
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser

from ..config.options import RunOptions
from ..errors import did_you_mean
from ..runner.safe_text import safe_text

DESCRIPTION = """\
Run this cell in a Kubernetes pod. Output and results come back as if the kernel had run the cell.

    %%podtask -t template -o model --memory 8Gi
    model = train(data)

Defaults come from [tool.podtask] in pyproject.toml, from PODTASK_* variables and from `%podtask use`.
`%podtask config` shows them. `%podtask` lists the commands.
"""
# A message of argparse about one flag.
FLAG_ERROR = re.compile(r"argument (\S+): (?:expected one|ignored explicit) argument.*")


def make_parser() -> MagicArgumentParser:
    """Return the parser of the line of ``%%podtask``."""
    parser = _Parser(
        "%%podtask",
        description=DESCRIPTION,
        add_help=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for field in dataclasses.fields(RunOptions):
        about = field.metadata
        settings: dict[str, Any] = {"dest": field.name, "help": about["help"], "default": None}
        if about.get("flag"):
            settings["action"] = "store_true"
        else:
            settings["metavar"] = about["metavar"]
        if about.get("many"):
            settings["action"] = "append"
        parser.add_argument(*about["flags"], **settings)
    return parser


def fields_by_flag() -> dict[str, dataclasses.Field[Any]]:
    """Return the field of RunOptions that each flag sets."""
    return {flag: field for field in dataclasses.fields(RunOptions) for flag in field.metadata["flags"]}


def parse_options(words: list[str]) -> dict[str, Any]:
    """Return the options in the words of a line; their values are not parsed yet.

    Args:
        words: The words of a line.

    Raises:
        UsageError: A word is not an option, or an option has no value.
    """
    known, unknown = make_parser().parse_known_args(words)
    if unknown:
        raise UsageError(f"%%podtask: {safe_text(_describe_unknown(unknown[0], words))}")
    return {name: value for name, value in vars(known).items() if value is not None}


def _describe_unknown(word: str, words: list[str]) -> str:
    """Return the message about a word that no option takes."""
    fields = fields_by_flag()
    before = words[: words.index(word)] if word in words else []
    last_flag = next((each for each in reversed(before) if each in fields), "")
    if not word.startswith("-") and last_flag and fields[last_flag].metadata["metavar"] == "NAMES":
        names = ",".join(part.strip(",") for part in [*before[before.index(last_flag) + 1 :], word])
        return f"{word!r} is separated from the names of {last_flag} by a space.\nWrite them without spaces: {last_flag} {names}"
    return f"unknown option {word!r}.{did_you_mean(word, fields)}\nRun %%podtask? to list all options."


class _Parser(MagicArgumentParser):
    """A parser whose error messages say what to write instead."""

    def error(self, message: str) -> NoReturn:
        match = FLAG_ERROR.fullmatch(message)
        if match is None:
            raise UsageError(f"%%podtask: {safe_text(message)}\nRun %%podtask? to list all options.")
        flag = match[1].partition("/")[0]
        metavar = fields_by_flag()[flag].metadata["metavar"]
        if not metavar:
            raise UsageError(f"%%podtask: {flag} takes no value.\nWrite only {flag}.")
        raise UsageError(
            f"%%podtask: {flag} has no value.\n"
            f"Write {flag} {metavar}, or {flag}={metavar} if the value begins with a dash."
        )
