"""The size of the primary container's shared memory: an in-memory volume and its mount. Pure."""

from __future__ import annotations

from typing import Any

from podtask.template.shared_memory import MOUNT_PATH, shared_memory

from .draft import Draft
from .field_refs import Key, field_ref

VOLUME_NAME = "shm"


class SharedMemory:
    """A reference to the size of /dev/shm."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    @property
    def path(self) -> str:
        """Path of the volume's size limit."""
        source = self._source()
        if source is None:
            return "shared memory"  # matches no problem, since there is no volume
        index = next(n for n, each in enumerate(self._volumes) if each.get("emptyDir") is source)
        return f"spec.volumes[{index}].emptyDir.sizeLimit"

    def get(self) -> Any:
        """Return the size, or None if none is set."""
        return (self._source() or {}).get("sizeLimit")

    def set(self, value: Any) -> None:
        """Set the size; None removes the volume and its mount."""
        source = self._source()
        if value and source is not None:
            source["sizeLimit"] = value
        elif value:
            names = {each.get("name") for each in self._volumes}
            candidates = (f"{VOLUME_NAME}{n or ''}" for n in range(99))
            name = next(each for each in candidates if each not in names)
            volume, mount = shared_memory(name, value)
            self._draft.field("volumes").set([*self._volumes, volume])
            self._mounts_ref.set([*self._mounts, mount])
        elif source is not None:
            volumes = [each for each in self._volumes if each.get("emptyDir") is not source]
            self._draft.field("volumes").set(volumes or None)
            mounts = [each for each in self._mounts if each.get("mountPath") != MOUNT_PATH]
            self._mounts_ref.set(mounts or None)

    @property
    def _mounts_ref(self) -> Key:
        return field_ref(self._draft.container, "volumeMounts")

    @property
    def _mounts(self) -> list[dict[str, Any]]:
        return list(self._mounts_ref.get() or [])

    @property
    def _volumes(self) -> list[dict[str, Any]]:
        return list(self._draft.field("volumes").get() or [])

    def _source(self) -> dict[str, Any] | None:
        """Return the emptyDir that is mounted at /dev/shm, or None."""
        mounted = [each.get("name") for each in self._mounts if each.get("mountPath") == MOUNT_PATH]
        for volume in self._volumes:
            source = volume.get("emptyDir")
            if volume.get("name") in mounted and isinstance(source, dict):
                return source
        return None
