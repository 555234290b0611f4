"""Decode the values of ``--results plain``; nothing is unpickled, and no code comes from the pod.

``podtask.runner.worker.plain_values`` encodes them. What does not have one of its formats is refused: the pod may
send anything.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from importlib import import_module, metadata
from typing import Any

from ..runner import protocol
from ..runner.safe_text import escape_controls
from .exceptions import RemoteError, add_note

# The first version whose stream reader never unpickles: https://www.cve.org/CVERecord?id=CVE-2023-47248
SAFE_PYARROW = (14, 0, 1)
# The mime types of which a front end executes nothing.
PLAIN_MIMES = ("text/plain", "image/png", "image/jpeg", "image/gif")
# Some converters of notebooks put the data of an image into HTML as they are.
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
MAX_FRAMES = 20
IS_PICKLE = "it was sent as a pickle, which is not loaded"


class RefusedValue(Exception):
    """A value does not have one of the plain formats, or is damaged."""


def reads_arrow() -> bool:
    """Return whether this notebook has a pyarrow that never unpickles."""
    try:
        numbers = metadata.version("pyarrow").split(".")[:3]
        return tuple(int(number) for number in numbers) >= SAFE_PYARROW
    except (metadata.PackageNotFoundError, ValueError):
        return False


def decode_value(data: bytes, item: Mapping[str, Any]) -> Any:
    """Return a value.

    Args:
        data: Its bytes.
        item: Its description, as the pod has sent it.

    Raises:
        RefusedValue: It has no plain format, or is not what its format says.
    """
    form = item.get("format")
    try:
        if form == protocol.PLAIN_TEXT:
            return data.decode("utf-8", "surrogatepass")
        if form == protocol.PLAIN_BYTES:
            return bytearray(data) if item.get("type") == "bytearray" else data
        if form == protocol.PLAIN_JSON:
            return json.loads(data)
        if form == protocol.PLAIN_ARRAY:
            return _decode_array(data)
        if form == protocol.PLAIN_ARROW:
            return _decode_arrow(data)
        if form == protocol.PLAIN_CSV:
            return _decode_csv(data, item["columns"])
    except ImportError as error:
        raise RefusedValue(f"the notebook has no {error.name}, which it needs") from error
    except Exception as error:
        raise RefusedValue(f"it cannot be decoded ({type(error).__name__}: {error})") from error
    raise RefusedValue(IS_PICKLE)


def plain_error(described: Mapping[str, Any]) -> BaseException:
    """Return an error with the name of the cell's error and its text; its class is not that of the cell's error.

    Args:
        described: Description of the cell's error by the runner.
    """
    first = described["errors"][0]
    name, message = str(first["type"]), escape_controls(str(first["message"]))
    if name == "KeyboardInterrupt":
        return KeyboardInterrupt(message)  # so that an interrupted "run all" stops
    kind = type(name if name.isidentifier() else "RemoteError", (RemoteError,), {"__module__": "builtins"})
    error: BaseException = kind(message)
    for filename, line, function, *_ in first["frames"][-MAX_FRAMES:]:
        add_note(error, escape_controls(f"  {filename}, line {line}, in {function}"))
    return error


def plain_display(data: bytes) -> bytes:
    """Return the data of a display frame with the mime types of which a front end executes nothing."""
    try:
        display = dict(json.loads(data))
        bundle, too_large = dict(display["data"]), list(map(str, display.get("too_large", ())))
    except (ValueError, KeyError, TypeError, RecursionError):
        bundle, too_large = {}, []
    shown = {mime: value for mime, value in bundle.items() if mime in PLAIN_MIMES and _is_plain(mime, value)}
    if bundle and not shown:
        shown = {"text/plain": f"({', '.join(map(str, bundle))}: not shown, because of --results plain)"}
    return json.dumps({"data": shown, "metadata": {}, "too_large": too_large}).encode()


def _is_plain(mime: str, value: object) -> bool:
    """Return whether the data of a display are text, and those of an image are Base64."""
    return isinstance(value, str) and (mime == "text/plain" or BASE64.fullmatch(value) is not None)


def _decode_array(data: bytes) -> Any:
    numpy = import_module("numpy")
    found = numpy.load(io.BytesIO(data), allow_pickle=False)
    if not isinstance(found, numpy.ndarray):
        raise RefusedValue("it is an archive")
    return found if found.shape else found[()]


def _decode_arrow(data: bytes) -> Any:
    if not reads_arrow():
        raise RefusedValue(f"pyarrow {'.'.join(map(str, SAFE_PYARROW))} or newer is needed")
    pyarrow = import_module("pyarrow")
    stream = pyarrow.ipc.open_stream(pyarrow.py_buffer(data))
    if any(_has_extension(field.type, pyarrow) for field in stream.schema):
        raise RefusedValue("it has columns of an extension type")
    table = stream.read_all()
    table.validate(full=True)  # else offsets of the pod's choice lead to other memory of this process
    return table.to_pandas()


def _has_extension(kind: Any, pyarrow: Any) -> bool:
    """Return whether a type of Arrow is an extension type, or contains one."""
    if pyarrow.types.is_dictionary(kind):
        return _has_extension(kind.value_type, pyarrow)
    inner = (kind.field(index).type for index in range(kind.num_fields))
    return isinstance(kind, pyarrow.BaseExtensionType) or any(_has_extension(each, pyarrow) for each in inner)


def _decode_csv(data: bytes, columns: list[list[str]]) -> Any:
    pandas = import_module("pandas")
    types = {name: kind for name, kind in columns if kind in protocol.PLAIN_COLUMN_TYPES}
    as_text = [name for name, kind in types.items() if kind.startswith(("datetime64", "float"))]
    table = pandas.read_csv(
        io.BytesIO(data),
        dtype={**types, **dict.fromkeys(as_text, "object")},
        keep_default_na=False,
        na_values=[""],
        encoding_errors="surrogatepass",
    )
    for name in as_text:
        kind = types[name]
        if kind.startswith("float"):  # pandas itself reads some of them less precisely
            table[name] = pandas.Series([float(each) for each in table[name]], dtype=kind)
        else:
            table[name] = pandas.to_datetime(table[name], format="ISO8601").astype(kind)
    return table
