"""The names that the notebook shares with one session: which side has set each last, and what to send.

As in one kernel, the value counts of the side that has set the name last. A name is set by a cell that binds it, by
a value that comes back (``-o``), or by a change in place, which shows in its stamp. When a change in place happened is
not known, so a name that both sides have set is an error unless the last of the two bound it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..cell.cell import Cell
from ..pickling.ipython_names import is_ipython_name
from ..runner.protocol import SET_ALWAYS, SET_IF_CHANGED, SET_IF_MISSING, SET_IF_SAME
from ..runner.stamps import Stamp, Stamper
from ..runner.value_summary import SHORT_KINDS
from .bindings import BindingLog
from .choice import Choice, conflict_error, replaced_lines, unsendable_line

SESSION, AS_BEFORE, CONFLICT = "session's", "as before", "conflict"  # why a name is not sent
NEVER = sys.maxsize  # the place of the end of a cell that runs
RESENT_BYTES = 1 << 20  # a larger value that is bound again, and is as it was, is not sent
LARGE_BYTES = 64 << 20  # a larger value is not looked at again while nothing can have changed it


@dataclass
class _SharedName:
    """A name of the session, as the notebook knows it.

    Attributes:
        same_order: Place of the cell at whose start both sides had the same value; 0 if they never had.
        same_cell: That cell for the user, such as ``In [12]``.
        stamp: Stamp of the notebook's value then, or when the session bound the name after it.
        bound: Places of the first and last cell at which the session may have bound the name since; 0 if it has not.
        summary: What the session has bound.
        needs: Names that the session's value reads when it is used.
    """

    same_order: int = 0
    same_cell: str = ""
    stamp: Stamp | None = None
    bound: tuple[int, int] = (0, 0)
    summary: str = ""
    needs: Collection[str] = ()


@dataclass(frozen=True)
class _Look:
    """The last look at a large value of the notebook.

    Args:
        value_id: Identity of the value.
        order: Place of the last cell before it.
        stamp: What was seen.
    """

    value_id: int
    order: int
    stamp: Stamp | None


def _compare(known: _SharedName, stamp: Stamp, set_order: int, is_short: bool) -> str:
    """Return which value counts of a name that both sides have: a condition of the protocol, or one of the words above.

    Args:
        known: What is known of the name.
        stamp: Stamp of the notebook's value.
        set_order: Place of the last cell of the notebook that bound it.
        is_short: Whether the value is a number or a text, so that it does not matter which object it is.
    """
    first, last = known.bound
    is_same = stamp.matches(known.stamp)
    if last:
        if set_order > last:
            return SET_ALWAYS
        return SESSION if is_same and set_order <= first else CONFLICT
    if set_order <= known.same_order:
        return AS_BEFORE if is_same else SET_IF_SAME
    if is_same and is_short:
        return AS_BEFORE
    # A small one is sent, as a new object: what else refers to the old one in the session keeps it.
    return SET_IF_CHANGED if is_same and stamp.size > RESENT_BYTES else SET_ALWAYS


class _Looker:
    """Looks at values of the notebook, at each once for one cell.

    Args:
        namespace: The notebook's namespace.
        log: Which cells the notebook has executed.
        large: The last looks at large values, by name; updated.
        fresh: Names of large values to look at again.
    """

    def __init__(
        self,
        namespace: dict[str, Any],
        log: BindingLog,
        large: dict[str, _Look],
        fresh: Collection[str] = (),
    ) -> None:
        self._namespace = namespace
        self._log = log
        self._large = large
        self._fresh = fresh
        self._stamper = Stamper(namespace)
        self._stamps: dict[str, Stamp | None] = {}

    def stamp(self, name: str) -> Stamp | None:
        """Return the stamp of a value; a large one is not looked at again if nothing can have changed it."""
        if name in self._stamps:
            return self._stamps[name]
        value = self._namespace[name]
        last = self._large.pop(name, None)
        if last is not None and self._is_untouched(name, last):
            stamp = last.stamp
        else:
            stamp = self._stamper.stamp(value)
        if stamp is not None and stamp.size > LARGE_BYTES:
            self._large[name] = _Look(id(value), self._log.order, stamp)
        self._stamps[name] = stamp
        return stamp

    def shared_parts(self, name: str) -> dict[int, Any]:
        """Return id -> object for what a value may share with others."""
        return self._stamper.shared_parts(self._namespace[name])

    def _is_untouched(self, name: str, last: _Look) -> bool:
        return (
            last.value_id == id(self._namespace[name])
            and self._log.plain_order < last.order
            and name not in self._fresh
            and not self._log.has_other_threads()
        )


class SharedValues:
    """The names that the notebook shares with one session.

    Args:
        session: Name of the session.
        log: Which names the notebook's cells bind.
        namespace: The notebook's namespace.
        is_new: Whether the session has no names yet; False if another kernel has used it.

    Attributes:
        namespace: The notebook's namespace.
        began: Place of the cell after which the notebook has followed the session.
        last_order: Place of the last cell that was submitted to the session.
    """

    def __init__(self, session: str, log: BindingLog, namespace: dict[str, Any], is_new: bool = True) -> None:
        self._session = session
        self._log = log
        self._namespace = self.namespace = namespace
        self._knows_all = is_new
        self.began = self.last_order = log.order
        self._names: dict[str, _SharedName] = {}
        self._deleted: set[str] = set()  # by the session
        self._large: dict[str, _Look] = {}

    @property
    def names(self) -> list[str]:
        """The names that the session is known to have."""
        return sorted(self._names)

    def choose(
        self,
        cell: Cell,
        reads: Collection[str] = (),
        outputs: Collection[str] = (),
        ours: Collection[str] = (),
        theirs: Collection[str] = (),
        fresh: Collection[str] = (),
    ) -> Choice:
        """Return what a cell takes from the notebook.

        Args:
            cell: The cell.
            reads: Further names that libraries read for it.
            outputs: Names that come back (``-o``). If the cell does not set them, those of the session must be current.
            ours: Names whose value in the notebook counts (``-i``).
            theirs: Names whose value in the session counts (``--theirs``).
            fresh: Names of large values to look at again (``--fresh``).

        Raises:
            InputError: A name was set on both sides, and it is not known by which last.
        """
        choice = Choice(self._log.next_order())
        self.last_order = choice.order
        look = _Looker(self._namespace, self._log, self._large, fresh)
        conflicts: dict[str, str] = {}
        current = [name for name in outputs if name in self._names and name not in cell.writes]
        todo = [(name, name) for name in dict.fromkeys((*cell.reads, *reads, *ours, *current))]
        roots = {name: name for name, _ in todo}
        for name, root in todo:  # grows
            needs = self._decide(name, choice, look, conflicts, name in ours, name in theirs)
            for new in sorted(set(needs) - roots.keys() - set(cell.set_before.get(root, ()))):
                roots[new] = root
                todo.append((new, root))
        for name in (
            {*outputs} & {*cell.writes} & self._names.keys() - roots.keys()
        ):  # a cell that fails may not set it
            if self._log.last_bound(name) > max(self._names[name].same_order, self._names[name].bound[1]):
                self._decide(name, choice, look, conflicts)
        self._add_sharing(choice, look, conflicts)
        if conflicts:
            raise self._conflict_error(conflicts)
        choice.sort_values()
        self._expect(choice, cell.writes, look)
        choice.current = [
            name
            for name in outputs
            if name in self._names and name in self._namespace and self._is_as_before(name, look)
        ]
        return choice

    def choose_for_values(self, values: Mapping[str, Any]) -> Choice:
        """Return what a cell takes that is not of the notebook's namespace: these values, and what they need of it.

        Args:
            values: Values that the session gets in any case, by name.

        Raises:
            InputError: A name that they need was set on both sides, and it is not known by which last.
        """
        stamper = Stamper(self._namespace)
        stamps = {name: stamper.stamp(value) for name, value in values.items()}
        needs = set().union(*(stamp.needs for stamp in stamps.values() if stamp is not None))
        choice = self.choose(Cell("", "<podtask values>"), needs - values.keys())
        for name, value in values.items():
            choice.add(name, value, SET_ALWAYS, None)
        choice.sort_values()
        return choice

    def lines_of(self, choice: Choice, shared: Mapping[str, Any]) -> list[str]:
        """Return the lines to show with the result of a cell."""
        replaced = shared["replaced"].items()
        return choice.notes + [
            line
            for name, theirs in replaced
            for line in replaced_lines(name, self._namespace.get(name), theirs)
        ]

    def answer(self, choice: Choice, shared: Mapping[str, Any]) -> None:
        """Complete a choice after the session has not run the cell.

        Args:
            choice: The choice; the values that the session wants are added.
            shared: The field ``shared`` of the RESULT frame.

        Raises:
            InputError: A name was set on both sides.
        """
        if shared["conflicts"]:
            self.cancel(choice)
            raise self._conflict_error(shared["conflicts"])
        choice.with_wanted(shared["wanted"], self._namespace)

    def note_end(self, choice: Choice, shared: Mapping[str, Any], returned: Collection[str] = ()) -> None:
        """Note what a cell has set, once its values are assigned.

        Args:
            choice: What the cell took from the notebook.
            shared: The field ``shared`` of the RESULT frame.
            returned: Names whose values have come back (``-o``).
        """
        for name in returned:
            self._large.pop(name, None)
        look = _Looker(self._namespace, self._log, self._large)
        self._end_expectation(choice, shared["loaded"])
        self._note_loaded(choice, shared["loaded"], look)
        end = (
            self._log.next_order()
        )  # what the notebook has set since the cell was submitted may be newer or older
        for name, (summary, needs) in shared["bound"].items():
            if self._is_last(choice, name):
                self._note_bound(name, (choice.order, end), summary, needs, choice, look)
        for name in shared["deleted"]:
            if self._is_last(choice, name) and self._names.pop(name, None) is not None:
                self._deleted.add(name)
        for name in returned:
            if name in self._namespace:
                self._note_same(name, end, look.stamp(name))

    def _note_loaded(self, choice: Choice, loaded: Collection[str], look: _Looker) -> None:
        """Note that a cell has taken names from the notebook: both sides have the same values."""
        for name in loaded:
            # One that the cell was to set stays "being set" if it has failed before.
            is_awaited = name in self._names and self._names[name].bound[1] == NEVER
            if name in choice.replaced and not (is_awaited and self._is_last(choice, name)):
                continue
            if name in choice.stamps and choice.stamps[name] is None:  # not the notebook's value of this name
                self._note_bound(name, (choice.order, choice.order), "", (), choice, look)
            else:
                self._note_same(name, choice.order, look.stamp(name))

    def _end_expectation(self, choice: Choice, loaded: Collection[str]) -> None:
        """Note which of the names that a cell was expected to take from the notebook it has taken."""
        self._restore(choice, loaded)
        for name, condition in choice.conditions.items():
            if condition == SET_IF_CHANGED and self._is_last(choice, name):
                self._note_same(name, choice.order, choice.stamps[name])
            elif condition == SET_IF_MISSING and name not in loaded:  # the session had it before
                self._names[name] = _SharedName(stamp=choice.stamps[name], bound=(choice.order, choice.order))

    def cancel(self, choice: Choice) -> None:
        """Note that a cell has not begun."""
        self._restore(choice, None)

    def _restore(self, choice: Choice, loaded: Collection[str] | None) -> None:
        """Know of names what was known before a cell was submitted, unless a later cell has been since.

        Args:
            choice: What the cell was to take from the notebook.
            loaded: What it has taken; None if it has not begun.
        """
        for name, known in choice.replaced.items():
            if name in (loaded or ()) or not self._is_last(choice, name):
                continue
            if known is None or (loaded is not None and name in choice.values):
                self._names.pop(name, None)
            elif known.bound[1] == NEVER:  # of a cell before, which may have bound it
                self._names[name] = replace(known, bound=(known.bound[0], self._log.order))
            else:
                self._names[name] = known

    def leave_to_session(self, choice: Choice, ours: Collection[str]) -> None:
        """Note that the session is not new; let a cell take only what the session does not have.

        Args:
            choice: What the cell was to take.
            ours: Names whose value in the notebook counts (``-i``).
        """
        self._knows_all = False
        choice.leave_to_session(set(choice.values) - set(ours))

    def forget_all(self) -> list[str]:
        """Note that the session's process has ended; return the names lost with it."""
        lost = self.names
        self._names.clear()
        self._deleted.clear()
        self._knows_all = True
        return lost

    def _is_last(self, choice: Choice, name: str) -> bool:
        """Return whether no cell that was submitted later has taken the name from the notebook, or may set it."""
        known = self._names.get(name)
        return known is None or max(known.same_order, known.bound[0]) <= choice.order

    def _note_bound(
        self,
        name: str,
        order: tuple[int, int],
        summary: str,
        needs: Collection[str],
        choice: Choice,
        look: _Looker,
    ) -> None:
        """Note that a cell of the session has bound a name. What the notebook has then is older."""
        known = self._names.setdefault(name, _SharedName())
        known.bound, known.summary, known.needs = order, summary, needs
        if name not in choice.seen:
            choice.seen[name] = look.stamp(name) if name in self._namespace else None
        known.stamp = choice.seen[name]
        self._deleted.discard(name)

    def _expect(self, choice: Choice, writes: Collection[str], look: _Looker) -> None:
        """Note what a cell will set, for the cells that are submitted before it has ended."""
        for name in choice.values:
            choice.replaced[name] = self._names.get(name)
            self._note_same(name, choice.order, choice.stamps[name])
        for name in writes:
            choice.replaced.setdefault(name, self._names.get(name))
            self._names[name] = replace(self._names.get(name, _SharedName()))
            self._note_bound(name, (choice.order, NEVER), "being set", (), choice, look)

    def _note_same(self, name: str, order: int, stamp: Stamp | None) -> None:
        needs = () if stamp is None else stamp.needs
        self._names[name] = _SharedName(order, self._log.cell_label, stamp, needs=needs)
        self._deleted.discard(name)

    def _decide(
        self,
        name: str,
        choice: Choice,
        look: _Looker,
        conflicts: dict[str, str],
        is_ours: bool = False,
        is_theirs: bool = False,
    ) -> Collection[str]:
        """Decide which value of a name counts; return the names that this value needs."""
        known = self._names.get(name)
        if name not in self._namespace or is_ipython_name(name, self._namespace):
            return () if known is None else self._keep_other(name, known, choice)
        value, stamp = self._namespace[name], look.stamp(name)
        set_order = self._log.last_bound(name)
        if is_theirs and (known is not None or not self._knows_all):
            known = self._names[name] = self._keep_theirs(known, choice.order, stamp)
            found = SESSION
        elif is_ours or (known is None and (self._knows_all or set_order > self.began)):
            found = SET_ALWAYS
        elif known is None:
            found = SET_IF_MISSING
        elif stamp is None:
            found = SESSION
            if set_order > max(known.same_order, known.bound[1]):
                choice.notes.append(unsendable_line(name, value))
        else:
            found = _compare(known, stamp, set_order, isinstance(value, SHORT_KINDS))
        if known is not None and found == CONFLICT:
            conflicts[name] = known.summary
        elif found in (SESSION, AS_BEFORE):
            choice.kept[name] = found
        elif found != CONFLICT:
            choice.add(name, value, found, stamp)
        owner: _SharedName | Stamp | None = known if found == SESSION else stamp
        return () if owner is None else owner.needs

    @staticmethod
    def _keep_other(name: str, known: _SharedName, choice: Choice) -> Collection[str]:
        """Keep the session's value of a name that the notebook does not have; return the names that it needs."""
        choice.kept[name] = f"{SESSION}, deleted here" if known.same_order else SESSION
        return known.needs

    @staticmethod
    def _keep_theirs(known: _SharedName | None, order: int, stamp: Stamp | None) -> _SharedName:
        """Return what is known of a name whose value in the session counts, as if the session had bound it now."""
        return replace(known or _SharedName(), bound=(order, order), stamp=stamp)

    def _add_sharing(self, choice: Choice, look: _Looker, conflicts: Mapping[str, str]) -> None:
        """Keep the objects shared that values to send have in common with other names of the session.

        If such an object is itself the unchanged value of a name, what is sent refers to the session's object. Else
        the values travel together: one that changed takes the others along.
        """
        parts = {name: look.shared_parts(name) for name in choice.values}
        others = {
            name: look.shared_parts(name)
            for name in (self._names if any(parts.values()) else ())
            if name in self._namespace and name not in choice.values and name not in conflicts
        }
        while True:
            sent = set().union(*(each.keys() for each in parts.values()))
            choice.references = [
                name
                for name in others
                if name not in choice.values
                and id(self._namespace[name]) in sent
                and id(self._namespace[name]) in others[name]
                and self._is_as_before(name, look)
            ]
            referred = set().union(*(others[name].keys() for name in choice.references))
            pairs = [
                (name, other)
                for other in others
                for name in parts
                if other not in choice.values and (parts[name].keys() - referred) & others[other].keys()
            ]
            new = [(name, other) for name, other in pairs if self._add_other(other, choice, look)]
            if not new:
                return
            for name, other in new:
                choice.together.setdefault(other, name)
                parts[other] = others[other]

    def _is_as_before(self, name: str, look: _Looker) -> bool:
        """Return whether the notebook has not set a name since both sides had the same value, nor has bound it there."""
        known, stamp = self._names[name], look.stamp(name)
        is_set = known.bound[1] or self._log.last_bound(name) > known.same_order
        return bool(known.same_order) and not is_set and stamp is not None and stamp.matches(known.stamp)

    def _add_other(self, name: str, choice: Choice, look: _Looker) -> bool:
        """Add a value that shares objects with another one, unless the session has bound its name to another object."""
        known, stamp = self._names[name], look.stamp(name)
        set_order = self._log.last_bound(name)
        if stamp is None or (known.bound[1] and set_order <= known.bound[1]):
            return False
        condition = SET_ALWAYS if set_order > known.same_order else SET_IF_SAME
        choice.add(name, self._namespace[name], condition, stamp)
        return True

    def _conflict_error(self, conflicts: Mapping[str, str]) -> Exception:
        known = self._names.get(next(iter(conflicts)))
        since = known.same_cell if known is not None else ""
        return conflict_error(conflicts, self._namespace, self._session, since)
