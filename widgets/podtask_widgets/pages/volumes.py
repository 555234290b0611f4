"""The page of volumes, and of where the primary container has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..converters import MODE, TEXT, YAML
from ..draft import Draft
from ..field_refs import Key, at
from ..inputs import YES_NO, Options
from ..list_editors import Entry, Items, Pairs
from ..page import Page
from .container import columns_of_mounts, mounts

# Sources that have fields of their own here: their key, and what they are called.
KINDS = {
    "persistentVolumeClaim": "claim (PVC)",
    "emptyDir": "empty directory",
    "configMap": "config map",
    "secret": "secret",
    "csi": "CSI driver",
    "hostPath": "path of the node",
    "nfs": "NFS",
}
OTHERS = ("projected", "downwardAPI", "ephemeral", "image")
MEDIUM = (("disk", None), ("memory", "Memory"), ("huge pages", "HugePages"))
TYPES = ("Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", "CharDevice", "BlockDevice")
PATH_TYPES = (("not checked", None), *((each, each) for each in TYPES))


def count(draft: Draft) -> int:
    """Returns how many volumes there are."""
    return len(draft.field("volumes").get() or [])


def build(page: Page) -> list[Any]:
    """Returns the page's widgets."""
    volumes = page.draft.field("volumes")

    def new() -> dict[str, Any]:
        names = {each.get("name") for each in volumes.get() or []}
        name = next(f"volume-{n}" for n in range(1, 999) if f"volume-{n}" not in names)
        return {"name": name, "persistentVolumeClaim": {}}

    return [
        page.head("Volumes", "of the pod: all containers may mount them"),
        Items(page, volumes, "volume", lambda entry: _card(page, entry), new=new).box,
        page.head("Mounts", "in the primary container"),
        Items(page, at(page.draft.container, "volumeMounts"), "mount", mounts(page), columns_of_mounts).box,
    ]


class Kind:
    """The place of a volume's kind: the key of its source."""

    def __init__(self, entry: Entry) -> None:
        self._place = entry.place

    @property
    def path(self) -> str:
        """As problems name it: what is said of the volume as a whole."""
        return self._place.path

    def get(self) -> str | None:
        """Returns it; the first one where there are several."""
        return next((key for key in self._place.get() if key != "name"), None)

    def set(self, kind: Any) -> None:
        """Makes it a volume of another kind, of which nothing is known yet."""
        item = self._place.get()
        for key in [key for key in item if key != "name"]:
            del item[key]
        item[kind] = {}


def _card(page: Page, entry: Entry) -> list[Any]:
    kind = Kind(entry)
    body = page.grid()

    def fill() -> None:
        for each in body.children:
            page.forget(each)
        chosen = kind.get()
        body.children = _fields(page, entry, chosen) if chosen else []

    def changed() -> None:
        fill()
        entry.write()

    name = page.text(at(entry.place, "name"), f"Volume {entry.number}", after=entry.write)
    options = [(label, key) for key, label in KINDS.items()] + [(each, each) for each in OTHERS]
    kinds = page.choice(kind, "Kind", options, changed)
    fill()
    top = page.box(
        [page.field(name), page.field(kinds), page.cross(f"Remove volume {entry.number}", entry.remove)],
        "pt-top",
    )
    return [top, body]


def _fields(page: Page, entry: Entry, kind: str) -> list[Any]:
    place = Key(entry.place, kind, stays=True)
    if kind in FIELDS:
        return FIELDS[kind](Fields(page, place, entry.write))
    return [page.field(page.text(place, f"{kind}, in YAML", YAML, lines=6, after=entry.write), wide=True)]


class Fields:
    """Makes the fields of a volume's source."""

    def __init__(self, page: Page, place: Key, after: Callable[[], None]) -> None:
        self.page, self.place, self._after = page, place, after

    def text(self, name: str, label: str, hint: str = "", *, kind: str = "", wide: bool = False) -> Any:
        """Returns a field of text, with the names of a kind of the cluster's objects."""
        made = self.page.text(at(self.place, name), label, TEXT, hint=hint, kind=kind, after=self._after)
        return self.page.field(made, wide=wide)

    def choice(self, name: str, label: str, options: Options = YES_NO) -> Any:
        """Returns a field of a few values."""
        return self.page.field(self.page.choice(at(self.place, name), label, options, self._after))

    def files(self) -> list[Any]:
        """Returns what config maps and secrets have: which keys become which files."""
        mode = self.page.text(
            at(self.place, "defaultMode"), "File mode", MODE, hint="0644", after=self._after
        )
        keys = Items(self.page, at(self.place, "items"), "key", self._key, "minmax(0,1fr) minmax(0,1fr)")
        return [
            self.choice("optional", "May be missing"),
            self.page.field(mode),
            self._wide(self.page.head("Only these keys", "without any: all of them"), keys.box),
        ]

    def attributes(self) -> Any:
        """Returns what a CSI driver wants to know."""
        pairs = Pairs(self.page, at(self.place, "volumeAttributes"), "attribute")
        return self._wide(self.page.head("Volume attributes", "what the driver wants to know"), pairs.box)

    def _wide(self, *parts: Any) -> Any:
        return self.page.column(parts, "pt-wide")

    def _key(self, entry: Entry) -> list[Any]:
        said = f"Key {entry.number}"
        made = (("key", said, "key"), ("path", f"{said}, file", "file"))
        return [
            self.page.text(at(entry.place, name), label, hint=hint, after=entry.write).widget
            for name, label, hint in made
        ]


FIELDS: dict[str, Callable[[Fields], list[Any]]] = {
    "persistentVolumeClaim": lambda of: [
        of.text("claimName", "Claim", kind="claim"),
        of.choice("readOnly", "Read only"),
    ],
    "emptyDir": lambda of: [
        of.choice("medium", "Kept in", MEDIUM),
        of.text("sizeLimit", "Size limit", "none"),
    ],
    "configMap": lambda of: [of.text("name", "Config map", kind="config map"), *of.files()],
    "secret": lambda of: [of.text("secretName", "Secret", kind="secret"), *of.files()],
    "csi": lambda of: [
        of.text("driver", "Driver", "gcsfuse.csi.storage.gke.io", wide=True),
        of.text("fsType", "File system"),
        of.choice("readOnly", "Read only"),
        of.attributes(),
    ],
    "hostPath": lambda of: [of.text("path", "Path", "/var/data"), of.choice("type", "Type", PATH_TYPES)],
    "nfs": lambda of: [
        of.text("server", "Server"),
        of.text("path", "Path"),
        of.choice("readOnly", "Read only"),
    ],
}
