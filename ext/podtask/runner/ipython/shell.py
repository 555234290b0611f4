"""The object that ``get_ipython()`` returns in a cell: shell commands and the few magics that work in a pod.

It replaces IPython's shell and is loaded when a cell first calls ``get_ipython()``. The notebook rejects other
magics before it submits a cell. If code in the pod calls one nevertheless, it raises an error.
"""

import os
import resource
import subprocess
import sys
import time
from typing import Any, Callable, Dict, List, NoReturn, Optional

from ..debug_log import logger
from ..protocol import POD_MAGICS
from . import display
from .shell_command import Expander, SList, run

SECRET_WORDS = ("key", "token", "secret")


class UsageError(Exception):
    """A magic was called with an argument that it does not accept."""

    def __reduce__(self) -> Any:
        # In the notebook it becomes IPython's UsageError, which is displayed without a traceback.
        error_class = "__import__('IPython.core.error', fromlist=['UsageError']).UsageError"
        return eval, (f"{error_class}({str(self)!r})",)


class Events:
    """Callbacks of IPython's events. They are stored and never called: the worker displays figures by itself."""

    def __init__(self) -> None:
        self.callbacks: Dict[str, List[Callable[..., Any]]] = {}

    def register(self, event: str, function: Callable[..., Any]) -> None:
        self.callbacks.setdefault(event, []).append(function)

    def unregister(self, event: str, function: Callable[..., Any]) -> None:
        self.callbacks[event].remove(function)


class Publisher:
    """The default publisher of mime bundles."""

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        *,
        transient: Any = None,
        update: bool = False,
        **_: Any,
    ) -> None:
        """Display a mime bundle."""
        display.installed[0].send_bundle(data, metadata or {}, (transient or {}).get("display_id"), update)


class ZMQInteractiveShell:
    """The replacement for the notebook's shell; it has the same name, because libraries check for that."""

    __module__ = "ipykernel.zmqshell"  # plotly also checks for ipykernel, and shows 5 MB of HTML without it

    def __init__(self) -> None:
        self.config: Dict[str, Any] = {"IPKernelApp": {}}  # libraries look for it to know a notebook
        self.execution_count = 1  # libraries recognize by it that they are called twice in a cell
        self.events = Events()
        self._previous_directory: Optional[str] = None
        self._publisher = Publisher()

    @property
    def display_pub(self) -> Any:
        """The publisher of mime bundles; IPython's ``capture_output`` replaces it."""
        return display.installed[0].capture or self._publisher

    @display_pub.setter
    def display_pub(self, publisher: Any) -> None:
        display.installed[0].capture = None if publisher is self._publisher else publisher

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"get_ipython().{name} is not available in a pod. It supports !commands and "
            + ", ".join(f"%{each}" for each in POD_MAGICS)
        )

    @property
    def user_ns(self) -> Dict[str, Any]:
        """The namespace of the cell."""
        return vars(sys.modules["__main__"])

    user_global_ns = user_ns

    def var_expand(self, cmd: str, depth: int = 0) -> str:
        """Return a command with its variables expanded; unchanged if that fails, as IPython does."""
        caller = sys._getframe(depth + 1)  # noqa: SLF001 -- documented, in spite of its name
        names = {**self.user_ns, **caller.f_locals}
        try:
            return Expander().vformat(cmd, (), names)
        except Exception as error:
            logger.debug("the variables of a command are not expanded: %s", type(error).__name__)
            return cmd

    def system(self, cmd: str) -> None:
        """Run ``!cmd``: forward its output as it arrives and store its exit status in ``_exit_code``."""
        self.user_ns["_exit_code"] = run(self.var_expand(cmd, depth=1))

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Any:
        """Run ``x = !cmd``: return the lines that the command wrote to stdout and stderr."""
        process = subprocess.run(
            ["/bin/sh", "-c", self.var_expand(cmd, depth=depth + 1)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        text = process.stdout.decode("utf-8", "replace")
        return SList(text.splitlines()) if split else text

    def run_line_magic(self, name: str, line: str, _stack_depth: int = 1) -> Any:
        """Run ``%name line``.

        Raises:
            UsageError: The pod has no such magic, or the magic does not accept the line.
        """
        if name not in POD_MAGICS:
            raise UsageError(
                f"%{name} does not run in a pod; "
                + ", ".join(f"%{each}" for each in POD_MAGICS)
                + " and !commands do."
            )
        if name == "time":
            caller = sys._getframe(_stack_depth)  # noqa: SLF001 -- documented, in spite of its name
            return self._time(line.strip(), caller.f_locals)
        line = self.var_expand(line, depth=_stack_depth)
        return getattr(self, f"_{name}")(line.strip())

    def run_cell_magic(self, name: str, line: str, cell: str) -> NoReturn:
        raise UsageError(f"%%{name} does not run in a pod: only %%time as a cell's first line does.")

    def _matplotlib(self, line: str) -> None:
        """``%matplotlib``: ignore the argument; figures are always shown under the cell."""

    def _pwd(self, line: str) -> str:
        return os.getcwd()

    def _cd(self, line: str) -> None:
        quiet = line.startswith("-q")
        target = line[2:].strip() if quiet else line
        if target == "-":
            if self._previous_directory is None:
                raise UsageError("%cd -: there is no directory before this one.")
            target = self._previous_directory
        previous = os.getcwd()
        os.chdir(os.path.expanduser(target.strip("'\"") or "~"))
        self._previous_directory = previous
        if not quiet:
            print(os.getcwd())

    def _env(self, line: str) -> Any:
        if not line:
            return {
                name: "<hidden>" if any(word in name.lower() for word in SECRET_WORDS) else value
                for name, value in os.environ.items()
            }
        if "=" in line or " " in line:
            return self._set_env(line)
        if line not in os.environ:
            raise UsageError(f"Environment does not have key: {line}")
        return os.environ[line]

    def _set_env(self, line: str) -> None:
        name, mark, value = line.partition("=" if "=" in line else " ")
        name, value = name.strip(), value.strip()
        if not mark or not name or len(name.split()) > 1:
            raise UsageError("usage is %env NAME=VALUE")
        os.environ[name] = value
        print(f"env: {name}={value}")

    def _pip(self, line: str) -> None:
        self.user_ns["_exit_code"] = run(f"{_quote(sys.executable)} -m pip {line}")
        # Start-up cost: loaded when it is first needed.
        import importlib
        import site

        importlib.invalidate_caches()
        # pip installs into the user's folder if the image's is not writable. Python adds that folder to the path
        # at its start only, and only if it exists.
        if site.ENABLE_USER_SITE and os.path.isdir(site.getusersitepackages()):
            site.addsitedir(site.getusersitepackages())

    def _time(self, line: str, names: Dict[str, Any]) -> Any:
        # Start-up cost: loaded when it is first needed.
        import ast

        tree = ast.parse(line, "<timed>")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        body = compile(tree, "<timed>", "exec", dont_inherit=True)
        value = None
        with Timed():
            exec(body, self.user_ns, names)
            if isinstance(last, ast.Expr):
                code = compile(ast.Expression(last.value), "<timed>", "eval")
                value = eval(code, self.user_ns, names)
        return value


class Timed:
    """A context manager that prints how long its block took, as %time does, unless the block raises an error."""

    def __enter__(self) -> None:
        self._cpu = resource.getrusage(resource.RUSAGE_SELF)
        self._wall = time.perf_counter()

    def __exit__(self, kind: object, *_: object) -> None:
        wall = time.perf_counter() - self._wall
        cpu = resource.getrusage(resource.RUSAGE_SELF)
        user, system = cpu.ru_utime - self._cpu.ru_utime, cpu.ru_stime - self._cpu.ru_stime
        if kind is None:
            total = format_duration(user + system)
            print(f"CPU times: user {format_duration(user)}, sys: {format_duration(system)}, total: {total}")
            print(f"Wall time: {format_duration(wall)}")


def format_duration(seconds: float) -> str:
    """Return a duration as IPython writes it: three digits, or days to seconds."""
    if seconds >= 60:
        words = []
        seconds_left = int(seconds)
        for suffix, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
            if seconds_left >= length:
                words.append(f"{seconds_left // length}{suffix}")
                seconds_left %= length
        return " ".join(words)
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("μs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _quote(word: str) -> str:
    # Start-up cost: loaded when it is first needed.
    import shlex

    return shlex.quote(word)


_shells: List[ZMQInteractiveShell] = []


def get_ipython() -> ZMQInteractiveShell:
    """Return the one shell of this process."""
    if not _shells:
        _shells.append(ZMQInteractiveShell())
    return _shells[0]
