"""The rcParams of matplotlib: style sheets, figure sizes, fonts."""

from typing import Any, Dict, Optional

from .libraries import apply_each, is_plain

# They belong to the machine, not to the figures.
NEVER_SENT = (
    "backend",  # ipykernel sets it
    "interactive",
    "savefig.directory",
    "datapath",
    "toolbar",
    "webagg.",
    "tk.",
    "animation.",
)


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the parameters that are not matplotlib's default."""
    # Not by the methods of RcParams, which validate: the lookup of "backend" would choose one.
    names, values = [*dict.keys(module.rcParams)], [*dict.values(module.rcParams)]
    default = module.rcParamsDefault
    usual_values = [*dict.values(default)]
    if [*dict.keys(default)] != names:
        usual_values = [dict.get(default, name) for name in names]
    place = names.index("backend")
    values[place] = usual_values[place]
    if values == usual_values:  # several times faster than the loop below
        return None
    changed: Dict[str, Any] = {}
    for place, value in enumerate(values):
        name, usual = names[place], usual_values[place]
        if value is not usual and value != usual and not name.startswith(NEVER_SENT):
            sent = repr(value) if name == "axes.prop_cycle" else value  # as in a matplotlibrc
            changed[name] = sent if is_plain(sent) else pieces.pickled(f"matplotlib's parameter {name}", sent)
    return changed or None


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Set the parameters that this version of matplotlib has."""
    apply_each("matplotlib's parameter", data, module.rcParams.__setitem__)
