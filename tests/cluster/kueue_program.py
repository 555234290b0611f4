"""The controller of Kueue and its manifests, taken from its Go module; once per machine."""

from __future__ import annotations

import json
import platform
import tarfile
from pathlib import Path

from tests.cluster import cache
from tests.cluster.errors import print_progress
from tests.cluster.program import run_go

_MODULE = "sigs.k8s.io/kueue"
_SOURCE = Path(__file__).parent / "kueue"
_SOURCES = [_SOURCE / file for file in ("go.mod", "go.sum", "tools.go")]
_FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags", "-s -w")
_MANIFESTS = ("config/components/crd/bases", "config/components/webhook/manifests.yaml")


def obtain() -> Path:
    """Return the path of the controller; compile it first if necessary."""
    sources = [path.read_bytes() for path in _SOURCES]
    return cache.obtain(f"kueue-{cache.key(*sources, *_FLAGS, platform.machine())}", _compile)


def manifests(target: Path) -> list[Path]:
    """Write the manifests of the module (Apache License 2.0) into a folder.

    Args:
        target: The folder; it must exist.

    Returns:
        The files with custom resource definitions, and the file with webhook configurations.
    """
    archive = cache.obtain(
        f"kueue-manifests-{cache.key(*(path.read_bytes() for path in _SOURCES))}.tar", _collect
    )
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    definitions, webhooks = (target / each for each in _MANIFESTS)
    return [*sorted(definitions.iterdir()), webhooks]


def _compile(work: Path, made: Path) -> None:
    print_progress("compiling Kueue: about 6 minutes, once per machine")
    run_go(work, _SOURCES, "build", *_FLAGS, "-o", made, f"{_MODULE}/cmd/kueue")
    print_progress("compiled Kueue")


def _collect(work: Path, made: Path) -> None:
    module = json.loads(run_go(work, _SOURCES, "mod", "download", "-json", _MODULE))
    with tarfile.open(made, "w") as tar:
        for part in _MANIFESTS:
            tar.add(Path(module["Dir"]) / part, arcname=part)
