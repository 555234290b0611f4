"""Trees of Debian packages, from the mirror that this machine itself uses."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.cluster import cache
from tests.cluster.errors import run

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_APT = Path("/etc/apt")
# The script of all suites since wheezy. A debootstrap that is older than a suite does not find it by name.
_SCRIPT = Path("/usr/share/debootstrap/scripts/sid")
# Files that no test reads. They are half of the size, and each start would import them again.
_UNWANTED = (
    "usr/share/doc",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/zoneinfo",
    "var/cache",
    "var/lib/apt/lists",
    "var/log",
)


def mirror() -> str:
    """Return the address of the Debian archive that apt uses on this machine."""
    files = [_APT / "sources.list", *sorted((_APT / "sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file():
            continue
        # Both formats (`deb URI suite main` and `URIs: URI`); security archives and
        # those of others end in another word.
        found = re.search(
            r"^(?:deb\s+(?:\[[^]]*\]\s+)?|URIs:\s*)(https?://\S+/debian)/?(?:\s|$)",
            file.read_text(errors="replace"),
            re.MULTILINE,
        )
        if found:
            return found[1]
    return "http://deb.debian.org/debian"


def install(suite: str, packages: str, tree: Path) -> None:
    """Install a minimal Debian with some packages into a tree, without documentation.

    Args:
        suite: Name of the Debian suite, such as `bookworm`.
        packages: Names of the packages, separated by commas.
        tree: The directory to fill.
    """
    _debootstrap(suite, packages, [tree])
    for name in _UNWANTED:
        if (tree / name).exists():
            shutil.rmtree(tree / name)
    for name in ("var/cache", "var/log", "var/lib/apt/lists/partial"):
        (tree / name).mkdir(parents=True)
    for name in ("etc/hostname", "etc/resolv.conf"):
        (tree / name).unlink(missing_ok=True)


def unpack(suite: str, package: str, tree: Path, work: Path) -> None:
    """Unpack the files of one package into a tree, without its dependencies."""
    download = work / "download"
    _debootstrap(suite, package, ["--download-only", download])
    (archive,) = (download / "var/cache/apt/archives").glob(f"{package}_*.deb")
    run(["dpkg-deb", "--extract", archive, tree])


def _debootstrap(suite: str, packages: str, rest: list[str | Path]) -> None:
    downloads = cache.directory() / "debs" / suite
    downloads.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = ["debootstrap", "--variant=minbase"]
    command += [f"--include={packages}", f"--keyring={_KEYRING}", f"--cache-dir={downloads}"]
    # Two processes at a time would write the same files in the shared download folder.
    with cache.locked(downloads / "lock"):
        run([*command, *rest[:-1], suite, rest[-1], mirror(), _SCRIPT], timeout=1200)
