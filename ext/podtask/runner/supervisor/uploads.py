"""What a client brings before the cell begins, in pieces that go on where the last one ended."""

from typing import Any, Dict, Optional

from .worker_process import temporary_or_memory_file


class Uploads:
    """Named bytes in memory files."""

    def __init__(self) -> None:
        self._files: Dict[str, Any] = {}

    def sizes(self) -> Dict[str, int]:
        """Returns name -> bytes that are here."""
        return {name: file.tell() for name, file in self._files.items()}

    def put(self, name: str, offset: int, data: bytes) -> str:
        """Takes a piece, once; returns what is wrong, empty where nothing is."""
        file = self._files.setdefault(name, temporary_or_memory_file())
        if offset > file.tell():
            return f"blob {name} continues at {offset}, {file.tell()} bytes are here"
        if offset == file.tell():
            file.write(data)
        return ""

    def size_error(self, name: str, size: int) -> str:
        """Returns what is wrong where a blob has not this size, empty where it has."""
        here = self.sizes().get(name, size)
        return "" if here == size else f"{name} have {here} bytes, not {size}"

    def fileno(self, name: str) -> Optional[int]:
        """Returns the descriptor of a blob, None where there is none."""
        return self._files[name].fileno() if name in self._files else None
