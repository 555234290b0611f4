"""The inputs that a client uploads, in pieces, so that an upload can be resumed."""

from typing import Any, Dict

from .worker_process import temporary_or_memory_file


class Uploads:
    """Byte strings in temporary files, by their SHA-256. What is here is not sent again.

    The records of a connection are authenticated, so the hash is only a name.
    """

    def __init__(self) -> None:
        self._files: Dict[str, Any] = {}

    def sizes(self) -> Dict[str, int]:
        """Return name -> number of bytes received."""
        return {name: self.size(name) for name in self._files}

    def size(self, name: str) -> int:
        """Return the number of bytes received of an upload; 0 if it has not begun."""
        return self._files[name].tell() if name in self._files else 0

    def put(self, name: str, offset: int, data: bytes) -> str:
        """Store what was not received earlier of a piece; return an error message, empty on success."""
        self.fileno(name)
        file = self._files[name]
        size = file.tell()
        if offset > size:
            return f"blob {name} continues at {offset}, {size} bytes are here"
        file.write(data[size - offset :])
        return ""

    def fileno(self, name: str) -> int:
        """Return the descriptor of an upload, which may not have begun."""
        if name not in self._files:
            self._files[name] = temporary_or_memory_file()
        number: int = self._files[name].fileno()
        return number

    def drop(self, name: str) -> None:
        """Remove an upload, if there is one."""
        if name in self._files:
            self._files.pop(name).close()
