"""The source of the notebook's functions and classes, for a pod with another minor Python version.

Byte code of another minor version crashes the interpreter. So definitions are sent as source text,
each one before the definitions that need it.
"""

from __future__ import annotations

import abc
import ast
import builtins
import contextlib
import enum
import inspect
import logging
import pickle
import types
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, NewType, ParamSpec, TypeVar

from ..cell.scopes import free_names
from ..errors import InputError
from ..runner.bundle import MINOR
from ..runner.pickler import NullFile
from ..runner.reducers.classes import registered_subclasses
from ..runner.reducers.source_functions import KINDS
from .cell_sources import Source, class_source, function_source, later_assignments, registered_source
from .definition_order import SortedDefinitions, StepOrder, Steps
from .dispatch import Dispatcher, dispatchers, expression_of, importable_place, without_registration
from .ipython_names import is_ipython_name
from .made_functions import has_decorators, has_name, is_made, names_used_by, plain_packer, source_of_function
from .registries import IncompleteCopy, contents

log = logging.getLogger(__name__)
METACLASSES = (type, abc.ABCMeta)  # others make attributes themselves
MEMBER_HOOKS = ("__new__", "__init__", "_generate_next_value_")  # called for the members of an enumeration
TYPES_WITH_NAME = (types.FunctionType, types.BuiltinFunctionType, type, TypeVar, ParamSpec, NewType)


def sort_definitions(
    values: dict[str, Any], namespace: dict[str, Any], python: str, registered: Mapping[str, Any]
) -> SortedDefinitions:
    """Return everything to send, each item after those that it needs.

    Args:
        values: Values that the cell reads, by name.
        namespace: Globals of the notebook.
        python: Minor Python version of the pod.
        registered: Definitions that a library has registered, by name. They are sent together.

    Raises:
        InputError: The source of a definition was not found, or does not suffice to recreate it.
    """
    collector = _DefinitionCollector(namespace, python, registered)
    for name, value in values.items():
        collector.add(name, value)
    return collector.sorted()


class _DefinitionCollector:
    def __init__(self, namespace: dict[str, Any], python: str, registered: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._python = python
        self._registered = registered
        self._steps = Steps()
        self._copied: dict[int, Any] = {}  # containers that are sent incomplete first, by id
        self._last_steps: dict[str, str] = {}  # of definitions that later statements have changed

    def add(self, name: str, value: Any) -> None:
        if name in self._steps.sources:
            return
        self._steps.add(name)
        defined = _defined(value)
        if isinstance(value, types.ModuleType):
            self._steps.sources[name] = _imported(name, value.__name__, "")
        elif self._registered.get(name) is value:
            self._definition(name, value)
            for other, each in self._registered.items():
                self.add(other, each)
        elif defined is None or self._is_made(name, defined):
            self._data(name, value)
        elif defined.__module__ != "__main__":
            self._steps.sources[name] = self._imported_definition(name, defined)
        else:
            self._definition(name, defined)

    def _is_made(self, name: str, value: Any) -> bool:
        """Return whether a value is a function that is sent like data, with the source of its code."""
        if not isinstance(value, (type, *KINDS)):
            return False
        is_own = value.__module__ == "__main__"
        if has_name(value, self._namespace):
            return is_own and name != value.__qualname__  # pickle refers to it by its name
        inner = inspect.unwrap(value)
        if isinstance(value, type) or not isinstance(inner, types.FunctionType):
            return False
        if not is_own:
            return importable_place(value) is None and source_of_function(inner) is not None
        # A wrapper that cannot be sent so is made again by the statement that has made it.
        return value is inner or not later_assignments(name, name) or self._can_be_sent(value)

    def _can_be_sent(self, value: Any) -> bool:
        try:
            self._references(value)
        except Exception:  # noqa: BLE001 -- whatever a __reduce__ raises
            return False
        return True

    def sorted(self) -> SortedDefinitions:
        return StepOrder(self._steps, self._incomplete_copy, self._classes).sorted()

    def _incomplete_copy(self, name: str, done: Mapping[str, Any]) -> IncompleteCopy | None:
        """Return a copy of a value without what refers to definitions that are not done; None if it has none."""

        def can_be_sent(part: Any) -> bool:
            try:
                return done.keys() >= self._roots(self._references(part)[0])
            except Exception:  # noqa: BLE001 -- reported with its path when the value is packed
                return False

        value = attribute_value(name, self._namespace)
        return IncompleteCopy.create(value, can_be_sent, self._is_sent_like_data, self._copied)

    def _is_sent_like_data(self, value: Any) -> bool:
        return is_made(value, self._namespace)

    def _classes(self, name: str) -> set[str]:
        """Return the names of the notebook's classes of the containers that a value consists of."""
        value = attribute_value(name, self._namespace)
        return self._roots([type(each) for each, _ in contents(value, self._is_sent_like_data)])

    def _data(self, name: str, value: Any) -> None:
        try:
            used = self._references(value)
        except Exception:  # noqa: BLE001 -- reported with its path when the value is packed
            return
        self._add_types(name, *used)

    def _references(self, value: Any) -> tuple[list[Any], list[Any]]:
        """Return the classes, functions and modules that a value refers to, and its functions that are sent as data.

        Raises:
            Exception: It cannot be sent as plain data.
        """
        with plain_packer(NullFile(), self._namespace) as packer:
            packer.dump(value)
        made = {*map(id, packer.made_functions)}
        return [each for each in packer.types if id(each) not in made], packer.made_functions

    def _add_types(self, name: str, used: Iterable[Any], made: Iterable[Any] = ()) -> None:
        """Add the notebook's classes and functions that a value refers to; they come before it.

        Args:
            name: Step of the value.
            used: Classes, functions and modules.
            made: Functions that are sent as data. What they use when they are called comes in any order.
        """
        for function in made:
            for other in sorted(names_used_by(function)):
                if other in self._namespace and not is_ipython_name(other, self._namespace):
                    self._steps.uses[name].add(other)
                    self.add(other, self._namespace[other])
        for root in self._roots(used):
            self._steps.before[name].update(self._registered if root in self._registered else {root})
            self.add(root, self._namespace[root])

    def _roots(self, used: Iterable[Any]) -> set[str]:
        """Return the names of the notebook that contain classes and functions."""
        names = {
            getattr(each, "__qualname__", each.__name__).partition(".")[0]
            for each in used
            if getattr(each, "__module__", None) == "__main__" and not inspect.ismodule(each)
        }
        return names & self._namespace.keys()

    def _definition(self, name: str, value: Any) -> None:
        is_assigned = name in self._registered and getattr(value, "__module__", "") != "__main__"
        own = name if is_assigned else value.__name__
        source, filename = registered_source(name, value) if is_assigned else self._source_of(name, value)
        self._add_used(name, source, {own}, MEMBER_HOOKS if isinstance(value, enum.EnumMeta) else ())
        if name != own and own != "<lambda>":
            source += f"\n{name} = {own}"
        self._steps.sources[name] = (source, filename)
        if name not in self._registered:
            self._changes(name, value, source)

    def _add_used(self, step: str, source: str, own: set[str], called: Container[str] = ()) -> None:
        """Add what a source uses, but for its own names: before it what it needs at once, the rest in any order.

        Args:
            step: Its step.
            source: The source.
            own: Its own names.
            called: Names of its functions that are called when it is executed.
        """
        at_once = names_at_definition(source, called)
        for used in sorted(free_names(source) - own):
            if used in self._namespace and not is_ipython_name(used, self._namespace):
                self._steps.uses[step].add(used)
                if used in at_once:
                    self._steps.before[step].add(used)
                self.add(used, self._namespace[used])

    def _changes(self, name: str, value: Any, source: str) -> None:
        """Add steps for what later statements have changed on a function or class."""
        if isinstance(value, type):
            for attribute, wrapper, function in _functions_set_later(value, source):
                self._method(name, attribute, wrapper, function)
            for attribute in _methods(value):
                if f"{name}.{attribute}" not in self._steps.sources:
                    self._assignments(name, f"{name}.{attribute}")
        if isinstance(value, type) or (hasattr(value, "__wrapped__") and not has_decorators(source)):
            self._assignments(name, name)
        for kind in registered_subclasses(value):
            self._subclass(name, kind)
        for dispatcher in dispatchers(name, value):
            for function, kinds in dispatcher.registered:
                self._registration(name, dispatcher, function, kinds)
        is_wrapper = isinstance(value, types.FunctionType) and has_decorators(source)
        for path, each in attributes_set_later(name, value, source):
            self._attribute(name, path, each, is_wrapper)

    def _assignments(self, owner: str, target: str) -> None:
        """Add steps for the statements of later cells that set a target to the result of a call.

        A decorator may have been called so: ``Model.fit = logged(Model.fit)``.

        Args:
            owner: Name of the definition.
            target: Its name, or that of its attribute.
        """
        for number, (source, filename) in enumerate(later_assignments(owner, target)):
            if (source, filename) == self._steps.sources[owner]:
                continue
            names = free_names(source) - {owner}
            if not all(used in self._namespace or hasattr(builtins, used) for used in names):
                return
            step = f"{target} = {number}"
            self._steps.add(step, (source, filename), {self._last_of(owner)})
            self._last_steps[owner] = step
            for used in sorted(names):
                if used in self._namespace and not is_ipython_name(used, self._namespace):
                    self._steps.uses[step].add(used)
                    self._steps.before[step].add(used)
                    self.add(used, self._namespace[used])

    def _last_of(self, owner: str) -> str:
        """Return the step after which a definition is complete so far."""
        return self._last_steps.get(owner, owner)

    def _attribute(self, owner: str, path: str, value: Any, is_of_wrapper: bool = False) -> None:
        """Add a step for the value of an attribute; none if it cannot be sent: the definition's own stays.

        Args:
            owner: Name of the definition.
            path: The attribute's.
            value: Its value.
            is_of_wrapper: Whether a decorator makes the definition in the pod. Functions that it sets as attributes
                share its cells there.
        """
        before = self._steps.copy(), dict(self._last_steps)
        self._steps.add(path, before={self._last_of(owner)})
        if not self._starts_with(owner, path):
            self._steps.add_part(owner, path)
        try:
            used, made = self._references(value)
            if is_of_wrapper and any(getattr(each, "__closure__", None) for each in made):
                raise pickle.PicklingError("the decorator sets it")
            self._add_types(path, used, made)
        except Exception as error:  # noqa: BLE001 -- whatever a __reduce__ raises
            log.debug("%s is not sent: %s: %s", path, type(error).__name__, error)
            self._steps, self._last_steps = before

    def _starts_with(self, owner: str, path: str) -> bool:
        """Return whether a class statement sets an attribute: a counter counts from there again."""
        source = self._steps.sources[owner]
        assert source is not None
        return path.removeprefix(f"{owner}.") in _set_in_body(source[0], self._namespace[owner])

    def _method(self, owner: str, attribute: str, wrapper: str, function: types.FunctionType) -> None:
        """Add a step that sets a function of a later cell on a class (``P.area = area``)."""
        found = function_source(function)
        own = function.__name__
        step = f"{owner}.{attribute}"
        if found is None or function.__closure__ or not _sets_attribute(found[0], own, owner, attribute):
            # If it cannot be sent and the pod misses it, the error says which cell has set it.
            self._attribute(owner, step, vars(self._namespace[owner])[attribute])
            return
        target = f"{step} = {wrapper.format(own)}"
        source, filename = found
        self._steps.add(step, before={owner})
        if self._namespace.get(own) is function:
            self.add(own, function)
            self._steps.before[step].add(own)
            source = target
        elif own != "<lambda>":
            source += f"\n{target}\ndel {own}"
            self._add_next(own, step)
        self._add_used(step, source, {own, owner})
        self._steps.sources[step] = (source, filename)

    def _add_next(self, name: str, step: str) -> None:
        """Add the value that a name has now, after a step that has used the name for another one."""
        if name in self._namespace:
            self.add(name, self._namespace[name])
            self._steps.before[name].add(step)

    def _subclass(self, owner: str, kind: type) -> None:
        """Add a step that registers a class with an abstract class; none if the class has no name in the pod."""
        expression = expression_of(kind, self._namespace)
        if expression is not None:
            step = f"{owner}.register({expression})"
            self._steps.add(step, (step, "<podtask registrations>"), {self._last_of(owner)})
            self._steps.add_part(owner, step)
            self._add_types(step, [kind])

    def _registration(self, owner: str, dispatcher: Dispatcher, function: Any, kinds: list[type]) -> None:
        """Add a step that registers a function of a later statement with a function of singledispatch.

        Raises:
            InputError: The function or a class cannot be named or defined in the pod.
        """
        classes = [expression_of(kind, self._namespace) for kind in kinds]
        expression, own = expression_of(function, self._namespace), getattr(function, "__name__", "<lambda>")
        label = f"{dispatcher.name} (registered for {kinds[0].__name__})"
        if None in classes or (expression is None and own == "<lambda>"):
            raise InputError(
                f"{label} cannot be sent from Python {MINOR} to {self._python}: its class or function has no name "
                "in this notebook.",
                "Register it in the cell, or use an image with the notebook's Python version.",
            )
        step = f"{dispatcher.name}.register({', '.join(map(str, classes))})"
        self._steps.add(step, before={self._last_of(owner)})
        self._steps.add_part(owner, step)
        self._add_types(step, [*kinds, function] if expression else kinds)
        register = "\n".join(f"{dispatcher.name}.register({kind}, {expression or own})" for kind in classes)
        if expression is None:
            source, filename = self._source_of(label, function)
            source = f"{without_registration(source, dispatcher.name)}\n{register}\ndel {own}"
            self._add_next(own, step)
            self._add_used(step, source, {own, owner})
            self._steps.sources[step] = (source, filename)
        else:
            self._steps.sources[step] = (register, "<podtask registrations>")

    def _imported_definition(self, name: str, value: Any) -> Source:
        """Return the statement that imports a definition of a module.

        Raises:
            InputError: The module does not have it under a name.
        """
        place = importable_place(value)
        if place is None:
            raise InputError(
                f"{name} cannot be sent from Python {MINOR} to {self._python}: code of the module {value.__module__} "
                "created it, and the module does not have it under a name.",
                "Create it in the cell, or use an image with the notebook's Python version.",
            )
        return _imported(name, *place)

    def _source_of(self, name: str, value: Any) -> Source:
        """Return the source of a function or class, with its original line numbers."""
        function = isinstance(inspect.unwrap(value), types.FunctionType)
        found = function_source(value) if function else class_source(value)
        if found is None:
            raise InputError(
                f"{name} cannot be sent from Python {MINOR} to {self._python}: its source was not found.",
                "Define it in a cell of this notebook, or use an image with the notebook's Python version.",
            )
        closure = getattr(inspect.unwrap(value), "__closure__", None)
        if closure and value.__code__.co_freevars != ("__class__",):
            raise InputError(
                f"{name} cannot be sent from Python {MINOR} to {self._python}: it was created inside "
                f"another function and uses that function's {', '.join(value.__code__.co_freevars)}.",
                "Create it in the cell, or use an image with the notebook's Python version.",
            )
        return found


def _defined(value: Any) -> Any:
    """Return a value that is a function or class, or wraps one (``lru_cache``); None for data.

    A type variable counts too, since pickle refers to it by name. A method of an instance is data, also if it
    is built in, such as ``random.random``.
    """
    if isinstance(value, types.BuiltinFunctionType) and not isinstance(
        value.__self__, types.ModuleType | None
    ):
        return None
    if isinstance(value, TYPES_WITH_NAME):
        return value
    try:
        wrapped = value.__wrapped__
    except Exception:  # noqa: BLE001 -- whatever a __getattr__ of the user raises
        return None
    return value if isinstance(wrapped, types.FunctionType) else None


def _imported(name: str, module: str, attribute: str) -> Source:
    path = f".{attribute}" if attribute else ""
    text = f"import importlib; {name} = importlib.import_module({module!r}){path}"
    return text, "<podtask imports>"


def names_at_definition(source: str, called: Container[str] = ()) -> set[str]:
    """Return the names that a definition reads when it is executed: defaults, decorators, bases.

    Args:
        source: Its source.
        called: Names of its functions whose bodies are executed, too.
    """
    found: set[str] = set()

    def visit(nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if isinstance(node, ast.Name):
                found.add(node.id)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                visit([*node.decorator_list, node.args, node.returns])
                visit(node.body if node.name in called else [])
            elif isinstance(node, ast.Lambda):
                visit([node.args])
            elif node is not None:
                visit(ast.iter_child_nodes(node))

    visit([ast.parse(source)])
    return found


def _functions_set_later(owner: type, source: str) -> Iterable[tuple[str, str, types.FunctionType]]:
    """Yield the functions that a statement after the class has set on it.

    Each is its attribute, a template of the expression that wraps it, and the function.
    """
    in_body = _set_in_body(source, owner)
    for attribute, value in vars(owner).items():
        wrapper, function = "{}", value
        if isinstance(value, (classmethod, staticmethod)):
            wrapper, function = f"{type(value).__name__}({{}})", value.__func__
        elif isinstance(value, property) and value.fset is None and value.fdel is None:
            wrapper, function = "property({})", value.fget
        if (
            isinstance(function, types.FunctionType)
            and function.__module__ == "__main__"
            and _is_from_elsewhere(function, owner, attribute in in_body)
        ):
            yield attribute, wrapper, function


def _is_from_elsewhere(function: types.FunctionType, owner: type, is_in_body: bool) -> bool:
    """Return whether a function is not of the class statement, which has the class in their qualified names."""
    name = function.__qualname__
    if "." not in name:
        return True
    return "<locals>" in name and not is_in_body and not name.startswith(f"{owner.__qualname__}.")


def _methods(owner: type) -> Iterator[str]:
    """Yield the attributes of a class that are functions or descriptors."""
    for attribute, value in [*vars(owner).items()]:
        if hasattr(type(value), "__get__") and not attribute.startswith("__"):
            yield attribute


def attributes_set_later(name: str, value: Any, source: str) -> Iterator[tuple[str, Any]]:
    """Yield the path and value of the attributes of a definition that are data, as they are now.

    Without those of a class that still have the literal value of the class statement.

    Args:
        name: Name of the definition.
        value: A function or class.
        source: Its source.
    """
    found: Iterable[tuple[str, Any]] = ()
    if isinstance(value, types.FunctionType):
        attributes = ((attribute, each) for attribute, each in _items(value) if attribute != "__wrapped__")
        found = (*attributes, *_computed_defaults(value, source))
    elif type(value) is enum.EnumMeta:
        found = _data_of_enumeration(value, source)
    elif isinstance(value, type) and type(value) in METACLASSES and not issubclass(value, tuple):
        found = (*_data_of_class(value, source), *_data_of_methods(value))
    for path, each in found:
        yield f"{name}.{path}", each


def _computed_defaults(function: types.FunctionType, source: str) -> Iterator[tuple[str, Any]]:
    """Yield the default arguments of a function, unless they still are the literals of its source."""
    if has_decorators(source):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            arguments = node.args
            break
    else:
        return
    by_name = {arg.arg: each for arg, each in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)}
    by_keyword = function.__kwdefaults__ or {}
    given = [
        *zip(arguments.defaults, function.__defaults__ or (), strict=False),
        *((by_name.get(name), value) for name, value in by_keyword.items()),
    ]
    if not all(_is_literal(node, value) for node, value in given):
        yield "__defaults__", function.__defaults__
        yield "__kwdefaults__", function.__kwdefaults__


def _is_literal(node: ast.expr | None, value: Any) -> bool:
    try:
        return node is not None and _is_equal(ast.literal_eval(node), value)
    except (ValueError, TypeError):  # computed
        return False


def _items(owner: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of an object that have a name which a statement could use."""
    for attribute, value in [*vars(owner).items()]:
        if attribute.isidentifier():
            yield attribute, value


def _data_of_enumeration(owner: enum.EnumMeta, source: str) -> Iterator[tuple[str, Any]]:
    for attribute, each in _data_of_class(owner, source):
        if not attribute.startswith("_") and not isinstance(each, owner):
            yield attribute, each
    members: Mapping[str, Any] = owner.__members__
    literals = _literals(source, owner.__name__)
    has_own_values = getattr(owner, "_member_type_", None) is object and not issubclass(owner, enum.Flag)
    for name, member in members.items():
        computed = name not in literals or not _is_equal(literals[name], member.value)
        if has_own_values and computed and name.isidentifier() and name == member.name:
            yield f"{name}._value_", member.value
        for attribute, each in _items(member) if name.isidentifier() and name == member.name else ():
            if not attribute.startswith("_"):
                yield f"{name}.{attribute}", each


def _data_of_class(owner: type, source: str) -> Iterator[tuple[str, Any]]:
    literals = _literals(source, owner.__name__)
    for attribute, each in _items(owner):
        if attribute.startswith("__") or attribute == "_abc_impl":
            continue
        if isinstance(each, type) or hasattr(type(each), "__get__"):
            continue
        if attribute not in literals or not _is_equal(literals[attribute], each):
            yield attribute, each


def _data_of_methods(owner: type) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of the functions that a class statement defines (``Model.fit.label``)."""
    for attribute, function in _items(owner):
        is_of_class = isinstance(function, types.FunctionType) and not hasattr(function, "__wrapped__")
        if is_of_class and function.__qualname__ == f"{owner.__qualname__}.{attribute}":
            for name, each in _items(function):
                if not name.startswith("__"):
                    yield f"{attribute}.{name}", each


def attribute_value(path: str, namespace: Mapping[str, Any]) -> Any:
    """Return the value of an attribute of a definition: ``Model.rate``, or ``Step.FIRST.label``."""
    name, *attributes = path.split(".")
    value = namespace[name]
    for attribute in attributes:
        value = vars(value)[attribute] if attribute in vars(value) else getattr(value, attribute)
    return value


def _set_in_body(source: str, owner: Any) -> set[str]:
    """Return the names of the attributes that a class statement assigns or defines."""
    nodes = [
        node
        for statement in ast.parse(source).body
        if isinstance(statement, ast.ClassDef) and statement.name == owner.__name__
        for each in statement.body
        for node in ast.walk(each)
    ]
    return {
        *(node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))),
        *(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)),
    }


def _literals(source: str, name: str) -> dict[str, Any]:
    """Return the attributes that a class statement sets to literals."""
    found: dict[str, Any] = {}
    for owner in ast.parse(source).body:
        for node in owner.body if isinstance(owner, ast.ClassDef) and owner.name == name else ():
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            value = getattr(node, "value", None)
            for target in targets:
                if isinstance(target, ast.Name) and value is not None:
                    with contextlib.suppress(ValueError, TypeError):  # computed: not a literal
                        found[target.id] = ast.literal_eval(value)
    return found


def _is_equal(literal: Any, value: Any) -> bool:
    return type(literal) is type(value) and repr(literal) == repr(value)


def _sets_attribute(source: str, function: str, owner: str, attribute: str) -> bool:
    """Return whether a source is a plain function, or the statement that sets a lambda on the class."""
    [statement, *more] = ast.parse(source).body
    if more:
        return False
    if function != "<lambda>":
        return isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and not statement.decorator_list
    return isinstance(statement, ast.Assign) and any(
        ast.unparse(target) == f"{owner}.{attribute}" for target in statement.targets
    )
