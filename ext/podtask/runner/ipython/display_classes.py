"""The classes of ``IPython.display`` that cells use, for an image without IPython.

Loaded when something imports IPython and the image does not have it.
"""

import base64
import functools
import importlib
import json
import mimetypes
import os
from typing import Any, Dict, Optional, Tuple, Type

Options = Dict[str, Any]


def fetch(source: str) -> bytes:
    """Return the content of a file or a URL."""
    if source.startswith(("http://", "https://")):
        # Start-up cost: loaded when it is first needed.
        from urllib.request import urlopen

        with urlopen(source) as answer:  # noqa: S310 -- an address that the user gave
            return bytes(answer.read())
    with open(os.path.expanduser(source), "rb") as file:
        return file.read()


class DisplayObject:
    """Data and the mime type that it is displayed as.

    Args:
        data: Text or bytes; a text that is a URL is fetched.
        url: URL of the data.
        filename: Name of a file in the pod.
        metadata: Metadata for the notebook.
    """

    mime = "text/plain"

    def __init__(
        self,
        data: Any = None,
        url: Optional[str] = None,
        filename: Any = None,
        metadata: Optional[Options] = None,
    ) -> None:
        if url is None and isinstance(data, str) and data.startswith(("http://", "https://")):
            url, data = data, None
        if data is None and (url or filename):
            raw = fetch(os.fspath(url or filename))
            data = raw if isinstance(self, Image) else raw.decode()
        self.data = data
        self.url = url
        self.filename = filename
        self.metadata = metadata or {}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Tuple[Options, Options]:
        return {self.mime: self.data}, {self.mime: self.metadata} if self.metadata else {}

    def __repr__(self) -> str:
        return f"<IPython.core.display.{type(self).__name__} object>"

    def __reduce__(self) -> Any:
        # In the notebook it becomes an object of IPython's class. cloudpickle refers to a class by its name
        # only if the module of the class was imported.
        importlib.import_module(type(self).__module__)
        return functools.partial(type(self), **self.constructor_arguments()), ()

    def constructor_arguments(self) -> Options:
        """Return the arguments that create an equal object of IPython's class of this name."""
        return {"data": self.data, "metadata": self.metadata or None}


class Pretty(DisplayObject):
    """Plain text."""

    def __repr__(self) -> str:
        return str(self.data)


class HTML(DisplayObject):
    """HTML."""

    mime = "text/html"

    def _repr_html_(self) -> Any:
        return self.data

    def __html__(self) -> Any:
        return self.data


class Markdown(DisplayObject):
    """Markdown."""

    mime = "text/markdown"


class Latex(DisplayObject):
    """LaTeX, including its dollar signs."""

    mime = "text/latex"


class Math(Latex):
    """LaTeX that is displayed as a formula."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Tuple[Options, Options]:
        return {self.mime: "$\\displaystyle %s$" % str(self.data).strip("$")}, {}


class SVG(DisplayObject):
    """An SVG image; only the ``svg`` element of a larger document."""

    mime = "image/svg+xml"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.data is not None:
            # Start-up cost: loaded when it is first needed.
            from xml.dom import minidom

            found = minidom.parseString(self.data).getElementsByTagName("svg")  # noqa: S318 -- the user's own
            self.data = found[0].toxml() if found else self.data


class JSON(DisplayObject):
    """A value that can be encoded as JSON, or JSON text."""

    mime = "application/json"

    def __init__(
        self, data: Any = None, *args: Any, expanded: bool = False, root: str = "root", **more: Any
    ) -> None:
        super().__init__(data, *args, **more)
        if isinstance(self.data, str):
            self.data = json.loads(self.data)
        self._options = {"expanded": expanded, "root": root}
        self.metadata = {**self._options, **self.metadata}

    def constructor_arguments(self) -> Options:
        return {**super().constructor_arguments(), **self._options}


class Javascript(DisplayObject):
    """A script for the page of the notebook."""

    mime = "application/javascript"


class Code(DisplayObject):
    """Source code, displayed without highlighting because Pygments may be missing."""

    def __init__(self, data: Any = None, *args: Any, language: Any = None, **more: Any) -> None:
        super().__init__(data, *args, **more)
        self.language = language

    def constructor_arguments(self) -> Options:
        return {**super().constructor_arguments(), "language": self.language}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Tuple[Options, Options]:
        # Start-up cost: loaded when it is first needed.
        import html

        return {"text/html": f"<pre><code>{html.escape(str(self.data))}</code></pre>"}, {}

    def __repr__(self) -> str:
        return str(self.data)


class Image(DisplayObject):
    """An image: bytes, a file of the pod, or a URL (which is only linked unless ``embed`` is set)."""

    def __init__(
        self,
        data: Any = None,
        url: Optional[str] = None,
        filename: Any = None,
        format: Optional[str] = None,  # noqa: A002 -- IPython's name
        embed: Optional[bool] = None,
        width: Optional[int] = None,
        height: Optional[int] = None,
        metadata: Optional[Options] = None,
        alt: Optional[str] = None,
    ) -> None:
        if isinstance(data, (str, os.PathLike)):
            text = os.fspath(data)
            url, filename = (text, filename) if text.startswith("http") else (url, text)
            data = None
        sizes = {"width": width, "height": height, "alt": alt}
        more = {name: value for name, value in sizes.items() if value is not None}
        linked = url is not None and not embed and data is None
        super().__init__(b"" if linked else data, url, filename, {**more, **(metadata or {})})
        self.embed = not linked
        self._sizes = more
        guess = mimetypes.guess_type(str(url or filename or ""))[0]
        if guess is None or not guess.startswith("image/"):
            guess = f"image/{image_type(self.data)}"
        self.mime = f"image/{format.lower().replace('jpg', 'jpeg')}" if format else guess

    def constructor_arguments(self) -> Options:
        given = {"data": self.data} if self.embed else {"url": self.url}
        return {**given, **self._sizes, "format": self.mime.partition("/")[2]}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Tuple[Options, Options]:
        if not self.embed:
            # Start-up cost: loaded when it is first needed.
            import html

            words = {"src": self.url, **self._sizes}
            attributes = " ".join(f'{name}="{html.escape(str(value))}"' for name, value in words.items())
            return {"text/html": f"<img {attributes}/>"}, {}
        return {self.mime: base64.b64encode(self.data).decode("ascii")}, (
            {self.mime: self.metadata} if self.metadata else {}
        )


def image_type(data: bytes) -> str:
    """Return the type of an image, recognized by its first bytes."""
    if data[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if data[:4] == b"GIF8":
        return "gif"
    return "webp" if data[8:12] == b"WEBP" else "png"


DISPLAY_CLASSES: Tuple[Type[DisplayObject], ...] = (
    DisplayObject,
    Pretty,
    HTML,
    Markdown,
    Latex,
    Math,
    SVG,
    JSON,
    Javascript,
    Code,
    Image,
)


for each in DISPLAY_CLASSES:
    each.__module__ = "IPython.core.display"
