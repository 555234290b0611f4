"""Select the cluster for the tests: the contributor's, the one built on this machine, or none."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.cluster import configuration

# Each command, and the Debian package that contains it.
_COMMANDS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "iptables": "iptables",
    "openssl": "openssl",
    "debootstrap": "debootstrap",
    "dpkg-deb": "dpkg",
    "gcc": "gcc",
    "setsid": "util-linux",
    "umount": "mount",
    "ps": "procps",
}
_ARCHIVE_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21


def given_kubeconfig() -> Path | None:
    """Return the kubeconfig in PODTASK_TEST_KUBECONFIG, or None if the variable is not set."""
    named = os.environ.get("PODTASK_TEST_KUBECONFIG")
    return Path(named).expanduser().resolve() if named else None


def unavailable() -> str | None:
    """Return the reason why no cluster is available, or None if one is."""
    given = given_kubeconfig()
    if given is not None:
        if not given.exists():
            return f"PODTASK_TEST_KUBECONFIG names {given}, which does not exist"
        if shutil.which("kubectl") is None:
            return "kubectl is not installed, which a cluster of one's own needs"
        return None
    if not sys.platform.startswith("linux"):
        return "needs Linux, or a cluster named by PODTASK_TEST_KUBECONFIG"
    if os.geteuid() != 0:
        return "needs root, or a cluster named by PODTASK_TEST_KUBECONFIG"
    if not _has_capabilities():
        return "needs CAP_SYS_ADMIN and CAP_NET_ADMIN: this root may not mount"
    return _missing_packages()


def _has_capabilities() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            held = int(value, 16)
            return all(held >> bit & 1 for bit in (_CAP_NET_ADMIN, _CAP_SYS_ADMIN))
    return False


def _missing_packages() -> str | None:
    missing = {command: package for command, package in _COMMANDS.items() if shutil.which(command) is None}
    if configuration.cni_directory() is None:
        missing["the network plugins"] = "containernetworking-plugins"
    if not _ARCHIVE_KEYS.exists():
        missing["Debian's archive keys"] = "debian-archive-keyring"
    if not missing:
        return None
    packages = " ".join(sorted(set(missing.values())))
    return f"not found (/usr/sbin must be on PATH): {', '.join(missing)}; try: apt-get install {packages}"
