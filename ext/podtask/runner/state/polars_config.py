"""How polars prints tables (``polars.Config``)."""

from typing import Any, Optional

DEFAULTS = {  # of the settings that are not kept in environment variables
    "set_fmt_float": "mixed",
    "set_float_precision": None,
    "set_thousands_separator": "",
    "set_decimal_separator": ".",
    "set_trim_decimal_zeros": False,
}


def capture(module: Any, pieces: Any) -> Optional[str]:
    """Return the configuration as JSON if it is not polars' default."""
    found = module.Config.state(if_set=True)
    if all(value == DEFAULTS.get(name) for name, value in found.items()):
        return None
    saved: str = module.Config.save(if_set=True)
    return saved


def apply(module: Any, data: str) -> None:
    """Set the configuration."""
    module.Config.load(data)
