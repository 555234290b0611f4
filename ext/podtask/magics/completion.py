"""Tab completion: flags and their values, commands, templates, and names of objects in the cluster.

A matcher for IPython's completer (matcher API version 2, since IPython 8.6). It answers at once, with
the names that are known already. After an error it offers nothing, because running the cell reports it.
"""

from __future__ import annotations

import glob
import itertools
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from ..config.options import RunOptions
from ..errors import PodtaskError
from .arguments import fields_by_flag
from .commands import COMMANDS
from .current_session import CurrentSession

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
# Option -> endings of the files that it takes.
FILE_SUFFIXES = {"template": (".yaml", ".yml"), "pip": (".txt",), "constraint": (".txt",)}
# A name that a cell assigns at the beginning of a line; an import or a definition in it is rarely brought back.
ASSIGNED = re.compile(r"^[ \t]*([A-Za-z_]\w*)[ \t]*(?::[^=\n]*)?=(?!=)", re.MULTILINE)
IPYTHON_NAMES = {"In", "Out", "exit", "quit", "get_ipython", "open"}
TEMPLATE_COMMANDS = ("use", "save")
SESSION_COMMANDS = ("in", "names", "extend", "end")
TASK_COMMANDS = ("attach", "logs", "shell", "cancel", "delete")


def make_matcher(
    shell: Any, current_session: CurrentSession
) -> Callable[[CompletionContext], dict[str, Any]]:
    """Return the matcher for an IPython shell.

    Args:
        shell: The shell.
        current_session: The session that the notebook is in, whose variables are offered, too.
    """

    @context_matcher(identifier="podtask", priority=100)
    def complete(context: CompletionContext) -> dict[str, Any]:
        line = context.line_with_cursor[: context.cursor_position]
        try:
            prefix, candidates = _candidates(context, shell.user_ns, _typed_cells(shell))
        except PodtaskError:  # for example, a setting is wrong
            prefix, candidates = line.split(" ")[-1], []
        if current_session.name and not candidates and not MAGIC_LINE.match(line):
            prefix, candidates, is_of_session = current_session.complete(line, context.full_text)
            offered = [SimpleCompletion(text=each, type="instance") for each in candidates]
            # What the notebook has under the same name does not count.
            return {
                "completions": offered,
                "matched_fragment": prefix,
                "suppress": bool(offered) and is_of_session,
            }
        texts = dict.fromkeys(each for each in candidates if each.startswith(prefix))
        if not texts and MAGIC_LINE.match(line):
            texts = {prefix: None}  # what was typed stays: no Python keyword has a meaning here
        offered = [SimpleCompletion(text=each, type="param") for each in texts]
        # Suppress the files and Python names of other matchers if there is something to offer.
        return {"completions": offered, "matched_fragment": prefix, "suppress": bool(offered)}

    return complete  # type: ignore[no-any-return]  # IPython's decorator is not typed


def _typed_cells(shell: Any) -> list[str]:
    """Return the cells that were run in this kernel, the newest first."""
    history = shell.history_manager
    return list(reversed(history.input_hist_raw)) if history is not None else []


def _candidates(
    context: CompletionContext, variables: Mapping[str, Any], cells: list[str]
) -> tuple[str, Iterable[str]]:
    """Return the typed prefix and the words that complete it.

    Args:
        context: The text and the cursor.
        variables: Variables of the notebook.
        cells: The cells that were run, the newest first.
    """
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
    flag = ""
    if prefix.startswith("--") and "=" in prefix:
        flag, _, prefix = prefix.partition("=")
    elif words and words[-1] in fields and not fields[words[-1]].metadata.get("flag"):
        flag = words[-1]
    if not flag:
        return prefix, [each for each in fields if each.startswith("--") or prefix == each]
    if flag in fields and fields[flag].metadata["metavar"] == "NAMES":
        prefix = prefix.rpartition(",")[2]
        below = context.full_text.partition("\n")[2]
        return prefix, _variable_names(fields[flag].name, variables, below)
    return prefix, [*_values_of_flag(flag, variables, words), *_files(flag, prefix), *_used(flag, cells)]


def _variable_names(option: str, variables: Mapping[str, Any], cell: str) -> list[str]:
    """Return the names that ``-i`` or ``-o`` may mean: variables of the notebook, and what the cell sets."""
    own = [
        name
        for name, value in variables.items()
        if not name.startswith("_") and name not in IPYTHON_NAMES and not isinstance(value, ModuleType)
    ]
    if option != "outputs":
        return own
    return [*dict.fromkeys(ASSIGNED.findall(cell)), *own, "auto"]


def _files(flag: str, prefix: str) -> list[str]:
    """Return the files and folders that begin with the prefix, for an option that takes a file."""
    suffixes = FILE_SUFFIXES.get(fields_by_flag()[flag].name, ()) if flag in fields_by_flag() else ()
    if not suffixes or not prefix:
        return []
    found = sorted(glob.glob(glob.escape(prefix) + "*"))
    return [
        each + "/" if os.path.isdir(each) else each
        for each in found
        if os.path.isdir(each) or each.endswith(suffixes)
    ]


def _used(flag: str, cells: list[str]) -> list[str]:
    """Return the values of an option in the cells of this notebook, the newest first."""
    fields = fields_by_flag()
    if flag not in fields or fields[flag].metadata.get("secret"):
        return []
    name, found = fields[flag].name, []
    for cell in cells:
        first = cell.partition("\n")[0]
        if not first.startswith("%%podtask"):
            continue
        try:
            words = shlex.split(first)
        except ValueError:  # open quotes: the cell was refused
            continue
        for word, following in itertools.pairwise([*words, ""]):
            typed, equals, value = word.partition("=")
            if typed in fields and fields[typed].name == name and (equals or following):
                found.append(value if equals else following)
    return found


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
    if "|" in metavar and metavar.islower():  # words to choose from
        return metavar.split("|")
    if field.name == "image":
        return _template_images(variables)
    if field.name == "primary":
        return _container_names(variables, words)
    return _names_of(field.name, variables, words)


def _template_images(variables: Mapping[str, Any]) -> list[str]:
    """Return the images of the containers of the notebook's templates."""
    from ..api.resolve import find_template, merge_options  # start-up cost
    from ..template.store import notebook_templates

    templates = [find_template(name, variables, merge_options({})) for name in notebook_templates(variables)]
    containers = [each for template in templates for each in template.to_dict()["spec"]["containers"]]
    return [str(each["image"]) for each in containers if each.get("image")]


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
