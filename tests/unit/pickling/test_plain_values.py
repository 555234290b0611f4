"""``--results plain``: values arrive as they were, and nothing that the pod sends is executed."""

from __future__ import annotations

import io
import json
import pickle
from collections import OrderedDict, namedtuple
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from podtask.channel.job import RunnerResult
from podtask.display.status_line import end_line
from podtask.errors import TaskError
from podtask.lifecycle.outcome import decode
from podtask.pickling.plain_values import IS_PICKLE, RefusedValue, decode_value, plain_display, plain_error
from podtask.runner.worker.outputs import ResultWriter
from podtask.runner.worker.plain_values import pack_items

pytestmark = pytest.mark.fault(90)
pd: Any = pytest.importorskip("pandas")
Point = namedtuple("Point", "x y")  # noqa: PYI024 -- a type that JSON has no form for
Color = IntEnum("Color", ["RED"])
TABLE = pd.DataFrame(
    {
        "n": np.array([1, 2, 3], "int8"),
        "x": [0.1, float("nan"), 1e300],
        "text": ["a,b\n'\"", "NA", float("nan")],
        "yes": [True, False, True],
        "day": pd.to_datetime(["2024-01-01", None, "2024-01-03T04:05:06.000007"], format="ISO8601"),
    }
)


def send(value: Any, role: str = "value") -> RunnerResult:
    """Return the result of a cell that returns a value."""
    file = io.BytesIO()
    end = pack_items(ResultWriter([file]), [(role, "v", value)], {}, arrow=False)
    data = file.getvalue()
    parts, start = [], 0
    for size in end["sizes"]:
        parts.append(bytearray(data[start : start + size]))
        start += size
    return RunnerResult({"status": "ok", **end}, parts)


def receive(result: RunnerResult) -> Any:
    return decode(result, "pod a", lambda error: "", plain=True)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(1 << 60),
        0.1,
        "é\ud800\n",
        b"\x00\xff",
        bytearray(b"ab"),
        [1, "a", None, [2.5]],
        {"a": {"b": [True]}},
        "",
        {},
    ],
    ids=repr,
)
def test_plain_value_arrives_as_it_was(value: Any) -> None:
    """JSON, text and bytes keep value and type."""
    [found] = receive(send(value)).values.values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype="int16").reshape(2, 3),
        np.float32(0.1),
        np.array(["a", "bc"]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([], dtype="datetime64[s]"),
    ],
    ids=lambda value: str(value.dtype),
)
def test_array_arrives_as_it_was(value: Any) -> None:
    """Arrays and numbers of numpy keep shape and type."""
    [found] = receive(send(value)).values.values()
    assert type(found) is type(value)
    assert found.dtype == value.dtype
    assert np.array_equal(found, value)


@pytest.mark.parametrize("table", [TABLE, TABLE.iloc[:0], TABLE[["n"]]], ids=["mixed", "empty", "narrow"])
def test_table_arrives_with_its_types(table: Any) -> None:
    """Without Arrow a table is CSV, and its columns keep their types and missing values."""
    [found] = receive(send(table)).values.values()
    pd.testing.assert_frame_equal(found, table)


@pytest.mark.parametrize("table", [TABLE, TABLE.set_index("n")], ids=["mixed", "index"])
def test_table_arrives_through_arrow(table: Any) -> None:
    """With Arrow on both sides a table keeps its types and its index; pyarrow makes any missing object None."""
    pytest.importorskip("pyarrow")
    expected = table.copy()
    if expected["text"].dtype == object:  # before pandas 3
        expected["text"] = expected["text"].where(expected["text"].notna(), None)
    file = io.BytesIO()
    end = pack_items(ResultWriter([file]), [("value", "v", table)], {}, arrow=True)
    assert end["packed"][0]["format"] == "arrow"
    pd.testing.assert_frame_equal(decode_value(file.getvalue(), end["packed"][0]), expected)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({1, 2}, "JSON, text, bytes, arrays"),
        (Point(1, 2), "JSON, text, bytes, arrays"),
        (OrderedDict(a=1), "JSON, text, bytes, arrays"),
        ([Color.RED], "contains a Color"),
        ({1: 2}, "keys are not all strings"),
        (np.array([object()]), "allow_pickle=False"),
        (pd.DataFrame({"a": [object()]}), "values that are not text"),
        (pd.DataFrame({"a": [""]}), "an empty text"),
        (pd.DataFrame({1: [1]}), "not named by different strings"),
        (TABLE.set_index("n"), "call reset_index"),
        (pd.DataFrame({"a": pd.Categorical(["x"])}), "has the type category"),
        (lambda: 1, "JSON, text, bytes, arrays"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_other_value_stays_and_says_why(value: Any, why: str) -> None:
    """A value without an exact plain form is named, rather than returned as something else."""
    outcome = receive(send(value))
    assert outcome.values == {}
    [(name, kind, reason)] = outcome.not_returned
    assert (name, kind) == ("v", type(value).__name__)
    assert why in reason


def test_value_that_contains_itself_stays() -> None:
    """A list in itself is named, and ends nothing."""
    value: list[Any] = []
    value.append(value)
    assert receive(send(value)).not_returned[0][1] == "list"


class Trap:
    """An object whose unpickling creates a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


FORMATS: list[Any] = [None, "pickle", "json", "text", "bytes", "npy", "arrow", "csv", 7, ["npy"]]


@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("role", ["value", "result", "error", "changes", "definitions"])
def test_pickle_of_a_hostile_runner_is_not_loaded(form: Any, role: str, tmp_path: Path) -> None:
    """Whatever a pod calls its pickle, the notebook does not load it."""
    path = tmp_path / "executed"
    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap(path)], dtype=object), allow_pickle=True)
    for data in (pickle.dumps(Trap(path)), buffer.getvalue()):
        name = "v" if role == "value" else "0"
        item: dict[str, Any] = {"role": role, "name": name, "type": "int", "size": len(data), "apart": True}
        item |= {"stream": len(data), "buffers": 0, "columns": [["a", "object"]]}
        if form is not None:
            item["format"] = form
        described = {"errors": [description("ValueError", "x")], "stage": "run"}
        end: dict[str, Any] = {
            "status": "error" if role == "error" else "ok",
            "packed": [item],
            "error": described,
        }
        end |= {"versions": {"this": "1"}, "state": {"random": [3, [1], None]}}
        outcome = receive(RunnerResult(end, [bytearray(data)]))
        assert not path.exists()
        assert outcome.changes == []
        assert outcome.state == {}
        if form is None and role == "value":
            assert outcome.not_returned == [("v", "int", IS_PICKLE)]


def description(name: str, message: str) -> dict[str, Any]:
    links: dict[str, Any] = {"cause": None, "context": None, "suppress": False, "members": [], "notes": []}
    frames = [["<cell>", 3, "f", "f", 1, [0, False, False, []]]]
    return {"type": name, "module": "builtins", "message": message, "frames": frames, **links}


def test_error_arrives_as_text_with_the_name_of_its_type() -> None:
    """The error has the name, the message and the place; its class is not the cell's."""
    error = plain_error({"errors": [description("MyError", "went wrong")]})
    assert (type(error).__name__, str(error)) == ("MyError", "went wrong")
    assert "<cell>, line 3, in f" in "".join(getattr(error, "__notes__", ["<cell>, line 3, in f"]))
    assert isinstance(plain_error({"errors": [description("KeyboardInterrupt", "")]}), KeyboardInterrupt)
    assert not isinstance(plain_error({"errors": [description("SystemExit", "0")]}), SystemExit)
    assert type(plain_error({"errors": [description("a b;", "")]})).__name__ == "RemoteError"


@pytest.mark.parametrize(
    "end",
    [
        {},
        {"status": ["ok"]},
        {"status": "cancelled"},
        {"status": "\x1b]0;owned\x07"},
        {"status": "ok", "packed": [{}]},
        {"status": "ok", "packed": 7},
        {"status": "ok", "packed": [{"role": "value", "stream": "x"}]},
        {"status": "error", "error": {"errors": []}},
        {"status": "ok", "kept": [[]]},
        {"status": "ok", "left": [1]},
        {"status": "ok", "changed": 1},
        {"status": "ok", "seconds": [], "usage": {}},
        {"status": "ok", "usage": {"cpu": "x"}},
        {"status": "ok", "packed": [{"role": "value", "name": "v", "stream": float("inf")}]},
        {"status": "ok", "packed": [{"role": "value", "name": "v", "type": "bytes", "stream": 1}]},
        {"status": "ok", "packed": [{"role": "x", "name": "v", "stream": 0}, {"name": "w", "stream": -1}]},
    ],
    ids=str,
)
def test_malformed_result_is_one_error(end: dict[str, Any]) -> None:
    """What a hostile pod sends in place of a result is an error of the task."""
    with pytest.raises(TaskError, match="The result is not readable, in pod a"):
        receive(RunnerResult(end, []))


@pytest.mark.parametrize("field", ["changed", "running", "missing", "notes"])
def test_lists_of_a_hostile_result_are_texts(field: str) -> None:
    """The closing line shows whatever a hostile pod sends in place of a name."""
    outcome = receive(RunnerResult({"status": "ok", field: [1, None, ["a"], {}]}, []))
    line = end_line(outcome, 1.0).text
    assert all(text in line for text in ("1", "None", "['a']"))


@pytest.mark.parametrize(
    ("wanted", "sent", "assigned"),
    [
        (["v"], "v", True),
        (["v"], "print", False),
        ([], "secret_path", False),
        (["print"], "print", True),
        (["auto"], "model", True),
        (["auto"], "print", False),
        (["auto"], "_", False),
        (["auto"], "__name__", False),
        (["auto"], "get_ipython", False),
        (["auto"], "In", False),
        (["auto"], "a b", False),
    ],
)
def test_hostile_pod_sets_only_the_variables_that_were_requested(
    wanted: list[str], sent: str, assigned: bool
) -> None:
    """A value with another name is not assigned, and the closing line names it."""
    result = send(1)
    result.end["packed"][0]["name"] = sent
    outcome = decode(result, "pod a", lambda error: "", plain=True, wanted=wanted)
    namespace: dict[str, Any] = {}
    outcome.assign(namespace)
    assert namespace == ({sent: 1} if assigned else {})
    assert outcome.notes == ([] if assigned else [f"ignored: {sent}, which the cell was not asked for"])


def test_damaged_values_are_refused() -> None:
    """Bytes that do not have their format raise one kind of error."""
    for form in ("json", "npy", "arrow", "csv", "text"):
        with pytest.raises(RefusedValue):
            decode_value(b"\xff\xfe\x00(", {"format": form, "columns": []})


def arrow_stream(table: Any) -> bytes:
    """Return a table of Arrow as a stream, whatever it contains."""
    pyarrow = pytest.importorskip("pyarrow")
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


@pytest.mark.parametrize("kind", ["string", "large_binary", "list", "dictionary"])
def test_arrow_with_offsets_outside_of_its_data_is_refused(kind: str) -> None:
    """Offsets of a hostile pod would show other memory of the notebook, or crash it."""
    pa: Any = pytest.importorskip("pyarrow")
    far = {"large_binary": np.array([0, 1 << 40, 3], "int64")}.get(kind, np.array([0, 1 << 28, 3], "int32"))
    values = pa.array([1, 2, 3], "int8")
    buffers = [None, pa.py_buffer(far)]
    columns = {
        "string": lambda: pa.Array.from_buffers(pa.string(), 2, [*buffers, pa.py_buffer(b"abc")]),
        "large_binary": lambda: pa.Array.from_buffers(pa.large_binary(), 2, [*buffers, pa.py_buffer(b"abc")]),
        "list": lambda: pa.Array.from_buffers(pa.list_(pa.int8()), 2, buffers, children=[values]),
        "dictionary": lambda: pa.DictionaryArray.from_arrays(
            pa.array([0, 1 << 20], "int32"), pa.array(["a", "b"]), safe=False
        ),
    }
    data = arrow_stream(pa.table({"a": columns[kind]()}))
    with pytest.raises(RefusedValue, match="it cannot be decoded"):
        decode_value(data, {"format": "arrow"})


@pytest.mark.parametrize("wrap", ["bare", "list", "struct", "dictionary"])
def test_arrow_with_an_extension_type_is_refused_wherever_it_is(wrap: str) -> None:
    """Code of the notebook that has registered the type does not see what the pod sends."""
    pa: Any = pytest.importorskip("pyarrow")

    class Marked(pa.ExtensionType):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(pa.int8(), "podtask.test.marked")

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage_type: Any, serialized: bytes) -> Any:
            return cls()

    pa.register_extension_type(Marked())
    try:
        values = pa.ExtensionArray.from_storage(Marked(), pa.array([1, 2], "int8"))
        column = {
            "bare": lambda: values,
            "list": lambda: pa.ListArray.from_arrays(pa.array([0, 1, 2], "int32"), values),
            "struct": lambda: pa.StructArray.from_arrays([values], ["a"]),
            "dictionary": lambda: pa.DictionaryArray.from_arrays(pa.array([0, 1], "int8"), values),
        }[wrap]()
        with pytest.raises(RefusedValue, match="extension type"):
            decode_value(arrow_stream(pa.table({"a": column})), {"format": "arrow"})
    finally:
        pa.unregister_extension_type("podtask.test.marked")


def test_display_has_only_types_that_execute_nothing() -> None:
    """HTML, SVG, JavaScript and widgets are left out; a display of these alone is named."""
    bundle = {"text/plain": "a", "text/html": "<script>", "image/png": "aGk=", "image/svg+xml": "<svg>"}
    found = json.loads(plain_display(json.dumps({"data": bundle, "metadata": {"x": 1}}).encode()))
    assert found == {"data": {"text/plain": "a", "image/png": "aGk="}, "metadata": {}, "too_large": []}
    for hostile in ('"><script>alert(1)</script>', "x' onerror='alert(1)", "javascript:1"):
        bundle = {"text/plain": "a", **dict.fromkeys(("image/png", "image/jpeg", "image/gif"), hostile)}
        found = json.loads(plain_display(json.dumps({"data": bundle, "metadata": {}}).encode()))
        assert found["data"] == {"text/plain": "a"}
    only = json.loads(plain_display(json.dumps({"data": {"application/javascript": "x"}}).encode()))
    assert "not shown, because of --results plain" in only["data"]["text/plain"]
    for damaged in (b"", b"[" * 100_000, b"[]", b'{"data": 3}', b'{"data": {"text/plain": {"a": 1}}}'):
        assert "a" not in json.loads(plain_display(damaged))["data"]
