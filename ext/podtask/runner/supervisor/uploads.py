"""The data that a client uploads before the cell starts, in pieces, so that an upload can be resumed."""

from typing import Any, Dict, Optional

from .worker_process import temporary_or_memory_file


class Uploads:
    """Byte strings that are being uploaded, by name, in temporary files."""

    def __init__(self) -> None:
        self._files: Dict[str, Any] = {}

    def sizes(self) -> Dict[str, int]:
        """Return name -> number of bytes received."""
        return {name: file.tell() for name, file in self._files.items()}

    def put(self, name: str, offset: int, data: bytes) -> str:
        """Store a piece unless it was received earlier; return an error message, empty on success."""
        file = self._files.setdefault(name, temporary_or_memory_file())
        if offset > file.tell():
            return f"blob {name} continues at {offset}, {file.tell()} bytes are here"
        if offset == file.tell():
            file.write(data)
        return ""

    def size_error(self, name: str, size: int) -> str:
        """Return an error message if an upload does not have this size, else an empty string."""
        received = self.sizes().get(name, size)
        return "" if received == size else f"{name} have {received} bytes, not {size}"

    def fileno(self, name: str) -> Optional[int]:
        """Return the descriptor of an upload, None if there is none."""
        return self._files[name].fileno() if name in self._files else None
