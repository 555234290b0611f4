"""Tags of yaml: classes of ``yaml.YAMLObject``, ``yaml.add_constructor``, ``yaml.add_representer``."""

from typing import Any, Dict, Iterator, List, Optional, Tuple

from .libraries import LOST, MINOR, apply_each

KINDS = tuple(
    f"{language}{name}"
    for language in ("", "C")
    for name in (
        *("BaseLoader", "SafeLoader", "FullLoader", "UnsafeLoader", "Loader"),
        *("BaseDumper", "SafeDumper", "Dumper"),
    )
)
# The attributes of loaders and dumpers in which tags and classes are registered.
REGISTRIES = ("yaml_constructors", "yaml_multi_constructors", "yaml_representers", "yaml_multi_representers")
Registration = Tuple[str, str, Any, Any]  # loader or dumper, attribute, tag or class, function


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return what the notebook has registered with the library's own loaders and dumpers."""
    classes: List[Registration] = []
    functions: List[Registration] = []
    for each in _own_registrations(module):
        (classes if isinstance(getattr(each[3], "__self__", None), type) else functions).append(each)
    found = {}
    for label, registrations in (("classes", classes), ("functions", functions)):
        if registrations:
            found[label] = pieces.pickled(f"yaml's tags of {label}", registrations)
    return {label: piece for label, piece in found.items() if piece != LOST} or None


def _own_registrations(module: Any) -> Iterator[Registration]:
    for name in KINDS:
        own = getattr(getattr(module, name, None), "__dict__", {})
        for attribute in REGISTRIES:
            for key, function in own.get(attribute, {}).items():
                owner = getattr(function, "__self__", None)
                if getattr(owner if isinstance(owner, type) else function, "__module__", None) == "__main__":
                    yield name, attribute, key, function


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Register the tags and classes with the loaders and dumpers that this version of yaml has."""
    if data.get("classes", ("", MINOR))[1] not in ("", MINOR):
        del data[
            "classes"
        ]  # their source is executed in a pod with another Python, where they register themselves
    apply_each("yaml's tags of", data, lambda _, registrations: _register(module, registrations))


def _register(module: Any, registrations: Any) -> None:
    for name, attribute, key, function in registrations:
        kind = getattr(module, name, None)  # CLoader is missing without its code in C
        if kind is not None:
            if attribute not in vars(kind):
                setattr(kind, attribute, dict(getattr(kind, attribute)))
            getattr(kind, attribute)[key] = function
