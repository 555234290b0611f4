"""The list of all options. The magic's flags, the keyword arguments and the settings derive from it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import InputError, did_you_mean
from ..runner.safe_text import safe_text
from .option_types import (
    one_of,
    parse_bool,
    parse_container_name,
    parse_count,
    parse_env,
    parse_gpus,
    parse_limits,
    parse_lines,
    parse_mapped,
    parse_names,
    parse_namespace,
    parse_packages,
    parse_seconds,
    parse_strings,
    parse_task_name,
)
from .quantities import parse_cpu, parse_input_size, parse_memory

AUTO, FORWARD, EXEC, BATCH = "auto", "port-forward", "exec", "batch"
ALL, PLAIN = "all", "plain"  # what is unpickled of the results
DEFAULT_START_SECONDS = 1800.0
DETACHED_START_SECONDS = 604_800.0  # nobody waits for the pod: it may stay in a queue over a weekend


def option(
    default: Any,
    flags: str,
    help: str,  # noqa: A002 -- the name that argparse has for it
    parse: Callable[[Any], Any] = str,
    metavar: str = "",
    **more: Any,
) -> Any:
    """Return a field of RunOptions.

    Args:
        default: Value if the option is not given.
        flags: Flags of the magic, separated by spaces; the last one is the long form.
        help: Text for ``%%podtask?`` and the documentation.
        parse: Function that parses and checks a value.
        metavar: Name of the value in the help; empty if the flag takes no value.
        **more: ``flag`` (takes no value), ``many`` (may be repeated), ``secret`` (not in ``repr``).
    """
    metadata = {"flags": flags.split(), "help": help, "parse": parse, "metavar": metavar, **more}
    return dataclasses.field(default=default, metadata=metadata, repr=not more.get("secret"))


@dataclass(frozen=True)
class RunOptions:
    """How a cell runs. Every field is an option of the magic and a keyword of ``submit``.

    Attributes:
        notices: Lines for the user about the files that options come from; not an option.
    """

    notices: ClassVar[tuple[str, ...]] = ()

    template: object = option(  # any form that PodTemplate.of accepts, or None
        None,
        "-t --template",
        "pod template: a name (a variable, a saved template or pod-template/NAME) or a YAML file",
        lambda v: v,
        "TEMPLATE",
    )
    inputs: tuple[str, ...] | None = option(
        None,
        "-i --inputs",
        "send only these variables; in a session, also if it has changed its own",
        parse_names,
        "NAMES",
        many=True,
    )
    outputs: tuple[str, ...] = option(
        (),
        "-o --outputs",
        "bring these variables back; auto: all new and changed ones",
        parse_names,
        "NAMES",
        many=True,
    )
    image: str | None = option(
        None, "--image", "image of the primary container (any with Python 3.9 or newer)", str, "REF"
    )
    env: tuple[tuple[str, str], ...] = option(
        (),
        "--env",
        "environment variable of the cell; not stored in the pod spec; NAME alone sends the notebook's value",
        parse_env,
        "NAME=VALUE",
        many=True,
        secret=True,
    )
    pip: tuple[str, ...] = option(
        (),
        "--requirements --pip",
        "packages to install before the cell starts, in addition to those in the image: a,b>=1 or a requirements file",
        parse_packages,
        "SPEC|FILE",
        many=True,
    )
    index_url: str | None = option(None, "--index-url", "package index for --pip", str, "URL", secret=True)
    extra_index_url: tuple[str, ...] = option(
        (),
        "--extra-index-url",
        "additional package index for --pip",
        parse_strings,
        "URL",
        many=True,
        secret=True,
    )
    pre: bool = option(False, "--pre", "let --pip install pre-releases", parse_bool, flag=True)
    constraint: tuple[str, ...] = option(
        (),
        "--constraint",
        "version constraint for --pip (numpy<2), or a constraints file",
        parse_lines,
        "SPEC|FILE",
        many=True,
    )
    cpu: str | None = option(None, "--cpu", "CPUs to request", parse_cpu, "QUANTITY")
    memory: str | None = option(
        None, "--memory", "memory to request; also set as the limit", parse_memory, "QUANTITY"
    )
    limits: tuple[tuple[str, str], ...] = option(
        (),
        "--limits",
        "resource limits of the primary container; without a request, Kubernetes requests as much",
        parse_limits,
        "NAME=QUANTITY,...",
        many=True,
    )
    gpu: int | None = option(
        None, "--gpu", "number of GPUs; 0: none, also if the template has some", parse_gpus, "N"
    )
    gpu_key: str = option("nvidia.com/gpu", "--gpu-key", "resource name of the GPUs", str, "KEY")
    shm: str | None = option(
        None, "--shm", "size of the shared memory (/dev/shm); it counts as memory", parse_memory, "QUANTITY"
    )
    primary: str | None = option(
        None,
        "--primary",
        "container that runs the cell (the one that the template names, or its only one, or primary)",
        parse_container_name,
        "NAME",
    )
    python: str = option("python3", "--python", "Python executable in the image", str, "PATH")
    entrypoint: str = option(
        "replace",
        "--entrypoint",
        "keep: start the cell through the image's entrypoint",
        one_of("replace", "keep"),
        "replace|keep",
    )
    keep_probes: bool = option(
        False,
        "--keep-probes",
        "keep the template's probes of the primary container, which are dropped otherwise",
        parse_bool,
        flag=True,
    )
    queue: str | None = option(None, "--queue", "Kueue queue to submit the pod to", str, "NAME")
    restricted: bool = option(
        False, "--restricted", "comply with the Pod Security level 'restricted'", parse_bool, flag=True
    )
    namespace: str | None = option(None, "-n --namespace", "namespace of the pod", parse_namespace, "NAME")
    context: str | None = option(None, "--context", "context of the kubeconfig", str, "NAME")
    channel: str = option(
        AUTO,
        "--channel",
        "how to connect to the pod; auto: the first of the others that is allowed",
        one_of(AUTO, FORWARD, EXEC, BATCH),
        f"{AUTO}|{FORWARD}|{EXEC}|{BATCH}",
    )
    max_input: str = option(
        "256Mi", "--max-input", "maximum size of all inputs together (256Mi)", parse_input_size, "QUANTITY"
    )
    timeout: float = option(86400.0, "--timeout", "maximum run time of the cell (24h)", parse_seconds, "TIME")
    start_timeout: float | None = option(
        None, "--start-timeout", "maximum time for the pod to start (30m; 7d with -d)", parse_seconds, "TIME"
    )
    pull_timeout: float | None = option(
        None,
        "--pull-timeout",
        "how long an image that the registry refuses is pulled again (5s; 5m on a node that was added for the pod)",
        parse_seconds,
        "TIME",
    )
    retries: int | None = option(
        None,
        "--retries",
        "how many new pods to try if a pod is lost before the cell starts; with -d, a Job also reruns a cell that has started",
        parse_count,
        "N",
    )
    retry_on: str = option(
        "start",
        "--retry-on",
        "lost: also rerun a cell from its beginning if its pod is lost while it runs",
        one_of("start", "lost"),
        "start|lost",
    )
    linger: float | None = option(
        None,
        "--linger",
        "how long a finished pod waits for its notebook (1h; 10m with a GPU or the like, or locally)",
        parse_seconds,
        "TIME",
    )
    wait: float = option(
        300.0, "--wait", "how long a started pod waits for its cell (5m)", parse_seconds, "TIME"
    )
    keep: float = option(
        604800.0,
        "--keep",
        "how long to keep finished pods whose result was never fetched (7d)",
        parse_seconds,
        "TIME",
    )
    no_log_result: bool = option(
        False,
        "--no-log-result",
        "do not write values to the pod's log if no notebook fetches them",
        parse_bool,
        flag=True,
    )
    results: str = option(
        ALL,
        "--results",
        "plain: unpickle nothing that comes from the pod; values return as JSON, text, bytes, arrays and tables",
        one_of(ALL, PLAIN),
        f"{ALL}|{PLAIN}",
    )
    results_in: str | None = option(
        None,
        "--results-in",
        "also write the values to this file on a volume of the pod; attach and podtask.load read it",
        str,
        "PATH",
    )
    grace: float = option(
        10.0,
        "--grace",
        "time to clean up between the request to stop and the kill (10s)",
        parse_seconds,
        "TIME",
    )
    detach: bool = option(
        False,
        "-d --detach",
        "run in the background: return a handle at once; output keeps arriving",
        parse_bool,
        flag=True,
    )
    notify: bool = option(
        False,
        "--notify",
        "when the cell has ended, call the webhook of your settings and show a notification in the browser",
        parse_bool,
        flag=True,
    )
    name: str | None = option(
        None,
        "--as --name",
        "name of the task and of the variable that holds its handle",
        parse_task_name,
        "NAME",
    )
    session: str | None = option(
        None,
        "--session",
        "run in the session with this name: its process and its variables stay, for the next cells",
        parse_task_name,
        "NAME",
    )
    theirs: tuple[str, ...] = option(
        (),
        "--theirs",
        "variables whose value in the session counts, although the notebook has changed its own, too",
        parse_names,
        "NAMES",
    )
    fresh: tuple[str, ...] = option(
        (),
        "--fresh",
        "variables over 64 MiB to compare again, although the notebook has run no cell of its own since",
        parse_names,
        "NAMES",
    )
    idle: float | None = option(
        None,
        "--idle",
        "how long a session stays without a cell (30m; 10m with a GPU or the like)",
        parse_seconds,
        "TIME",
    )
    replace_session: bool = option(
        False,
        "--replace",
        "end the session of this name first, and begin a new one with the options of this cell",
        parse_bool,
        flag=True,
    )
    trust: bool = option(
        False,
        "--trust",
        "go on with a session that you have started with another home folder: nothing else proves that it is yours",
        parse_bool,
        flag=True,
    )
    mapped: tuple[tuple[str, str], ...] = option(
        (),
        "--map",
        "run the cell once for each value of a list: NAME is the value, LIST a variable; several are taken in step",
        parse_mapped,
        "NAME=LIST",
        many=True,
    )
    grid: bool = option(
        False, "--grid", "with --map: run the cell for all combinations of the lists", parse_bool, flag=True
    )
    workers: int | None = option(
        None, "--workers", "with --map: pods that run at the same time, 64 at most (16)", parse_count, "N"
    )
    first_error: bool = option(
        False,
        "--first-error",
        "with --map: let the first error end the map; without it, an error takes the place of its value",
        parse_bool,
        flag=True,
    )
    local: bool = option(False, "--local", "run on this machine, without a cluster", parse_bool, flag=True)
    dry_run: bool = option(
        False, "--dry-run", "print the pod's YAML without running anything", parse_bool, flag=True
    )

    @classmethod
    def of(cls, **given: Any) -> RunOptions:
        """Return options from keyword arguments, each parsed and checked.

        Raises:
            InputError: An option is unknown or its value is invalid. The message names the option.
        """
        known = _fields()
        values = {}
        for name, value in given.items():
            if name not in known:
                raise InputError(
                    f"Unknown option {name!r}.{did_you_mean(name, known)}",
                    f"Options: {', '.join(known)}.",
                )
            if value is None:
                continue
            try:
                values[name] = known[name].metadata["parse"](value)
            except InputError as error:
                flag = known[name].metadata["flags"][-1]
                raise InputError(f"{flag}: {error.message}", error.hint) from None
        return cls(**values)

    @property
    def start_seconds(self) -> float:
        """Seconds that the pod may take to start: ``start_timeout``, or its default."""
        if self.start_timeout is not None:
            return self.start_timeout
        return DETACHED_START_SECONDS if self.detach else DEFAULT_START_SECONDS

    def replace(self, **options: Any) -> RunOptions:
        """Return a copy with the given options changed.

        Raises:
            InputError: An option is unknown or its value is invalid, as in :meth:`of`.
        """
        changed = RunOptions.of(**options)
        copy = dataclasses.replace(self, **{name: getattr(changed, name) for name in options})
        object.__setattr__(copy, "notices", self.notices)
        return copy

    def __repr__(self) -> str:
        shown = [field.name for field in dataclasses.fields(self) if field.repr]
        return safe_text(f"RunOptions({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})")

    def with_notices(self, *notices: str) -> RunOptions:
        """Return a copy with lines that are shown first when a cell runs; they are not an option."""
        copy = dataclasses.replace(self)
        object.__setattr__(copy, "notices", notices)
        return copy


@functools.cache
def _fields() -> Mapping[str, dataclasses.Field[Any]]:
    """Return the field of each option by its name."""
    return {field.name: field for field in dataclasses.fields(RunOptions)}
