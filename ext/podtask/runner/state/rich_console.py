"""The settings of rich's global console (``rich.reconfigure``), which ``rich.print`` and others use."""

from typing import Any, Optional

from ..reducers import rich_consoles
from .libraries import LOST, value_of


def capture(module: Any, pieces: Any) -> Optional[Any]:
    """Return the settings and styles that are not those of a new console; None if there are none."""
    console = module._console  # noqa: SLF001 -- get_console() would create it
    if console is None:
        return None
    state = rich_consoles.changed_settings(console), rich_consoles.changed_styles(console)
    piece = pieces.pickled("the settings of rich's console", state) if any(state) else LOST
    return None if piece == LOST else piece


def apply(module: Any, data: Any) -> None:
    """Set up the global console in the same way."""
    rich_consoles.fill_console(module.get_console(), value_of(data))
