"""Facts about the running node, stored for later processes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.parts import Ports


@dataclass(frozen=True)
class Facts:
    """How the running node was started.

    Attributes:
        program: The program's name in the cache.
        ports: Its ports on loopback.
        images: The files of the images that it has.
    """

    program: str
    ports: Ports
    images: tuple[str, ...] = ()

    def write(self, path: Path) -> None:
        """Write the facts atomically: a reader finds either the old facts or the new ones."""
        aside = path.with_suffix(".new")
        aside.write_text(json.dumps(asdict(self)))
        aside.rename(path)


def read(path: Path) -> Facts | None:
    """Return the facts in a file, or None if the file is missing or was damaged by a power cut."""
    if not path.exists():
        return None
    try:
        known = json.loads(path.read_text())
        return Facts(known["program"], Ports(**known["ports"]), tuple(known["images"]))
    except (ValueError, KeyError, TypeError):
        # The file contains zeros or was written by another version of this code. The node is restarted.
        return None
