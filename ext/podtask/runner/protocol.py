"""The frames between notebook and runner, and the literals that both sides use. No I/O.

A frame is a fixed header, a JSON object (meta) and bytes (data). Frames of the spooled kinds carry
a sequence number, and the runner keeps them until the task is released. On a connection, frames travel in
records: the size of the record, whole frames, and a tag that authenticates both (see :class:`Seal`).
"""

import hmac
import json
import struct
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

PROTOCOL_VERSION = 2
HEADER = struct.Struct("!BQII")
RECORD = struct.Struct("!I")
MAX_RECORD_BYTES = 2 << 20  # more than the largest frame
TAG_BYTES = 16
MAX_META = 1 << 20
MAX_DATA = 512 << 10
MAX_ITEM_BYTES = 1 << 30  # of one item of a map, and of its result
MAX_DISPLAY_CHARS = 8 << 20  # of one MIME type of a display: a browser freezes on more

# Exit codes of the runner. ``bundle.boot_program`` puts them into the text of ``boot.py``.
EXIT_OTHER_PYTHON = 95  # the pod brought no cell for its version of Python
EXIT_SESSION_ENDED = 94  # no cell ran in a session for its idle time
EXIT_SESSION_OLD = 93  # a session has reached its greatest age
EXIT_NO_CLIENT = 96  # no client sent the cell or fetched its result
EXIT_OLD_PYTHON = 97  # Python in the image is older than 3.9
EXIT_PORT_TAKEN = 98  # another process of the pod has the runner's port
# Exit code of a worker whose cell closed the pipes to the supervisor.
EXIT_PIPES_CLOSED = 117
# Limits of ``boot.py``: for a client that has not proven that it is the owner, and for the owner's program.
CONNECTION_SECONDS = 5
MAX_CONNECTIONS = 256
PROGRAM_SECONDS = 30
FILE_SECONDS = 1  # between two looks for files that the kubelet has not written yet
MAX_PROGRAM_BYTES = 4 << 20
# Environment variable that holds PYTHONPATH until the process of the cell starts.
PATH_VARIABLE = "PODTASK_PATH"
# Python reads these variables, which begin with PYTHON, only when it starts. PYTHONPATH is one of them, because
# libraries such as joblib start processes with the flags of the cell's Python; with -I they would ignore it.
STARTUP_VARIABLES = (
    "PATH HASHSEED UTF8 WARNINGS DEVMODE OPTIMIZE MALLOC TRACEMALLOC INTMAXSTRDIGITS FAULTHANDLER "
    "ASYNCIODEBUG COERCECLOCALE PYCACHEPREFIX BREAKPOINT NODEBUGRANGES _GIL _JIT"
)
PROGRAM_SEPARATOR = b"\n\0"  # between the loader of the runner's program and its modules

# Reasons in a CLOSE frame.
CLOSE_TAKEN_OVER = "another client took over"
CLOSE_RECONNECTED = "connected again"
CLOSE_NO_JOB = "not begun"  # the runner waits for the client that has the cell
CLOSE_RELEASED = "released"
CLOSE_IDLE = "idle"  # no cell ran in the session for the time of --idle
CLOSE_VISITED = "visited"  # the client has asked for the state of a session, and has it
CLOSE_OLD = "old"  # the session has reached its greatest age
CLOSE_FULL = "too many follow"  # without the owner's secret
NOT_OWNER = "-"  # in the handshake of a client that does not have the owner's secret

# States of a runner in its HELLO frame.
RUNNER_WAITING, RUNNER_RUNNING, RUNNER_DONE = "waiting", "running", "done"

# Steps in a STATE frame.
STEP_PIP, STEP_RUN = "pip", "run"

# Status in a RESULT frame.
STATUS_OK = "ok"
STATUS_ERROR = "error"  # the cell raised an error
STATUS_CRASHED = "crashed"  # the process of the cell died
STATUS_TIMEOUT = "timeout"  # the supervisor stopped the cell at its timeout
STATUS_TERMINATED = "terminated"  # the pod was terminated while the cell was running
STATUSES = (STATUS_OK, STATUS_ERROR, STATUS_CRASHED, STATUS_TIMEOUT, STATUS_TERMINATED)

# Fields of ``shared`` in the meta of a RUN frame, in a session: what the notebook knows of the names that the cell needs.
# ``names`` maps each to one of the conditions, ``sent`` are those whose values come with the frame, and
# ``definitions`` the classes and functions among these. ``current`` are outputs that need not come back unless the cell
# sets them.
SET_ALWAYS = "always"  # the notebook bound it last
SET_IF_SAME = "if same"  # changed in place in the notebook; a conflict if the session has changed it, too
SET_IF_CHANGED = "if changed"  # bound again to what it was: wanted only if the session has changed it
SET_IF_MISSING = "if missing"  # the notebook does not know whether the session has it
# Fields of ``shared`` in the meta of a RESULT frame: ``loaded``, ``bound`` (name -> [summary, names it needs]),
# ``deleted``, ``replaced`` (name -> summary of the session's value); with STATUS_NOT_RUN only ``conflicts``
# (name -> summary) and ``wanted``.
STATUS_NOT_RUN = "not run"  # the session needs more values, or has other ones

# Stages of a cell in the description of its error.
STAGE_PIP, STAGE_LOAD, STAGE_RUN = "pip", "load", "run"

ANY_PYTHON = ""  # the version of an enclosed cell for all versions of Python that no other one is for

BLOB_RESULTS = "results"  # id of the values of an execution; that of inputs is their SHA-256

# Prefixes of the runner's own lines in the log of its container.
FRAME_LINE_PREFIX = "podtask-frame"
RECORD_LINE_PREFIX = "podtask-record"
RESULT_WAITS_PREFIX = "podtask: ended ("
FRAME_PROOF_CHARS = 32  # length of the signature in a line that holds a frame

RUNNER_FILENAME = "<podtask runner>"  # file names of the runner's modules start with it
MAX_LOGGED_BYTES = 128 << 20  # unpacked, of the result or the output that a runner leaves in its log
POD_MAGICS = ("cd", "env", "matplotlib", "pip", "pwd", "set_env", "time")  # line magics that work in a pod
MODULE_OBJECT = "podtask object"  # key of an object that the notebook has in place of a module
MAX_WATCHED_BYTES = 1 << 20  # total size of the input pickles that are compared before and after the cell
# Roles of the items of a result.
ROLE_VALUE = "value"  # of a name that the cell has set
ROLE_LAST_VALUE = "result"  # of the last expression
ROLE_ERROR = "error"  # an exception that the cell has raised, or one of its causes
ROLE_CHANGES = "changes"  # what the cell changed on a class or function of the notebook
ROLE_DEFINITIONS = "definitions"  # copies of what values refer to, for a kernel that does not have it
VALUE_ROLES = (ROLE_VALUE, ROLE_LAST_VALUE)

# Formats of values with --results plain, and the types that a column of a CSV table may have.
PLAIN_JSON, PLAIN_TEXT, PLAIN_BYTES = "json", "text", "bytes"
PLAIN_ARRAY, PLAIN_ARROW, PLAIN_CSV = "npy", "arrow", "csv"
PLAIN_COLUMN_TYPES = (
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "bool", "object", "str", "string", "datetime64[ns]", "datetime64[us]"),
)

_json = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would create an encoder for each call

# client -> runner; the meta of ITEM is described in ``supervisor/items.py``
ATTACH, RUN, FETCH, ACK, INTERRUPT, INPUT_REPLY, PING, EXTEND, ITEM, STACKS = range(1, 11)
# both ways
BLOB, HAVE, CLOSE = range(16, 19)
# runner -> client; the meta of USAGE is what UsageMeter.measure returns, with the name of the execution ("exec");
# NOTE is a line for the user, which may come after the result; SESSION is what Session.state returns; the data of
# STACK_DUMP answers the STACKS frame with the same number ("n")
HELLO, PONG, ERROR, LOG, USAGE, NOTE, SESSION, STACK_DUMP = range(32, 40)
# worker -> supervisor: how much of the values can be sent already
VALUES = 48
# runner -> client, spooled; the meta of ITEM_RESULT is described in ``worker/items.py``
STATE, STREAM, DISPLAY, CLEAR_OUTPUT, INPUT_REQUEST, GAP, RESULT, ITEM_RESULT = range(64, 72)
SPOOLED = range(STATE, ITEM_RESULT + 1)


class WireError(Exception):
    """The received bytes are not a frame of this protocol; the connection cannot be used any more."""


class Frame(NamedTuple):
    """One frame; ``seq`` is 0 unless its kind is spooled."""

    kind: int
    seq: int
    meta: Dict[str, Any]
    data: bytes


def encode(
    kind: int,
    meta: Optional[Dict[str, Any]] = None,
    data: Union[bytes, memoryview] = b"",
    seq: int = 0,
) -> bytes:
    """Return the bytes of a frame.

    Raises:
        WireError: meta or data exceed the limits of the protocol (1 MiB, 512 KiB).
    """
    text = _json(meta).encode() if meta else b""
    if len(text) > MAX_META or len(data) > MAX_DATA:
        raise WireError(f"frame of kind {kind} is too large: {len(text)} + {len(data)} bytes")
    return b"".join((HEADER.pack(kind, seq, len(text), len(data)), text, data))


def encode_head(kind: int, meta: Dict[str, Any], size: int) -> bytes:
    """Return the bytes of a frame without its data; the caller sends ``size`` bytes of data after them."""
    text = _json(meta).encode()
    return HEADER.pack(kind, 0, len(text), size) + text


def drop_large(data: Dict[str, Any]) -> Tuple[Dict[str, Any], List[str]]:
    """Return a MIME bundle without the entries that are too large to show, and descriptions of these."""
    kept, dropped = {}, []
    for mime, value in data.items():
        size = len(value) if isinstance(value, str) else len(str(value))
        if size <= MAX_DISPLAY_CHARS:
            kept[mime] = value
        else:
            dropped.append(f"{mime} ({size / 2**20:.1f} MiB)")
    return kept, dropped


class Seal:
    """Authenticates the records of one direction of one connection.

    A tag is the truncated HMAC-SHA256 over the number of the record, its size and its frames. The number is
    not sent. So a record that was changed, repeated, left out or moved has the wrong tag.

    Args:
        key: Key of the direction; see :func:`connection_seals`.
    """

    def __init__(self, key: bytes) -> None:
        self._start = hmac.new(key, digestmod="sha256")
        self._number = 0

    def record(self, *parts: Union[bytes, memoryview]) -> bytes:
        """Return the next record.

        Args:
            parts: The bytes of whole frames.

        Raises:
            WireError: They exceed the limit of a record (2 MiB).
        """
        return b"".join(self.record_parts(*parts))

    def record_parts(self, *parts: Union[bytes, memoryview]) -> Tuple[Union[bytes, memoryview], ...]:
        """Return the next record in parts, without copying the frames; otherwise like :meth:`record`."""
        size = sum(map(len, parts))
        if size > MAX_RECORD_BYTES:
            raise WireError(f"record of {size} bytes is over the limit")
        head = RECORD.pack(size)
        return (head, *parts, self._next_tag(head, *parts))

    def accepts(self, data: memoryview, tag: memoryview) -> bool:
        """Return whether the next record, with its size, has this tag."""
        return hmac.compare_digest(self._next_tag(data), tag)

    def _next_tag(self, *parts: Union[bytes, memoryview]) -> bytes:
        code = self._start.copy()
        code.update(self._number.to_bytes(8, "big"))
        self._number += 1
        for part in parts:
            code.update(part)
        return code.digest()[:TAG_BYTES]


def connection_seals(prove: Callable[..., str], challenge: str) -> Tuple[Seal, Seal]:
    """Return the seals of a connection: for what the client sends, and for what the runner sends.

    Args:
        prove: Returns the HMAC of the task's key over some words.
        challenge: Both nonces, with all that the handshake has signed.
    """
    client = Seal(bytes.fromhex(prove("client-frames", challenge)))
    return client, Seal(bytes.fromhex(prove("runner-frames", challenge)))


class Decoder:
    """A decoder from chunks of a byte stream to frames; it holds at most one frame or record, and one chunk.

    Args:
        seal: Authenticates the records of a connection; None for bare frames.
        max_record: Maximum size of a record in bytes.
    """

    def __init__(self, seal: Optional[Seal] = None, max_record: int = MAX_RECORD_BYTES) -> None:
        self._buffer = bytearray()
        self._seal = seal
        self._max_record = max_record
        self._needed = 0  # bytes of the buffer before which no record can be complete

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete after ``chunk``.

        Raises:
            WireError: The header is invalid, meta is not a JSON object, or a record is not authentic.
        """
        self._buffer += chunk
        if self._seal is None:
            return self._read_frames()
        if len(self._buffer) < self._needed:  # most chunks of a large record: they take no further time
            return iter(())
        return self._read_records(self._seal)

    def _read_frames(self) -> Iterator[Frame]:
        start = 0
        try:
            for frame, stop in self._frames(0, len(self._buffer)):
                start = stop
                yield frame
        finally:
            del self._buffer[:start]

    def _read_records(self, seal: Seal) -> Iterator[Frame]:
        buffer = self._buffer
        while len(buffer) >= RECORD.size:
            size = RECORD.unpack_from(buffer)[0]
            stop = RECORD.size + size
            if size > self._max_record:
                raise WireError(f"record of {size} bytes is over the limit")
            self._needed = stop + TAG_BYTES
            if len(buffer) < self._needed:
                return
            with memoryview(buffer) as view, view[:stop] as data, view[stop : stop + TAG_BYTES] as tag:
                authentic = seal.accepts(data, tag)
            if not authentic:
                raise WireError("a record was not sent by the other side, or not in this place")
            found = list(self._frames(RECORD.size, stop))
            if (found[-1][1] if found else RECORD.size) != stop:
                raise WireError("a record ends within a frame")
            del buffer[: self._needed]
            self._needed = 0
            for frame, _ in found:
                yield frame

    def _frames(self, start: int, end: int) -> Iterator[Tuple[Frame, int]]:
        """Yield the complete frames in a part of the buffer, each with the place where it ends."""
        buffer = self._buffer
        while end - start >= HEADER.size:
            kind, seq, meta_size, data_size = HEADER.unpack_from(buffer, start)
            if meta_size > MAX_META or data_size > MAX_DATA:
                raise WireError(f"frame of {meta_size} + {data_size} bytes is over the limit")
            middle = start + HEADER.size + meta_size
            stop = middle + data_size
            if stop > end:
                return
            with memoryview(buffer) as view:
                meta = self._meta(bytes(view[start + HEADER.size : middle]))
                data = bytes(view[middle:stop])
            start = stop
            yield Frame(kind, seq, meta, data), stop

    @staticmethod
    def _meta(text: bytes) -> Dict[str, Any]:
        if not text:
            return {}
        try:
            meta = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WireError(f"frame meta is not JSON: {error}") from None
        if not isinstance(meta, dict):
            raise WireError("frame meta is not a JSON object")
        return meta
