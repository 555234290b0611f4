"""The commands of ``%podtask``, one function each. The first line of a docstring is the command's help."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import textwrap
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from ..errors import did_you_mean
from ..interrupts import InterruptGuard
from ..runner.safe_text import safe_text
from . import familiar_words
from .current_session import CurrentSession

if TYPE_CHECKING:
    from ..api.session_list import SessionRow
    from ..config.options import RunOptions
    from ..lifecycle.task import Task


CELL_MAGIC = "%%podtask"
# Option of `rbac` -> kind of the subject of a RoleBinding.
SUBJECT_KINDS = {"--user": "User", "--group": "Group", "--service-account": "ServiceAccount"}
DEFAULT_ORIGIN = "default"  # of a setting that nobody has set
HELP_FLAGS = {"-h", "--help"}
HELP_WORDS = {"help", *HELP_FLAGS}
OPTIONS_OF_ONE_CELL = ("session", "name", "detach", "dry_run")  # `%podtask in` does not take them
LINE_CHARS, LEFT_CHARS = 100, 34  # of the help
MAX_ENDED_LINES, MAX_LAST_LINE_CHARS = 10, 60
# The commands by topic, with the arguments of an example.
GROUPS: dict[str, dict[str, str]] = {
    "Tasks": {
        "list": "list -n team",
        "attach": "attach nightly",
        "logs": "logs nightly",
        "shell": "shell nightly -- nvidia-smi",
        "why": "why nightly",
        "stack": "stack nightly",
        "cancel": "cancel nightly",
        "delete": "delete nightly",
        "gc": "gc --keep 1d",
    },
    "Sessions": {
        "in": "in gpu -t training",
        "out": "out",
        "inspect": "inspect model.fit",
        "names": "names gpu",
        "extend": "extend gpu 2h",
        "end": "end gpu",
    },
    "Templates and settings": {
        "use": "use training",
        "save": "save training --user",
        "templates": "templates",
        "config": "config",
    },
    "Access and diagnosis": {
        "doctor": "doctor --gpu 1",
        "rbac": "rbac -n team",
        "verbose": "verbose",
    },
}


@dataclass
class ShellState:
    """The state that the magics of one IPython shell share.

    Args:
        variables: Variables of the notebook.
        follow_task: Shows a task in the running cell, and assigns its values in the notebook.
        current_session: The session that the notebook is in.
        last_task: The task of the last cell; None before the first.
    """

    variables: dict[str, Any]
    follow_task: Callable[[Task, InterruptGuard], None]
    current_session: CurrentSession = field(default_factory=CurrentSession)
    last_task: Task | None = None

    @property
    def last_pod(self) -> dict[str, Any]:
        """The pod of the last cell, without its key; empty before the first."""
        return self.last_task.manifest if self.last_task is not None else {}


def run(state: ShellState, line: str) -> None:
    """Run a command.

    Args:
        state: State of the shell.
        line: The line after ``%podtask``.

    Raises:
        UsageError: The command does not exist, or its arguments are wrong.
        PodtaskError: The command fails.
    """
    line, separator, pod_command = line.partition(" -- ")
    name, *words = line.split() or ["help"]
    if name in HELP_WORDS:
        print(_help(words[0] if words else ""))
        return
    if name in familiar_words.COMMANDS:
        raise UsageError(f"%podtask: unknown command {name!r}. {familiar_words.COMMANDS[name]}")
    if name not in COMMANDS:
        raise UsageError(f"%podtask: unknown command {name!r}.{did_you_mean(name, COMMANDS)}\n{usage()}")
    if HELP_FLAGS & set(words):
        print(_help(name))
        return
    try:
        words += ["--", *shlex.split(pod_command)] if separator else []
    except ValueError as error:
        raise UsageError(f"%podtask {name}: {error} in {pod_command!r}") from None
    COMMANDS[name](state, words)
    from ..config.files import ignored_files  # start-up cost

    for line in ignored_files(only_new=True):
        print(safe_text(line))


def usage() -> str:
    """Return the help of all commands in groups: each with what it does, and an example."""
    lines = [
        "%podtask COMMAND manages tasks, templates and settings. %podtask help COMMAND explains one of them."
    ]
    for title, examples in GROUPS.items():
        lines += ["", title]
        for name, example in examples.items():
            arguments, _, does = _usage_of(COMMANDS[name]).removeprefix("%podtask ").partition(": ")
            lines += _two_columns(arguments, f"{does.partition(';')[0].rstrip('.')}.", f"%podtask {example}")
    lines += ["", "%%podtask runs a cell in a pod; %podtask help %%podtask or %%podtask? lists its options."]
    return "\n".join(lines)


def _help(topic: str) -> str:
    """Return the help of a command, of the cell magic, or of all commands."""
    if topic in ("", *HELP_FLAGS):
        return usage()
    if topic == CELL_MAGIC:
        from .arguments import make_parser  # start-up cost

        return str(make_parser().format_help())
    if topic in familiar_words.COMMANDS:
        return familiar_words.COMMANDS[topic]
    if topic not in COMMANDS:
        raise UsageError(f"%podtask help: unknown command {topic!r}.{did_you_mean(topic, COMMANDS)}")
    example = next(examples[topic] for examples in GROUPS.values() if topic in examples)
    return f"{_usage_of(COMMANDS[topic])}\nExample: %podtask {example}"


def _two_columns(left: str, *right: str) -> list[str]:
    """Return lines with a text on the left, and texts beside or below it on the right."""
    rows = [
        row for text in right for row in textwrap.wrap(text, LINE_CHARS - LEFT_CHARS, break_on_hyphens=False)
    ]
    if len(left) + 4 > LEFT_CHARS:
        return [f"  {left}", *(" " * LEFT_CHARS + row for row in rows)]
    return [f"  {left}".ljust(LEFT_CHARS) + rows[0], *(" " * LEFT_CHARS + row for row in rows[1:])]


def use(state: ShellState, words: list[str]) -> None:
    """%podtask use NAME: make a template the default of this session; 'use none' removes it."""
    _check_count(words, 1, use)
    (name,) = words
    from ..api import resolve  # start-up cost

    if name == "none":
        resolve.set_session_template(None)
        return
    source = resolve.find_source(name, state.variables, resolve.merge_options({}))
    resolve.set_session_template(source, name)
    if isinstance(source, Path):
        print(safe_text(f"Using {source}"))


def save(state: ShellState, words: list[str]) -> None:
    """%podtask save NAME [TEMPLATE] [--user] [--force]: save a template as YAML in the project, or for yourself."""
    flags = {word for word in words if word.startswith("--")}
    plain = [word for word in words if word not in flags]
    if flags - {"--user", "--force"} or not 1 <= len(plain) <= 2:
        raise UsageError(_usage_of(save))
    from ..api import resolve  # start-up cost
    from ..template import store

    name, source = plain[0], plain[-1]
    template = None
    if len(plain) == 1 and name not in state.variables:
        template = resolve.session_template()
    if template is None:
        template = resolve.find_template(source, state.variables, resolve.merge_options({}))
    path = store.save_template(name, template, "--user" in flags, "--force" in flags)
    print(safe_text(f"Saved: {path} (use it with -t {name})"))


def templates(state: ShellState, words: list[str]) -> None:
    """%podtask templates: list the templates of the notebook and the saved ones, and where each is from."""
    _check_count(words, 0, templates)
    from ..api.resolve import CLUSTER_TEMPLATE_PREFIX  # start-up cost
    from ..template.store import notebook_templates, saved_templates

    rows = [(name, "this notebook") for name in sorted(notebook_templates(state.variables))]
    rows += [(name, str(path)) for name, path in saved_templates().items()]
    if rows:
        _print_table(rows)
    else:
        print("No templates yet. Create a PodTemplate and save it with %podtask save NAME.")
    print(f"For a PodTemplate of the cluster, use -t {CLUSTER_TEMPLATE_PREFIX}NAME.")


def config(state: ShellState, words: list[str]) -> None:
    """%podtask config [--trust FOLDER]: show each setting, its value and where the value comes from; --trust lets settings and templates in a folder count although others can change them."""
    if words and (words[0] != "--trust" or len(words) == 1):
        raise UsageError(_usage_of(config))
    from ..api.resolve import session_template  # start-up cost
    from ..config import files
    from ..config.notification import read_notification_settings
    from ..config.option_types import parse_env
    from ..config.settings import all_settings
    from ..template.store import saved_templates

    files.clear_ignored()
    if words:
        folder = " ".join(words[1:]).strip("\"'")
        print(safe_text(f"Trusted: {folder} (kept in {files.trust_folder(Path(folder))})"))
        return
    settings = all_settings()
    print("Cells run in")
    _print_table([(f"  {part}", value) for part, value in _effective_place()])
    rows = [(files.TRUSTED_FOLDERS, str(each), str(files.user_file())) for each in files.trusted_folders()]
    for name, setting in settings.items():
        value = _shown_setting(name, setting.value)
        if name == "env":  # values may be secrets
            value = ", ".join(key for key, _ in parse_env(setting.value))
        rows.append((name, value or "-", setting.origin))
    rows += [(name, "(not shown)", origin) for name, origin in read_notification_settings().origins.items()]
    if session_template() is not None:
        rows = [
            row if row[0] != "template" else ("template", "(this session's)", "%podtask use") for row in rows
        ]
    chosen = [row for row in rows if row[2] != DEFAULT_ORIGIN]
    defaults = [(name, value) for name, value, origin in rows if origin == DEFAULT_ORIGIN and value != "-"]
    unset = [name for name, value, origin in rows if origin == DEFAULT_ORIGIN and value == "-"]
    if chosen:
        print("\nSettings, and where each is from")
        _print_table([(f"  {name}", *rest) for name, *rest in chosen])
    print("\nDefaults")
    _print_table([(f"  {name}", value) for name, value in defaults])
    print("\nNot set")
    print(textwrap.fill(", ".join(unset), LINE_CHARS, initial_indent="  ", subsequent_indent="  "))
    saved_templates()  # finds those that are ignored
    for line in files.ignored_files():
        print(safe_text(line))


def _effective_place() -> list[tuple[str, str]]:
    """Return the context and the namespace of the next cell, or that it runs on this machine."""
    from ..api.resolve import merge_options  # start-up cost
    from ..cluster.namespace import open_namespace
    from ..errors import PodtaskError
    from ..event_loop import loop

    options = merge_options({})
    if options.local:
        return [("a process on this machine", "(local)")]
    try:
        ns = loop().run(open_namespace(options.context, options.namespace))
    except PodtaskError as error:
        return [("no cluster", error.message)]
    return [("context", ns.context), ("namespace", ns.name)]


def _shown_setting(name: str, value: object) -> str:
    """Return the value of a setting in words: durations with units, yes for a flag; empty if it has no value."""
    from ..config.options import RunOptions  # start-up cost
    from ..runner.durations import duration

    if value in (None, "", (), False):
        return ""
    value = getattr(RunOptions.of(**{name: value}), name)  # a variable has text, such as 5400 or 1h30m
    if value is True:
        return "yes"
    metavar = RunOptions.__dataclass_fields__[name].metadata["metavar"]
    return duration(value) if metavar == "TIME" and isinstance(value, (int, float)) else str(value)


def names(state: ShellState, words: list[str]) -> None:
    """%podtask names NAME [-n NAMESPACE]: list the variables of a session with type, size and device; waits for the cells that were submitted before."""
    name, rest = _split_name(words, names)
    from ..api.session import variables_of  # start-up cost
    from ..config.quantities import byte_size
    from ..event_loop import loop
    from ..sessions import registry

    options = _parse_options(rest, names)
    other = registry.find_other_session(name, options)
    if other is not None:
        from ..sessions.visit import read_state  # start-up cost: a local session needs no client library

        found = loop().run(read_state(other))
        if found is not None and found.is_followed:  # it stays with the kernel that has it
            print(
                safe_text(
                    f"Another kernel has session {name}. Its variables: {', '.join(found.names) or 'none'}."
                )
            )
            return
    session = registry.find_session(name) if other is None else registry.take_over(name, options)
    with InterruptGuard() as guard:
        variables = variables_of(session, session.options, guard)
    rows = [
        (each.name, each.type, "" if each.size is None else byte_size(each.size), each.device)
        for each in variables
    ]
    if rows:
        _print_table(rows)
    else:
        print(safe_text(f"Session {session.name} has no variables."))


def enter(state: ShellState, words: list[str]) -> None:
    """%podtask in NAME [OPTIONS]: run every later cell in a session, until '%podtask out'; a cell that begins with %%here runs in the notebook. Takes the options of %%podtask."""
    if not words or words[0].startswith("-"):
        raise UsageError(_usage_of(enter))
    from ..api.resolve import resolve_options  # start-up cost
    from ..config.options import RunOptions
    from ..sessions.registry import session_for
    from .arguments import parse_options

    try:
        # As a shell would: IPython does not split the line of a command.
        words = shlex.split(" ".join(words), comments=True)
    except ValueError as error:
        raise UsageError(f"%podtask in: {error} in the line of options.") from None
    name, *rest = words
    taken = {each.name for each in dataclasses.fields(RunOptions)} - set(OPTIONS_OF_ONE_CELL)
    given = {**parse_options(rest, _name_of(enter), taken), "session": name}
    session_for(resolve_options(given, state.variables), given)  # refuses what no cell could do
    given.pop("replace_session", None)  # once
    state.current_session.enter(name, given)
    print(
        safe_text(
            f"Cells run in session {name} from now on. %%here runs one in the notebook, %podtask out ends it."
        )
    )


def leave(state: ShellState, words: list[str]) -> None:
    """%podtask out: run every later cell in the notebook again; the session stays."""
    _check_count(words, 0, leave)
    name = state.current_session.name
    if not name:
        raise UsageError("%podtask out: the notebook is not in a session.\n`%podtask in NAME` enters one.")
    state.current_session.leave()
    print(safe_text(f"Cells run in the notebook from now on. Session {name} stays."))


def inspect(state: ShellState, words: list[str]) -> None:
    """%podtask inspect VARIABLE [--source]: show the help on a variable of the session that the notebook is in, as 'x?' does; of the notebook's if the session is busy or does not have it."""
    rest = [word for word in words if word != "--source"]
    _check_count(rest, 1, inspect)
    from IPython.core.getipython import get_ipython  # start-up cost
    from IPython.core.page import page

    shown = state.current_session.describe(rest[0], rest != words)
    if shown:
        page(safe_text(shown))
    else:
        shell: Any = get_ipython()
        shell.run_line_magic("pinfo" if rest == words else "pinfo2", rest[0])


def extend(state: ShellState, words: list[str]) -> None:
    """%podtask extend NAME TIME [-n NAMESPACE]: let a session live for this time at least, although no cell runs in it."""
    name, rest = _split_name(words, extend)
    if not rest or rest[0].startswith("-"):
        raise UsageError(_usage_of(extend))
    from ..config.option_types import parse_seconds  # start-up cost
    from ..event_loop import loop
    from ..sessions import registry

    seconds = parse_seconds(rest[0])
    other = registry.find_other_session(name, _parse_options(rest[1:], extend))
    if other is None:
        registry.find_session(name).extend(seconds)
    else:
        from ..sessions.visit import read_state  # start-up cost: a local session needs no client library

        loop().run(read_state(other, seconds))
    print(safe_text(f"Session {name} lives for at least {rest[0]} from now."))


def end(state: ShellState, words: list[str]) -> None:
    """%podtask end NAME [-n NAMESPACE]: end a session: its pod or process, and all its variables."""
    name, rest = _split_name(words, end)
    from ..event_loop import loop  # start-up cost
    from ..sessions import registry

    other = registry.find_other_session(name, _parse_options(rest, end))
    if other is None:
        registry.find_session(name).end()
    else:
        loop().run(other.delete())
    print(safe_text(f"Ended: session {name}"))
    if state.current_session.name == name:
        state.current_session.leave()
        print("Cells run in the notebook from now on.")


def list_tasks(state: ShellState, words: list[str]) -> None:
    """%podtask list [-n NAMESPACE]: list the tasks of the namespace, with state, age and last line; your sessions there; and the sessions and ended tasks of this kernel."""
    from IPython.display import display  # start-up cost, as the others

    from ..api.session_list import list_sessions, own_sessions
    from ..event_loop import loop
    from ..lifecycle.task import all_handles
    from ..manage import task_list

    options = _parse_options(words, list_tasks)
    listed: set[str] = set()
    sessions: Sequence[SessionRow] = own_sessions()  # those of --local need no cluster
    try:
        try:
            sessions = loop().run(list_sessions(options))
        finally:
            _print_sessions(sessions)
        tasks = loop().run(task_list.list_tasks(options))
        listed = {row.pod.name for row in tasks}
        display(tasks)
    finally:
        _print_ended_tasks(listed)
    running = [task.location["namespace"] for task in all_handles() if not task.done() and not task.local]
    for namespace in sorted({each for each in running if each} - {tasks.namespace}):
        print(
            safe_text(f"This notebook has tasks in namespace {namespace}, too: %podtask list -n {namespace}")
        )


def _print_sessions(sessions: Sequence[SessionRow]) -> None:
    """Print the sessions, if there are any."""
    from ..api.session_list import COLUMNS  # start-up cost

    if sessions:
        _print_table([COLUMNS, *(each.cells for each in sessions)])
        print()


def _print_ended_tasks(listed: Collection[str]) -> None:
    """Print the tasks of this kernel that have ended, without those whose pods are in the list above."""
    from ..lifecycle.task import ended_tasks  # start-up cost
    from ..runner.durations import duration, exact_duration

    ended = [each for each in ended_tasks() if each.name not in listed][:MAX_ENDED_LINES]
    if ended:
        now = time.monotonic()
        rows = [("ended in this notebook", "state", "took", "ended", "last line")]
        for each in ended:
            lines = each.output.decode("utf-8", "replace").split("\n")
            last_line = next((line.strip() for line in reversed(lines) if line.strip()), "")
            ago = f"{duration(now - each.ended)} ago"
            rows.append(
                (each.alias, each.status, exact_duration(each.seconds), ago, last_line[:MAX_LAST_LINE_CHARS])
            )
        print()
        _print_table(rows)


def attach(state: ShellState, words: list[str]) -> None:
    """%podtask attach NAME [--trust] [--results plain] [-n NAMESPACE]: follow a task again: its output so far, then live output, then its values; --trust unpickles the values of a task that is not yours, --results plain unpickles none."""
    name, rest = _split_name([word for word in words if word != "--trust"], attach)
    from ..api.attach import attach as attach_task  # start-up cost

    options = _parse_options(rest, attach, "results")
    place = {"namespace": options.namespace, "context": options.context}
    with InterruptGuard() as guard:
        guard.hold()
        task = attach_task(name, **place, results=options.results, trust="--trust" in words)
        state.follow_task(task, guard)


def logs(state: ShellState, words: list[str]) -> None:
    """%podtask logs NAME [CONTAINER] [-n NAMESPACE]: print the log of a container, by default of the cell's; of an ended task of this notebook, its output."""
    name, rest = _split_name(words, logs)
    container, rest = (rest[0], rest[1:]) if rest and not rest[0].startswith("-") else (None, rest)
    options = _parse_options(rest, logs)
    from ..errors import PodtaskError  # start-up cost
    from ..event_loop import loop
    from ..lifecycle.task import find_ended_task, find_running_task
    from ..manage import operations

    running = find_running_task(name, _given_options(rest, logs))
    ended = find_ended_task(name) if container is None else None
    if running is not None and running.local:
        text = running.logs(container)
    elif ended is not None and ended.local:
        text = ended.output.decode("utf-8", "replace")
    else:
        try:
            text = loop().run(operations.read_log(name, container, options))
        except PodtaskError:  # its pod was deleted when its values had arrived
            if ended is None:
                raise
            text = ended.output.decode("utf-8", "replace")
    print(text, end="" if text.endswith("\n") else "\n")


def cancel(state: ShellState, words: list[str]) -> None:
    """%podtask cancel NAME [-n NAMESPACE]: stop a running task or map and delete its pods."""
    _end_task(words, cancel, "Cancelled", finished=False)


def delete(state: ShellState, words: list[str]) -> None:
    """%podtask delete NAME [--force] [-n NAMESPACE]: delete a task's pod, with its result if the task has finished; --force if the pod's node is lost for good."""
    rest = [word for word in words if word != "--force"]
    _end_task(rest, delete, "Deleted", finished=True, force=rest != words)


def gc(state: ShellState, words: list[str]) -> None:
    """%podtask gc [--keep TIME] [-n NAMESPACE]: delete your finished pods, and those that did not start in time, except those whose result waits for you; --keep in place of that of each task."""
    from ..event_loop import loop  # start-up cost
    from ..manage import operations

    options = _parse_options(words, gc, "keep")
    keep = options.keep if "keep" in _given_options(words, gc, "keep") else None
    result = loop().run(operations.clean_up(options, keep))
    print(safe_text(f"Deleted: {', '.join(result.deleted) or 'nothing'}"))
    if result.kept:
        print(safe_text(f"Kept, because their results wait: {', '.join(result.kept)} (%podtask attach NAME)"))


def shell(state: ShellState, words: list[str]) -> None:
    """%podtask shell NAME [-c CONTAINER] [-n NAMESPACE] [-- COMMAND]: run a command in a task's container; without a command, print the kubectl line that opens a shell."""
    name, rest = _split_name(words, shell)
    index = rest.index("--") if "--" in rest else len(rest)
    rest, command = rest[:index], rest[index + 1 :]
    container = None
    if "-c" in rest[:-1]:
        index = rest.index("-c")
        container, rest = rest[index + 1], rest[:index] + rest[index + 2 :]
    options = _parse_options(rest, shell)
    from ..event_loop import loop  # start-up cost
    from ..manage import exec

    if command:
        print(f"exit code {exec.run_command(name, container, command, options)}")
    else:
        print(loop().run(exec.kubectl_shell_command(name, container, options)))


def why(state: ShellState, words: list[str]) -> None:
    """%podtask why [NAME] [-n NAMESPACE]: explain what a task waits for, what is free where it could go, and what to change; by default the task of the last cell."""
    has_name = bool(words) and not words[0].startswith("-")
    name, rest = (words[0], words[1:]) if has_name else ("_task", words)
    given = _given_options(rest, why)
    from ..lifecycle.task import Task  # start-up cost

    tasks = {name: each for name, each in state.variables.items() if isinstance(each, Task)}
    tasks.update({each.name: each for each in tasks.values()})
    task = tasks.get(name)
    if task is not None and not given:
        print("\n".join([task.why(), *_place_of(task)]))
    elif has_name:
        print(safe_text(_why_in_cluster(name, rest, tasks)))
    else:
        raise UsageError("%podtask why: no cell has run in a pod yet. Run one with %%podtask.")


def _place_of(task: Task) -> list[str]:
    """Return lines on what is free where the pod of a task could go; none if it has its place, or is gone."""
    from ..cluster.namespace import open_namespace  # start-up cost
    from ..errors import ClusterError
    from ..event_loop import loop
    from ..manage import explain
    from ..manifest.task_pod import TaskPod

    async def read() -> list[str]:
        ns = await open_namespace(task.location["context"], task.location["namespace"])
        return await explain.explain_details(ns, TaskPod(await ns.pods.get(task.name)))

    if task.local or task.status != "Pending" or not task.manifest:
        return []
    try:
        return [safe_text(line) for line in loop().run(read())]
    except ClusterError:  # the pod does not exist yet, or may not be read: its phase says so
        return []


def _why_in_cluster(name: str, rest: list[str], tasks: dict[str, Task]) -> str:
    """Return the explanation of a task that this notebook has no handle of."""
    from ..event_loop import loop  # start-up cost
    from ..manage import explain
    from ..manage.lookup import TaskNotFound, look_up_task

    async def read() -> str:
        return await explain.explain(*await look_up_task(name, _parse_options(rest, why)))

    try:
        return loop().run(read())
    except TaskNotFound as error:
        raise TaskNotFound(f"{error.message}{did_you_mean(name, tasks)}", error.hint) from None


def stack(state: ShellState, words: list[str]) -> None:
    """%podtask stack NAME: print the stacks of all threads of a running cell, of a task or a session of this notebook, without stopping it; '>' marks the lines of cells."""
    _check_count(words, 1, stack)
    from IPython.core.getipython import get_ipython  # start-up cost

    from ..display.stacks import render_stacks
    from ..errors import InputError
    from ..lifecycle.task import Task, find_running_task
    from ..sessions.registry import open_sessions

    name = words[0]
    variable = state.variables.get(name)
    found = next((each for each in open_sessions() if each.name == name), None)
    task = variable if isinstance(variable, Task) else find_running_task(name, {})
    if found is None and task is None:
        raise InputError(
            f"This notebook has no running task or session {name!r}.",
            "%podtask list shows them; %podtask attach NAME follows a task of another kernel first.",
        )
    shell: Any = get_ipython()

    def cell_name(filename: str) -> str:
        formatted = shell.compile.format_code_name(filename)
        return " ".join(formatted) if formatted else ""

    text = found.read_stacks() if found is not None else task.read_stacks() if task is not None else ""
    print(render_stacks(text, cell_name))


def doctor(state: ShellState, words: list[str]) -> None:
    """%podtask doctor [OPTIONS]: check everything that a cell needs, and run one; takes the options of %%podtask."""
    from ..api.resolve import resolve_options  # start-up cost
    from .arguments import parse_options
    from .doctor import run_checks

    for check in run_checks(resolve_options(parse_options(words, _name_of(doctor)), state.variables)):
        print(check, flush=True)


def rbac(state: ShellState, words: list[str]) -> None:
    """%podtask rbac [-n NAMESPACE] [--user NAME | --group NAME | --service-account NAME]: print the smallest Role that cells need, and a RoleBinding for you or for the given subject, to apply with kubectl apply -f."""
    kind, subject, rest = None, "", words
    for flag, given_kind in SUBJECT_KINDS.items():
        if flag in words[:-1]:
            index = words.index(flag)
            kind, subject, rest = given_kind, words[index + 1], words[:index] + words[index + 2 :]
            break
    from ..event_loop import loop  # start-up cost
    from ..template.yaml_writer import dump_yaml
    from .rbac import manifests, read_place

    options = _parse_options(rest, rbac)
    namespace, username, comment = loop().run(read_place(options))
    objects = manifests(namespace, kind, subject) if kind else manifests(namespace, "User", username)
    print(safe_text(comment), end="")
    print("---\n".join(map(dump_yaml, objects)), end="")


def verbose(state: ShellState, words: list[str]) -> None:
    """%podtask verbose [off]: write a debug log to standard error, until 'verbose off'."""
    from ..log import set_level  # start-up cost: few users switch the log on

    if words not in ([], ["off"]):
        raise UsageError(_usage_of(verbose))
    set_level(None if words else "debug")
    print(
        "The debug log is off." if words else "The debug log is on. `%podtask verbose off` switches it off."
    )


def _end_task(
    words: list[str], command: Callable[..., None], past_tense: str, *, finished: bool, force: bool = False
) -> None:
    name, rest = _split_name(words, command)
    from ..event_loop import loop  # start-up cost
    from ..lifecycle.task import find_running_task
    from ..manage import operations, own_maps
    from ..manage.lookup import TaskNotFound

    given, options = _given_options(rest, command), _parse_options(rest, command)
    own_map = own_maps.find(name)
    task = find_running_task(name, given)
    if own_map is not None:
        own_map.cancel_nowait()
        pod_name = own_map.name
    elif task is None:
        pod_name = loop().run(operations.delete_task(name, options, finished, force))
    else:
        task.cancel()  # through the handle, so that the task's cell shows that it was cancelled
        pod_name = task.name
        if force and not task.local:  # the pod stays until its node answers
            with contextlib.suppress(TaskNotFound):  # the node has answered
                options = options.replace(**task.location)
                loop().run(operations.delete_task(pod_name, options, finished, force))
    print(safe_text(f"{past_tense}: {pod_name}"))


def _split_name(words: list[str], command: Callable[..., None]) -> tuple[str, list[str]]:
    """Return the name of a task, which comes first, and the other words."""
    if not words or words[0].startswith("-"):
        raise UsageError(_usage_of(command))
    return words[0], words[1:]


def _parse_options(words: list[str], command: Callable[..., None], *names: str) -> RunOptions:
    """Return the options of a command, which takes a namespace, a context and the named options."""
    from ..api.resolve import merge_options  # start-up cost

    return merge_options(_given_options(words, command, *names))


def _given_options(words: list[str], command: Callable[..., None], *names: str) -> dict[str, Any]:
    from .arguments import parse_options  # start-up cost

    return parse_options(words, _name_of(command), ("namespace", "context", *names), _usage_of(command))


def _name_of(command: Callable[..., None]) -> str:
    """Return the magic and the name of a command, as a user types them."""
    return " ".join(_usage_of(command).partition(":")[0].split()[:2])


def _usage_of(command: Callable[..., None]) -> str:
    return (command.__doc__ or "").splitlines()[0]


def _check_count(words: list[str], count: int, command: Callable[..., None]) -> None:
    if len(words) != count:
        raise UsageError(_usage_of(command))


def _print_table(lines: Sequence[tuple[str, ...]]) -> None:
    rows = [tuple(map(safe_text, line)) for line in lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


COMMANDS: dict[str, Callable[[ShellState, list[str]], None]] = {
    "use": use,
    "save": save,
    "templates": templates,
    "config": config,
    "list": list_tasks,
    "in": enter,
    "out": leave,
    "inspect": inspect,
    "names": names,
    "extend": extend,
    "end": end,
    "attach": attach,
    "logs": logs,
    "shell": shell,
    "why": why,
    "stack": stack,
    "cancel": cancel,
    "delete": delete,
    "gc": gc,
    "doctor": doctor,
    "rbac": rbac,
    "verbose": verbose,
}
