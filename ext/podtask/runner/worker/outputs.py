"""Pickle what a cell returns: the requested values, the value of the last expression, its errors."""

import types
from typing import IO, Any, Callable, Dict, List, Optional, Sequence, Tuple

from .. import pickler
from ..protocol import ROLE_CHANGES, ROLE_DEFINITIONS, ROLE_ERROR, ROLE_LAST_VALUE, ROLE_VALUE
from ..reducers import identity
from . import changes
from .leftovers import abbreviate

MAX_RESULT_BYTES = 64 << 20  # bytes of a value that is not asked for by name
PIECE_BYTES = 1 << 20  # that are written at a time, and then announced
MAX_RETURNED_NAMES = 1000  # the descriptions of all names must fit in the meta of one frame
MAX_LISTED_NAMES = 50  # of those that stay
PLAIN_TYPES = {bool, int, float, complex, str, bytes, type(None)}  # need no cloudpickle
Item = Tuple[str, str, Any]  # role, name, value


class TooLarge(Exception):
    """A value exceeds its limit; it stays in the pod."""


class ResultWriter:
    """The file of results: count bytes, refuse to exceed a limit, store buffers at the end.

    What is written is announced meanwhile, so that it is sent while the rest is pickled. If an item fails
    after something was announced, a second file takes its place, of which nothing is announced: whoever reads
    the first one finds an end, and never other bytes.

    Args:
        files: The file, and the one that may take its place.
        announce: Called with the meta of a VALUES frame for about each MiB; None to announce nothing.

    Attributes:
        attempt: 1 for the first file, 2 for the second one.
        begun: Number of items of the first group so far.
    """

    def __init__(
        self,
        files: Sequence[IO[bytes]],
        announce: Optional[Callable[[Dict[str, Any]], None]] = None,
    ) -> None:
        self._files = files
        self._announce = announce
        self._announced = 0
        self.attempt = 1
        self.restart()

    def restart(self) -> None:
        """Discard everything."""
        file = self._files[self.attempt - 1]
        file.seek(0)
        file.truncate()
        if self._announced and self._announce is not None:
            self.attempt = 2
            self._announce({"attempt": 2, "size": 0, "begun": 0})
        self.stream = self.size = self.begun = 0
        self.limit = float("inf")
        self._written = self._announced = 0
        self._sizes: Optional[List[int]] = None
        self._buffers: List[Any] = []

    @property
    def current(self) -> IO[bytes]:
        """The file that has the values."""
        return self._files[self.attempt - 1]

    def write(self, data: Any) -> int:
        """Write bytes of the pickle."""
        with memoryview(data) as view:
            size = view.nbytes
            self._count(size)
            self._put(view.cast("B") if size else view)
        self.stream += size
        return size

    def write_buffer(self, view: Any) -> None:
        """Add a buffer that is written after the pickle, without copying it."""
        self._count(view.nbytes)
        self._buffers.append(view)

    @property
    def buffers(self) -> int:
        """Number of buffers that are stored separately."""
        return len(self._buffers)

    def finish(self) -> List[int]:
        """Write the buffers; return the sizes of the pickle and of each buffer."""
        views, self._buffers = self._buffers, []
        sizes = self._sizes = [self.stream, *(view.nbytes for view in views)]
        self.limit = float("inf")
        for view in views:
            self._put(view)
        return sizes

    def _count(self, size: int) -> None:
        if self.size + size > self.limit:
            raise TooLarge
        self.size += size

    def _put(self, view: Any) -> None:
        file = self._files[self.attempt - 1]
        while view:
            count = file.write(view[:PIECE_BYTES])
            view = view[count:]
            self._written += count
            # An item with a limit may turn out to be too large, and is not sent before it is complete.
            if self._written - self._announced >= PIECE_BYTES and self.limit == float("inf"):
                self._announce_written()

    def _announce_written(self) -> None:
        if self.attempt == 1 and self._announce is not None:
            self._announced = self._written
            sizes: Dict[str, Any] = {} if self._sizes is None else {"sizes": self._sizes}
            self._sizes = None  # they are announced once
            self._announce({"attempt": 1, "size": self._written, "begun": self.begun, **sizes})


def pack_values(
    job: Dict[str, Any],
    file: ResultWriter,
    namespace: Dict[str, Any],
    before: changes.InputSnapshot,
    last: List[Item],
) -> Dict[str, Any]:
    """Pickle the outputs; return their part of the result frame's meta.

    Args:
        job: Meta of the run frame.
        file: Takes the pickles.
        namespace: Namespace of the cell.
        before: The namespace before the cell ran.
        last: The value of the last expression, or the errors.
    """
    definitions = before.definitions.changes(namespace)
    new = [name for name, value in list(namespace.items()) if before.is_new(name, value)]
    new = [name for name in new if not name.startswith("_")]
    changed = [name for name in sorted(before.changed_names(namespace)) if not name.startswith("_")]
    own = [name for name in new if not isinstance(namespace[name], types.ModuleType)]
    auto = job.get("outputs") == "auto"
    limits = {ROLE_ERROR: MAX_RESULT_BYTES}
    if auto:
        limits[ROLE_VALUE] = MAX_RESULT_BYTES
    if not job.get("call"):
        limits[ROLE_LAST_VALUE] = int(job.get("max_last_value", MAX_RESULT_BYTES))
    wanted = [*own, *changed] if auto else job.get("outputs") or []
    values = {**_sent_under_other_names(before), **namespace}
    items = [(ROLE_VALUE, name, values[name]) for name in wanted if name in values]
    beyond = {name for _, name, _ in items[MAX_RETURNED_NAMES:]}
    del items[MAX_RETURNED_NAMES:]
    differences = [(ROLE_CHANGES, label, value) for label, value in definitions if auto or label in wanted]
    if job.get("plain"):
        # Start-up cost: few cells need it.
        from . import plain_values

        end = plain_values.pack_items(file, [*items, *last], limits, job["plain"] == "arrow")
    else:
        end = pickle_items(file, namespace, [*items, *differences, *last], job["mode"] == "data", limits)
    listed = {item["name"] for item in [*end["packed"], *end["kept"]]}
    unsent = [
        [name, type(namespace[name]).__name__]
        for name in own
        if name not in listed and name not in beyond and not _is_imported(namespace[name])
    ]
    if len(unsent) > MAX_LISTED_NAMES:
        unsent[MAX_LISTED_NAMES:] = [[f"{len(unsent) - MAX_LISTED_NAMES} more", "names"]]
    missing = abbreviate([name for name in wanted if name not in values])
    changed += sorted({label for label, _ in definitions if not auto} - {*changed})
    changed = abbreviate([name for name in changed if name not in wanted])
    kept = _summarize_kept(end["kept"], len(beyond))
    return {
        **end,
        "attempt": file.attempt,
        "kept": kept,
        "missing": missing,
        "left": unsent,
        "changed": changed,
        "call": job.get("call", ""),
    }


def _sent_under_other_names(before: changes.InputSnapshot) -> Dict[str, Any]:
    """Return the notebook's classes and functions that came along with others, such as the bases of a class."""
    return {
        obj.__qualname__: obj
        for obj in identity.NUMBERS.received_objects().values()
        if isinstance(obj, (type, types.FunctionType)) and not before.had(obj.__qualname__)
    }


def _summarize_kept(kept: List[Dict[str, Any]], beyond: int) -> List[Dict[str, Any]]:
    """Return the first of the values that stay although they were requested, and the number of the others."""
    about = {"role": ROLE_VALUE, "type": "names"}
    kept = sorted(kept, key=lambda item: item["role"] == ROLE_VALUE)  # the last value is always told
    found = kept[:MAX_LISTED_NAMES]
    if len(kept) > MAX_LISTED_NAMES:
        more = f"{len(kept) - MAX_LISTED_NAMES} more"
        found.append({**about, "name": more, "why": "for various reasons"})
    if beyond:
        why = f"{MAX_RETURNED_NAMES} names are returned at most; put the values into a dict"
        found.append({**about, "name": f"{beyond} more", "why": why})
    return found


def can_pickle(value: Any, namespace: Dict[str, Any], plain: bool) -> bool:
    """Return whether a value can be pickled."""
    if type(value) in PLAIN_TYPES:
        return True
    try:
        with pickler.Packer(pickler.NullFile(), namespace, plain) as packer:
            packer.dump(value)
    except Exception:  # whatever a __reduce__ of the user's raises
        return False
    return True


def _is_imported(value: Any) -> bool:
    """Return whether a value was only imported, not made by the cell."""
    kinds = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
    return isinstance(value, kinds) and getattr(value, "__module__", None) not in ("__main__", None)


def pickle_items(
    file: ResultWriter, namespace: Dict[str, Any], items: List[Item], plain: bool, limits: Dict[str, int]
) -> Dict[str, Any]:
    """Pickle items; leave out those that fail or exceed the limit of their role, in bytes."""
    kept: List[Dict[str, Any]] = []
    while True:
        file.restart()
        simple = all(type(value) in PLAIN_TYPES for _, _, value in items)
        used: List[Any] = []
        references: Dict[str, Any] = {}
        packed: List[Dict[str, Any]] = []
        failed = None
        # The values share one memo. An error has its own: it must be of use though they are not.
        groups = [[item for item in items if item[0] != ROLE_ERROR]]
        groups += [[item] for item in items if item[0] == ROLE_ERROR]
        groups = [group for group in groups if group]
        for group in groups:
            with pickler.Packer(file, namespace, plain or simple) as packer:
                for item in group:
                    file.begun += group is groups[0]
                    about = _pickle_item(packer, file, item, limits)
                    about["apart"] = item is group[0]
                    if "why" in about:
                        kept.append(about)
                        failed = item
                        break
                    packed.append(about)
                used += packer.types
                references.update(packer.references)
            if failed is not None:
                break
        if failed is None:
            of = pickler.versions(used)
            packed += _pickle_definitions(file, namespace, references)
            try:
                return {"packed": packed, "kept": kept, "sizes": file.finish(), "versions": of}
            except OSError as error:  # no room: the largest stays behind, the others have it
                packed = [each for each in packed if each["role"] != ROLE_DEFINITIONS]
                about = max(packed, key=lambda each: int(each["size"]))
                kept.append({**about, "why": _error_text(error)})
                failed = [item for group in groups for item in group][packed.index(about)]
        items.remove(failed)  # its half in the memo is of no use: begin again


def _pickle_definitions(
    file: ResultWriter, namespace: Dict[str, Any], references: Dict[str, Any]
) -> List[Dict[str, Any]]:
    """Pickle copies of the classes and functions that values refer to; return the description of this item.

    They are of use only for a kernel that has not sent them: one that attaches to the task.
    """
    if not references:
        return []
    start = file.size
    try:
        with pickler.Packer(pickler.NullFile(), namespace, plain=False, by_value=True) as packer:
            packer.dump(references)
        with pickler.Packer(file, namespace, plain=False, by_value=True) as packer:
            file.limit = float("inf")
            packer.dump(references)
    except Exception:  # whatever the cell has put into a class
        return []
    about = {"role": ROLE_DEFINITIONS, "name": "", "type": "dict", "size": file.size - start, "apart": True}
    return [{**about, "stream": file.stream, "buffers": file.buffers}]


def _pickle_item(
    packer: pickler.Packer, file: ResultWriter, item: Item, limits: Dict[str, int]
) -> Dict[str, Any]:
    """Pickle one item; return its description, with ``why`` if that failed."""
    role, name, value = item
    about: Dict[str, Any] = {"role": role, "name": name, "type": type(value).__name__}
    start = file.size
    file.limit = start + limits.get(role, float("inf"))
    try:
        packer.dump(value)
    except TooLarge:
        about["why"] = _over(limits[role])
    except Exception as error:  # whatever a __reduce__ of the user's raises
        about["why"] = _error_text(error)
    about.update(size=file.size - start, stream=file.stream, buffers=file.buffers)
    return about


def _over(limit: int) -> str:
    return f"over {limit >> 20} MiB" if limit >> 20 else f"over {limit >> 10} KiB"


def _error_text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
