"""Views of other objects: ``types.MappingProxyType`` and ``memoryview``. They arrive as views of a copy."""

import types
from typing import Any, Optional, Tuple, Union


def reduce(view: Any) -> Any:
    """Return the reduced form.

    Raises:
        ValueError: The view was released.
    """
    if isinstance(view, types.MappingProxyType):
        return make_proxy, (view.copy(),)
    data = view.tobytes() if view.readonly else bytearray(view.tobytes())
    return make_view, (data, view.format, view.shape)


def make_proxy(mapping: Any) -> Any:
    """Return a read-only view of a mapping."""
    return types.MappingProxyType(mapping)


def make_view(data: Union[bytes, bytearray], form: str, shape: Optional[Tuple[int, ...]]) -> Any:
    """Return a view of bytes as items of a format of ``struct``, in one or more dimensions."""
    return memoryview(data).cast("B").cast(form, shape)  # type: ignore[call-overload]
