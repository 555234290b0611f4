"""The code of the page with examples of real work."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs" / "howto" / "examples.md"


def example(title: str) -> list[str]:
    """Return the blocks of code of an example.

    Args:
        title: The heading of its section.
    """
    _, _, section = PAGE.read_text().partition(f"\n## {title}\n")
    return re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
