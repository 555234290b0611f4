"""Tab completion: flags and their values, commands, templates, and names of objects in the cluster.

A matcher for IPython's completer (matcher API version 2, since IPython 8.6). It answers at once, with
the names that are known already. After an error it offers nothing, because running the cell reports it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from ..config.options import RunOptions
from ..errors import PodtaskError
from .arguments import fields_by_flag
from .commands import COMMANDS

MAGIC_LINE = re.compile(r"^\s*(?P<magic>%%?)podtask(?P<rest>\s.*)$")
# Python before the quote of a name: the first argument of a preset, a keyword, or a key of a dict.
CODE_BEFORE_QUOTE = {
    "claim": r"pvc\(|claim\s*=|claim_?[nN]ame[\"']?\s*[:=]",
    "secret": r"(?:env_from_secret|image_pull_secret|secret)\(|secret_?[nN]ame[\"']?\s*[:=]",
    "config map": r"config_map\(|config_?[mM]ap_?[nN]ame[\"']?\s*[:=]",
    "service account": r"service_account\(|service_?[aA]ccount_?[nN]ame[\"']?\s*[:=]",
    "namespace": r"\bnamespace\s*=",
    "context": r"\bcontext\s*=",
    "queue": r"\bqueue\s*=",
    "template": r"\btemplate\s*=|podtask\.task\(",
}
QUOTED_NAMES = [
    (kind, re.compile(rf"(?:{before})\s*[\"'](?P<prefix>[^\"'\s]*)$"))
    for kind, before in CODE_BEFORE_QUOTE.items()
]
TEMPLATE_COMMANDS = ("use", "save")
SESSION_COMMANDS = ("in", "names", "extend", "end")
TASK_COMMANDS = ("attach", "logs", "shell", "cancel", "delete")


def make_matcher(variables: Mapping[str, Any]) -> Callable[[CompletionContext], dict[str, Any]]:
    """Return the matcher for a shell.

    Args:
        variables: Variables of the notebook.
    """

    @context_matcher(identifier="podtask", priority=100)
    def complete(context: CompletionContext) -> dict[str, Any]:
        try:
            prefix, candidates = _candidates(context, variables)
        except PodtaskError:  # for example, a setting is wrong
            prefix, candidates = "", []
        offered = [
            SimpleCompletion(text=each, type="param") for each in candidates if each.startswith(prefix)
        ]
        # Suppress the files and Python names of other matchers if there is something to offer.
        return {"completions": offered, "matched_fragment": prefix, "suppress": bool(offered)}

    return complete  # type: ignore[no-any-return]  # IPython's decorator is not typed


def _candidates(context: CompletionContext, variables: Mapping[str, Any]) -> tuple[str, Iterable[str]]:
    """Return the typed prefix and the words that complete it."""
    line = context.line_with_cursor[: context.cursor_position]
    magic = MAGIC_LINE.match(line)
    if magic is None:
        for kind, pattern in QUOTED_NAMES:
            if match := pattern.search(line):
                return match["prefix"], _names_of(kind, variables, [])
        return "", []
    *words, prefix = re.split(r"\s+", magic["rest"])
    words = [word for word in words if word]
    if magic["magic"] == "%":
        if words[:1] != ["in"] or len(words) < 2:
            return prefix, _words_of_command(words, variables)
        words = words[2:]  # the flags are those of a cell
    fields = fields_by_flag()
    if prefix.startswith("--") and "=" in prefix:
        flag, _, prefix = prefix.partition("=")
        return prefix, _values_of_flag(flag, variables, words)
    if words and words[-1] in fields and not fields[words[-1]].metadata.get("flag"):
        return prefix, _values_of_flag(words[-1], variables, words)
    return prefix, [flag for flag in fields if flag.startswith("--") or prefix == flag]


def _words_of_command(words: list[str], variables: Mapping[str, Any]) -> Iterable[str]:
    if not words:
        return COMMANDS
    if words[0] in TEMPLATE_COMMANDS and len(words) == 1:
        return _names_of("template", variables, [])
    if words[0] in SESSION_COMMANDS and len(words) == 1:
        from ..sessions.registry import open_sessions  # start-up cost

        return [each.name for each in open_sessions()]
    if words[0] in TASK_COMMANDS and len(words) == 1:
        return _names_of("task", variables, [])
    if words[0] == "why" and len(words) == 1:
        handles = [name for name, value in variables.items() if _is_task(value)]
        return dict.fromkeys([*handles, *_names_of("task", variables, [])])
    return []


def _values_of_flag(flag: str, variables: Mapping[str, Any], words: list[str]) -> Iterable[str]:
    field = fields_by_flag().get(flag)
    if field is None:
        return []
    metavar = str(field.metadata["metavar"])
    if "|" in metavar:
        return metavar.split("|")
    if field.name == "primary":
        return _container_names(variables, words)
    return _names_of(field.name, variables, words)


def _container_names(variables: Mapping[str, Any], words: list[str]) -> Iterable[str]:
    """Return the names of the containers of the template that the line, the session or a setting chooses."""
    # Start-up cost: few lines have this flag.
    from ..api.resolve import CLUSTER_TEMPLATE_PREFIX, find_template, merge_options, session_template

    given = [word for flag, word in itertools.pairwise(words) if flag in ("-t", "--template")]
    name = given[-1] if given else merge_options({}).template
    if isinstance(name, str) and name.startswith(CLUSTER_TEMPLATE_PREFIX):
        return []  # Tab does not wait for the cluster
    template = (
        find_template(name, variables, merge_options({})) if isinstance(name, str) else session_template()
    )
    return [each["name"] for each in template.to_dict()["spec"]["containers"]] if template is not None else []


def _names_of(kind: str, variables: Mapping[str, Any], words: list[str]) -> Iterable[str]:
    """Return the names of templates, or of objects in the cluster.

    Args:
        kind: Kind of the objects: "template", "task", or a kind that ``known_names`` takes.
        variables: Variables of the notebook.
        words: Words of the line, which may name the context and the namespace.
    """
    from ..api.resolve import CLUSTER_TEMPLATE_PREFIX, merge_options  # start-up cost
    from ..template.store import notebook_templates, saved_templates

    fields = fields_by_flag()
    given = {
        fields[flag].name: word
        for flag, word in itertools.pairwise(words)
        if flag in ("-n", "--namespace", "--context")
    }
    options = merge_options(given)
    if kind == "template":
        names = [*notebook_templates(variables), *saved_templates()]
        if options.local:
            return names
        return [
            *names,
            *(CLUSTER_TEMPLATE_PREFIX + name for name in _names_in_cluster("pod template", options)),
        ]
    return _names_in_cluster(kind, options)


def _names_in_cluster(kind: str, options: RunOptions) -> list[str]:
    from ..manage.names import known_names  # start-up cost: loads the Kubernetes client

    return known_names(kind, options)


def _is_task(value: object) -> bool:
    return type(value).__module__ == "podtask.lifecycle.task" and type(value).__name__ == "Task"
