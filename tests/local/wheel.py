"""A package index with one tiny wheel, created and served by the cell that installs from it."""

from __future__ import annotations

import io
import zipfile

NAME = "podtask_test_wheel"
# Run in a cell, with ``wheel`` as input: sets ``index``, the address of the index.
SERVE = f"""\
import functools, http.server, pathlib, tempfile, threading
folder = pathlib.Path(tempfile.mkdtemp())
page = folder / "simple" / "{NAME.replace("_", "-")}"
page.mkdir(parents=True)
(page / "{NAME}-1.0-py3-none-any.whl").write_bytes(wheel)
(page / "index.html").write_text('<a href="{NAME}-1.0-py3-none-any.whl">it</a>')
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
threading.Thread(target=server.serve_forever, daemon=True).start()
index = f"http://127.0.0.1:{{server.server_port}}/simple"
"""


def wheel() -> bytes:
    """Return the bytes of a wheel with one module, which has ``answer``."""
    about = f"{NAME}-1.0.dist-info"
    files = {
        f"{NAME}.py": "answer = 42\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": "",
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()
