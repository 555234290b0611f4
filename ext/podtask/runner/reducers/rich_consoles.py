"""How a console of rich travels: by the settings that differ from those of a new console on the same side."""

import functools
import sys
from typing import Any, Dict, Optional

# Locks, and what belongs to a thread or to a display that is shown at the moment.
NOT_SENT = ("_lock", "_record_buffer_lock", "_thread_locals", "_render_hooks", "_live", "_live_stack")


def reduce(console: Any) -> Any:
    """Return the reduced form of a console; the global one becomes that of the other side."""
    if console is sys.modules["rich"]._console:  # noqa: SLF001 -- get_console() would create it
        return eval, ("__import__('rich').get_console()",)
    return type(console), (), (changed_settings(console), changed_styles(console)), None, None, fill_console


def changed_settings(console: Any) -> Dict[str, Any]:
    """Return the attributes of a console that a new one does not have."""
    kind: Any = type(console)
    usual = _attributes_of_new(kind)
    return {
        name: value
        for name, value in vars(console).items()
        if name not in NOT_SENT and not _is_equal(name, value, usual.get(name))
    }


def changed_styles(console: Any) -> Dict[str, Optional[Any]]:
    """Return the styles of a console's theme that are not rich's own; None for one that the theme lacks."""
    own = console._thread_locals.theme_stack._entries[-1]  # noqa: SLF001
    usual = sys.modules["rich.default_styles"].DEFAULT_STYLES
    if own == usual:
        return {}
    return {name: own.get(name) for name in {**usual, **own} if own.get(name) != usual.get(name)}


def fill_console(console: Any, state: Any) -> None:
    """Give a console settings and styles."""
    settings, styles = state
    vars(console).update(settings)
    if styles:
        usual = sys.modules["rich.default_styles"].DEFAULT_STYLES
        entries = {name: style for name, style in {**usual, **styles}.items() if style is not None}
        console.push_theme(sys.modules["rich.theme"].Theme(entries, inherit=False), inherit=False)


@functools.lru_cache(None)
def _attributes_of_new(kind: Any) -> Dict[str, Any]:
    return {**vars(kind())}


def _is_equal(name: str, value: Any, usual: Any) -> bool:
    if name == "_log_render":  # of a class that compares by identity
        value, usual = vars(value), {**vars(usual), "_last_time": value._last_time}  # noqa: SLF001
    return bool(value == usual)
