"""``%podtask ...``: what is done beside running cells, a function a command."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from ..errors import nearest

if TYPE_CHECKING:
    from ..config.options import RunOptions
    from ..lifecycle.task import Task


@dataclass
class ShellState:
    """What the magics of one shell share.

    Args:
        names: the notebook's variables.
        follow: shows a task in the cell that runs, and puts its values into the notebook.
        ran: the task of the last cell, detached or not.
    """

    names: dict[str, Any]
    follow: Callable[[Task], None]
    ran: Task | None = None

    @property
    def last(self) -> dict[str, Any]:
        """The pod of the last cell that ran, without its key; empty before there is one."""
        return self.ran.manifest if self.ran is not None else {}


def run(session: ShellState, line: str) -> None:
    """Runs a command.

    Raises:
        UsageError: there is no such command, or its words are wrong.
        InputError: what it is to do cannot be done.
    """
    line, dashes, behind = line.partition(" -- ")
    name, *words = line.split() or [""]
    if name not in COMMANDS:
        raise UsageError(
            f"%podtask: there is no command {name!r}.{nearest(name, COMMANDS)}\n{usage()}"
            if name
            else usage()
        )
    try:
        words += ["--", *shlex.split(behind)] if dashes else []  # a command for a pod: as in a terminal
    except ValueError as error:
        raise UsageError(f"%podtask {name}: {error}, in {behind!r}") from None
    COMMANDS[name](session, words)


def usage() -> str:
    """Returns the commands, a line each."""
    lines = [_usage(command) for command in COMMANDS.values()]
    return "\n".join([*lines, "Cells run with %%podtask; see %%podtask?"])


def use(session: ShellState, words: list[str]) -> None:
    """%podtask use NAME: make a template this session's default; use none ends that."""
    (name,) = _words(words, 1, use)
    from ..api import resolve

    if name == "none":
        resolve.set_session_template(None)
        return
    resolve.set_session_template(resolve.find_source(name, session.names, resolve.merge_options({})))


def save(session: ShellState, words: list[str]) -> None:
    """%podtask save NAME [TEMPLATE] [--user] [--force]: keep a template as YAML in the project."""
    flags = {word for word in words if word.startswith("--")}
    plain = [word for word in words if word not in flags]
    if flags - {"--user", "--force"} or not 1 <= len(plain) <= 2:
        raise UsageError(_usage(save))
    from ..api import resolve
    from ..template import store

    name, source = plain[0], plain[-1]
    template = None
    if len(plain) == 1 and name not in session.names:
        template = resolve.session_template()
    if template is None:
        template = resolve.find_template(source, session.names, resolve.merge_options({}))
    path = store.save(name, template, "--user" in flags, "--force" in flags)
    print(f"Saved: {path}  (use it with -t {name})")


def templates(session: ShellState, words: list[str]) -> None:
    """%podtask templates: list the templates there are, and where each is from."""
    _words(words, 0, templates)
    from ..api.resolve import IN_CLUSTER
    from ..template.store import of_notebook, saved

    rows = [(name, "this notebook") for name in sorted(of_notebook(session.names))]
    rows += [(name, str(path)) for name, path in saved().items()]
    if rows:
        _table(rows)
    else:
        print("No templates yet: make a PodTemplate, and keep it with %podtask save NAME.")
    print(f"Those of the cluster: -t {IN_CLUSTER}NAME")


def config(session: ShellState, words: list[str]) -> None:
    """%podtask config: show each setting, its value and where that came from."""
    _words(words, 0, config)
    from ..api.resolve import session_template
    from ..config.options import pairs
    from ..config.settings import everything

    rows = []
    for name, setting in everything().items():
        value = setting.value
        if name == "env":  # values may be secrets
            value = ", ".join(key for key, _ in pairs(value))
        rows.append((name, "-" if value in (None, "", ()) else str(value), setting.origin))
    if session_template() is not None:
        rows = [
            row if row[0] != "template" else ("template", "(this session's)", "%podtask use") for row in rows
        ]
    _table(rows)


def list_tasks(session: ShellState, words: list[str]) -> None:
    """%podtask list [-n NAMESPACE]: list the tasks there are, with state, age and last line."""
    from IPython.display import display

    from ..event_loop import loop
    from ..manage.task_list import roster

    display(loop().start(roster(_options(words))).result())


def attach(session: ShellState, words: list[str]) -> None:
    """%podtask attach NAME [-n NAMESPACE]: come back to a task: what was missed, then live, then its values."""
    name, rest = _named(words, attach)
    from ..api.attach import attach as attached

    chosen = _options(rest)
    session.follow(attached(name, namespace=chosen.namespace, context=chosen.context))


def logs(session: ShellState, words: list[str]) -> None:
    """%podtask logs NAME [CONTAINER] [-n NAMESPACE]: print a container's log; the cell's without one."""
    name, rest = _named(words, logs)
    container, rest = (rest[0], rest[1:]) if rest and not rest[0].startswith("-") else (None, rest)
    from ..event_loop import loop
    from ..manage import operations

    print(loop().start(operations.log(name, container, _options(rest))).result())


def cancel(session: ShellState, words: list[str]) -> None:
    """%podtask cancel NAME [-n NAMESPACE]: end a task that runs, and delete its pod."""
    _end(session, words, cancel, "Cancelled", finished=False)


def delete(session: ShellState, words: list[str]) -> None:
    """%podtask delete NAME [--force] [-n NAMESPACE]: delete a task's pod, a finished one's with its result; by force when its node is lost for good."""
    rest = [word for word in words if word != "--force"]
    _end(session, rest, delete, "Deleted", finished=True, force=rest != words)


def gc(session: ShellState, words: list[str]) -> None:
    """%podtask gc [-n NAMESPACE]: delete your finished pods but for those whose result waits."""
    from ..event_loop import loop
    from ..manage import operations

    swept = loop().start(operations.clean_up(_options(words))).result()
    print(f"Deleted: {', '.join(swept.deleted) or 'nothing was left'}")
    if swept.kept:
        print(f"Kept, as their results wait: {', '.join(swept.kept)} (%podtask attach NAME)")


def shell(session: ShellState, words: list[str]) -> None:
    """%podtask shell NAME [-c CONTAINER] [-n NAMESPACE] [-- COMMAND]: run a command beside a task's cell; say how a terminal gets there without one."""
    name, rest = _named(words, shell)
    place = rest.index("--") if "--" in rest else len(rest)
    rest, command = rest[:place], rest[place + 1 :]
    container = None
    if "-c" in rest[:-1]:
        place = rest.index("-c")
        container, rest = rest[place + 1], rest[:place] + rest[place + 2 :]
    options = _options(rest)
    from ..event_loop import loop
    from ..manage import exec

    if command:
        print(f"exit code {exec.run(name, container, command, options)}")
    else:
        print(loop().start(exec.terminal(name, container, options)).result())


def why(session: ShellState, words: list[str]) -> None:
    """%podtask why [NAME]: say where a task is and what to change; the last cell's without a name."""
    if len(words) > 1:
        raise UsageError(_usage(why))
    from ..lifecycle.task import Task

    tasks = {name: each for name, each in session.names.items() if isinstance(each, Task)}
    tasks.update({each.name: each for each in tasks.values()})
    name = words[0] if words else "_task"
    if name in tasks:
        print(tasks[name].why())
    elif words:
        raise UsageError(f"%podtask why: there is no task {name!r} in this notebook.{nearest(name, tasks)}")
    else:
        raise UsageError("%podtask why: no cell has run in a pod yet.")


def doctor(session: ShellState, words: list[str]) -> None:
    """%podtask doctor [OPTIONS]: look at all a cell needs, and run one; options as of %%podtask."""
    from ..api.resolve import resolve_options
    from .arguments import read
    from .doctor import examine

    for finding in examine(resolve_options(read(words), session.names)):
        print(finding, flush=True)


def rbac(session: ShellState, words: list[str]) -> None:
    """%podtask rbac [-n NAME]: print the least Role that cells need."""
    import yaml

    from .doctor import role

    namespace = _options(words).namespace
    print(yaml.safe_dump(role(namespace or "default"), sort_keys=False), end="")


def verbose(session: ShellState, words: list[str]) -> None:
    """%podtask verbose [off]: write what podtask does, line by line, to standard error."""
    from ..log import set_level  # start-up cost: few users switch the log on

    if words not in ([], ["off"]):
        raise UsageError(_usage(verbose))
    set_level(None if words else "debug")
    print("The debug log is off." if words else "The debug log is on. `%podtask verbose off` ends it.")


def _end(session: ShellState, words: list[str], command: Callable[..., None], done: str, **how: bool) -> None:
    name, rest = _named(words, command)
    from ..event_loop import loop
    from ..manage import operations

    print(f"{done}: {loop().start(operations.end(name, _options(rest), **how)).result()}")


def _named(words: list[str], command: Callable[..., None]) -> tuple[str, list[str]]:
    if not words or words[0].startswith("-"):
        raise UsageError(_usage(command))
    return words[0], words[1:]


def _options(words: list[str]) -> RunOptions:
    from ..api.resolve import merge_options
    from .arguments import read

    return merge_options(read(words))


def _usage(command: Callable[..., None]) -> str:
    return (command.__doc__ or "").splitlines()[0]


def _words(words: list[str], count: int, command: Callable[..., None]) -> list[str]:
    if len(words) != count:
        raise UsageError(_usage(command))
    return words


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


COMMANDS: dict[str, Callable[[ShellState, list[str]], None]] = {
    "use": use,
    "save": save,
    "templates": templates,
    "config": config,
    "list": list_tasks,
    "attach": attach,
    "logs": logs,
    "shell": shell,
    "why": why,
    "cancel": cancel,
    "delete": delete,
    "gc": gc,
    "doctor": doctor,
    "rbac": rbac,
    "verbose": verbose,
}
