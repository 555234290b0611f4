"""What a notebook's cell finds beside its names: display, clear_output, input.

Stand-ins for the image that has no IPython; what they show is a mime bundle, as in the Jupyter
messaging protocol.
"""

import base64
import builtins
import json
import os
from typing import Any, Dict, Optional, Tuple

from . import wire
from .output import Emitter

METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_latex_": "text/latex",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
}


def bundle(obj: Any) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Returns (data, metadata) of what a notebook shows for an object; text/plain is always there.

    Follows IPython's order: ``_repr_mimebundle_`` first, then the methods of single types.
    """
    data: Dict[str, Any] = {}
    metadata: Dict[str, Any] = {}
    if not isinstance(obj, type):
        whole = getattr(obj, "_repr_mimebundle_", None)
        if callable(whole):
            _merge(whole(include=None, exclude=None), data, metadata)
        for method, mime in METHODS.items():
            single = getattr(obj, method, None)
            if mime not in data and callable(single):
                shown = single()
                if isinstance(shown, tuple):
                    shown, metadata[mime] = shown
                if shown is not None:
                    data[mime] = shown
    data.setdefault("text/plain", repr(obj))
    return {mime: _jsonable(value) for mime, value in data.items()}, metadata


class Front:
    """The functions that a cell calls to show and to ask.

    Args:
        emitter: where the frames go.
        replies: descriptor that answers come from, a line of JSON each.
    """

    def __init__(self, emitter: Emitter, replies: int) -> None:
        self.shield = emitter.shield
        self._emitter = emitter
        self._replies = replies
        self._rest = b""

    def install(self) -> None:
        """Puts display, clear_output, input where a cell looks for them."""
        for name in ("display", "clear_output", "input"):
            setattr(builtins, name, getattr(self, name))
        import getpass

        getpass.getpass = self.getpass

    def display(self, *objects: Any, display_id: Any = None, **options: Any) -> Any:
        """Shows objects under the cell; with ``display_id`` returns a handle to change it."""
        update = bool(options.get("update"))
        wanted = os.urandom(16).hex() if display_id is True else display_id
        for obj in objects:
            if options.get("raw"):
                self.show(obj, options.get("metadata") or {}, wanted, update)
            else:
                self.show(*bundle(obj), wanted, update)
        return Handle(self, wanted) if wanted and not update else None

    def show(
        self,
        data: Dict[str, Any],
        metadata: Dict[str, Any],
        display_id: Optional[str] = None,
        update: bool = False,
        result: bool = False,
    ) -> None:
        """Sends a mime bundle."""
        meta = {"id": display_id, "update": update, "result": result}
        text = json.dumps({"data": data, "metadata": metadata}, default=str).encode()
        self._emitter.emit(wire.DISPLAY, meta, text)

    def clear_output(self, wait: bool = False) -> None:
        """Empties the cell's output, with ``wait`` at the next thing shown."""
        self._emitter.emit(wire.CLEAR, {"wait": bool(wait)})

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
        self._emitter.emit(wire.ASK, {"prompt": prompt, "password": password})
        while b"\n" not in self._rest:
            part = os.read(self._replies, 65536)
            if not part:
                raise EOFError("the runner is gone")
            self._rest += part
        line, self._rest = self._rest.split(b"\n", 1)
        answer = json.loads(line)
        if answer.get("eof"):
            raise EOFError("nobody is there to answer")
        return str(answer["value"])


class Handle:
    """What ``display(..., display_id=True)`` returns, as in IPython."""

    def __init__(self, front: Front, display_id: str) -> None:
        self.display_id = display_id
        self._front = front

    def display(self, obj: Any) -> None:
        """Shows the object again, under the same id."""
        self._front.display(obj, display_id=self.display_id)

    def update(self, obj: Any) -> None:
        """Replaces what is shown."""
        self._front.display(obj, display_id=self.display_id, update=True)


def _merge(shown: Any, data: Dict[str, Any], metadata: Dict[str, Any]) -> None:
    if isinstance(shown, tuple):
        shown, more = shown
        metadata.update(more or {})
    data.update(shown or {})


def _jsonable(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    return value
