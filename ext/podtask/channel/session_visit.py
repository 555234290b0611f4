"""Ask the runner of a session for its state, without taking the session over from the notebook that follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..backends.base import ByteStream
from ..errors import TaskError
from ..runner import protocol
from .handshake import Handshake


@dataclass(frozen=True)
class SessionState:
    """The state of a session, as its runner says.

    Args:
        python: Version of its Python.
        is_busy: Whether a cell runs.
        names: Its variables, as of the end of the last cell.
        is_followed: Whether a notebook is connected.
        idle_left: Seconds after which it ends without a cell.
        memory: Bytes that its container uses; None if unknown.
        memory_limit: Limit of that in bytes; None if there is none.
    """

    python: str
    is_busy: bool
    names: tuple[str, ...]
    is_followed: bool
    idle_left: float
    memory: int | None
    memory_limit: int | None

    @classmethod
    def parse(cls, python: str, meta: dict[str, Any]) -> SessionState:
        """Return the state in the meta of a SESSION frame.

        Raises:
            TaskError: The runner sends something else; it may send anything.
        """
        try:
            memory, limit = (
                None if meta.get(name) is None else int(meta[name]) for name in ("memory", "memory_limit")
            )
            names = tuple(sorted(str(name) for name in meta["names"]))
            times = float(meta["idle_left"])
            return cls(python, bool(meta["busy"]), names, bool(meta.get("followed")), times, memory, limit)
        except (LookupError, TypeError, ValueError):
            raise TaskError(
                "The pod sent a state of its session that podtask cannot read.",
                "Another version of podtask may have started it.",
            ) from None


class SessionVisit:
    """One short connection to the runner of a session.

    Args:
        key: Key of the session, in hexadecimal digits.
        secret: The owner's secret.
        extend: Seconds that the session is to live at least; None to leave that as it is.
    """

    def __init__(self, key: str, secret: str, extend: float | None = None) -> None:
        self._handshake = Handshake(bytes.fromhex(key), secret)
        self._visit = {} if extend is None else {"extend": extend}

    async def run(self, stream: ByteStream) -> SessionState | None:
        """Return the state of the session; None if no cell was sent to the runner yet.

        Raises:
            NotOurRunner: The other side does not know the key.
            OSError: The connection broke.
            TaskError: The runner sends what podtask cannot read.
        """
        try:
            hello = await self._handshake.receive_hello(stream)
            if hello.fresh:
                return None
            seal, runner_seal = self._handshake.seals(hello)
            meta = {"proto": protocol.PROTOCOL_VERSION, "visit": self._visit}
            frame = seal.record(protocol.encode(protocol.ATTACH, meta))
            await stream.send(self._handshake.reply_to(hello, b"") + frame)
            decoder, chunk = protocol.Decoder(runner_seal), hello.rest
            found: SessionState | None = None
            while True:
                for received in decoder.feed(chunk):
                    if received.kind == protocol.SESSION:
                        found = SessionState.parse(hello.python, received.meta)
                    elif received.kind in (protocol.CLOSE, protocol.ERROR):
                        return found
                chunk = await stream.receive()
                if not chunk:
                    raise ConnectionResetError("the runner's connection ended")
        except protocol.WireError as error:
            raise ConnectionError(str(error)) from error
        finally:
            await stream.close()
