"""The configuration of scikit-learn (``sklearn.set_config``)."""

from typing import Any, Dict, Optional

from .libraries import apply_each, is_plain


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the settings that are not scikit-learn's default."""
    defaults = module._config._global_config  # noqa: SLF001 -- what the import has set
    changed = {}
    for name, value in module.get_config().items():
        if value != defaults.get(name):
            label = f"scikit-learn's setting {name}"
            changed[name] = value if is_plain(value) else pieces.pickled(label, value)
    return changed or None


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Set the settings that this version of scikit-learn has."""
    apply_each("scikit-learn's setting", data, lambda name, value: module.set_config(**{name: value}))
