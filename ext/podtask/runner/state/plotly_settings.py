"""Renderers and templates of plotly, and the defaults of ``plotly.express``."""

from typing import Any, Dict, Optional

from .libraries import apply_each, failures, is_plain

# The defaults of a pod, and of a notebook that runs in a terminal.
USUAL_RENDERERS = ("plotly_mimetype", "plotly_mimetype+notebook", "browser", "", None)
BROWSERS = {"browser", "chrome", "firefox", "chromium"}
TEMPLATES = (
    *("ggplot2", "seaborn", "simple_white", "plotly", "plotly_white", "plotly_dark", "presentation"),
    *("xgridoff", "ygridoff", "gridon", "none"),
)


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return what differs from plotly's default: of its renderers, its templates or ``plotly.express``."""
    if module.__name__ == "plotly.io._renderers":
        return _renderers(module)
    if module.__name__ == "plotly.io":
        return _templates(module.templates, pieces)
    usual = type(module.defaults)()
    changed = {
        name: value if is_plain(value) else pieces.pickled(f"plotly.express.defaults.{name}", value)
        for name, value in ((name, getattr(module.defaults, name)) for name in module.defaults.__slots__)
        if value is not getattr(usual, name) and value != getattr(usual, name)
    }
    return changed or None


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Set what was captured."""
    if module.__name__ == "plotly.io._renderers":
        _set_renderers(module.renderers, data)
    elif (
        module.__name__ == "plotly.io"
    ):  # which chooses the default template after it has imported all others
        apply_each("plotly's template", data["templates"], module.templates.__setitem__)
        module.templates.default = data["default"]
    else:
        apply_each("plotly.express.defaults", data, lambda name, value: setattr(module.defaults, name, value))


def _renderers(module: Any) -> Optional[Dict[str, Any]]:
    name, on_display = module.renderers.default, module.renderers.render_on_display
    if (name or None) == module.default_renderer and name in USUAL_RENDERERS and on_display:
        return None
    # The page has the JavaScript of the renderers that have shown a figure.
    return {"default": name, "on_display": on_display, "active": not module.renderers._to_activate}  # noqa: SLF001


def _set_renderers(renderers: Any, data: Dict[str, Any]) -> None:
    renderers.render_on_display = data["on_display"]
    name = data["default"]
    if name and BROWSERS.intersection(name.split("+")):
        failures.append(
            f"plotly's renderer {name} opens a browser, which the pod lacks: figures are shown below the cell. "
            "To choose another one, set pio.renderers.default in the cell"
        )
        return
    renderers.default = name
    if data["active"]:
        renderers._to_activate = []  # noqa: SLF001 -- else the JavaScript is displayed again, 5 MB of it


def _templates(templates: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    own = {name: templates[name].to_plotly_json() for name in templates if name not in TEMPLATES}
    if templates.default == "plotly" and not own:
        return None
    return {
        "default": templates.default,
        "templates": {
            name: value if is_plain(value) else pieces.pickled(f"plotly's template {name}", value)
            for name, value in own.items()
        },
    }
