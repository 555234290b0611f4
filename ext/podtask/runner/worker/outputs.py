"""Packs what a cell leaves: the values asked for, the last expression's, its errors."""

import types
from typing import IO, Any, Dict, List, Set, Tuple

from .. import pickler
from . import changes
from .leftovers import abbreviate

RESULT_LIMIT = 64 << 20  # bytes of a value that is not asked for by name
MOST_BACK = 1000  # names: what is said of each goes in the head of one frame, of 1 MiB at most
MOST_TOLD = 50  # of those that stay
PLAIN = {bool, int, float, complex, str, bytes, type(None)}  # need no cloudpickle
Item = Tuple[str, str, Any]  # role, name, value


class TooLarge(Exception):
    """A value is over its limit; it stays in the pod."""


class File:
    """The file of results: counts, refuses to grow past a limit, puts buffers at its end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.restart()

    def restart(self) -> None:
        """Forgets everything."""
        self._file.seek(0)
        self._file.truncate()
        self.stream = self.size = 0
        self.limit = float("inf")
        self._apart: List[Any] = []

    def write(self, data: Any) -> int:
        """Takes bytes of the pickle."""
        with memoryview(data) as view:
            size = view.nbytes
            self._count(size)
            self._put(view.cast("B") if size else view)
        self.stream += size
        return size

    def take_apart(self, view: Any) -> None:
        """Takes a buffer that is written behind the pickle, without a copy of it."""
        self._count(view.nbytes)
        self._apart.append(view)

    @property
    def buffers(self) -> int:
        """How many buffers were taken apart."""
        return len(self._apart)

    def finish(self) -> List[int]:
        """Writes the buffers; returns the sizes of the pickle and of each of them."""
        views, self._apart = self._apart, []
        for view in views:
            self._put(view)
        return [self.stream, *(view.nbytes for view in views)]

    def _count(self, size: int) -> None:
        if self.size + size > self.limit:
            raise TooLarge
        self.size += size

    def _put(self, view: Any) -> None:
        while view:
            view = view[self._file.write(view) :]


def pack_values(
    job: Dict[str, Any],
    file: IO[bytes],
    namespace: Dict[str, Any],
    given: changes.InputSnapshot,
    last: List[Item],
) -> Dict[str, Any]:
    """Pickles what goes back; returns its part of the end frame's meta.

    Args:
        job: the meta of the run frame.
        file: takes the pickles.
        namespace: of the cell.
        given: what was there before the cell ran.
        last: the last expression, or the errors.
    """
    new = [name for name, value in namespace.items() if given.is_new(name, value)]
    new = [name for name in new if not name.startswith("_")]
    changed = [name for name in sorted(given.changed(namespace)) if not name.startswith("_")]
    own = [name for name in new if not isinstance(namespace[name], types.ModuleType)]
    auto = job.get("outputs") == "auto"
    limited = {"error", *(["value"] if auto else []), *([] if job.get("call") else ["result"])}
    wanted = [*own, *changed] if auto else job.get("outputs") or []
    items = [("value", name, namespace[name]) for name in wanted if name in namespace]
    beyond = {name for _, name, _ in items[MOST_BACK:]}
    del items[MOST_BACK:]
    end = _dump(File(file), namespace, [*items, *last], job["mode"] == "data", limited)
    told = {item["name"] for item in [*end["packed"], *end["kept"]]}
    left = [
        [name, type(namespace[name]).__name__]
        for name in own
        if name not in told and name not in beyond and not _imported(namespace[name])
    ]
    if len(left) > MOST_TOLD:
        left[MOST_TOLD:] = [[f"{len(left) - MOST_TOLD} more", "names"]]
    missing = abbreviate([name for name in wanted if name not in namespace])
    changed = abbreviate([name for name in changed if name not in wanted])
    kept = _few_kept(end["kept"], len(beyond))
    return {
        **end,
        "kept": kept,
        "missing": missing,
        "left": left,
        "changed": changed,
        "call": job.get("call", ""),
    }


def _few_kept(kept: List[Dict[str, Any]], beyond: int) -> List[Dict[str, Any]]:
    """Returns the first of what was to go back and stays; of the others, how many there are."""
    about = {"role": "value", "type": "names"}
    kept = sorted(kept, key=lambda item: item["role"] == "value")  # the last value is always told
    found = kept[:MOST_TOLD]
    if len(kept) > MOST_TOLD:
        more = f"{len(kept) - MOST_TOLD} more"
        found.append({**about, "name": more, "why": "for reasons of their own"})
    if beyond:
        why = f"{MOST_BACK} come back at most; put them into a dict, say"
        found.append({**about, "name": f"{beyond} more", "why": why})
    return found


def sends(value: Any, namespace: Dict[str, Any], plain: bool) -> bool:
    """Whether a value can be pickled."""
    if type(value) in PLAIN:
        return True
    try:
        with pickler.Packer(pickler.Nowhere(), namespace, plain) as packer:
            packer.dump(value)
    except Exception:  # whatever a __reduce__ of the user's raises
        return False
    return True


def _imported(value: Any) -> bool:
    """Whether a name is only an import's: nothing that the cell has made."""
    kinds = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
    return isinstance(value, kinds) and getattr(value, "__module__", None) not in ("__main__", None)


def _dump(
    file: File, namespace: Dict[str, Any], items: List[Item], plain: bool, limited: Set[str]
) -> Dict[str, Any]:
    """Pickles items; those that fail, and those over the limit of their role, are left out."""
    kept: List[Dict[str, Any]] = []
    while True:
        file.restart()
        simple = all(type(value) in PLAIN for _, _, value in items)
        used: List[Any] = []
        packed: List[Dict[str, Any]] = []
        failed = None
        # The values share one memo. An error has its own: it must be of use though they are not.
        groups = [[item for item in items if item[0] != "error"]]
        groups += [[item] for item in items if item[0] == "error"]
        for group in groups:
            with pickler.Packer(file, namespace, plain or simple) as packer:
                for item in group:
                    about = _one(packer, file, item, limited)
                    about["apart"] = item is group[0]
                    if "why" in about:
                        kept.append(about)
                        failed = item
                        break
                    packed.append(about)
                used += packer.types
            if failed is not None:
                break
        if failed is None:
            of = pickler.versions(used)
            try:
                return {"packed": packed, "kept": kept, "sizes": file.finish(), "versions": of}
            except OSError as error:  # no room: the largest stays behind, the others have it
                about = max(packed, key=lambda each: int(each["size"]))
                kept.append({**about, "why": _said(error)})
                failed = [item for group in groups for item in group][packed.index(about)]
        items.remove(failed)  # its half in the memo is of no use: begin again


def _one(packer: pickler.Packer, file: File, item: Item, limited: Set[str]) -> Dict[str, Any]:
    """Pickles one item; returns what is said of it, ``why`` where that failed."""
    role, name, value = item
    about: Dict[str, Any] = {"role": role, "name": name, "type": type(value).__name__}
    start = file.size
    file.limit = start + RESULT_LIMIT if role in limited else float("inf")
    try:
        packer.dump(value)
    except TooLarge:
        about["why"] = f"over {RESULT_LIMIT >> 20} MiB"
    except Exception as error:  # whatever a __reduce__ of the user's raises
        about["why"] = _said(error)
    about.update(size=file.size - start, stream=file.stream, buffers=file.buffers)
    return about


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
