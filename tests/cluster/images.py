"""The images that tests may use in their pods; none of them comes from a registry."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.cluster import cache, debian
from tests.cluster.archive import write_image
from tests.cluster.errors import print_progress, run

# Packages that no test imports: a third of the size.
_UNWANTED_OF_WHEELS = ("tests", "sample_data", "*.pyi", "include", "share")
# Part of each image's hash: raise it when the code that builds images changes.
_VERSION = "1"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PAUSE = "docker.io/library/pause:1"

_PAUSE_SOURCE = """
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal) { _exit(0); }
static void reap(int signal) { while (waitpid(-1, 0, WNOHANG) > 0); }

int main(void) {
  signal(SIGINT, end);
  signal(SIGTERM, end);
  signal(SIGCHLD, reap);
  for (;;) pause();
}
"""


@dataclass(frozen=True)
class Recipe:
    """How one image is built; the hash of the recipe names the tar in the cache.

    Attributes:
        names: Fully qualified names of the image.
        kind: Name of the builder below that makes the tree.
        suite: Name of the Debian suite.
        packages: Additional packages, separated by commas.
        command: Default command of a container.
        wheels: Wheels that pip installs for the Python of the image, each with its version.
    """

    names: tuple[str, ...]
    kind: str = "debian"
    suite: str = "bookworm"
    packages: str = ""
    command: tuple[str, ...] = ()
    wheels: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The name of the tar in the cache."""
        short = self.names[0].rsplit("/", 1)[1].replace(":", "-")
        fields = asdict(self)
        if not self.wheels:
            del fields["wheels"]  # images without wheels keep their previous hash
        recipe = json.dumps(fields, sort_keys=True)
        hashed = cache.key(_VERSION, recipe, _PAUSE_SOURCE, platform.machine())
        return f"image-{short}-{hashed}.tar"


def _python(version: str, suite: str, package: str = "python3") -> Recipe:
    return Recipe(
        (f"docker.io/library/python:{version}-slim",),
        suite=suite,
        packages=package,
        command=("python3",),
    )


def _science(version: str, suite: str, *wheels: str, name: str = "science") -> Recipe:
    return Recipe(
        (f"docker.io/library/{name}:{version}",),
        suite=suite,
        packages="python3",
        command=("python3",),
        wheels=(*wheels, "jinja2==3.1.6", "tqdm==4.70.1"),
    )


# Libraries whose cells `make matrix` runs, in an environment of the notebook and in an image.
LIBRARIES = (
    *(
        "altair==6.3.0",
        "attrs==26.1.0",
        "bokeh==3.9.2",
        "duckdb==2.0.1",
        "holoviews==1.23.2",
        "hvplot==0.12.2",
    ),
    *("joblib==1.6.0", "loguru==0.7.3", "networkx==3.6.1", "panel==1.9.4", "plotly==7.1.0", "polars==2.1.0"),
    *("pyarrow==26.0.1", "pydantic==2.14.4", "rich==15.0.0", "scikit-learn==1.9.1", "sqlalchemy==2.1.9"),
    *("xarray==2026.9.0", "nbformat==5.11.1", "structlog==26.1.0"),  # without nbformat, plotly shows nothing
)

_FOR_3_11 = ("ipython==9.18.1", "matplotlib==3.11.2", "numpy==2.4.6", "pandas==3.1.1")
# Dependencies on Python 3.9 only, which pip on another Python does not install.
_FOR_3_9 = ("exceptiongroup==1.3.1", "importlib-resources==6.5.2")

# In the order of building: the images that most tests need come first.
RECIPES = (
    Recipe((PAUSE,), kind="pause", suite="", command=("/pause",)),
    _python("3.11", "bookworm"),
    _python("3.13", "trixie"),
    Recipe(
        (
            "docker.io/library/nopython:1",
            # `latest` alone would be asked for at a registry, unless the pod says
            # `imagePullPolicy: IfNotPresent`.
            "docker.io/library/busybox:latest",
            "docker.io/library/busybox:1",
            "docker.io/library/alpine:latest",
            "docker.io/library/alpine:3",
        ),
        kind="busybox",
        packages="busybox-static",
        command=("sh",),
    ),
    _python("3.9", "bullseye"),
    Recipe(
        ("docker.io/library/redis:7",),
        packages="redis-server",
        command=(
            "redis-server",
            "--save",
            "",
            "--bind",
            "0.0.0.0",
            "--protected-mode",
            "no",
        ),
    ),
    Recipe(
        ("docker.io/prom/pushgateway:v1.5.1",),  # the version of Debian's package
        packages="prometheus-pushgateway",
        command=("prometheus-pushgateway",),
    ),
    _science("3.11", "bookworm", *_FOR_3_11),
    _science("3.13", "trixie", "ipython==9.18.1", "matplotlib==3.11.2", "numpy==2.5.5", "pandas==3.1.1"),
    _science(
        "3.9", "bullseye", "ipython==8.18.1", "matplotlib==3.9.4", "numpy==2.0.2", "pandas==2.3.3", *_FOR_3_9
    ),
)

# Images of `make matrix` only, which imports them when a test needs them.
MATRIX_RECIPES = (
    _python("3.14", "forky"),
    _python("3.15", "forky", "python3.15"),
    _science("3.11", "bookworm", *_FOR_3_11, *LIBRARIES, name="libraries"),
)


def obtain_all(recipes: Sequence[Recipe] = RECIPES) -> Iterator[tuple[Recipe, Path]]:
    """Yield the tar of each image as soon as it is available; build the images that are not in the cache."""
    # More than two builds at a time would only compete for the disk and the mirror.
    with ThreadPoolExecutor(2) as pool:
        waiting = {pool.submit(_obtain, recipe): recipe for recipe in recipes}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def _obtain(recipe: Recipe) -> Path:
    def make(work: Path, made: Path) -> None:
        print_progress(f"building image {recipe.names[0]}")
        tree = work / "tree"
        tree.mkdir()
        _BUILDERS[recipe.kind](recipe, tree, work)
        config: dict[str, Any] = {"Env": [_PATH], "Cmd": list(recipe.command)}
        write_image(tree, made, names=recipe.names, config=config, work=work)
        print_progress(f"built image {recipe.names[0]}, {made.stat().st_size >> 20} MB")

    return cache.obtain(recipe.file, make)


def _build_debian(recipe: Recipe, tree: Path, work: Path) -> None:
    debian.install(recipe.suite, recipe.packages, tree)
    # `python3`, or a version that is not the suite's own, such as `python3.15`.
    if found := next(iter(sorted((tree / "usr/bin").glob("python3*"))), None):
        # The images of that name have `python` in /usr/local, and users write that.
        for name in ("python", "python3"):
            (tree / "usr/local/bin" / name).symlink_to(f"/usr/bin/{found.name}")
    if recipe.wheels:
        _install_wheels(recipe.wheels, tree, work)


def _install_wheels(wheels: Sequence[str], tree: Path, work: Path) -> None:
    target = next((tree / "usr/local/lib").glob("python3.*")) / "dist-packages"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    chosen: list[str | Path] = ["--only-binary=:all:"]
    chosen += ["--python-version", target.parent.name.removeprefix("python")]
    for tag in ("manylinux_2_28", "manylinux_2_17", "manylinux2014"):
        chosen += ["--platform", f"{tag}_{platform.machine()}"]
    # In two steps: `install` alone asks of each wheel that it be for the Python that runs pip.
    run([*pip, "download", *chosen, "--dest", work / "wheels", *wheels], timeout=1200)
    command = [*pip, "install", *chosen, "--ignore-requires-python", "--no-deps", "--no-index"]
    run([*command, "--no-compile", "--target", target, *(work / "wheels").iterdir()], timeout=1200)
    for name in _UNWANTED_OF_WHEELS:
        for found in sorted(target.rglob(name)):
            shutil.rmtree(found) if found.is_dir() else found.unlink()
    # By the image's own Python; a pod that compiled pandas would take seconds longer to start.
    inside = Path("/", target.relative_to(tree))
    run(["chroot", tree, "python3", "-m", "compileall", "-q", inside])


def _build_busybox(recipe: Recipe, tree: Path, work: Path) -> None:
    debian.unpack(recipe.suite, recipe.packages, tree, work)
    busybox = next(path for path in (tree / "bin/busybox", tree / "usr/bin/busybox") if path.exists())
    bin_directory = tree / "bin"
    bin_directory.mkdir(exist_ok=True)
    for applet in run([busybox, "--list"]).split():
        if not (bin_directory / applet).exists():
            (bin_directory / applet).symlink_to(f"/{busybox.relative_to(tree)}")
    (tree / "etc").mkdir(exist_ok=True)
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\n")
    (tree / "root").mkdir(mode=0o700)
    (tree / "tmp").mkdir()
    (tree / "tmp").chmod(0o1777)


def _build_pause(recipe: Recipe, tree: Path, work: Path) -> None:
    source = work / "pause.c"
    source.write_text(_PAUSE_SOURCE)
    run(["gcc", "-Os", "-static", "-s", "-o", tree / "pause", source])


_BUILDERS: dict[str, Callable[[Recipe, Path, Path], None]] = {
    "debian": _build_debian,
    "busybox": _build_busybox,
    "pause": _build_pause,
}
