"""The current context of the kubeconfig: a kernel stays with its first one, whatever kubectl switches to later."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from .credentials import Access, current_context, kubeconfig_files

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class _First:
    """What was current when a kubeconfig was first used.

    Args:
        context: Name of the context.
        namespace: Its namespace.
        stamp: State of the files, as of the last look.
    """

    context: str
    namespace: str
    stamp: Stamp


_first: dict[str, _First] = {}  # value of KUBECONFIG -> what this kernel uses


def first_context() -> str | None:
    """Return the context that this kernel uses if a cell names none; None before the first use."""
    first = _first.get(kubeconfig_files())
    return first.context if first else None


def stamp() -> Stamp:
    """Return the state of the kubeconfig's files, which changes if one of them is written."""
    found = []
    for name in kubeconfig_files().split(os.pathsep):
        try:
            status = Path(name).expanduser().stat()
        except OSError:  # it does not exist
            continue
        found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def remember(access: Access, before: Stamp) -> None:
    """Remember the first context of the kubeconfig.

    Args:
        access: What was loaded as current.
        before: State of the files before it was loaded.
    """
    _first.setdefault(kubeconfig_files(), _First(access.context, access.namespace, before))


def describe_switch(namespace: str | None) -> str:
    """Return a line if kubectl has another current context or namespace than this kernel. Blocks.

    The line is empty if the files have not changed since the last call, so each change is described once.

    Args:
        namespace: Namespace that the cell names, or None.
    """
    files = kubeconfig_files()
    first, now = _first.get(files), stamp()
    if first is None or first.stamp == now:
        return ""
    _first[files] = replace(first, stamp=now)
    current = current_context(files)
    if current is None or current == (first.context, first.namespace):
        return ""
    if current[0] != first.context:
        return f"Still on context {first.context}. kubectl is on {current[0]} now: --context {current[0]}"
    if namespace is not None:
        return ""
    return f"Still in namespace {first.namespace}. kubectl is in {current[1]} now: -n {current[1]}"
