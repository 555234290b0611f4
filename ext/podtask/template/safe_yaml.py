"""Read YAML from untrusted sources: plain values only, of a limited size. Pure."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # start-up cost
    import yaml

MAX_CAUSE_CHARS = 200
# PyYAML's problem -> whether it began at the context (an opening bracket or quote), and what to say.
CAUSES = (
    (r"expected ',' or '(.)', but got", True, "the bracket that opens here has no closing {0}"),
    (r"found unexpected end of stream", True, "the quote that opens here is not closed"),
    (r"could not find expected ':'", True, "the key has no colon after it: write key: value"),
    (
        r"mapping values are not allowed here",
        False,
        "a key is not possible here. Check the indentation and the line above, and put text with ': ' in quotes",
    ),
    (r"expected <block end>, but found '([]},])'", False, "{0} has no opening bracket"),
    (
        r"expected <block end>, but found",
        False,
        "the indentation differs from the lines above that belong to it",
    ),
    (r"found character '\\t' that cannot start", False, "indented with a tab: use spaces"),
    (r"found character '(.)' that cannot start", False, "text that begins with {0} needs quotes"),
    (r"found undefined alias '(.*)'", False, "*{0} refers to &{0}, which is not defined above"),
    (r"could not determine a constructor for the tag '(.*)'", False, "the tag {0} is not allowed"),
    (r"second occurrence", False, "the anchor is defined twice"),
    (
        r"found unhashable key",
        False,
        "a list or a mapping cannot be a key. Put text with {{{{ }}}} in quotes",
    ),
    (
        r"found unknown escape character '(.)'",
        False,
        "\\{0} is not an escape in double quotes: use single quotes",
    ),
    (
        r"expected the node content, but found '<stream end>'",
        False,
        "the text ends before a bracket is closed",
    ),
    (
        r"expected the node content|did not find expected|expected <document start>",
        False,
        "a value or a key is missing here",
    ),
)
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

    try:
        loader, loaded = _loader_class()(text), []
    except yaml.YAMLError as error:
        raise ValueError(_cause(error)) from None
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            if _size(node, {}) > MAX_VALUES:
                raise ValueError(f"its aliases expand to more than {MAX_VALUES:,} values")
            loaded.append(loader.construct_document(node))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(_cause(error)) from None
    finally:
        loader.dispose()
    return [each for each in loaded if each is not None]


def _cause(error: Exception) -> str:
    """Return the line of a mistake in YAML, and what is wrong there."""
    problem, context = getattr(error, "problem", None), getattr(error, "context_mark", None)
    mark = getattr(error, "problem_mark", None)
    if not problem or mark is None:  # too deep, or a character that YAML does not allow
        return " ".join(str(error).split())[:MAX_CAUSE_CHARS]
    for pattern, at_context, cause in CAUSES:
        if match := re.search(pattern, problem):
            mark = context if at_context and context is not None else mark
            problem = cause.format(*match.groups())
            break
    return f"line {mark.line + 1}: {problem}"[:MAX_CAUSE_CHARS]


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
