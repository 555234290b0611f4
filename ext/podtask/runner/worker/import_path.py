"""The path of the cell's imports.

The runner is started with ``-I``, so that it imports nothing from folders that others may be able to write
to: the working directory, those in PYTHONPATH, and the user's folder. The process of the cell gets them
back, because a cell expects what ``python`` does without the option.
"""

import contextlib
import os
import site
import sys
from typing import Iterator, List

from .. import protocol

_standard_library: List[str] = []  # its folders


def restore() -> None:
    """Put the folders on the path that Python would have put there, and execute their customization modules."""
    environ = os.environ
    moved = environ.pop(protocol.PATH_VARIABLE, "")
    if moved:
        environ["PYTHONPATH"] = moved
    packages = {*site.getsitepackages()}
    start = next((index for index, path in enumerate(sys.path) if path in packages), len(sys.path))
    _standard_library[:] = sys.path[:start]
    user_folder = _user_folder()
    if user_folder:
        rest = sys.path[start:]
        del sys.path[start:]
        site.addsitedir(user_folder)
        sys.path += [path for path in rest if path not in sys.path]
    paths = environ.get("PYTHONPATH")
    folders = list(dict.fromkeys(map(os.path.abspath, paths.split(os.pathsep)))) if paths else []
    sys.path[:] = folders + [path for path in sys.path if path not in folders]
    if any(_has_module(folder, "sitecustomize") for folder in folders):
        sys.modules.pop("sitecustomize", None)  # of the image, which this one hides
    if user_folder or folders:
        site.execsitecustomize()
    if user_folder:
        site.execusercustomize()
    if environ.get("PYTHONDONTWRITEBYTECODE"):
        sys.dont_write_bytecode = True
    if sys.version_info < (3, 11) or not environ.get("PYTHONSAFEPATH"):
        sys.path.insert(0, "")


def _user_folder() -> str:
    """Return the user's folder of packages; empty if there is none, or if Python would not use it."""
    in_closed_environment = sys.prefix != sys.base_prefix and [sys.prefix] == site.PREFIXES
    other_user = (os.getuid(), os.getgid()) != (os.geteuid(), os.getegid())
    if os.environ.get("PYTHONNOUSERSITE") or in_closed_environment or other_user:
        return ""
    site.ENABLE_USER_SITE = True
    folder = site.getusersitepackages()
    return folder if os.path.isdir(folder) else ""


def _has_module(folder: str, name: str) -> bool:
    return os.path.isfile(os.path.join(folder, f"{name}.py")) or os.path.isdir(os.path.join(folder, name))


@contextlib.contextmanager
def standard_library_first() -> Iterator[None]:
    """Let imports find the standard library before modules of the same names in the cell's folders.

    The runner's modules and cloudpickle are loaded in this way when they are first needed.
    """
    added = [f"{folder}{os.sep}" for folder in _standard_library]  # distinct from the entries that are there
    sys.path[:0] = added
    try:
        yield
    finally:
        sys.path[:] = [path for path in sys.path if path not in added]
