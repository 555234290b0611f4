"""The functions that a notebook provides to every cell: display, clear_output, input.

They replace IPython's functions. Each shown object becomes a mime bundle, as in the
Jupyter messaging protocol.
"""

import base64
import builtins
import functools
import io
import json
import os
import struct
import sys
import threading
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from .. import protocol
from ..streams import FrameWriter

REPR_METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_latex_": "text/latex",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
    "_repr_pdf_": "application/pdf",
}
MAX_PROMPT_CHARS = 32 << 10  # the prompt is in the meta of a frame, whose size is limited
# A widget cannot be displayed: its model would have to be in the notebook's kernel.
WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
MAX_REPR_CHARS = 64 << 10  # of a string, from which on the pretty printer limits the text
ATOMIC_TYPES = {int, float, complex, bool, str, bytes, type(None)}  # displayed by their repr


class ShellSettings:
    """Settings of the notebook's shell that differ from IPython's defaults.

    Attributes:
        interactivity: Which expressions of a cell are displayed, as IPython's ``ast_node_interactivity``.
        float_format: Format of floats, such as ``%.3f``; empty for their repr.
        formatters: MIME type -> full name of a class -> its formatter, which ``load`` loads.
        disabled: MIME types that are not shown.
        figure_formats: Formats of matplotlib's figures, as of ``InlineBackend.figure_formats``.
        figure_options: Arguments for writing them.
    """

    def __init__(self) -> None:
        self.interactivity = "last_expr"
        self.float_format = ""
        self.formatters: Dict[str, Dict[str, Any]] = {}
        self.load: Callable[[Any], Any] = lambda formatter: formatter
        self.disabled: List[str] = []
        self.figure_formats: List[str] = ["png"]
        self.figure_options: Dict[str, Any] = {"bbox_inches": "tight"}

    def formatter(self, kind: Any, mime: str) -> Any:
        """Return the user's formatter for a class or one of its bases; None if there is none."""
        known = self.formatters.get(mime)
        for each in kind.__mro__ if known else ():
            found = self.own_formatter(each, mime)
            if found is not None:
                return found
        return None

    def own_formatter(self, kind: Any, mime: str) -> Any:
        """Return the user's formatter for exactly this class; None if there is none, or it cannot be loaded."""
        known = self.formatters.get(mime, {})
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name in known and not callable(known[name]):
            try:
                known[name] = self.load(known[name])
            except Exception as error:
                print(
                    f"podtask: the notebook's formatter of {name} for {mime} cannot be loaded: "
                    f"{type(error).__name__}: {error}",
                    file=sys.stderr,
                )
                del known[name]
        return known.get(name)


settings = ShellSettings()  # of this process


def mime_bundle(obj: Any) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Return (data, metadata) that a notebook shows for an object.

    Follow IPython's order: ``_ipython_display_``, which displays the object itself, so the bundle is empty;
    then ``_repr_mimebundle_``; then the methods of single types. text/plain is always present. If a method
    raises an error, print the error and use the other methods.
    """
    data: Dict[str, Any] = {}
    metadata: Dict[str, Any] = {}
    if _method(obj, "_ipython_display_") is not None:
        try:
            obj._ipython_display_()
        except NotImplementedError:
            pass  # the object does not support it
        else:
            return {}, {}
    _merge(_call_method(obj, "_repr_mimebundle_", include=None, exclude=None), data, metadata)
    for method, mime in REPR_METHODS.items():
        if mime in data or mime in settings.disabled:
            continue
        formatter = settings.formatter(type(obj), mime)
        shown = (
            _call_method(obj, method) if formatter is None else _guarded(functools.partial(formatter, obj))
        )
        if isinstance(shown, tuple):
            shown, metadata[mime] = shown
        if shown is not None:
            data[mime] = shown
    if "image/png" not in data and _is_figure(obj) and (obj.axes or obj.lines):
        _add_figure(obj, data, metadata)
    if "text/plain" not in data:
        data["text/plain"] = _plain_text(obj)
    return {mime: _jsonable(value) for mime, value in data.items()}, metadata


def _plain_text(obj: Any) -> str:
    if settings.float_format and isinstance(obj, float):
        return str(settings.float_format % obj)
    atomic = type(obj) in ATOMIC_TYPES and "text/plain" not in settings.formatters
    if atomic and not (isinstance(obj, (str, bytes)) and len(obj) > MAX_REPR_CHARS):
        return repr(obj)
    # Start-up cost: loaded when it is first needed.
    from . import pretty

    return pretty.pformat(obj)


def _method(obj: Any, name: str) -> Any:
    """Return a method of an object; None for a class, and for an object that accepts any attribute name."""
    if isinstance(obj, type) or callable(getattr(obj, "_ipython_canary_method_should_not_exist_", None)):
        return None
    found = getattr(obj, name, None)
    return found if callable(found) else None


def _call_method(obj: Any, name: str, **options: Any) -> Any:
    def call() -> Any:
        method = _method(obj, name)
        return method(**options) if method is not None else None

    return _guarded(call)


def _guarded(call: Callable[[], Any]) -> Any:
    """Return what a function returns; print its error, and return None then."""
    try:
        return call()
    except NotImplementedError:
        return None  # the object does not support it
    except Exception as error:
        # Start-up cost: loaded when it is first needed.
        import traceback

        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename == _guarded.__code__.co_filename:
            frames = frames.tb_next  # the frames of this module say nothing to the user
        traceback.print_exception(type(error), error, frames)
        return None


def _is_figure(obj: Any) -> bool:
    figure = getattr(sys.modules.get("matplotlib.figure"), "Figure", None)
    return figure is not None and isinstance(obj, figure)


FIGURE_FORMATS = {  # name -> MIME type, matplotlib's format, factor of the resolution
    "png": ("image/png", "png", 1),
    "png2x": ("image/png", "png", 2),
    "retina": ("image/png", "png", 2),
    "jpg": ("image/jpeg", "jpg", 1),
    "jpeg": ("image/jpeg", "jpg", 1),
    "svg": ("image/svg+xml", "svg", 1),
    "pdf": ("application/pdf", "pdf", 1),
}


def _add_figure(figure: Any, data: Dict[str, Any], metadata: Dict[str, Any]) -> None:
    """Add a matplotlib figure in the notebook's formats, drawn as Jupyter's inline backend does."""
    for name in settings.figure_formats:
        mime, kind, factor = FIGURE_FORMATS.get(name, FIGURE_FORMATS["png"])
        file = io.BytesIO()
        options: Dict[str, Any] = {
            "facecolor": figure.get_facecolor(),
            "edgecolor": figure.get_edgecolor(),
            "dpi": figure.dpi,
            **settings.figure_options,
        }
        options["dpi"] *= factor
        figure.canvas.print_figure(file, format=kind, **options)
        picture = file.getvalue()
        data[mime] = picture.decode() if kind == "svg" else picture
        if factor != 1:
            width, height = struct.unpack(">ii", picture[16:24])
            metadata[mime] = {"width": width // factor, "height": height // factor}


class DisplayFrontend:
    """The functions that a cell calls to display objects and to ask for input.

    Args:
        writer: Sends the frames.
        replies_fd: Descriptor that answers are read from, one line of JSON each.
    """

    def __init__(self, writer: FrameWriter, replies_fd: int) -> None:
        self.guard = writer.guard
        self.capture: Any = None  # the publisher of an active IPython capture_output
        self._areas = threading.local()  # of each thread, the outputs whose blocks it executes
        self._writer = writer
        self._replies_fd = replies_fd
        self._reply_bytes = b""

    def install(self) -> None:
        """Install display, clear_output and input as builtins, and the hook that displays values."""
        installed[:] = [self]
        sys.displayhook = self._display_value
        for name in ("display", "clear_output", "input"):
            setattr(builtins, name, getattr(self, name))
        # Start-up cost: loaded when it is first needed.
        import getpass

        getpass.getpass = self.getpass

    def _display_value(self, value: Any) -> None:
        if value is not None:
            vars(sys.modules["__main__"])["_"] = value
            self.show_bundle(*mime_bundle(value))

    def display(
        self,
        *objects: Any,
        include: Optional[Iterable[str]] = None,
        exclude: Optional[Iterable[str]] = None,
        metadata: Optional[Dict[str, Any]] = None,
        transient: Optional[Dict[str, Any]] = None,
        display_id: Any = None,
        raw: bool = False,
        clear: bool = False,
        update: bool = False,
        **options: Any,
    ) -> Any:
        """Display objects under the cell; with ``display_id`` return a handle to update them."""
        chosen_id = os.urandom(16).hex() if display_id is True else display_id
        chosen_id = chosen_id or (transient or {}).get("display_id")
        if clear:
            self.clear_output(wait=True)
        for obj in objects:
            data, more = (obj, {}) if raw else mime_bundle(obj)
            data = {
                mime: value
                for mime, value in data.items()
                if (include is None or mime in include) and mime not in (exclude or ())
            }
            if data:
                self.show_bundle(data, {**more, **(metadata or {})}, chosen_id, update)
        return DisplayHandle(chosen_id) if display_id and not update else None

    def show_bundle(
        self,
        data: Dict[str, Any],
        metadata: Dict[str, Any],
        display_id: Optional[str] = None,
        update: bool = False,
        result: bool = False,
    ) -> None:
        """Send a mime bundle, unless IPython's ``capture_output`` captures it."""
        data = {mime: value for mime, value in data.items() if mime != WIDGET_MIME}
        if not data and not result:
            return
        if self.capture is not None and not result:
            transient = {"display_id": display_id} if display_id else {}
            self.capture.publish(data=data, metadata=metadata, transient=transient, update=update)
            return
        area = self._area
        if area is not None and not result:
            if not update:
                area.add_bundle(data, metadata, display_id)
                return
            if area.update_bundle(data, metadata, display_id):
                return
        self.send_bundle(data, metadata, display_id, update, result)

    def send_bundle(
        self,
        data: Any,
        metadata: Any,
        display_id: Optional[str],
        update: bool,
        result: bool = False,
    ) -> None:
        """Send a mime bundle, even if output is being captured."""
        meta = {"id": display_id, "update": update, "result": result}
        kept, too_large = protocol.drop_large(data)
        bundle = {"data": kept, "metadata": metadata, "too_large": too_large}
        text = json.dumps(bundle, default=str).encode()
        self._writer.emit(protocol.DISPLAY, meta, text)

    def clear_output(self, wait: bool = False) -> None:
        """Clear the cell's output; with ``wait`` only when the next output arrives.

        Within IPython's ``capture_output`` or an output of ipywidgets, only that is cleared.
        """
        if self.capture is not None:
            self.capture.clear_output(bool(wait))
            return
        if self._area is not None:
            self._area.clear(bool(wait))
            return
        self._writer.emit(protocol.CLEAR_OUTPUT, {"wait": bool(wait)})

    @property
    def _area(self) -> Any:
        """The innermost output whose block this thread executes, None outside of any."""
        areas = getattr(self._areas, "entered", None)
        return areas[-1] if areas else None

    def enter_area(self, area: Any) -> None:
        """Send the output of this thread to an output of ipywidgets."""
        vars(self._areas).setdefault("entered", []).append(area)
        self._writer.capture_text = self._capture_text

    def leave_area(self) -> None:
        """Send the output of this thread to where it went before."""
        self._areas.entered.pop()

    def _capture_text(self, data: bytes) -> bool:
        """Add text of a stream to the output that this thread writes to; return whether there is one."""
        area = self._area
        if area is not None:
            area.add_text(data)
        return area is not None

    def input(self, prompt: object = "") -> str:
        """Ask the user at the notebook for a line of text.

        Raises:
            EOFError: No user is there to answer.
        """
        return self.ask_user(str(prompt), password=False)

    def getpass(self, prompt: str = "Password: ", stream: Any = None) -> str:
        """Ask for a line of text without echo, as ``getpass.getpass`` does."""
        return self.ask_user(prompt, password=True)

    def ask_user(self, prompt: str, password: bool) -> str:
        """Ask the user for a line of text; a password is not echoed."""
        if len(prompt) > MAX_PROMPT_CHARS:
            prompt = f"{prompt[:MAX_PROMPT_CHARS]}…"
        self._writer.emit(protocol.INPUT_REQUEST, {"prompt": prompt, "password": password})
        while b"\n" not in self._reply_bytes:
            part = os.read(self._replies_fd, 65536)
            if not part:
                raise EOFError("the runner has ended")
            self._reply_bytes += part
        line, self._reply_bytes = self._reply_bytes.split(b"\n", 1)
        answer = json.loads(line)
        if answer.get("eof"):
            raise EOFError("no user is connected to answer")
        return str(answer["value"])


installed: List[DisplayFrontend] = []  # the frontend of this process, as the only element


class DisplayHandle:
    """The result of ``display(..., display_id=True)``, as in IPython.

    Args:
        display_id: Identifies the display; None for a new id.
    """

    def __init__(self, display_id: Optional[str] = None) -> None:
        self.display_id = display_id or os.urandom(16).hex()

    def __reduce__(self) -> Any:
        # In the notebook it is an instance of IPython's class, which may be missing here.
        made = "__import__('IPython.display', fromlist=['DisplayHandle']).DisplayHandle"
        return eval, (f"{made}({self.display_id!r})",)

    def __repr__(self) -> str:
        return f"<DisplayHandle display_id={self.display_id}>"

    def display(self, obj: Any, **options: Any) -> None:
        """Display an object again, under the same id."""
        installed[0].display(obj, display_id=self.display_id, **options)

    def update(self, obj: Any, **options: Any) -> None:
        """Replace the displayed object."""
        installed[0].display(obj, display_id=self.display_id, update=True, **options)


def _merge(shown: Any, data: Dict[str, Any], metadata: Dict[str, Any]) -> None:
    if isinstance(shown, tuple):
        shown, more = shown
        metadata.update(more or {})
    data.update(shown or {})


def _jsonable(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    return value
