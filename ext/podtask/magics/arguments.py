"""Parse the line of ``%%podtask`` into options; the flags are made from the fields of RunOptions."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser

from ..config.options import RunOptions
from ..config.quantities import find_meaning
from ..errors import did_you_mean
from ..runner.safe_text import safe_text
from .familiar_words import OPTIONS

DESCRIPTION = """\
Run this cell in a Kubernetes pod. Output and results come back as if the kernel had run the cell.

    %%podtask -t template -o model --memory 8Gi
    model = train(data)

Defaults come from [tool.podtask] in pyproject.toml, from PODTASK_* variables and from `%podtask use`.
`%podtask config` shows them. `%podtask` lists the commands.
"""
# The options by topic, for the help; an option that is missing here comes first.
GROUPS: dict[str, tuple[str, ...]] = {
    "what runs": (
        "template",
        "primary",
        "image",
        "python",
        "entrypoint",
        "keep_probes",
        "env",
        "name",
        "detach",
        "notify",
        "dry_run",
    ),
    "variables": ("inputs", "outputs", "max_input", "results", "results_in", "no_log_result"),
    "packages": ("pip", "constraint", "pre", "index_url", "extra_index_url"),
    "resources": ("cpu", "memory", "limits", "gpu", "gpu_key", "shm"),
    "where": ("namespace", "context", "local", "queue", "restricted", "channel"),
    "time": ("timeout", "start_timeout", "pull_timeout", "wait", "grace", "linger", "keep"),
    "retries": ("retries", "retry_on"),
    "maps": ("mapped", "grid", "workers", "first_error"),
    "sessions": ("session", "theirs", "fresh", "idle", "replace_session", "trust"),
}
LIST_OPTIONS = "Run %%podtask? to list all options."
# As kubectl has it: --dry-run asks the API server in both cases, if there is one.
DRY_RUNS = ("--dry-run=client", "--dry-run=server")
LONG_FLAG = re.compile(r"--[a-z][a-z-]+")
# A message of argparse about one flag.
FLAG_ERROR = re.compile(r"argument (\S+): (?:expected one|ignored explicit) argument.*")


@functools.cache
def make_parser(magic: str = "%%podtask") -> MagicArgumentParser:
    """Return the parser of the line of ``%%podtask``, or of a command that takes the same options."""
    parser = _Parser(
        magic,
        description=DESCRIPTION,
        add_help=False,
        usage="%(prog)s [OPTIONS]",
        formatter_class=functools.partial(
            argparse.RawDescriptionHelpFormatter, width=100, max_help_position=34
        ),
    )
    parser.allow_abbrev = False  # IPython's class has no parameter for it
    sections = {title: parser.add_argument_group(title) for title in GROUPS}
    groups = {name: sections[title] for title, names in GROUPS.items() for name in names}
    for field in dataclasses.fields(RunOptions):
        about = field.metadata
        settings: dict[str, Any] = {"dest": field.name, "help": about["help"], "default": None}
        if about.get("flag"):
            settings["action"] = "store_true"
        else:
            settings["metavar"] = about["metavar"]
        if about.get("many"):
            settings["action"] = "append"
        groups.get(field.name, parser).add_argument(*about["flags"], **settings)
    return parser


@functools.cache
def fields_by_flag() -> Mapping[str, dataclasses.Field[Any]]:
    """Return the field of RunOptions that each flag sets."""
    return {flag: field for field in dataclasses.fields(RunOptions) for flag in field.metadata["flags"]}


def parse_options(
    words: list[str],
    magic: str = "%%podtask",
    taken: Collection[str] | None = None,
    usage: str = LIST_OPTIONS,
) -> dict[str, Any]:
    """Return the options in the words of a line; their values are not parsed yet.

    Args:
        words: The words of a line.
        magic: The magic or command, for messages.
        taken: Names of the options that the command takes; None for all.
        usage: Last line of a message about a wrong option.

    Raises:
        UsageError: A word is not an option, an option has no value, or the command does not take the option.
    """
    words = ["--dry-run" if word in DRY_RUNS else word for word in words]
    known, unknown = make_parser(magic).parse_known_args(words)
    fields = fields_by_flag()
    if unknown:
        flags = [flag for flag, field in fields.items() if taken is None or field.name in taken]
        message = _describe_unknown(unknown[0], words, [*flags, *LONG_FLAG.findall(usage)], usage)
        raise UsageError(f"{magic}: {safe_text(message)}")
    given = {name: value for name, value in vars(known).items() if value is not None}
    for name in given:
        if taken is not None and name not in taken:
            flag = RunOptions.__dataclass_fields__[name].metadata["flags"][-1]
            raise UsageError(f"{magic} does not take {flag}.\n{usage}")
    return given


def _describe_unknown(word: str, words: list[str], flags: Collection[str], usage: str) -> str:
    """Return the message about a word that no option takes."""
    fields = fields_by_flag()
    before = words[: words.index(word)] if word in words else []
    last_flag = next((each for each in reversed(before) if each in fields), "")
    last = before[-1].rpartition("=") if before else ("", "", "")
    quantity_flag = last[0] or last_flag
    if quantity_flag in fields and fields[quantity_flag].metadata["metavar"] == "QUANTITY":
        joined = f"{last[2]}{word}"
        meant = find_meaning(joined, fields[quantity_flag].name)
        if meant:
            return f"{word!r} is separated from the number of {quantity_flag} by a space.\nWrite {quantity_flag} {meant}"
    if not word.startswith("-") and last_flag and fields[last_flag].metadata["metavar"] == "NAMES":
        names = ",".join(part.strip(",") for part in [*before[before.index(last_flag) + 1 :], word])
        return f"{word!r} is separated from the names of {last_flag} by a space.\nWrite them without spaces: {last_flag} {names}"
    flag = word.partition("=")[0]
    if flag in OPTIONS and flag not in flags and usage == LIST_OPTIONS:
        return f"unknown option {flag!r}.\n{OPTIONS[flag]}"
    begun = sorted({each for each in flags if flag.startswith("--") and each.startswith(flag)})
    meant = f" Did you mean {' or '.join(map(repr, begun))}?" if begun else did_you_mean(flag, flags)
    return f"unknown option {flag!r}.{meant}\n{usage}"


class _Parser(MagicArgumentParser):
    """A parser whose error messages say what to write instead."""

    def error(self, message: str) -> NoReturn:
        match = FLAG_ERROR.fullmatch(message)
        if match is None:
            raise UsageError(f"{self.prog}: {safe_text(message)}\n{LIST_OPTIONS}")
        flag = match[1].partition("/")[0]
        metavar = fields_by_flag()[flag].metadata["metavar"]
        if not metavar:
            raise UsageError(f"{self.prog}: {flag} takes no value.\nWrite only {flag}.")
        raise UsageError(
            f"{self.prog}: {flag} has no value.\n"
            f"Write {flag} {metavar}, or {flag}={metavar} if the value begins with a dash."
        )
