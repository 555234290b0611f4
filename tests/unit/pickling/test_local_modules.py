"""The user's own modules are sent with the cell that imports them."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from podtask.errors import InputError
from podtask.pickling.inputs import pack_inputs
from podtask.pickling.local_modules import (
    MAX_SOURCE_BYTES,
    LocalModules,
    find_local_modules,
    imported_modules,
    submodules,
)

from tests.unit.packing import OTHER, remote


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder on ``sys.path``; modules imported from it are unloaded after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_imports_are_found_wherever_they_are() -> None:
    """Imports at the top, in functions and with aliases are found; relative imports are skipped."""
    source = "import a.b, c as d\ndef f():\n    from e.f import g\nfrom . import h\nfrom .i import j\n"
    assert imported_modules(source) == {"a", "c", "e"}
    assert imported_modules("no python") == set()


def test_submodules_are_found(project: Path) -> None:
    """Attributes that are loaded submodules are found, under any name that the cell gives the package."""
    (project / "delta_pack").mkdir()
    (project / "delta_pack" / "__init__.py").write_text("x = 1\n")
    (project / "delta_pack" / "inner.py").write_text("y = 2\n")
    (project / "delta_pack" / "unloaded.py").write_text("z = 3\n")
    import xml.dom.minidom

    importlib.import_module("delta_pack.inner")
    here = {"xml": xml, "d": sys.modules["delta_pack"], "n": 1}
    used = ["xml.dom.minidom.parseString", "d.inner.y", "d.x", "n.real", "os.path.join", "d.unloaded"]
    assert submodules(used, here) == ("delta_pack.inner", "xml.dom", "xml.dom.minidom")
    source = "import os\nimport delta_pack as p\np.inner.y"
    assert submodules(["p.inner.y", "os.path.join"], {}, source) == ("delta_pack.inner", "os.path")


@pytest.mark.parametrize("attribute", ["", "read"])
def test_inputs_bring_their_modules_to_another_version_of_python(project: Path, attribute: str) -> None:
    """A module, or a function of it, that an earlier cell has imported is sent with its file."""
    (project / "epsilon.py").write_text("def read():\n    return 5\n")
    module = importlib.import_module("epsilon")
    value = getattr(module, attribute) if attribute else module
    inputs = pack_inputs({"value": value}, {"value": value}, OTHER)
    assert inputs.about["local_modules"]
    assert remote(inputs, f"print({'value()' if attribute else 'value.read()'})") == "5\n"


def test_installed_modules_are_not_sent() -> None:
    """The standard library, installed packages, podtask itself and unknown names are not sent."""
    found = find_local_modules(["json", "os.path", "yaml", "podtask", "pytest", "nowhere", "sys"])
    assert found == LocalModules()


def test_local_module_brings_what_it_imports(project: Path) -> None:
    """A module is sent with its whole package, subpackages, and the local modules that they import."""
    (project / "alpha_mod.py").write_text("import beta_pack.deep.one\n")
    deep = project / "beta_pack" / "deep"
    deep.mkdir(parents=True)
    (project / "beta_pack" / "__init__.py").write_text("import json\n")
    (deep / "one.py").write_text("import gamma_mod\n")
    (project / "gamma_mod.py").write_text("x = 1\n")
    found = find_local_modules(["alpha_mod"])
    assert found.files.keys() == {
        "alpha_mod.py",
        "beta_pack/__init__.py",
        "beta_pack/deep/one.py",
        "gamma_mod.py",
    }
    assert found.roots == {"alpha_mod", "beta_pack", "gamma_mod"}
    assert found.files["gamma_mod.py"] == (str(project / "gamma_mod.py"), b"x = 1\n")
    assert found.notes == found.warnings == []


def test_each_source_is_parsed_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next cell parses only the modules that have changed: 800 modules take seconds."""
    parsed: list[bytes] = []
    parse = ast.parse

    def note_and_parse(source: bytes, *more: Any, **named: Any) -> Any:
        parsed.append(source)
        return parse(source, *more, **named)

    monkeypatch.setattr(ast, "parse", note_and_parse)
    (project / "delta_mod.py").write_text("import epsilon_mod\nHERE = __file__\nTABLE = 'table.csv'\n")
    (project / "epsilon_mod.py").write_text("import json\nNAME = 'epsilon'\n")
    (project / "table.csv").write_text("1\n")
    first = find_local_modules(["delta_mod"])
    assert first.files.keys() == {"delta_mod.py", "epsilon_mod.py", "table.csv"}
    assert set(parsed) == {first.sources["delta_mod"], first.sources["epsilon_mod"]}
    parsed.clear()
    assert find_local_modules(["delta_mod"]) == first
    assert parsed == []
    (project / "epsilon_mod.py").write_text("import zeta_mod\n")
    (project / "zeta_mod.py").write_text("x = 1\n")
    second = find_local_modules(["delta_mod"])
    assert second.roots == {"delta_mod", "epsilon_mod", "zeta_mod"}
    assert parsed == [second.sources["epsilon_mod"]]


@pytest.mark.parametrize("text", ["ä" * 200, "\\ud800", "a\\x00b"])
def test_strings_that_name_no_file(project: Path, text: str) -> None:
    """A string that the file system would refuse as a name is not looked for."""
    (project / "names_files.py").write_text(f"PLACE = __file__\nTEXT = '{text}'\n", encoding="utf-8")
    assert [*find_local_modules({"names_files"}).files] == ["names_files.py"]


def test_too_much_source_is_refused(project: Path) -> None:
    """Local modules over the limit are an error that names them."""
    (project / "huge_mod.py").write_text("#" * (MAX_SOURCE_BYTES + 1))
    with pytest.raises(InputError, match="over the limit of 8 MiB: huge_mod"):
        find_local_modules(["huge_mod"])
