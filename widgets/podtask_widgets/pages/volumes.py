"""The Volumes page: a card for each volume of the pod, with its mounts in the primary container."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..converters import FILE_MODE, TEXT, YAML
from ..draft import Draft
from ..field_refs import FieldRef, Key, field_ref
from ..inputs import YES_NO, Options
from ..list_editors import Entry, ListEditor, MappingEditor
from ..page import Page
from .container_fields import MOUNT_COLUMNS, VOLUME_MOUNT_COLUMNS, mount_fields, mount_widgets

# Volume sources with inputs of their own: the key of the source, and its label.
VOLUME_SOURCES = {
    "persistentVolumeClaim": "claim (PVC)",
    "emptyDir": "empty directory",
    "configMap": "ConfigMap",
    "secret": "Secret",
    "csi": "CSI driver",
    "hostPath": "host path",
    "nfs": "NFS",
}
YAML_SOURCES = ("projected", "downwardAPI", "ephemeral", "image")
EMPTY_DIR_MEDIA = (("disk", None), ("memory", "Memory"), ("huge pages", "HugePages"))
HOST_PATH_TYPES = (
    ("not checked", None),
    *(
        (each, each)
        for each in (
            "Directory",
            "DirectoryOrCreate",
            "File",
            "FileOrCreate",
            "Socket",
            "CharDevice",
            "BlockDevice",
        )
    ),
)


def count(draft: Draft) -> int:
    """Return the number of volumes."""
    return len(draft.field("volumes").get() or [])


def build(page: Page) -> list[Any]:
    """Return the page's widgets."""
    volumes = page.draft.field("volumes")

    def new_volume() -> dict[str, Any]:
        names = {each.get("name") for each in volumes.get() or []}
        name = next(f"volume-{n}" for n in range(1, 999) if f"volume-{n}" not in names)
        return {"name": name, "persistentVolumeClaim": {}}

    names = {each.get("name") for each in volumes.get() or []}
    mounts = field_ref(page.draft.container, "volumeMounts")

    def has_no_volume(mount: dict[str, Any]) -> bool:
        return mount.get("name") not in names

    widgets = [
        page.heading("Volumes", "of the pod, and where the primary container mounts them"),
        ListEditor(page, volumes, "volume", lambda entry: _volume_card(page, entry), new_item=new_volume).box,
    ]
    if any(has_no_volume(each) for each in mounts.get() or [] if isinstance(each, dict)):
        editor = ListEditor(page, mounts, "mount", mount_widgets(page), MOUNT_COLUMNS, includes=has_no_volume)
        widgets += [page.heading("Mounts without a volume", "in the primary container"), editor.box]
    return widgets


class VolumeName:
    """A reference to the name of a volume; its mounts follow."""

    def __init__(self, draft: Draft, volume: FieldRef) -> None:
        self._draft, self._volume = draft, volume

    @property
    def path(self) -> str:
        """Path of the name."""
        return f"{self._volume.path}.name"

    def get(self) -> Any:
        """Return the name."""
        return self._volume.get().get("name")

    def set(self, value: Any) -> None:
        """Rename the volume."""
        self._draft.rename_volume(self._volume.get(), value)


class MountField:
    """A reference to a field of a volume's mount. A mount has the volume's name while any other field is set."""

    def __init__(self, mount: FieldRef, name: str, volume: FieldRef) -> None:
        self._mount, self._name, self._volume = mount, name, volume

    @property
    def path(self) -> str:
        """Path of the field."""
        return f"{self._mount.path}.{self._name}"

    def get(self) -> Any:
        """Return the value."""
        return self._mount.get().get(self._name)

    def set(self, value: Any) -> None:
        """Set the value; None removes the field, and the last one the mount."""
        mount = self._mount.get()
        if value is not None:
            mount.setdefault("name", self._volume.get().get("name"))
            mount[self._name] = value
        else:
            mount.pop(self._name, None)
            if mount.keys() <= {"name"}:
                mount.clear()


def _mount_editor(page: Page, volume: FieldRef) -> ListEditor:
    """Create the editor for the mounts of a volume in the primary container."""
    name = volume.get().get("name")
    mounts = field_ref(page.draft.container, "volumeMounts")
    editor = ListEditor(
        page,
        mounts,
        "mount",
        lambda entry: mount_fields(page, entry, lambda field: MountField(entry.ref, field, volume)),
        VOLUME_MOUNT_COLUMNS,
        includes=lambda mount: bool(name) and mount.get("name") == name,
    )
    if not page.draft.mounts_of(volume.get()):
        editor.add_row()  # a volume without a mount is of no use
    return editor


class VolumeSource:
    """A reference to the kind of a volume: the key of its source."""

    def __init__(self, volume: FieldRef) -> None:
        self._volume = volume

    @property
    def path(self) -> str:
        """Path of the volume, because the kind belongs to the volume as a whole."""
        return self._volume.path

    def get(self) -> str | None:
        """Return the key of the source; the first one if the volume has several."""
        return next((key for key in self._volume.get() if key != "name"), None)

    def set(self, kind: Any) -> None:
        """Replace the source by an empty one of another kind."""
        item = self._volume.get()
        for key in [key for key in item if key != "name"]:
            del item[key]
        item[kind] = {}


def _volume_card(page: Page, entry: Entry) -> list[Any]:
    source = VolumeSource(entry.ref)
    fields = page.grid()

    def show_fields() -> None:
        for each in fields.children:
            page.close(each)
        kind = source.get()
        with page.within(f"Volume {entry.number}"):
            fields.children = _source_fields(page, entry, kind) if kind else []

    def source_changed() -> None:
        show_fields()
        entry.save()

    def remove() -> None:
        page.draft.remove_mounts(entry.ref.get())
        entry.remove()

    name = page.text_input(VolumeName(page.draft, entry.ref), f"Volume {entry.number}", on_change=entry.save)
    options = [(label, key) for key, label in VOLUME_SOURCES.items()] + [
        (each, each) for each in YAML_SOURCES
    ]
    source_dropdown = page.dropdown(source, "Kind", options, source_changed)
    show_fields()
    header = page.box(
        [
            page.field(name),
            page.field(source_dropdown),
            page.remove_button(f"Remove volume {entry.number}", remove),
        ],
        "pt-top",
    )
    mounts = page.column(
        [page.heading("Mounted at", "in the primary container"), _mount_editor(page, entry.ref).box],
        "pt-wide",
    )
    return [header, fields, mounts]


def _source_fields(page: Page, entry: Entry, kind: str) -> list[Any]:
    ref = Key(entry.ref, kind, keep_empty=True)
    if kind in SOURCE_FIELD_BUILDERS:
        return SOURCE_FIELD_BUILDERS[kind](SourceFields(page, ref, entry.save))
    return [page.field(page.text_input(ref, f"{kind} (YAML)", YAML, rows=6, on_change=entry.save), wide=True)]


class SourceFields:
    """Creates the fields of a volume source."""

    def __init__(self, page: Page, ref: Key, save: Callable[[], None]) -> None:
        self._page, self._ref, self._save = page, ref, save

    def text(
        self, name: str, label: str, placeholder: str = "", *, kind: str = "", wide: bool = False
    ) -> Any:
        """Create a text field; ``kind`` is the kind of cluster object whose names are suggested."""
        field_input = self._page.text_input(
            field_ref(self._ref, name), label, TEXT, placeholder=placeholder, kind=kind, on_change=self._save
        )
        return self._page.field(field_input, wide=wide)

    def dropdown(self, name: str, label: str, options: Options = YES_NO) -> Any:
        """Create a dropdown field."""
        return self._page.field(self._page.dropdown(field_ref(self._ref, name), label, options, self._save))

    def file_fields(self) -> list[Any]:
        """Create the fields that ConfigMaps and Secrets share: which keys become which files."""
        mode = self._page.text_input(
            field_ref(self._ref, "defaultMode"),
            "File mode",
            FILE_MODE,
            placeholder="0644",
            on_change=self._save,
        )
        keys = ListEditor(
            self._page,
            field_ref(self._ref, "items"),
            "key",
            self._key_widgets,
            "minmax(0,1fr) minmax(0,1fr)",
        )
        return [
            self.dropdown("optional", "Optional"),
            self._page.field(mode),
            self._wide(self._page.heading("Only these keys", "all keys if there are none here"), keys.box),
        ]

    def volume_attributes(self) -> Any:
        """Create the editor for the attributes of a CSI volume."""
        attributes = MappingEditor(self._page, field_ref(self._ref, "volumeAttributes"), "attribute")
        return self._wide(self._page.heading("Volume attributes", "passed to the CSI driver"), attributes.box)

    def _wide(self, *children: Any) -> Any:
        return self._page.column(children, "pt-wide")

    def _key_widgets(self, entry: Entry) -> list[Any]:
        label = f"Key {entry.number}"
        fields = (("key", label, "key"), ("path", f"{label}, file", "file"))
        return [
            self._page.text_input(
                field_ref(entry.ref, name), text, placeholder=placeholder, on_change=entry.save
            ).widget
            for name, text, placeholder in fields
        ]


SOURCE_FIELD_BUILDERS: dict[str, Callable[[SourceFields], list[Any]]] = {
    "persistentVolumeClaim": lambda source: [
        source.text("claimName", "Claim (PVC)", kind="claim"),
        source.dropdown("readOnly", "Read only"),
    ],
    "emptyDir": lambda source: [
        source.dropdown("medium", "Medium", EMPTY_DIR_MEDIA),
        source.text("sizeLimit", "Size limit", "none"),
    ],
    "configMap": lambda source: [
        source.text("name", "ConfigMap", kind="config map"),
        *source.file_fields(),
    ],
    "secret": lambda source: [source.text("secretName", "Secret", kind="secret"), *source.file_fields()],
    "csi": lambda source: [
        source.text("driver", "Driver", "gcsfuse.csi.storage.gke.io", wide=True),
        source.text("fsType", "File system"),
        source.dropdown("readOnly", "Read only"),
        source.volume_attributes(),
    ],
    "hostPath": lambda source: [
        source.text("path", "Path", "/var/data"),
        source.dropdown("type", "Type", HOST_PATH_TYPES),
    ],
    "nfs": lambda source: [
        source.text("server", "Server"),
        source.text("path", "Path"),
        source.dropdown("readOnly", "Read only"),
    ],
}
