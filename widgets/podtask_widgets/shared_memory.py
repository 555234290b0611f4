"""The place of the primary container's shared memory: a volume in memory, and its mount. Pure."""

from __future__ import annotations

from typing import Any

from .draft import Draft
from .field_refs import Key, at

WHERE = "/dev/shm"  # noqa: S108  of the pod
NAME = "shm"


class SharedMemory:
    """The size of /dev/shm."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    @property
    def path(self) -> str:
        """Of its limit, where there is one."""
        found = self._source()
        if found is None:
            return "shared memory"  # nothing can be wrong with what is not there
        number = next(n for n, each in enumerate(self._volumes) if each.get("emptyDir") is found)
        return f"spec.volumes[{number}].emptyDir.sizeLimit"

    def get(self) -> Any:
        """Returns it."""
        return (self._source() or {}).get("sizeLimit")

    def set(self, value: Any) -> None:
        """Changes it; without a size the volume and its mount go."""
        found = self._source()
        if value and found is not None:
            found["sizeLimit"] = value
        elif value:
            names = {each.get("name") for each in self._volumes}
            name = next(f"{NAME}{n or ''}" for n in range(99) if f"{NAME}{n or ''}" not in names)
            memory = {"medium": "Memory", "sizeLimit": value}
            self._draft.field("volumes").set([*self._volumes, {"name": name, "emptyDir": memory}])
            self._key.set([*self._mounts, {"name": name, "mountPath": WHERE}])
        elif found is not None:
            volumes = [each for each in self._volumes if each.get("emptyDir") is not found]
            self._draft.field("volumes").set(volumes or None)
            mounts = [each for each in self._mounts if each.get("mountPath") != WHERE]
            self._key.set(mounts or None)

    @property
    def _key(self) -> Key:
        return at(self._draft.container, "volumeMounts")

    @property
    def _mounts(self) -> list[dict[str, Any]]:
        return list(self._key.get() or [])

    @property
    def _volumes(self) -> list[dict[str, Any]]:
        return list(self._draft.field("volumes").get() or [])

    def _source(self) -> dict[str, Any] | None:
        """Returns the emptyDir that is mounted at /dev/shm."""
        named = [each.get("name") for each in self._mounts if each.get("mountPath") == WHERE]
        for volume in self._volumes:
            source = volume.get("emptyDir")
            if volume.get("name") in named and isinstance(source, dict):
                return source
        return None
