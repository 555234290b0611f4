"""What a notebook's cell finds beside its names: display, clear_output, input.

Stand-ins for the image that has no IPython; what they show is a mime bundle, as in the Jupyter
messaging protocol.
"""

import base64
import builtins
import io
import json
import os
import sys
from typing import Any, Dict, Iterable, List, Optional, Tuple

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
MAX_PROMPT_CHARS = 32 << 10  # characters: it goes in the head of a frame
# A widget's model lives in the kernel of its page; the notebook has none of the pod's.
WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
ATOMIC_TYPES = {int, float, complex, bool, str, bytes, type(None)}  # their repr is how they are shown


def mime_bundle(obj: Any) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Returns (data, metadata) of what a notebook shows for an object.

    Follows IPython's order: ``_ipython_display_``, which shows the object itself (nothing is left
    to show then), ``_repr_mimebundle_``, the methods of single types. text/plain is always there.
    A method that fails is reported, and the others are shown.
    """
    data: Dict[str, Any] = {}
    metadata: Dict[str, Any] = {}
    if _method(obj, "_ipython_display_") is not None:
        try:
            obj._ipython_display_()
        except NotImplementedError:
            pass  # how an object says: not here
        else:
            return {}, {}
    _merge(_call_method(obj, "_repr_mimebundle_", include=None, exclude=None), data, metadata)
    for method, mime in REPR_METHODS.items():
        shown = _call_method(obj, method) if mime not in data else None
        if isinstance(shown, tuple):
            shown, metadata[mime] = shown
        if shown is not None:
            data[mime] = shown
    if "image/png" not in data and _is_figure(obj) and (obj.axes or obj.lines):
        data["image/png"] = _figure_png(obj)
    if "text/plain" not in data:
        data["text/plain"] = _plain_text(obj)
    return {mime: _jsonable(value) for mime, value in data.items()}, metadata


def _plain_text(obj: Any) -> str:
    if type(obj) in ATOMIC_TYPES:
        return repr(obj)
    from . import pretty  # takes its time

    return pretty.pformat(obj)


def _method(obj: Any, name: str) -> Any:
    """Returns a method of an object; None for a class, and for what has any attribute."""
    if isinstance(obj, type) or callable(getattr(obj, "_ipython_canary_method_should_not_exist_", None)):
        return None
    found = getattr(obj, name, None)
    return found if callable(found) else None


def _call_method(obj: Any, name: str, **options: Any) -> Any:
    try:
        method = _method(obj, name)
        return method(**options) if method is not None else None
    except NotImplementedError:
        return None  # how an object says: not here
    except Exception as error:
        import traceback

        below = getattr(error.__traceback__, "tb_next", None)  # without this frame
        traceback.print_exception(type(error), error, below)
        return None


def _is_figure(obj: Any) -> bool:
    figure = getattr(sys.modules.get("matplotlib.figure"), "Figure", None)
    return figure is not None and isinstance(obj, figure)


def _figure_png(figure: Any) -> bytes:
    """Returns the PNG of a figure of matplotlib, as Jupyter's inline backend draws it."""
    file = io.BytesIO()
    figure.canvas.print_figure(
        file,
        format="png",
        facecolor=figure.get_facecolor(),
        edgecolor=figure.get_edgecolor(),
        dpi=figure.dpi,
        bbox_inches="tight",
    )
    return file.getvalue()


class DisplayFrontend:
    """The functions that a cell calls to show and to ask.

    Args:
        writer: where the frames go.
        replies_fd: descriptor that answers come from, a line of JSON each.
    """

    def __init__(self, writer: FrameWriter, replies_fd: int) -> None:
        self.guard = writer.guard
        self.capture: Any = None  # IPython's publisher that keeps what is shown, where one is at work
        self._writer = writer
        self._replies_fd = replies_fd
        self._reply_bytes = b""

    def install(self) -> None:
        """Puts display, clear_output, input where a cell looks for them."""
        installed[:] = [self]
        for name in ("display", "clear_output", "input"):
            setattr(builtins, name, getattr(self, name))
        import getpass

        getpass.getpass = self.getpass

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
        """Shows objects under the cell; with ``display_id`` returns a handle to change it."""
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
                self.show(data, {**more, **(metadata or {})}, chosen_id, update)
        return DisplayHandle(self, chosen_id) if display_id and not update else None

    def show(
        self,
        data: Dict[str, Any],
        metadata: Dict[str, Any],
        display_id: Optional[str] = None,
        update: bool = False,
        result: bool = False,
    ) -> None:
        """Sends a mime bundle."""
        data = {mime: value for mime, value in data.items() if mime != WIDGET_MIME}
        if not data and not result:
            return
        if self.capture is not None and not result:
            transient = {"display_id": display_id} if display_id else {}
            self.capture.publish(data=data, metadata=metadata, transient=transient, update=update)
            return
        self.send(data, metadata, display_id, update, result)

    def send(
        self,
        data: Any,
        metadata: Any,
        display_id: Optional[str],
        update: bool,
        result: bool = False,
    ) -> None:
        """Sends a mime bundle, whoever captures what is shown."""
        meta = {"id": display_id, "update": update, "result": result}
        text = json.dumps({"data": data, "metadata": metadata}, default=str).encode()
        self._writer.emit(protocol.DISPLAY, meta, text)

    def clear_output(self, wait: bool = False) -> None:
        """Empties the cell's output, with ``wait`` at the next thing shown."""
        self._writer.emit(protocol.CLEAR_OUTPUT, {"wait": bool(wait)})

    def input(self, prompt: object = "") -> str:
        """Asks the person at the notebook.

        Raises:
            EOFError: nobody is there.
        """
        return self.ask(str(prompt), password=False)

    def getpass(self, prompt: str = "Password: ", stream: Any = None) -> str:
        """Asks without echo, as ``getpass.getpass``."""
        return self.ask(prompt, password=True)

    def ask(self, prompt: str, password: bool) -> str:
        """Asks for a line of text; a password is not echoed."""
        if len(prompt) > MAX_PROMPT_CHARS:
            prompt = f"{prompt[:MAX_PROMPT_CHARS]}…"
        self._writer.emit(protocol.INPUT_REQUEST, {"prompt": prompt, "password": password})
        while b"\n" not in self._reply_bytes:
            part = os.read(self._replies_fd, 65536)
            if not part:
                raise EOFError("the runner is gone")
            self._reply_bytes += part
        line, self._reply_bytes = self._reply_bytes.split(b"\n", 1)
        answer = json.loads(line)
        if answer.get("eof"):
            raise EOFError("nobody is there to answer")
        return str(answer["value"])


installed: List[DisplayFrontend] = []  # the one of this process


class DisplayHandle:
    """What ``display(..., display_id=True)`` returns, as in IPython.

    Args:
        frontend: shows it.
        display_id: names it; a new name where it is None.
    """

    def __init__(self, frontend: DisplayFrontend, display_id: Optional[str] = None) -> None:
        self.display_id = display_id or os.urandom(16).hex()
        self._frontend = frontend

    def __repr__(self) -> str:
        return f"<DisplayHandle display_id={self.display_id}>"

    def display(self, obj: Any, **options: Any) -> None:
        """Shows the object again, under the same id."""
        self._frontend.display(obj, display_id=self.display_id, **options)

    def update(self, obj: Any, **options: Any) -> None:
        """Replaces what is shown."""
        self._frontend.display(obj, display_id=self.display_id, update=True, **options)


def _merge(shown: Any, data: Dict[str, Any], metadata: Dict[str, Any]) -> None:
    if isinstance(shown, tuple):
        shown, more = shown
        metadata.update(more or {})
    data.update(shown or {})


def _jsonable(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    return value
