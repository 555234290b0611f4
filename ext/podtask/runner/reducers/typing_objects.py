"""How type variables and type aliases of the notebook travel.

cloudpickle sends TypeVar only, without its default and its inferred variance, and refers to everything else by
a name that the pod does not have (https://github.com/cloudpipe/cloudpickle/issues/520).
"""

import typing
from typing import Any, Dict

from . import identity

NEW_TYPE: Any = typing.NewType  # a class since Python 3.10
GENERIC_ALIAS: Any = type(typing.Generic[typing.TypeVar("T")])  # type: ignore[index]
TYPE_ALIAS: Any = getattr(typing, "TypeAliasType", None)  # since Python 3.12
# ParamSpec since Python 3.10, TypeVarTuple since 3.11.
PARAMETERS = tuple(
    getattr(typing, name) for name in ("TypeVar", "ParamSpec", "TypeVarTuple") if hasattr(typing, name)
)
OPTIONS = ("covariant", "contravariant", "infer_variance")
_boxes: Dict[str, Dict[str, Any]] = {}  # what type aliases and lazy bounds evaluate to, by number


def reduce_parameter(obj: Any) -> Any:
    """Return the reduced form of a TypeVar, ParamSpec or TypeVarTuple."""
    options = {name: getattr(obj, f"__{name}__") for name in OPTIONS if hasattr(obj, f"__{name}__")}
    lazy = bool(options.get("infer_variance"))  # of a definition such as ``def f[T: Bound](x: T)``
    state: Dict[str, Any] = {}
    if getattr(obj, "__bound__", None) is not None:
        state["bound"] = obj.__bound__
    if getattr(obj, "__constraints__", ()):
        state["constraints"] = obj.__constraints__
    if hasattr(obj, "has_default") and obj.has_default():  # since Python 3.13
        state["default"] = obj.__default__
    number = identity.NUMBERS.number_of(obj)
    if lazy and type(obj) is typing.TypeVar:  # its bound may refer to the class that it belongs to
        kinds = {name: len(value) if name == "constraints" else 1 for name, value in state.items()}
        args = (number, obj.__name__, obj.__module__, kinds)
        return make_lazy_parameter, args, state, None, None, fill_lazy
    return make_parameter, (number, type(obj), obj.__name__, obj.__module__, options, state)


def make_parameter(
    number: str, kind: Any, name: str, module: Any, options: Dict[str, Any], state: Dict[str, Any]
) -> Any:
    """Return a TypeVar, ParamSpec or TypeVarTuple."""
    state = dict(state)
    constraints = state.pop("constraints", ())
    used = {key: value for key, value in options.items() if value}
    made = kind(name, *constraints, **used, **state)
    made.__module__ = module
    return identity.track(number, made)


def make_lazy_parameter(number: str, name: str, module: Any, kinds: Dict[str, int]) -> Any:
    """Return a TypeVar whose bound, constraints and default are set later.

    Args:
        number: Its number.
        name: Its name.
        module: Its module.
        kinds: Which of bound, constraints and default it has, and how many.
    """
    text = name
    if "bound" in kinds:
        text += ": box['bound']"
    elif "constraints" in kinds:
        text += (
            ": (" + "".join(f"box['constraints'][{place}], " for place in range(kinds["constraints"])) + ")"
        )
    if "default" in kinds:
        text += " = box['default']"
    namespace = {"__name__": module, "box": _boxes.setdefault(number, {})}
    exec(f"def made[{text}](): pass", namespace)
    made: Any = namespace["made"]
    return identity.track(number, made.__type_params__[0])


def reduce_alias(alias: Any) -> Any:
    """Return the reduced form of a type alias. Its value may refer to the alias."""
    number = identity.NUMBERS.number_of(alias)
    name, module = alias.__name__, alias.__module__
    if alias.__type_params__:
        return make_generic_alias, (number, name, module, alias.__value__, alias.__type_params__)
    return make_alias, (number, name, module), {"value": alias.__value__}, None, None, fill_lazy


def make_alias(number: str, name: str, module: Any) -> Any:
    """Return a type alias whose value is set later."""
    namespace = {"__name__": module, "box": _boxes.setdefault(number, {})}
    exec(f"type {name} = box['value']", namespace)
    return identity.track(number, namespace[name])


def make_generic_alias(number: str, name: str, module: Any, value: Any, parameters: Any) -> Any:
    """Return a type alias with type parameters."""
    namespace: Dict[str, Any] = {"__name__": module, "make": TYPE_ALIAS, "arguments": (value, parameters)}
    # The alias belongs to the module whose code creates it.
    exec(f"made = make({name!r}, arguments[0], type_params=arguments[1])", namespace)
    return identity.track(number, namespace["made"])


def fill_lazy(obj: Any, state: Dict[str, Any]) -> None:
    """Set what a lazy parameter or alias evaluates to."""
    number = identity.NUMBERS.known_number(obj)
    if number is not None:
        _boxes.setdefault(number, {}).update(state)


def reduce_generic_alias(alias: Any) -> Any:
    """Return the reduced form of ``Store[int]`` if the class has its own ``__class_getitem__``, else NotImplemented.

    pickle evaluates ``Store[int]`` anew, so that the method would run again.
    """
    order = getattr(alias.__origin__, "__mro__", ())  # ClassVar has none
    owner = next((each for each in order if "__class_getitem__" in vars(each)), None)
    if owner is None or owner.__module__ != "__main__" or typing.Generic not in order:
        return NotImplemented
    return make_class_alias, alias.__reduce__()[1]


def make_class_alias(kind: Any, args: Any) -> Any:
    """Return ``kind[args]`` without the ``__class_getitem__`` of the user's classes."""
    order = kind.__mro__
    last = order[order.index(typing.Generic) - 1]
    return super(last, kind).__class_getitem__(args)


def reduce_new_type(obj: Any) -> Any:
    """Return the reduced form of a ``typing.NewType``."""
    number = identity.NUMBERS.number_of(obj)
    return make_new_type, (number, obj.__name__, obj.__supertype__, obj.__module__)


def make_new_type(number: str, name: str, supertype: Any, module: Any) -> Any:
    """Return a ``typing.NewType``."""
    made = NEW_TYPE(name, supertype)
    made.__module__ = module
    return identity.track(number, made)


def reduce_forward_reference(obj: Any) -> Any:
    """Return the reduced form of a ForwardRef, without the class that it once evaluated to.

    That class may be the one that the reference belongs to.
    """
    if not hasattr(obj, "__forward_is_class__"):
        return NotImplemented
    options = (
        obj.__forward_is_argument__,
        getattr(obj, "__forward_module__", None),
        obj.__forward_is_class__,
    )
    return make_forward_reference, (obj.__forward_arg__, *options)


def make_forward_reference(text: str, is_argument: bool, module: Any, is_class: bool) -> Any:
    """Return a ForwardRef."""
    return typing.ForwardRef(text, is_argument=is_argument, module=module, is_class=is_class)
