"""The one program with every part of Kubernetes in it, compiled once per machine."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from tests.cluster import cache
from tests.cluster.errors import run, tell

_SOURCE = Path(__file__).parent / "kube"
_VERSION = "v1.35.4"
_PACKAGE = "k8s.io/component-base/version"


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
    """Return the name of the program's file in the cache, with the hash of its sources."""
    sources = [(_SOURCE / file).read_bytes() for file in ("go.mod", "go.sum", "main.go")]
    return f"kube-{cache.key(*sources, *_flags(), platform.machine())}"


def cached() -> bool:
    """Say whether the program was compiled already, so that no Go is needed."""
    return (cache.directory() / name()).exists()


def missing() -> str | None:
    """Say why the program can neither be found nor compiled, or None."""
    if cached() or shutil.which("go"):
        return None
    return "go is not installed: Go 1.25 or newer compiles Kubernetes (https://go.dev/dl)"


def obtain() -> Path:
    """Return the path of the program, compiling it first where needed."""
    return cache.obtain(name(), _compile)


def _compile(work: Path, made: Path) -> None:
    tell(f"compiling Kubernetes {_VERSION}: about 7 minutes, once per machine")
    for file in ("go.mod", "go.sum", "main.go"):
        shutil.copy(_SOURCE / file, work)
    # An older Go fetches the one that go.mod names, through the module proxy.
    environment = {"GOTOOLCHAIN": "auto", **os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
    run(
        ["go", "build", *_flags(), "-o", made, "."],
        cwd=work,
        env=environment,
        timeout=3600,
    )
    tell("compiled Kubernetes")
