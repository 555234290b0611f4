"""Renderers, data transformers and themes of altair (``alt.renderers.enable``)."""

from typing import Any, Dict, Iterator, Optional, Tuple

from .libraries import LOST, failures, is_plain, value_of

DATA_FILES = ("json", "csv")
NOT_IN_A_POD = {
    "browser": "opens a browser, which the pod lacks",
    "jupyter": "shows a widget, which needs a kernel",
}


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return (plugin, options, settings, own plugin) of each registry in which a plugin was chosen."""
    found = {}
    for label, registry in _registries(module):
        name, options, settings = registry.active, registry.options, registry._global_settings  # noqa: SLF001
        if name == "default" and not options and settings == type(registry)._global_settings:  # noqa: SLF001
            continue
        own = None
        if not str(getattr(registry._active, "__module__", "")).startswith(("altair.", "vegafusion.")):  # noqa: SLF001
            own = pieces.pickled(f"altair's {label} {name}", registry._active)  # noqa: SLF001
        if not is_plain(options):
            options = pieces.pickled(f"the options of altair's {label} {name}", options)
        if LOST not in (own, options):
            found[label] = (name, options, dict(settings), own)
    return found or None


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Enable the plugins; one that does not work in a pod is replaced by the default, which the user is told."""
    for label, registry in _registries(module):
        if label not in data:
            continue
        name, options, settings, own = data[label]
        if own is not None:
            registry.register(name, value_of(own))
        if label == "renderer" and name in NOT_IN_A_POD:
            failures.append(
                f"altair's renderer {name} {NOT_IN_A_POD[name]}: charts are shown below the cell. To choose "
                "another one, call alt.renderers.enable() in the cell"
            )
        elif label == "data transformer" and name in DATA_FILES:
            registry.enable("default", max_rows=None)
            failures.append(
                f"altair's data transformer {name} writes files into the pod, where the notebook's page cannot "
                "read them: charts contain their data"
            )
        else:
            registry.enable(name, **value_of(options))
        registry._global_settings = {**registry._global_settings, **settings}  # noqa: SLF001


def _registries(module: Any) -> Iterator[Tuple[str, Any]]:
    """Yield the registries of plugins; that of themes has moved in altair 5.5, where its old name warns."""
    names = vars(module)
    themes = getattr(names.get("theme"), "_themes", None) or names.get("themes")
    registries = ("renderer", names["renderers"]), ("data transformer", names["data_transformers"])
    yield from (*registries, ("theme", themes)) if themes is not None else registries
