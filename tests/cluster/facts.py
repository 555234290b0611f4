"""What the running node was started with, for those who come later."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.parts import Ports


@dataclass(frozen=True)
class Facts:
    """One run of the node.

    Attributes:
        program: The program's name in the cache.
        ports: Its ports on loopback.
        images: The files of the images that it has.
    """

    program: str
    ports: Ports
    images: tuple[str, ...] = ()

    def write(self, path: Path) -> None:
        """Write them so that a reader finds either the old ones or these."""
        aside = path.with_suffix(".new")
        aside.write_text(json.dumps(asdict(self)))
        aside.rename(path)


def read(path: Path) -> Facts | None:
    """Return the facts in a file; None if it is missing or no power cut left it whole."""
    if not path.exists():
        return None
    try:
        known = json.loads(path.read_text())
        return Facts(known["program"], Ports(**known["ports"]), tuple(known["images"]))
    except (ValueError, KeyError, TypeError):
        # A file of zeros or of another version of this code: the node is started anew.
        return None
