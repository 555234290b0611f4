"""Paths and addresses of the running node."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# One per machine, like bridges and addresses. The path is short, because the path of a socket
# is limited to 107 characters.
HOME = Path("/var/lib/podtask-tests")
NODE = "podtask"
NODE_BRIDGE = "podtask-node"
NODE_ADDRESS = "10.89.0.1"
POD_BRIDGE = "podtask-pods"
POD_SUBNET = "10.88.0.0/24"
POD_GATEWAY = "10.88.0.1"
SERVICE_SUBNET = "10.96.0.0/24"
SERVICE_ADDRESS = "10.96.0.1"
CGROUP = "podtask-tests"


@dataclass(frozen=True)
class Layout:
    """Paths of the running node."""

    home: Path = HOME

    @property
    def lock(self) -> Path:
        """Lock that is held while the node is started or stopped; the file is never removed."""
        return self.home / "lock"

    @property
    def root(self) -> Path:
        """Directory of all files that one run of the node writes; removed when the node is stopped."""
        return self.home / "node"

    @property
    def certificates(self) -> Path:
        """Keys and certificates."""
        return self.root / "certificates"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def program(self) -> Path:
        """Link to the program; its name lets the first argument select the part."""
        return self.root / "kube"

    @property
    def bin(self) -> Path:
        """Directory for PATH that contains only `kubectl`."""
        return self.root / "bin"

    @property
    def kueue(self) -> Path:
        """Directory of Kueue, if it was started."""
        return self.root / "kueue"

    @property
    def facts(self) -> Path:
        """The facts of the running node (JSON), written once the node is ready."""
        return self.root / "facts.json"

    @property
    def cri_socket(self) -> Path:
        """The socket of containerd."""
        return self.root / "containerd.sock"

    @property
    def cri_state(self) -> Path:
        """The bundles and shims of containerd."""
        return self.root / "containerd-state"

    @property
    def runtime_state(self) -> Path:
        """The state of containers that runc stores."""
        return self.root / "runc"

    def record(self, part: str) -> Path:
        """Return the file that records the process of a part."""
        return self.root / "processes" / part

    def log(self, part: str) -> Path:
        """Return the log of a part."""
        return self.root / "logs" / f"{part}.log"

    def config(self, file: str) -> Path:
        """Return a configuration file."""
        return self.root / "config" / file
