"""The options of pandas (``pandas.set_option``)."""

from typing import Any, Dict, List, Optional, Tuple

from .libraries import apply_each, is_plain

_known: List[Tuple[str, Any, str, Any]] = []  # name, the mapping that holds its value, key in it, default


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the options that are not pandas' default."""
    config = module._config.config  # noqa: SLF001 -- pandas.describe_option returns text only
    registered = config._registered_options  # noqa: SLF001
    if len(_known) != len(registered):
        _known[:] = [_locate(config._global_config, name, option) for name, option in registered.items()]  # noqa: SLF001
    changed = {}
    for name, values, key, default in _known:
        value = values[key]
        if value is not default and value != default:
            changed[name] = value if is_plain(value) else pieces.pickled(f"pandas' option {name}", value)
    return changed or None


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Set the options that this version of pandas has."""
    apply_each("pandas' option", data, module.set_option)


def _locate(values: Any, name: str, option: Any) -> Tuple[str, Any, str, Any]:
    *parents, key = name.split(".")
    for parent in parents:
        values = values[parent]
    return name, values, key, option.defval
