"""The command line: `python -m tests.cluster up | down | env | status | kubectl ARGS...`."""

from __future__ import annotations

import os
import shlex
import sys

from tests.cluster import provider
from tests.cluster.errors import ClusterError
from tests.cluster.handle import Cluster
from tests.cluster.kueue_process import VARIABLE, Kueue
from tests.cluster.node import Node

_USAGE = """\
usage: python -m tests.cluster COMMAND

  up            start the cluster unless it is up
  down          stop it and remove everything but the cache
  env           start it unless it is up, print lines for sh: eval "$(... env)"
  status        print the state of each part
  kubectl ARGS  run kubectl against it

PODTASK_TEST_KUBECONFIG names another cluster to use; it is never started or stopped.
PODTASK_TEST_KUEUE=1 starts a controller of Kueue, too, for namespaces with the label podtask-kueue=yes.
"""


def main(arguments: list[str]) -> int:
    """Run one command and return the exit code."""
    command, *rest = arguments or [""]
    commands = {"up": _up, "down": _down, "env": _env, "status": _status}
    if command != "kubectl" and (command not in commands or rest):
        print(_USAGE, end="", file=sys.stderr)
        return 2
    try:
        return _kubectl(rest) if command == "kubectl" else commands[command]()
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _up() -> int:
    reason = provider.unavailable()
    if reason is not None:
        raise ClusterError(f"no cluster here: {reason}")
    if provider.given_kubeconfig() is None:
        node = Node()
        node.up()
        if os.environ.get(VARIABLE):
            Kueue(Cluster(node.layout.kubeconfig, node).kubectl, node.layout.kueue).up(node.layout.kubeconfig)
    return 0


def _down() -> int:
    if provider.given_kubeconfig() is None:
        Node().down()
    return 0


def _environment() -> dict[str, str]:
    given = provider.given_kubeconfig()
    if given is not None:
        return {"KUBECONFIG": str(given)}
    layout = Node().layout
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    # The folder is on PATH only once, even if a shell evaluates this several times.
    others = [part for part in path if part != str(layout.bin)]
    return {
        "KUBECONFIG": str(layout.kubeconfig),
        "PATH": os.pathsep.join([str(layout.bin), *others]),
    }


def _env() -> int:
    _up()
    for name, value in _environment().items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _status() -> int:
    given = provider.given_kubeconfig()
    if given is not None:
        print(f"the cluster of {given}")
        return 0
    node = Node()
    for part, state in node.status().items():
        print(f"{part:12} {state}")
    healthy = node.healthy()
    print(f"{'node':12} {'ready' if healthy else 'not ready'}")
    return 0 if healthy else 1


def _kubectl(arguments: list[str]) -> int:
    environment = {**os.environ, **_environment()}
    try:
        os.execvpe("kubectl", ["kubectl", *arguments], environment)
    except FileNotFoundError as error:
        raise ClusterError("no kubectl: is the cluster up?") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
