"""Encode what a cell returns for ``--results plain``: the notebook unpickles nothing.

Values become JSON, text, bytes, arrays of numpy (npy) or tables of pandas (Arrow, or CSV with types). All other
values stay in the pod. ``podtask.pickling.plain_values`` decodes them.
"""

import io
import json
import sys
from typing import Any, Dict, List, Set, Tuple

from .. import protocol

JSON_TYPES = (bool, int, float, str, type(None))
NO_FORM = "--results plain returns JSON, text, bytes, arrays of numpy and tables of pandas only"
Encoded = Tuple[bytes, Dict[str, Any]]  # the bytes, and what the notebook needs to decode them


class NoPlainForm(Exception):
    """A value cannot be encoded."""


def pack_items(
    file: Any, items: List[Tuple[str, str, Any]], limits: Dict[str, int], arrow: bool
) -> Dict[str, Any]:
    """Encode items; return the description of those that are returned and of those that stay.

    Args:
        file: Receives the bytes: a ``ResultWriter``.
        items: (role, name, value) of each item.
        limits: Maximum size in bytes of one item, by its role.
        arrow: Whether the notebook can read Arrow.
    """
    packed: List[Dict[str, Any]] = []
    kept: List[Dict[str, Any]] = []
    for role, name, value in items:
        about: Dict[str, Any] = {"role": role, "name": name, "type": type(value).__name__}
        try:
            data, form = _encode(value, arrow)
            if len(data) > limits.get(role, len(data)):
                raise NoPlainForm(f"over {limits[role] >> 20} MiB")
            file.write(data)
        except NoPlainForm as error:
            kept.append({**about, "size": 0, "why": str(error)})
        except Exception as error:  # whatever a value of the user's raises
            kept.append({**about, "size": 0, "why": f"{type(error).__name__}: {error}"[:500]})
        else:
            place = {"size": len(data), "stream": file.stream, "buffers": 0, "apart": True}
            packed.append({**about, **form, **place})
    return {"packed": packed, "kept": kept, "sizes": file.finish(), "versions": {}}


def _encode(value: Any, arrow: bool) -> Encoded:
    kind = type(value)
    if kind is str:
        return value.encode("utf-8", "surrogatepass"), {"format": protocol.PLAIN_TEXT}
    if kind in (bytes, bytearray):
        return bytes(value), {"format": protocol.PLAIN_BYTES}
    if kind in JSON_TYPES or kind in (dict, list, tuple):
        _check_json(value, set())
        return json.dumps(value).encode(), {"format": protocol.PLAIN_JSON}
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and (kind is numpy.ndarray or isinstance(value, numpy.generic)):
        file = io.BytesIO()
        numpy.save(file, value, allow_pickle=False)
        return file.getvalue(), {"format": protocol.PLAIN_ARRAY}
    if pandas is not None and kind is pandas.DataFrame:
        found = _encode_arrow(value) if arrow else None
        return found or _encode_csv(value, pandas)
    raise NoPlainForm(NO_FORM)


def _check_json(value: Any, parents: Set[int]) -> None:
    """Check that a value consists of what JSON has; tuples arrive as lists."""
    kind = type(value)
    if kind in JSON_TYPES:
        return
    if kind not in (dict, list, tuple) or id(value) in parents:
        raise NoPlainForm(f"it contains a {kind.__name__}; {NO_FORM}")
    if kind is dict and not all(type(key) is str for key in value):
        raise NoPlainForm("its keys are not all strings, as JSON wants them")
    for each in value.values() if kind is dict else value:
        _check_json(each, parents | {id(value)})


def _encode_arrow(table: Any) -> Any:
    """Return a table as an Arrow stream; None if the image has no pyarrow, or Arrow has no type for a column."""
    try:
        pyarrow: Any = __import__("pyarrow")
    except ImportError:
        return None
    try:
        found = pyarrow.Table.from_pandas(table)
    except pyarrow.ArrowException:
        return None  # CSV may have a type for it, or says what has none
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, found.schema) as writer:
        writer.write_table(found)
    return sink.getvalue().to_pybytes(), {"format": protocol.PLAIN_ARROW}


def _encode_csv(table: Any, pandas: Any) -> Encoded:
    names = list(table.columns)
    if len({*names}) < len(names) or not all(type(name) is str for name in names):
        raise NoPlainForm("its columns are not named by different strings")
    if not (type(table.index) is pandas.RangeIndex and table.index.equals(pandas.RangeIndex(len(table)))):
        raise NoPlainForm("its index is not 0, 1, 2, ...: call reset_index() first")
    columns = [[name, str(kind)] for name, kind in table.dtypes.items()]
    for name, kind in columns:
        if kind not in protocol.PLAIN_COLUMN_TYPES:
            raise NoPlainForm(f"its column {name} has the type {kind}")
        if kind in ("object", "str", "string") and not _has_texts(table[name]):
            raise NoPlainForm(f"its column {name} has values that are not text, or an empty text")
    text = table.to_csv(index=False, lineterminator="\n").encode("utf-8", "surrogatepass")
    return text, {"format": protocol.PLAIN_CSV, "columns": columns}


def _has_texts(column: Any) -> bool:
    """Return whether a column has nothing but texts that are not empty, and missing values."""
    # Not by operators of pandas: Arrow's arrays have no "or" for an empty column of texts.
    missing = list(column.isna())
    return all(missing[place] or (type(each) is str and each != "") for place, each in enumerate(column))
