"""The plotting backends of holoviews: ``hv.extension("bokeh")``.

The extension needs IPython and its kernel to display anything. In a pod, a display hook of ours draws the plots
with the same renderer. The notebook's page has loaded the JavaScript already.
"""

import re
import sys
from typing import Any, Dict, Optional, Tuple

from .libraries import failures

VERSIONS = ("bokeh", "panel")  # whose JavaScript is in the page
# holoviews keeps no record of the options that were set, apart from its own defaults.
SETS_DEFAULTS = re.compile(r"\bopts\.defaults\(|^%opts ", re.MULTILINE)


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the backends, the current one first, and the versions in the page; None if there is none."""
    store = module.Store
    if store.current_backend not in store.renderers:
        return None
    if pieces.has_run(SETS_DEFAULTS):
        pieces.leave_out("hv.opts.defaults", "call it in the cell")
    backends = sorted(store.renderers, key=lambda name: bool(name != store.current_backend))
    versions = {name: sys.modules[name].__version__ for name in VERSIONS if name in sys.modules}
    return {"backends": backends, "formats": list(store.display_formats), "versions": versions}


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Load the backends and show plots with them."""
    store, extension = module.Store, module.extension
    base = next(each for each in extension.__mro__ if each.__module__ == "holoviews.util")
    for name in data["backends"]:
        __import__(f"holoviews.plotting.{base._backends[name]}")  # noqa: SLF001
    store.set_current_backend(data["backends"][0])
    store.display_formats = data["formats"]
    kind: Any = module.core.dimension.LabelledData
    if not store._display_hooks:  # noqa: SLF001
        store.set_display_hook("html+js", kind, lambda obj: _show(store, obj))
    for name, version in data["versions"].items():
        ours = getattr(sys.modules.get(name), "__version__", version)
        if ours != version:
            failures.append(
                f"{name} is {ours} in the pod and {version} in the notebook's page, so plots may not be shown: "
                "use an image with the notebook's version"
            )


def _show(store: Any, obj: Any) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Return the MIME bundle of a plot, with its JavaScript as part of the HTML, as holoviews itself does."""
    to_html = sys.modules["holoviews"].core.util.mimebundle_to_html
    data, metadata = store.renderers[store.current_backend].components(obj)
    script = "application/javascript"
    if script in data:
        data["text/html"] = to_html(data)
        del data[script]
    return data, metadata
