"""What the state of plotting libraries says where a pod cannot show what the notebook has chosen (row C7).

The cells in ``differential/cells/state.ipy`` run with the libraries themselves. These tests need none of them.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from podtask.pickling.state import Pieces
from podtask.runner.state import (
    altair_settings,
    bokeh_output,
    holoviews_extension,
    libraries,
    panel_extension,
    plotly_settings,
)

PIECES = Pieces({}, "test")


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[str]]:
    """The lines for the user."""
    libraries.failures.clear()
    yield libraries.failures
    libraries.failures.clear()


class Registry:
    """A registry of altair."""

    _global_settings: dict[str, Any] = {"consolidate_datasets": True}  # noqa: RUF012

    def __init__(self) -> None:
        self.active, self.options = "default", dict[str, Any]()
        self._active: Any = len
        self._plugins: dict[str, Any] = {"default": len}

    def register(self, name: str, plugin: Any) -> None:
        self._plugins[name] = plugin

    def enable(self, name: str, **options: Any) -> None:
        self.active, self.options = name, options
        self._active = self._plugins.get(name)


def altair() -> Any:
    """Return a module like altair, in which nothing was chosen."""
    return types.SimpleNamespace(
        renderers=Registry(), data_transformers=Registry(), theme=types.SimpleNamespace(_themes=Registry())
    )


def send(module: Any, library: Any, pod: Any) -> None:
    """Apply the state of a notebook's module to a pod's module."""
    data = library.capture(module, PIECES)
    assert data is not None
    library.apply(pod, data)


def renderers(default: str, usual: str = "plotly_mimetype") -> Any:
    """Return a module like ``plotly.io._renderers``."""
    return types.SimpleNamespace(
        __name__="plotly.io._renderers",
        default_renderer=usual,
        renderers=types.SimpleNamespace(default=default, render_on_display=True, _to_activate=[1]),
    )


def test_c7_nothing_is_captured_by_default() -> None:
    """C7: a library in which nothing was chosen has no state."""
    assert altair_settings.capture(altair(), PIECES) is None
    assert plotly_settings.capture(renderers("plotly_mimetype"), PIECES) is None
    assert plotly_settings.capture(renderers("browser", "browser"), PIECES) is None  # a terminal
    store = types.SimpleNamespace(current_backend="matplotlib", renderers={})
    assert holoviews_extension.capture(types.SimpleNamespace(Store=store), PIECES) is None
    extension = types.SimpleNamespace(_loaded=False)
    assert panel_extension.capture(types.SimpleNamespace(extension=extension), PIECES) is None


def test_c7_what_altair_cannot_do_in_a_pod(failures: list[str]) -> None:
    """C7: a renderer that needs a browser or a kernel is replaced, and so are data in files; a line says so."""
    for name in ("browser", "jupyter"):
        notebook, pod = altair(), altair()
        notebook.renderers.enable(name, x=1)
        send(notebook, altair_settings, pod)
        assert pod.renderers.active == "default"
        assert f"altair's renderer {name} " in failures.pop()
    notebook, pod = altair(), altair()
    notebook.data_transformers.enable("json")
    notebook.data_transformers._global_settings = {"consolidate_datasets": False}
    send(notebook, altair_settings, pod)
    assert (pod.data_transformers.active, pod.data_transformers.options) == ("default", {"max_rows": None})
    assert pod.data_transformers._global_settings == {"consolidate_datasets": False}
    assert "altair's data transformer json writes files" in failures.pop()


def test_c7_an_own_plugin_of_altair(failures: list[str]) -> None:
    """C7: the user's own renderer or theme is sent with its options; one that cannot be pickled is named."""
    notebook, pod = altair(), altair()
    notebook.theme._themes.register("mine", sorted)
    notebook.theme._themes.enable("mine", key="value")
    send(notebook, altair_settings, pod)
    themes = pod.theme._themes
    assert (themes.active, themes._active, themes.options) == ("mine", sorted, {"key": "value"})
    pieces = Pieces({}, "altair")
    notebook.theme._themes.enable("mine", key=iter([sys._getframe()]))
    assert altair_settings.capture(notebook, pieces) is None
    line = "the options of altair's theme mine stays in the notebook: set it up in the cell"
    assert pieces.left_out == {"altair": [line]}
    assert failures == []


def test_c7_default_options_of_holoviews_are_named() -> None:
    """C7: options that an earlier cell has set are named, unless the current cell sets them again."""
    store = types.SimpleNamespace(current_backend="bokeh", renderers={"bokeh": 1}, display_formats=[])
    sets, other = "hv.opts.defaults(hv.opts.Curve(width=3))", "hv.Curve([1])"
    for cells, count in (([sets, other], 1), ([sets, f"{sets}; {other}"], 0), ([other, other], 0)):
        pieces = Pieces({"In": ["", *cells]}, "holoviews")
        holoviews_extension.capture(types.SimpleNamespace(Store=store), pieces)
        line = "hv.opts.defaults stays in the notebook: call it in the cell"
        assert pieces.left_out.get("holoviews", []) == [line] * count


@pytest.mark.parametrize(("version", "is_told"), [("3.9.2", False), ("3.7.1", True)])
def test_c7_another_version_of_bokeh(
    version: str, is_told: bool, failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """C7: the page has the JavaScript of the notebook's bokeh; a line says so if the pod has another version."""
    monkeypatch.setitem(sys.modules, "bokeh", types.SimpleNamespace(__version__=version))
    shown: list[str] = []
    state = types.SimpleNamespace(output_notebook=shown.append)
    data = {"notebook": "jupyter", "version": "3.9.2"}
    bokeh_output.apply(types.SimpleNamespace(curstate=lambda: state), data)
    assert shown == ["jupyter"]
    told = "bokeh is 3.7.1 in the pod and 3.9.2 in the notebook's page, so plots may not be shown: "
    assert failures == [f"{told}call output_notebook() in the cell"] * is_told
    failures.clear()


def test_c7_what_plotly_cannot_do_in_a_pod(failures: list[str]) -> None:
    """C7: the pod has no browser, and the JavaScript that the page has is not displayed again."""
    pod = renderers("plotly_mimetype")
    send(renderers("browser"), plotly_settings, pod)
    assert pod.renderers.default == "plotly_mimetype"
    assert "plotly's renderer browser opens a browser" in failures.pop()
    for used in (True, False):
        notebook, pod = renderers("notebook"), renderers("plotly_mimetype")
        notebook.renderers._to_activate = [] if used else [1]
        send(notebook, plotly_settings, pod)
        assert (pod.renderers.default, pod.renderers._to_activate == []) == ("notebook", used)
    pod = renderers("plotly_mimetype")
    send(renderers("colab", "colab"), plotly_settings, pod)  # the pod does not see that the page is Colab's
    assert pod.renderers.default == "colab"
    assert failures == []


def test_c7_other_versions_in_the_page(failures: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """C7: a line says that the page has the JavaScript of another version."""
    extension = types.SimpleNamespace(_loaded=True, _loaded_extensions=["tabulator"])
    notebook = types.SimpleNamespace(extension=extension, __version__="1.4.0")
    pod = types.SimpleNamespace(extension=types.SimpleNamespace(_loaded=False), __version__="1.5.0")
    monkeypatch.setitem(sys.modules, "panel", pod)
    send(notebook, panel_extension, pod)
    assert pod.extension == extension
    assert "panel is 1.5.0 in the pod and 1.4.0 in the notebook's page" in failures.pop()
