"""The locale of numbers, dates, money and sorting (``locale.setlocale``)."""

from typing import Any, Dict, Optional

from .libraries import apply_each

CATEGORIES = ("LC_NUMERIC", "LC_TIME", "LC_MONETARY", "LC_COLLATE")  # Python itself sets LC_CTYPE only
DEFAULT = "C"


def capture(module: Any, pieces: Any) -> Optional[Dict[str, str]]:
    """Return the categories for which a locale was set."""
    found = {name: module.setlocale(getattr(module, name)) for name in CATEGORIES}
    return {name: value for name, value in found.items() if value != DEFAULT} or None


def apply(module: Any, data: Dict[str, str]) -> None:
    """Set the locales that the image has."""
    apply_each("locale", data, lambda name, value: module.setlocale(getattr(module, name), value))
