"""Write YAML whose strings are the same for parsers of YAML 1.1, of YAML 1.2 and of Go, and so for kubectl. Pure."""

from __future__ import annotations

import functools
import re
from typing import Any

# Parsers disagree about these; PyYAML itself quotes only what it reads as another type.
NUMBER_OR_DATE = re.compile(r"(?=[^0-9]*[0-9])[-+.0-9][-+.:_ 0-9a-fA-FxXoOtTzZ]*")  # 1e3, 0o17, 72225e2
WORDS = frozenset("yYnN")


def dump_yaml(value: Any, *, sort_keys: bool = False) -> str:
    """Return a value as YAML, without anchors.

    Args:
        value: Dicts, lists and plain values.
        sort_keys: Sort the keys of mappings; by default they keep their order.
    """
    # Start-up cost: loaded when it is first needed.
    import yaml

    return str(yaml.dump(value, Dumper=_dumper(), sort_keys=sort_keys))


@functools.cache
def _dumper() -> Any:
    """Return the class that writes the YAML."""
    import yaml  # start-up cost

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the C version is ten times as fast

    class Dumper(base):  # type: ignore[misc]
        def ignore_aliases(self, data: object) -> bool:
            return True

    def represent_text(dumper: Any, text: str) -> Any:
        is_ambiguous = text in WORDS or NUMBER_OR_DATE.fullmatch(text)
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if is_ambiguous else None)

    Dumper.add_representer(str, represent_text)
    return Dumper
