"""Tab: options and their values, commands, templates, and names of the cluster's objects.

A matcher of IPython's completer (its API of version 2, which 8.6 brought). It answers at once from
what is known, and is silent where something is wrong: the run will say so.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from ..config.options import RunOptions
from ..errors import PodtaskError
from .arguments import flags
from .commands import COMMANDS

LINE = re.compile(r"^\s*(?P<magic>%%?)podtask(?P<rest>\s.*)$")
# What stands before the quote, in Python: a preset's first argument, a keyword or a key of a dict.
QUOTED = {
    "claim": r"pvc\(|claim\s*=|claim_?[nN]ame[\"']?\s*[:=]",
    "secret": r"(?:env_from_secret|image_pull_secret|secret)\(|secret_?[nN]ame[\"']?\s*[:=]",
    "config map": r"config_map\(|config_?[mM]ap_?[nN]ame[\"']?\s*[:=]",
    "service account": r"service_account\(|service_?[aA]ccount_?[nN]ame[\"']?\s*[:=]",
    "namespace": r"\bnamespace\s*=",
    "context": r"\bcontext\s*=",
    "queue": r"\bqueue\s*=",
    "template": r"\btemplate\s*=|podtask\.task\(",
}
IN_PYTHON = [
    (kind, re.compile(rf"(?:{before})\s*[\"'](?P<begun>[^\"'\s]*)$")) for kind, before in QUOTED.items()
]
WITH_TEMPLATE = ("use", "save")
WITH_TASK = ("attach", "logs", "shell", "cancel", "delete")


def matcher(names: Mapping[str, Any]) -> Callable[[CompletionContext], dict[str, Any]]:
    """Returns the matcher of a shell.

    Args:
        names: the notebook's variables.
    """

    @context_matcher(identifier="podtask", priority=100)
    def complete(context: CompletionContext) -> dict[str, Any]:
        try:
            begun, found = _candidates(context, names)
        except PodtaskError:  # settings that are wrong, say
            begun, found = "", []
        made = [SimpleCompletion(text=each, type="param") for each in found if each.startswith(begun)]
        # Files and Python's names have no place here, where there is something of ours.
        return {"completions": made, "matched_fragment": begun, "suppress": bool(made)}

    return complete  # type: ignore[no-any-return]  # IPython's decorator is not typed


def _candidates(context: CompletionContext, names: Mapping[str, Any]) -> tuple[str, Iterable[str]]:
    """Returns what is begun, and what it may become."""
    line = context.line_with_cursor[: context.cursor_position]
    magic = LINE.match(line)
    if magic is None:
        for kind, before in IN_PYTHON:
            if found := before.search(line):
                return found["begun"], _values(kind, names, [])
        return "", []
    *words, begun = re.split(r"\s+", magic["rest"])
    words = [word for word in words if word]
    if magic["magic"] == "%":
        return begun, _of_command(words, names)
    if begun.startswith("--") and "=" in begun:
        flag, _, begun = begun.partition("=")
        return begun, _of_option(flag, names, words)
    if words and words[-1] in flags() and not flags()[words[-1]].metadata.get("flag"):
        return begun, _of_option(words[-1], names, words)
    return begun, [flag for flag in flags() if flag.startswith("--") or begun == flag]


def _of_command(words: list[str], names: Mapping[str, Any]) -> Iterable[str]:
    if not words:
        return COMMANDS
    if words[0] in WITH_TEMPLATE and len(words) == 1:
        return _values("template", names, [])
    if words[0] in WITH_TASK and len(words) == 1:
        return _values("task", names, [])
    if words[0] == "why":
        return [name for name, value in names.items() if _is_task(value)]
    return []


def _of_option(flag: str, names: Mapping[str, Any], words: list[str]) -> Iterable[str]:
    field = flags().get(flag)
    if field is None:
        return []
    metavar = str(field.metadata["metavar"])
    if "|" in metavar:
        return metavar.split("|")
    return _values(field.name, names, words)


def _values(kind: str, names: Mapping[str, Any], words: list[str]) -> Iterable[str]:
    """Returns the names of templates, or of a kind's objects in the cluster and namespace meant."""
    from ..api.resolve import IN_CLUSTER
    from ..config.settings import merged
    from ..template.store import of_notebook, saved

    given = {
        flags()[flag].name: word
        for flag, word in itertools.pairwise(words)
        if flag in ("-n", "--namespace", "--context")
    }
    options = RunOptions.of(**merged(given))
    if kind == "template":
        own = [*of_notebook(names), *saved()]
        if options.local:
            return own
        return [*own, *(IN_CLUSTER + name for name in _listed("pod template", options))]
    return _listed(kind, options)


def _listed(kind: str, options: RunOptions) -> list[str]:
    from ..manage.names import known_names  # start-up cost: the client library comes with it

    return known_names(kind, options)


def _is_task(value: Any) -> bool:
    return type(value).__module__ == "podtask.lifecycle.task" and type(value).__name__ == "Task"
