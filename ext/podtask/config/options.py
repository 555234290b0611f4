"""The one list of options: flags of the magic, keyword arguments and settings derive from it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, nearest
from .option_types import lines, one_of, parse_bool, parse_strings, task_name, variable
from .quantities import quantity

DURATION = re.compile(r"^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?$")
AUTO, FORWARD, EXEC, BATCH = "auto", "port-forward", "exec", "batch"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"  # the pod's label for --queue
DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


def seconds(text: Any) -> float:
    """Returns a duration in seconds; ``90``, ``90s``, ``30m``, ``2h``, ``1h30m``, ``1d``.

    Raises:
        InputError: it is none, or not above zero.
    """
    value = str(text).strip()
    parts = DURATION.match(value)
    if re.fullmatch(r"\d+(\.\d+)?", value):
        total = float(value)
    elif value and parts:
        days, hours, minutes, rest = (float(part or 0) for part in parts.groups())
        total = days * 86400 + hours * 3600 + minutes * 60 + rest
    else:
        raise InputError(f"{value!r} is not a duration.", "Write 90s, 30m, 2h or 1h30m.")
    if total <= 0:
        raise InputError(f"{value!r} is not above zero.", "Write 90s, 30m, 2h or 1h30m.")
    return total


def names(text: Any) -> tuple[str, ...]:
    """Returns Python names from ``a,b`` or a list of such.

    Raises:
        InputError: a name is none.
    """
    given = [text] if isinstance(text, str) else text
    if not isinstance(given, Iterable) or not all(isinstance(each, str) for each in given):
        raise InputError(f"{text!r} is no list of names.", "Write names apart by commas: x,y")
    found = [name for part in given for name in re.split(r"[,\s]+", part) if name]
    for name in found:
        if not name.isidentifier():
            raise InputError(f"{name!r} is not a Python name.", "Write names apart by commas: x,y")
    return tuple(dict.fromkeys(found))


def pairs(given: Any) -> tuple[tuple[str, str], ...]:
    """Returns (name, value) pairs from ``NAME=VALUE`` texts or a mapping.

    Raises:
        InputError: there is no ``=``, the name is reserved or none, or it is nothing of the kind.
    """
    if isinstance(given, Mapping):
        found = [(str(name), str(value)) for name, value in given.items()]
    else:
        found = [_pair(item) for item in ([given] if isinstance(given, str) else _items(given))]
    for name, _ in found:
        variable(name)
        if name.startswith("PODTASK_"):
            raise InputError(f"{name}: names that begin with PODTASK_ are reserved.", "Choose another name.")
    return tuple(found)


def _items(given: Any) -> Iterable[Any]:
    if isinstance(given, Iterable):
        return given
    raise InputError(f"A {type(given).__name__} is no list of variables.", "Write NAME=VALUE.")


def _pair(item: Any) -> tuple[str, str]:
    if isinstance(item, tuple) and len(item) == 2:
        return str(item[0]), str(item[1])
    if not isinstance(item, str):
        raise InputError(f"A {type(item).__name__} is no variable.", "Write NAME=VALUE.")
    name, sign, value = item.partition("=")
    if not sign or not name:
        raise InputError(f"{name!r} has no value.", "Write NAME=VALUE.")
    return name, value


def label(text: Any) -> str:
    """Returns a DNS label (RFC 1123), as namespaces have.

    Raises:
        InputError: it is none.
    """
    if not DNS_LABEL.fullmatch(str(text)):
        raise InputError(f"{text!r} is not a namespace's name.", "Lower case, digits and dashes, at most 63.")
    return str(text)


def count(text: Any) -> int:
    """Returns a whole number from 1 on.

    Raises:
        InputError: it is none.
    """
    if not re.fullmatch(r"[1-9]\d*", str(text)):
        raise InputError(f"{text!r} is not a whole number above zero.")
    return int(text)


def option(default: Any, flags: str, say: str, take: Any = str, metavar: str = "", **more: Any) -> Any:
    """A field of RunOptions with its flags, help, parser and metavar; ``hidden`` keeps its value out of ``repr``."""
    about = {"flags": flags.split(), "say": say, "take": take, "metavar": metavar, **more}
    return dataclasses.field(default=default, metadata=about, repr=not more.get("hidden"))


@dataclass(frozen=True)
class RunOptions:
    """How a cell runs. Every field is an option of the magic and a keyword of ``submit``."""

    template: Any = option(
        None,
        "-t --template",
        "pod template: a name (of this notebook, saved, or pod-template/NAME), or a YAML file",
        lambda v: v,
        "TEMPLATE",
    )
    inputs: tuple[str, ...] | None = option(
        None, "-i --inputs", "send just these names", names, "NAMES", many=True
    )
    outputs: tuple[str, ...] = option(
        (),
        "-o --outputs",
        "bring these names back; auto: all new and changed ones",
        names,
        "NAMES",
        many=True,
    )
    image: str | None = option(
        None, "--image", "image of the primary container (any with Python 3.9 or newer)", str, "REF"
    )
    env: tuple[tuple[str, str], ...] = option(
        (),
        "--env",
        "environment variable of the cell; not stored in the pod spec",
        pairs,
        "NAME=VALUE",
        many=True,
        hidden=True,  # tokens travel so
    )
    pip: tuple[str, ...] = option(
        (),
        "--pip",
        "install this when the cell starts, beside what the image has",
        parse_strings,
        "SPEC",
        many=True,
    )
    index_url: str | None = option(None, "--index-url", "package index for --pip", str, "URL", hidden=True)
    extra_index_url: tuple[str, ...] = option(
        (), "--extra-index-url", "one more index for --pip", parse_strings, "URL", many=True, hidden=True
    )
    pre: bool = option(False, "--pre", "--pip may take pre-releases", parse_bool, flag=True)
    constraint: tuple[str, ...] = option(
        (),
        "--constraint",
        "bound of what --pip installs (numpy<2), or a file of such",
        lines,
        "SPEC|FILE",
        many=True,
    )
    cpu: str | None = option(None, "--cpu", "CPUs to request", quantity, "QUANTITY")
    memory: str | None = option(None, "--memory", "memory, as request and limit", quantity, "QUANTITY")
    gpu: int | None = option(None, "--gpu", "number of GPUs", count, "N")
    gpu_key: str = option("nvidia.com/gpu", "--gpu-key", "resource name of the GPU", str, "KEY")
    shm: str | None = option(
        None, "--shm", "shared memory (/dev/shm); it counts as memory", quantity, "QUANTITY"
    )
    python: str = option("python3", "--python", "the image's Python", str, "PATH")
    entrypoint: str = option(
        "replace",
        "--entrypoint",
        "keep: the image's entrypoint starts the cell, as its arguments",
        one_of("replace", "keep"),
        "replace|keep",
    )
    queue: str | None = option(None, "--queue", "Kueue's queue to wait in", str, "NAME")
    restricted: bool = option(
        False, "--restricted", "fulfil Pod Security 'restricted'", parse_bool, flag=True
    )
    namespace: str | None = option(None, "-n --namespace", "namespace of the pod", label, "NAME")
    context: str | None = option(None, "--context", "context of the kubeconfig", str, "NAME")
    channel: str = option(
        AUTO,
        "--channel",
        "how the pod is reached; auto: what is allowed, in this order",
        one_of(AUTO, FORWARD, EXEC, BATCH),
        f"{AUTO}|{FORWARD}|{EXEC}|{BATCH}",
    )
    max_input: str = option(
        "256Mi", "--max-input", "most bytes of inputs to send (256Mi)", quantity, "QUANTITY"
    )
    timeout: float = option(86400.0, "--timeout", "the cell may run this long (24h)", seconds, "TIME")
    start_timeout: float = option(
        1800.0, "--start-timeout", "the pod may take this long to start (30m)", seconds, "TIME"
    )
    retries: int | None = option(
        None,
        "--retries",
        "another pod, so often, where one is lost before the cell began",
        count,
        "N",
    )
    retry_on: str = option(
        "start",
        "--retry-on",
        "lost: cells that had begun are run again too, from their start",
        one_of("start", "lost"),
        "start|lost",
    )
    linger: float | None = option(
        None,
        "--linger",
        "a finished pod waits this long for its notebook (1h; 10m with a GPU or the like, or locally)",
        seconds,
        "TIME",
    )
    wait: float = option(300.0, "--wait", "a started pod waits this long for its cell (5m)", seconds, "TIME")
    keep: float = option(
        604800.0,
        "--keep",
        "finished pods that nobody came back to are deleted after this (7d)",
        seconds,
        "TIME",
    )
    no_log_result: bool = option(
        False,
        "--no-log-result",
        "leave no values in the pod's log when nobody came for them",
        parse_bool,
        flag=True,
    )
    grace: float = option(10.0, "--grace", "time to clean up between stop and kill (10s)", seconds, "TIME")
    detach: bool = option(
        False, "-d --detach", "return a handle at once; output goes on coming", parse_bool, flag=True
    )
    name: str | None = option(
        None, "--as", "name of the task, and of the variable with its handle", task_name, "NAME"
    )
    local: bool = option(False, "--local", "run on this machine, without a cluster", parse_bool, flag=True)
    dry_run: bool = option(False, "--dry-run", "print the pod's YAML, run nothing", parse_bool, flag=True)

    @classmethod
    def of(cls, **given: Any) -> RunOptions:
        """Returns options from keyword arguments, each parsed and checked.

        Raises:
            InputError: an unknown option, or a value that is wrong; names the option.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        values = {}
        for name, value in given.items():
            if name not in known:
                raise InputError(
                    f"There is no option {name!r}.{nearest(name, known)}", f"Options: {', '.join(known)}."
                )
            if value is None:
                continue
            try:
                values[name] = known[name].metadata["take"](value)
            except InputError as error:
                flag = known[name].metadata["flags"][-1]
                raise InputError(f"{flag}: {error.message}", error.hint) from None
        return cls(**values)

    def replace(self, **options: Any) -> RunOptions:
        """Returns the same options but for those given.

        Raises:
            InputError: as of :meth:`of`.
        """
        return RunOptions.of(**{**vars(self), **options})
