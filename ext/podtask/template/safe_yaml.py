"""Read YAML from untrusted sources: plain values only, of a limited size. Pure."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # start-up cost
    import yaml

MAX_VALUES = 100_000  # the largest pod that fits in etcd (1.5 MiB) has fewer
TAG = "tag:yaml.org,2002:"
# Numbers as kubectl reads them: 0o400 is octal, and 12:30 is text.
INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")
FLOAT = re.compile(
    r"(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
# PyYAML resolves these in another way than kubectl, which reads dates and "=" as text.
REPLACED_TAGS = {TAG + name for name in ("int", "float", "timestamp", "value")}


def load_documents(text: str) -> list[Any]:
    """Return the documents of a YAML text as plain dicts, lists and scalars, without empty ones.

    Scalars have the types that kubectl gives them. Refuse tags of Python objects, and aliases and merge
    keys that expand to too many values ("billion laughs") or that contain themselves. The values are
    counted before they are built.

    Raises:
        ValueError: The text is not valid YAML, or it contains something refused.
    """
    # Start-up cost: loaded when it is first needed.
    import yaml

    loader, loaded = _loader_class()(text), []
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            if _size(node, {}) > MAX_VALUES:
                raise ValueError(f"its aliases expand to more than {MAX_VALUES:,} values")
            loaded.append(loader.construct_document(node))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None
    finally:
        loader.dispose()
    return [each for each in loaded if each is not None]


@functools.cache
def _loader_class() -> type[yaml.SafeLoader]:
    """Return PyYAML's safe loader, with the types of scalars that kubectl has."""
    import yaml  # start-up cost

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012 -- PyYAML's name for it
            first: [(tag, pattern) for tag, pattern in resolvers if tag not in REPLACED_TAGS]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def construct_number(self, node: Any) -> int | float:
            """Return a number; like kubectl, a whole one as an integer."""
            value = self.construct_yaml_float(node)
            return int(value) if value.is_integer() else value

        def construct_merge_value(self, node: Any) -> str:
            """Return ``<<`` as text: it merges mappings only where it is a key."""
            return str(self.construct_scalar(node))

    Loader.add_implicit_resolver(TAG + "int", INTEGER, list("-+0123456789"))
    Loader.add_implicit_resolver(TAG + "float", FLOAT, list("-+.0123456789"))
    Loader.add_constructor(TAG + "float", Loader.construct_number)
    Loader.add_constructor(TAG + "merge", Loader.construct_merge_value)
    return Loader


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Count values with aliases expanded; a node that contains itself exceeds the maximum.

    What a merge key (``<<``) copies is counted too, because it is a value of its mapping.
    """
    if not isinstance(node.value, list):
        return 1
    if id(node) not in sizes:
        sizes[id(node)] = MAX_VALUES + 1  # while its parts are counted
        parts = [part for each in node.value for part in (each if isinstance(each, tuple) else (each,))]
        sizes[id(node)] = 1 + sum(_size(part, sizes) for part in parts)
    return sizes[id(node)]
