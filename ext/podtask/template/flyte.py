"""Python source that creates a pod template for Flyte, with the Kubernetes client's model classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..formatting import MAX_LINE_CHARS, value_source
from .schema import type_fields


def flyte_source(
    spec: dict[str, Any],
    primary: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    namespace: str = "",
) -> str:
    """Return a program that defines ``template``, a ``flytekit.PodTemplate``.

    A field that the installed client library does not know is listed in a comment, since the
    library's models would drop it. So is the namespace, which Flyte chooses itself.

    Args:
        spec: Pod spec in wire form.
        primary: Name of the primary container.
        labels: Labels of the pod.
        annotations: Annotations of the pod.
        namespace: Namespace of the pod; empty if the template does not say.
    """
    models, missing = _Models(), list[str]()
    arguments = {
        "pod_spec": models.source({"containers": [], **spec}, "PodSpec", "spec", 4, 9, missing),
        "primary_container_name": value_source(primary) if primary != "primary" else "",
        "labels": value_source(dict(labels), 4, 7) if labels else "",
        "annotations": value_source(dict(annotations), 4, 12) if annotations else "",
    }
    body = "".join(f"    {name}={value},\n" for name, value in arguments.items() if value)
    comments = [f"# Not in this version of the client library: {_in_one_line(path)}\n" for path in missing]
    comments += [f"# Flyte chooses the namespace; the template says {namespace}\n"] if namespace else []
    names = "".join(f"    {name},\n" for name in sorted(models.used))
    return (
        f"from flytekit import PodTemplate\nfrom kubernetes.client import (\n{names})\n\n"
        f"{''.join(comments)}template = PodTemplate(\n{body})\n"
    )


class _Models:
    """Writes constructor calls of the client library's models, and collects the models used."""

    def __init__(self) -> None:
        from kubernetes import client  # start-up cost: takes a second

        self._client: Any = client
        self.used: set[str] = set()

    def source(self, value: Any, kind: str, path: str, indent: int, used: int, missing: list[str]) -> str:
        """Return the source of a value whose first line starts at column ``indent + used``."""
        inner = " " * (indent + 4)
        if kind.endswith("*") and type_fields(kind[:-1]) and isinstance(value, list):
            items = [
                self.source(item, kind[:-1], f"{path}[{index}]", indent + 4, 1, missing)
                for index, item in enumerate(value)
            ]
            return _format_call("[", items, "]", inner, indent, used)
        if kind in ("quantity", "quantities"):
            return value_source(_quantities_as_text(value), indent, used)
        model = self._model(kind) if type_fields(kind) and isinstance(value, dict) else None
        if model is None:
            return value_source(value, indent, used)
        self.used.add(model.__name__)
        attributes = {wire: name for name, wire in model.attribute_map.items()}
        parts = []
        for name, item in value.items():
            if name not in attributes:
                missing.append(f"{path}.{name}")
                continue
            attribute = attributes[name]
            kind_of = type_fields(kind).get(name, "")
            made = self.source(item, kind_of, f"{path}.{name}", indent + 4, len(attribute) + 2, missing)
            parts.append(f"{attribute}={made}")
        return _format_call(f"{model.__name__}(", parts, ")", inner, indent, used)

    def _model(self, kind: str) -> Any:
        # Two models of the core group have a prefix, because other groups have types of the same name.
        return getattr(self._client, f"V1{kind}", getattr(self._client, f"CoreV1{kind}", None))


def _quantities_as_text(value: Any) -> Any:
    """Return quantities as text: newer models reject the numbers that the API accepts."""
    if isinstance(value, dict):
        return {name: _quantities_as_text(each) for name, each in value.items()}
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _in_one_line(path: str) -> str:
    """Return the path of a field for a comment; a name of a field may contain anything."""
    return path if path.isprintable() else ascii(path)


def _format_call(first: str, parts: list[str], last: str, inner: str, indent: int, used: int) -> str:
    flat = f"{first}{', '.join(parts)}{last}"
    if indent + used + len(flat) < MAX_LINE_CHARS and "\n" not in flat:
        return flat
    return f"{first}\n" + "".join(f"{inner}{part},\n" for part in parts) + f"{' ' * indent}{last}"
