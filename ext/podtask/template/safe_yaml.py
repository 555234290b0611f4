"""Read YAML from untrusted sources: plain values only, of a limited size. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # start-up cost
    import yaml

MAX_VALUES = 100_000  # the largest pod that fits in etcd (1.5 MiB) has fewer


def load_documents(text: str) -> list[Any]:
    """Return the documents of a YAML text as plain dicts, lists and scalars, without empty ones.

    Refuse tags of Python objects, and aliases and merge keys that expand to too many values ("billion
    laughs") or that contain themselves. The values are counted before they are built.

    Raises:
        ValueError: The text is not valid YAML, or it contains something refused.
    """
    # Start-up cost: loaded when it is first needed.
    import yaml

    loader, loaded = yaml.SafeLoader(text), []
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
