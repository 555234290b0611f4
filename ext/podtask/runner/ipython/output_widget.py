"""``ipywidgets.Output`` without a browser: its text and displays are shown as one display, which is updated.

rich shows its progress bars in such an output, and clears it again and again.
"""

import html
import os
import re
import time
import traceback
from typing import Any, Dict, List, Optional, Tuple

from .display import DisplayFrontend, mime_bundle

UPDATE_SECONDS = 0.1  # between two updates while a block is still writing
MAX_TEXT_CHARS = 256 << 10  # of the text of one output; the newest is kept
OVERWRITTEN = re.compile(r"^[^\n]*\r(?!\n)", re.MULTILINE)  # part of a line before a carriage return
PICTURES = ("image/png", "image/jpeg")


class OutputArea:
    """The content of one output: text and displays.

    Args:
        frontend: Displays the content.
    """

    def __init__(self, frontend: DisplayFrontend) -> None:
        self._frontend = frontend
        self._id = os.urandom(16).hex()
        self._parts: List[
            Tuple[Optional[str], Dict[str, Any], Dict[str, Any]]
        ] = []  # display id, data, metadata
        self._text: List[str] = []  # follows the parts, and is not joined with them yet
        self._text_chars = 0
        self._is_shown = False
        self._clears_next = False
        self._is_changed = False
        self._sent = 0.0

    def show(self) -> None:
        """Display the content here; from now on it is updated in this place."""
        self._is_shown, self._is_changed = True, False
        self._frontend.send_bundle(*self._bundle(), self._id, update=False)

    def add_text(self, data: bytes) -> None:
        """Add text of a stream."""
        self._clear_if_asked()
        text = data.decode("utf-8", "replace")
        self._text.append(text)
        self._text_chars += len(text)
        if self._text_chars > MAX_TEXT_CHARS:
            self._join_text()
        self._is_changed = True
        if text.endswith("\n"):
            self._change()

    def add_bundle(self, data: Dict[str, Any], metadata: Dict[str, Any], display_id: Optional[str]) -> None:
        """Add a display."""
        self._clear_if_asked()
        self._join_text()
        self._parts.append((display_id, data, metadata))
        self._change()

    def update_bundle(
        self, data: Dict[str, Any], metadata: Dict[str, Any], display_id: Optional[str]
    ) -> bool:
        """Replace a display that is in this output; return whether there is one."""
        places = [place for place, part in enumerate(self._parts) if display_id and part[0] == display_id]
        for place in places:
            self._parts[place] = display_id, data, metadata
        if places:
            self._change()
        return bool(places)

    def clear(self, wait: bool) -> None:
        """Remove the content; with ``wait`` only when something is added."""
        self._clears_next = wait
        if not wait:
            self._remove_all()
            self._change()

    def send(self) -> None:
        """Update the display if the content has changed."""
        if self._is_shown and self._is_changed:
            self._is_changed, self._sent = False, time.monotonic()
            self._frontend.send_bundle(*self._bundle(), self._id, update=True)

    def _clear_if_asked(self) -> None:
        if self._clears_next:
            self._clears_next = False
            self._remove_all()

    def _remove_all(self) -> None:
        self._parts.clear()
        self._text, self._text_chars = [], 0

    def _join_text(self) -> None:
        """Move the text to the parts. Doing so for each piece would copy the whole text each time."""
        if not self._text:
            return
        pieces, self._text, self._text_chars = self._text, [], 0
        if self._parts and self._parts[-1][0] == "":
            pieces.insert(0, self._parts.pop()[1]["text/plain"])
        text = OVERWRITTEN.sub("", "".join(pieces))[-MAX_TEXT_CHARS:]
        self._parts.append(("", {"text/plain": text}, {}))

    def _change(self) -> None:
        self._is_changed = True
        if time.monotonic() - self._sent > UPDATE_SECONDS:
            self.send()

    def _bundle(self) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        self._join_text()
        if len(self._parts) == 1:
            return self._parts[0][1:]
        text = "".join(f"{data.get('text/plain', '')}".rstrip("\n") + "\n" for _, data, _ in self._parts)
        data = {"text/plain": text.rstrip("\n")}
        if any(set(part) - {"text/plain"} for _, part, _ in self._parts):
            data["text/html"] = "\n".join(_as_html(part) for _, part, _ in self._parts)
        return data, {}


def _as_html(data: Dict[str, Any]) -> str:
    for mime in ("text/html", "image/svg+xml"):
        if mime in data:
            return str(data[mime])
    for mime in PICTURES:
        if mime in data:
            return f'<img src="data:{mime};base64,{data[mime]}">'
    return f"<pre>{html.escape(str(data.get('text/plain', '')))}</pre>"


def replace_methods(output: Any, frontend: DisplayFrontend) -> None:
    """Replace the methods of the class ``ipywidgets.Output`` that need a browser.

    Args:
        output: The class.
        frontend: Displays the outputs.
    """

    def area(self: Any) -> OutputArea:
        found: OutputArea = vars(self).setdefault("_podtask_area", OutputArea(frontend))
        return found

    def enter(self: Any) -> Any:
        frontend.enter_area(area(self))
        return self

    def leave(self: Any, kind: Any, error: Any, frames: Any) -> bool:
        shows_error = isinstance(error, Exception)  # as in a kernel, the code after the block goes on
        if shows_error:
            traceback.print_exception(kind, error, frames)
        frontend.leave_area()
        area(self).send()
        return shows_error

    def append_text(self: Any, text: str) -> None:
        area(self).add_text(text.encode())
        area(self).send()

    def append_display_data(self: Any, display_object: Any) -> None:
        area(self).add_bundle(*mime_bundle(display_object), None)
        area(self).send()

    for name, method in {
        "__enter__": enter,
        "__exit__": leave,
        "_ipython_display_": lambda self, **_: area(self).show(),
        "append_stdout": append_text,
        "append_stderr": append_text,
        "append_display_data": append_display_data,
    }.items():
        setattr(output, name, method)
