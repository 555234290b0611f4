"""How numpy prints arrays, and what it does about floating-point errors (``numpy.seterr``)."""

from typing import Any, Dict, Optional

from .libraries import apply_each

PRINTING = {
    "edgeitems": 3,
    "threshold": 1000,
    "floatmode": "maxprec",
    "precision": 8,
    "suppress": False,
    "linewidth": 75,
    "nanstr": "nan",
    "infstr": "inf",
    "sign": "-",
    "formatter": None,
    "legacy": False,
    "override_repr": None,
}
ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the options that are not numpy's default."""
    errors = module.geterr()
    changed = {
        name: value for name, value in module.get_printoptions().items() if value != PRINTING.get(name)
    }
    if not changed and errors == ERRORS:
        return None
    for name in ("formatter", "override_repr"):
        if changed.get(name) is not None:
            changed[name] = pieces.pickled(f"numpy's print option {name}", changed[name])
    return {"printing": changed, "errors": {} if errors == ERRORS else errors}


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Set the options that this version of numpy has."""
    apply_each(
        "numpy's print option", data["printing"], lambda name, value: module.set_printoptions(**{name: value})
    )
    module.seterr(**data["errors"])
