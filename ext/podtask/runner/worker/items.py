"""Run the cell of a map once for each item that arrives, and send each result.

Meta of an ITEM_RESULT frame: ``k`` and ``i`` of the item, ``seconds``, and ``end``: the fields of a RESULT frame that
say what was pickled, or what the error is. Without ``end`` the data is the pickle of a plain value.
"""

import contextlib
import io
import sys
import time
from typing import Any, Dict, List, Optional, Set, Tuple

from .. import plain_items, protocol
from ..merging_unpickler import MergingUnpickler
from ..reducers import identity
from ..streams import FrameWriter
from . import describe_error, inputs, outputs
from .execute import CompiledCell

READ_BYTES = 256 << 10


class ItemLoop:
    """The runs of a cell, one for each item.

    Args:
        job: Meta of the run frame. ``items`` are the names of the variables that are the result of an item, in a
            list; an empty list for the value of the last expression.
        cell: The cell.
        namespace: Its namespace, which has the inputs that all items share.
        writer: Sends the results.
    """

    def __init__(
        self, job: Dict[str, Any], cell: CompiledCell, namespace: Dict[str, Any], writer: FrameWriter
    ) -> None:
        self._job = job
        self._returned: List[str] = job["items"]["returned"]
        self._cell = cell
        self._namespace = namespace
        self._writer = writer
        self._before = {name: namespace[name] for name in self._returned if name in namespace}
        self._reported: Set[str] = set()  # libraries whose versions were compared

    def run(self, items: Any) -> None:
        """Run the cell for each item that a socket brings, until no more come.

        Raises:
            KeyboardInterrupt: The notebook, or the end of the pod, has stopped the worker; the result of the item
                that ran was sent.
        """
        decoder = protocol.Decoder()
        pieces: List[bytes] = []
        while True:
            chunk = items.recv(READ_BYTES)
            if not chunk:
                return
            for frame in list(decoder.feed(chunk)):
                if frame.meta.get("end"):
                    return
                pieces.append(frame.data)
                if not frame.meta.get("more"):
                    self._run_item(frame.meta, b"".join(pieces))
                    pieces.clear()

    def _run_item(self, meta: Dict[str, Any], data: bytes) -> None:
        start = time.perf_counter()
        value: Any = None
        error: Optional[BaseException] = None
        stage = protocol.STAGE_LOAD
        for name in self._returned:  # that of the item before must not pass for this one's
            self._namespace.pop(name, None)
        self._namespace.update(self._before)
        try:
            if "about" in meta:
                self._load_inputs(meta["about"], data)
            else:
                self._namespace.update(_load(data, meta.get("sizes", [])))
            stage = protocol.STAGE_RUN
            value = self._cell.run(self._namespace)
            if self._returned:
                value = self._returned_values()
        except BaseException as caught:  # SystemExit is the error of one item, too
            error = caught
        seconds = round(time.perf_counter() - start, 6)
        with self._writer.guard:  # an interrupt that comes now must not lose the result
            for stream in (sys.stdout, sys.stderr):
                # The cell may have replaced the stream by an object of its own, whose flush may raise anything.
                with contextlib.suppress(Exception):
                    stream.flush()
            about, packed = self._pack(value, error, stage)
            about.update(k=meta["k"], i=meta["i"], seconds=seconds)
            self._writer.emit(protocol.ITEM_RESULT, about, packed)
        if isinstance(error, KeyboardInterrupt):
            raise error

    def _returned_values(self) -> Any:
        """Return the value of the variable that is asked for, or a tuple of several.

        Raises:
            NameError: The cell has not set one.
        """
        for name in self._returned:
            if name not in self._namespace:
                raise NameError(f"-o {name}: the cell did not set this variable")
        found = [self._namespace[name] for name in self._returned]
        return found[0] if len(found) == 1 else tuple(found)

    def _load_inputs(self, about: Dict[str, Any], data: bytes) -> None:
        """Fill the namespace with variables that are packed as those of a cell are.

        Raises:
            RuntimeError: They are packed for another version of Python.
            Exception: Any error of unpickling.
        """
        if self._job["mode"] == "data":
            raise RuntimeError(
                "the pod has another minor version of Python than the notebook: it takes plain arguments of the "
                "function that was submitted first"
            )
        versions = {name: each for name, each in about["versions"].items() if name not in self._reported}
        self._reported.update(versions)
        job = {**self._job, **about, "versions": versions, "shared": {"definitions": []}}
        inputs.load(job, inputs.ReceivedInputs(data), self._namespace, lambda name: None).uninstall_unused()

    def _pack(self, value: Any, error: Optional[BaseException], stage: str) -> Tuple[Dict[str, Any], bytes]:
        """Return meta and data of the result of an item."""
        plain = None if error is not None else plain_items.dump_if_plain(value)
        if plain is not None:
            return {}, plain
        end: Dict[str, Any] = {"status": protocol.STATUS_OK, "call": self._job.get("call", "")}
        is_data = self._job["mode"] == "data"
        found: List[outputs.Item] = [(protocol.ROLE_LAST_VALUE, "", value)]
        if error is not None:

            def can_pickle(part: Any) -> bool:
                return outputs.can_pickle(part, self._namespace, is_data)

            errors = describe_error.error_chain(error)
            end.update(
                status=protocol.STATUS_ERROR, error={**describe_error.describe(errors, stage), "input": ""}
            )
            found = [
                (protocol.ROLE_ERROR, str(index), describe_error.to_picklable(each, can_pickle))
                for index, each in enumerate(errors)
            ]
        file = outputs.ResultWriter((io.BytesIO(), io.BytesIO()))
        limits = {
            protocol.ROLE_LAST_VALUE: protocol.MAX_ITEM_BYTES,
            protocol.ROLE_ERROR: outputs.MAX_RESULT_BYTES,
        }
        end.update(outputs.pickle_items(file, self._namespace, found, is_data, limits))
        data: bytes = file.current.getvalue()  # type: ignore[attr-defined]
        end["size"] = len(data)
        return {"end": end}, data


def _load(data: bytes, sizes: List[int]) -> Dict[str, Any]:
    """Return the variables of an item.

    Raises:
        Exception: Any error of unpickling.
    """
    parts = plain_items.split(data, sizes)
    unpickler = MergingUnpickler(io.BytesIO(parts[0]), buffers=parts[1:])
    bindings: Dict[str, Any] = unpickler.load()
    if unpickler.made:
        identity.NUMBERS.receive_all()
    return bindings
