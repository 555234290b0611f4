"""How parsers of argparse travel: their attributes may be ``argparse.SUPPRESS``, a string that is compared with ``is``."""

import copyreg
import sys
from typing import Any, Dict


def reduce(obj: Any) -> Any:
    """Return the reduced form of a parser, a group or an action."""
    return copyreg.__newobj__, (type(obj),), dict(vars(obj)), None, None, fill  # type: ignore[attr-defined]


def fill(obj: Any, state: Dict[str, Any]) -> None:
    """Set the attributes."""
    suppress = sys.modules["argparse"].SUPPRESS
    for name, value in state.items():
        vars(obj)[name] = suppress if type(value) is str and value == suppress else value
