"""A template as the Python of Flyte, with the client library's models. Pure."""

from __future__ import annotations

import re
from typing import Any

from podtask.pretty import python
from podtask.schema import fields
from podtask.template import PodTemplate
from podtask.wireform import IRREGULAR

SNAKE = {wire: re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: "_" + m[1].lower(), camel)
         for camel, wire in IRREGULAR.items() if camel != wire}  # fmt: skip
KEYWORDS = {"exec": "_exec", "continue": "_continue", "from": "_from"}


class Models:
    """Writes wire form as constructors of models, and remembers which it used."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.left: list[str] = []  # what no model has a field for

    def write(self, value: Any, kind: str, path: str, indent: int) -> str:
        """Returns the source of a value of a kind of the schema."""
        if kind.endswith("*") and isinstance(value, list):
            inner = " " * (indent + 4)
            parts = [self.write(item, kind[:-1], f"{path}[{n}]", indent + 4)
                     for n, item in enumerate(value)]  # fmt: skip
            if not fields(kind[:-1]):
                return python(value, indent)
            return "[\n" + "".join(f"{inner}{part},\n" for part in parts) + " " * indent + "]"
        known = fields(kind)
        if not known or not isinstance(value, dict):
            return python(value, indent)
        self.used.add(f"V1{kind}")
        inner = " " * (indent + 4)
        made = ""
        for name, item in value.items():
            if name not in known:
                self.left.append(f"{path}.{name}")
                continue
            source = self.write(item, known[name], f"{path}.{name}", indent + 4)
            made += f"{inner}{_snake(name)}={source},\n"
        return f"V1{kind}(\n{made}{' ' * indent})" if made else f"V1{kind}()"


def to_flyte(template: PodTemplate) -> str:
    """Returns the source of an equal ``flyte.PodTemplate``; says what no model has a field for."""
    models = Models()
    spec = models.write(template.pod_spec, "PodSpec", "spec", 4) if template.pod_spec else "None"
    lines = [f"    pod_spec={spec},\n"] if template.pod_spec else []
    lines.append(f"    primary_container_name={template.primary_container_name!r},\n")
    for name in ("labels", "annotations"):
        if getattr(template, name):
            lines.append(f"    {name}={python(getattr(template, name), 4, len(name) + 5)},\n")
    names = "".join(f"    {name},\n" for name in sorted(models.used))
    imports = f"from kubernetes.client import (\n{names})\n" if names else ""
    left = "".join(f"# Not in the client's models: {path}\n" for path in models.left)
    return f"import flyte\n{imports}\n{left}pod_template = flyte.PodTemplate(\n{''.join(lines)})\n"


def _snake(name: str) -> str:
    if name in SNAKE:
        return SNAKE[name]
    snake = re.sub(r"([A-Z]+)", lambda match: "_" + match[1].lower(), name)
    return KEYWORDS.get(snake, snake)
