"""The frames between notebook and runner, and the literals that both sides use. No I/O.

A frame is a fixed header, a JSON object (meta) and bytes (data). Frames of the spooled kinds carry
a sequence number, and the runner keeps them until the task is released.
"""

import json
import struct
from typing import Any, Dict, Iterator, NamedTuple, Optional, Union

PROTOCOL_VERSION = 1
HEADER = struct.Struct("!BQII")
MAX_META = 1 << 20
MAX_DATA = 512 << 10

# Exit codes of the runner. ``bundle.boot_program`` puts them into the text of ``boot.py``.
EXIT_OTHER_PYTHON = 95  # batch mode needs the notebook's version of Python
EXIT_NO_CLIENT = 96  # no client sent the cell or fetched its result
EXIT_OLD_PYTHON = 97  # Python in the image is older than 3.9
EXIT_PORT_TAKEN = 98  # another process of the pod has the runner's port
# Exit code of a worker whose cell closed the pipes to the supervisor.
EXIT_PIPES_CLOSED = 117
# Limits of ``boot.py``: for a client that has not proven that it knows the key, and for its program.
CONNECTION_SECONDS = 5
PROGRAM_SECONDS = 30
MAX_PROGRAM_BYTES = 4 << 20
# Environment variable that holds PYTHONPATH until the process of the cell starts.
PATH_VARIABLE = "PODTASK_PATH"
# Python reads these variables, which begin with PYTHON, only when it starts.
STARTUP_VARIABLES = (
    "HASHSEED UTF8 WARNINGS DEVMODE OPTIMIZE MALLOC TRACEMALLOC INTMAXSTRDIGITS FAULTHANDLER "
    "ASYNCIODEBUG COERCECLOCALE PYCACHEPREFIX BREAKPOINT NODEBUGRANGES _GIL _JIT"
)
PROGRAM_SEPARATOR = b"\n\0"  # between the loader of the runner's program and its modules

# Reasons in a CLOSE frame.
CLOSE_TAKEN_OVER = "another client took over"
CLOSE_RECONNECTED = "connected again"
CLOSE_NO_JOB = "not begun"  # the runner waits for the client that has the cell
CLOSE_RELEASED = "released"

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

# Stages of a cell in the description of its error.
STAGE_PIP, STAGE_LOAD, STAGE_RUN = "pip", "load", "run"

# Ids in BLOB and FETCH frames.
BLOB_INPUTS, BLOB_RESULTS = "inputs", "results"

# Prefixes of the runner's own lines in the log of its container.
FRAME_LINE_PREFIX = "podtask-frame"
RECORD_LINE_PREFIX = "podtask-record"
RESULT_WAITS_PREFIX = "podtask: ended ("
FRAME_PROOF_CHARS = 32  # length of the signature in a line that holds a frame

RUNNER_FILENAME = "<podtask runner>"  # file names of the runner's modules start with it
POD_MAGICS = ("cd", "env", "matplotlib", "pip", "pwd", "set_env", "time")  # line magics that work in a pod
MODULE_OBJECT = "podtask object"  # key of an object that the notebook has in place of a module
MAX_WATCHED_BYTES = 1 << 20  # total size of the input pickles that are compared before and after the cell
# Roles of the items of a result that are not values: what the cell changed on a class or function of the
# notebook, and copies of the definitions that the values refer to, for a kernel that does not have them.
CHANGES, DEFINITIONS = "changes", "definitions"

_json = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would create an encoder for each call

# client -> runner
ATTACH, RUN, FETCH, ACK, INTERRUPT, INPUT_REPLY, PING = range(1, 8)
# both ways
BLOB, HAVE, CLOSE = range(16, 19)
# runner -> client
HELLO, PONG, ERROR, LOG = range(32, 36)
# runner -> client, spooled
STATE, STREAM, DISPLAY, CLEAR_OUTPUT, INPUT_REQUEST, GAP, RESULT = range(64, 71)
SPOOLED = range(STATE, RESULT + 1)


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


class Decoder:
    """A decoder from chunks of a byte stream to frames; it holds at most one frame and one chunk."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete after ``chunk``.

        Raises:
            WireError: The header is invalid, or meta is not a JSON object.
        """
        buffer = self._buffer
        buffer += chunk
        start = 0
        try:
            while len(buffer) - start >= HEADER.size:
                kind, seq, meta_size, data_size = HEADER.unpack_from(buffer, start)
                if meta_size > MAX_META or data_size > MAX_DATA:
                    raise WireError(f"frame of {meta_size} + {data_size} bytes is over the limit")
                middle = start + HEADER.size + meta_size
                stop = middle + data_size
                if len(buffer) < stop:
                    break
                with memoryview(buffer) as view:
                    meta = self._meta(bytes(view[start + HEADER.size : middle]))
                    data = bytes(view[middle:stop])
                start = stop
                yield Frame(kind, seq, meta, data)
        finally:
            del buffer[:start]

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
