"""The current context of ``decimal``: precision, rounding, exponents, traps."""

from typing import Any, List, Optional

FIELDS = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def capture(module: Any, pieces: Any) -> Optional[List[Any]]:
    """Return the context if it is not the default one."""
    found = _describe(module.getcontext())
    return None if found == DEFAULT else found


def apply(module: Any, data: List[Any]) -> None:
    """Change the current context; its flags stay."""
    context = module.getcontext()
    *fields, traps = data
    for name, value in zip(FIELDS, fields):  # noqa: B905 -- strict= is newer than Python 3.9
        setattr(context, name, value)
    for signal in context.traps:
        context.traps[signal] = signal.__name__ in traps


def _describe(context: Any) -> List[Any]:
    traps = sorted(signal.__name__ for signal, trapped in context.traps.items() if trapped)
    return [*(getattr(context, name) for name in FIELDS), traps]


DEFAULT = [
    28,
    "ROUND_HALF_EVEN",
    -999999,
    999999,
    1,
    0,
    ["DivisionByZero", "InvalidOperation", "Overflow"],
]
