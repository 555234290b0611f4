"""The words of a magic's line become options, by the one list of them."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser

from .errors import nearest
from .options import RunOptions

EXAMPLE = """\
Run this cell in a Kubernetes pod; its output and result come back as if the kernel had run it.

    %%podtask -t template -o model --memory 8Gi
    model = train(data)

Defaults come from [tool.podtask] in pyproject.toml, from PODTASK_* and from `%podtask use`;
`%podtask config` shows them, `%podtask` alone lists the commands.
"""


def parser() -> MagicArgumentParser:
    """Returns the parser of the magic's line."""
    made = MagicArgumentParser("%%podtask", description=EXAMPLE, add_help=False,
                               formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
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
    return {flag: field for field in dataclasses.fields(RunOptions)
            for flag in field.metadata["flags"]}  # fmt: skip


def read(words: list[str]) -> dict[str, Any]:
    """Returns the options that words give, as they were given.

    Raises:
        UsageError: there is no such option, or its value is missing.
    """
    known, unknown = parser().parse_known_args(words)
    if unknown:
        raise UsageError(f"%%podtask: there is no option {unknown[0]!r}.{nearest(unknown[0], flags())}\n"
                         "See %%podtask? for all of them.")  # fmt: skip
    return {name: value for name, value in vars(known).items() if value is not None}
