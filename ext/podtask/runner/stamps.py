"""Stamps: what a value is like now, so that a later look tells whether it has changed in place or was replaced.

A stamp covers every byte of a value. Buffers, such as those of arrays, are checksummed where they are; the rest is
hashed as its pickle, without caches. Each process compares its own stamps only: an equal set of the other
side may have another pickle.
"""

import functools
import hashlib
import struct
import sys
import types
from typing import Any, Dict, FrozenSet, Iterable, List, NamedTuple, Optional

from . import pickler
from .caches import reduce_without_caches
from .reducers import identity

COLUMNS, OTHER_COLUMNS = 509, 521  # primes, as the rows of arrays seldom have such lengths
BLOCK_BYTES = (
    2 << 20
)  # fits the processor's cache, so that memory is read once; less than both primes times 8
MIN_SUMMED_BYTES = 1 << 20  # a smaller buffer is hashed in less than a millisecond
DEFINITIONS = (type, types.FunctionType)
ATOMS = (bool, int, type(None), type(Ellipsis))
# Objects without a state of their own, or recognized by their numbers.
NOT_SHARED = (
    *(
        type,
        types.FunctionType,
        types.BuiltinFunctionType,
        types.MethodType,
        types.ModuleType,
        types.CodeType,
    ),
    *(types.MappingProxyType, property, staticmethod, classmethod),
)


class Definition(NamedTuple):
    """What a class or function of the namespace was like that a value refers to.

    Attributes:
        is_named: Whether a name of the namespace refers to it.
        digest: A checksum of its bytes; None if it cannot be pickled.
    """

    is_named: bool
    digest: Optional[bytes]


class Stamp(NamedTuple):
    """What a value was like. Two stamps of one process match if nothing has changed between them.

    Attributes:
        kind: Type of the value.
        digest: The value itself if it is small and immutable, else a checksum of its bytes.
        size: Number of bytes that were looked at.
        needs: Names of the namespace that the value refers to: what its functions read, and the classes and functions
            that it holds.
        outer_digest: A checksum that covers no class and no function of the namespace; empty if the value has none.
        definitions: Maps the numbers of these classes and functions to what they were like.
    """

    kind: Any
    digest: Any
    size: int = 0
    needs: FrozenSet[str] = frozenset()
    outer_digest: bytes = b""
    definitions: Dict[str, Definition] = {}

    def matches(self, other: Optional["Stamp"]) -> bool:
        """Return whether a value with the other stamp is the same as this one."""
        if other is None or self.kind is not other.kind:
            return False
        return bool(self.digest == other.digest) or self._differs_by_lost_names(other)

    def _differs_by_lost_names(self, other: "Stamp") -> bool:
        """Return whether only the names of definitions have changed: a class that was defined again, for example."""
        if not self.outer_digest or self.outer_digest != other.outer_digest:
            return False
        both = self.definitions.keys() & other.definitions.keys()
        pairs = [(self.definitions[number], other.definitions[number]) for number in both]
        return any(one.is_named != two.is_named for one, two in pairs) and all(
            one.digest == two.digest for one, two in pairs if not (one.is_named and two.is_named)
        )


class _Look(NamedTuple):
    """What a pickle of a value shows.

    Attributes:
        stamp: The stamp without the definitions.
        definitions: The classes and functions of the namespace that the value refers to.
    """

    stamp: Stamp
    definitions: List[Any]


class Stamper:
    """Takes stamps of the values of a namespace, as they are at the moment.

    Classes and functions that have a name in the namespace are looked at under this name only, so what changes on a
    class does not change the stamps of its instances. A stamp also notes what they were like, as a class that is
    defined again leaves its instances with a class without a name.

    Args:
        namespace: The globals of the notebook or of the worker.
    """

    def __init__(self, namespace: Dict[str, Any]) -> None:
        self._namespace = namespace
        self._looks: Dict[int, Optional[_Look]] = {}  # at definitions

    @functools.cached_property
    def _named(self) -> Dict[int, str]:
        """The names of the namespace's own definitions, by id; most cells need only stamps of atoms."""
        return named_definitions(self._namespace)

    def stamp(self, value: Any) -> Optional[Stamp]:
        """Return the stamp of a value; None if it cannot be pickled."""
        kind = type(value)
        if kind in ATOMS:
            return Stamp(kind, value)
        if kind is str or kind is bytes:
            return Stamp(kind, (len(value), hash(value)), len(value))
        if kind is float or kind is complex:
            return Stamp(kind, struct.pack("dd", value.real, value.imag))
        if _is_plain_array(value):
            head = (repr(value.dtype), value.shape, value.strides, value.flags.writeable)
            return Stamp(kind, (head, checksum(_bytes_of(value))), value.nbytes)
        if isinstance(value, types.ModuleType):
            return Stamp(kind, value.__name__)  # its state stays on its side
        look = self._look(value)
        return None if look is None else self._with_definitions(look)

    def _look(self, value: Any) -> Optional[_Look]:
        """Pickle a value; return what its pickle shows, None if it cannot be pickled."""
        file = _StampFile()
        try:
            with self._packer(file, value) as packer:
                packer.dump(value)
                own = {id(each): each for each in packer.types if _is_own(each) and each is not value}
                needs = frozenset(packer.needs | {self._named[key] for key in own if key in self._named})
            digest = outer = file.digest()
            if not own.keys() <= self._named.keys():
                outer_file = _StampFile()
                with self._packer(outer_file, value, own) as packer:
                    packer.dump(value)
                outer = outer_file.digest()
        except Exception:  # whatever a __reduce__ of the user's raises
            return None
        return _Look(Stamp(type(value), digest, file.size, needs, outer), [*own.values()])

    def _with_definitions(self, look: _Look) -> Stamp:
        """Return the stamp of a look, with the definitions that the value refers to, and those that they refer to."""
        if not look.definitions:
            return look.stamp._replace(outer_digest=b"")
        found: Dict[str, Definition] = {}
        todo = [*look.definitions]
        for each in todo:  # grows
            number = identity.NUMBERS.number_of(each)
            if number in found:
                continue
            if id(each) not in self._looks:
                self._looks[id(each)] = self._look(each)
            inner = self._looks[id(each)]
            found[number] = Definition(
                id(each) in self._named, None if inner is None else inner.stamp.outer_digest
            )
            todo += inner.definitions if inner is not None else ()
        return look.stamp._replace(definitions=found)

    def shared_parts(self, value: Any) -> Dict[int, Any]:
        """Return id -> object for what a value holds and another value may hold, too: lists, instances, arrays.

        Empty if the value cannot be pickled. The ids are valid as long as the result is kept.
        """
        if type(value) in (*ATOMS, str, bytes, float, complex):
            return {}
        try:
            with self._packer(pickler.NullFile(), value) as packer:
                packer.dump(value)
                return {id(obj): obj for obj in packer.pickled_objects() if _is_shared(obj)}
        except Exception:  # whatever a __reduce__ of the user's raises
            return {}

    def _packer(self, file: Any, value: Any, unnamed: Iterable[int] = ()) -> pickler.Packer:
        """Return a packer for a value.

        Args:
            file: Where it writes.
            value: The value.
            unnamed: Ids of definitions to leave out although they have no name.
        """
        # Without the names: a definition that gets another name is the same one.
        named = dict.fromkeys((*self._named, *unnamed), "")
        named.pop(id(value), None)
        packer = pickler.Packer(
            file, self._namespace, plain=False, reduce=reduce_without_caches, by_value=True, named=named
        )
        packer.ignore_slot_names()
        return packer


def named_definitions(namespace: Dict[str, Any]) -> Dict[int, str]:
    """Return id -> name of the classes and functions that a namespace has defined."""
    named: Dict[int, str] = {}
    for name, value in list(namespace.items()):
        if _is_own(value) and (id(value) not in named or getattr(value, "__name__", "") == name):
            named[id(value)] = name
    return named


def checksum(view: memoryview) -> bytes:
    """Return a checksum over every byte of a contiguous buffer, of 1 byte items.

    With numpy, a large buffer is summed by the rows and columns of a table, and by the columns of a table of another
    width; these sums are hashed. Items that change places in one of them, so that its sums stay the same, do not in
    the other.
    """
    numpy: Any = sys.modules.get("numpy")
    if view.nbytes < MIN_SUMMED_BYTES or not hasattr(numpy, "frombuffer"):
        return hashlib.sha256(view).digest()
    hashed = hashlib.sha256()
    words = numpy.frombuffer(view, numpy.uint64, view.nbytes // 8)
    for start in range(0, len(words), BLOCK_BYTES // 8):
        block = words[start : start + BLOCK_BYTES // 8]
        for columns in (COLUMNS, OTHER_COLUMNS):
            rows = len(block) // columns
            table = block[: rows * columns].reshape(rows, columns)
            hashed.update(table.sum(axis=0))
            hashed.update(block[rows * columns :].tobytes())
            if columns == COLUMNS:
                hashed.update(table.sum(axis=1))
    hashed.update(view[len(words) * 8 :])
    return hashed.digest()


def _is_own(value: Any) -> bool:
    """Return whether a value is a class or function of the notebook."""
    return isinstance(value, DEFINITIONS) and getattr(value, "__module__", None) == "__main__"


def _is_plain_array(value: Any) -> bool:
    """Return whether a value is an array of numpy whose memory is one piece, without references to objects."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or type(value) is not getattr(numpy, "ndarray", None):
        return False
    return not value.dtype.hasobject and (value.flags.c_contiguous or value.flags.f_contiguous)


def _bytes_of(array: Any) -> memoryview:
    """Return the bytes of a contiguous array where they are."""
    flat = array.reshape(-1, order="A")
    return memoryview(flat.view("uint8")) if flat.nbytes else memoryview(b"")


def _is_shared(obj: Any) -> bool:
    """Return whether it matters that two values hold the same object: it may change, and is not just a value."""
    kind: Any = type(obj)
    if isinstance(obj, NOT_SHARED):
        return False
    return kind.__hash__ is None or kind.__hash__ is object.__hash__ or kind.__module__ == "__main__"


class _StampFile:
    """A file that keeps only the hash and the size of what is written."""

    def __init__(self) -> None:
        self.size = 0
        self._stream = hashlib.sha256()
        self._buffers: List[bytes] = []

    def write(self, data: Any) -> int:
        with memoryview(data) as view:
            self.size += view.nbytes
            self._stream.update(view)
            return view.nbytes

    def write_buffer(self, view: Any) -> None:
        self.size += view.nbytes
        self._buffers.append(checksum(view))

    def digest(self) -> bytes:
        """Return the hash of all that was written."""
        self._stream.update(b"".join(self._buffers))
        return self._stream.digest()
