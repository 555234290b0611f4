"""Where everything of the running node lies, and its addresses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# One per machine, as bridges and addresses are; short, because a socket's path may
# have 107 characters at most.
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
    """The paths below the directory of the running node."""

    home: Path = HOME

    @property
    def lock(self) -> Path:
        """Held while the node is started or stopped; stays when it is gone."""
        return self.home / "lock"

    @property
    def root(self) -> Path:
        """All that one run of the node writes; removed when it is stopped."""
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
        """A link to the program by the name that lets its first argument pick the part."""
        return self.root / "kube"

    @property
    def bin(self) -> Path:
        """A directory for PATH with nothing but `kubectl` in it."""
        return self.root / "bin"

    @property
    def facts(self) -> Path:
        """What the running node was started with (JSON), written once it is ready."""
        return self.root / "facts.json"

    @property
    def cri_socket(self) -> Path:
        """Containerd's socket."""
        return self.root / "containerd.sock"

    @property
    def cri_state(self) -> Path:
        """Containerd's bundles and shims."""
        return self.root / "containerd-state"

    @property
    def runtime_state(self) -> Path:
        """What runc notes about containers."""
        return self.root / "runc"

    def record(self, part: str) -> Path:
        """Return where a part's process is recorded."""
        return self.root / "processes" / part

    def log(self, part: str) -> Path:
        """Return a part's log."""
        return self.root / "logs" / f"{part}.log"

    def config(self, file: str) -> Path:
        """Return a configuration file."""
        return self.root / "config" / file
