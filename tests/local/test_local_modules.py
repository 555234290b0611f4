"""The user's own modules are modules in the pod: files in a folder that imports and child processes search.

The rows E1 to E7 of the cases. The modules are in no folder that the cell's process would search by itself.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebook import Kernel, Shell


@pytest.fixture
def project(local_backend: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on ``sys.path``; modules that tests import from it are unloaded afterwards."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = {*sys.modules}
    yield folder
    for name in {*sys.modules} - before:
        if "mod" in name or "pack" in name:
            del sys.modules[name]


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    """Write files by their paths."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (b"\xef\xbb\xbftext = '\xc3\xa4'\n", "ä"),
        (b"# -*- coding: latin-1 -*-\ntext = '\xe4'\n", "ä"),
        (b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\ntext = '\x80'\n", "€"),
        (b"text = 'one'\r\nmore = '''a\r\nb'''\r\n", "one"),
    ],
    ids=["byte order mark", "coding cookie", "second line", "windows line ends"],
)
def test_source_is_read_as_python_reads_it(shell: Shell, project: Path, source: bytes, text: str) -> None:
    """E1: a module with a byte order mark or a coding cookie has the text that it has in the notebook."""
    write(project, {"encoded_mod.py": source})
    shell.run("%%podtask -o text\nimport encoded_mod\ntext = encoded_mod.text")
    assert shell["text"] == text


def test_wrong_encoding_is_the_error_of_the_kernel(shell: Shell, project: Path) -> None:
    """E1: a module that Python cannot decode fails with Python's own SyntaxError."""
    write(project, {"broken_mod.py": b"text = '\xe4'\n"})
    shown = shell.shown_error("%%podtask\nimport broken_mod")
    assert "SyntaxError" in shown
    assert "utf-8" in shown.lower()


def test_package_lists_its_modules(shell: Shell, project: Path) -> None:
    """E2: pkgutil finds the modules of a package, and of a folder without __init__.py."""
    write(
        project,
        {
            "plugin_pack/__init__.py": "import pkgutil\nnames = sorted(m.name for m in pkgutil.iter_modules(__path__))\n",
            "plugin_pack/red.py": "",
            "plugin_pack/blue.py": "",
            "plugin_pack/deep/__init__.py": "",
            "plugin_pack/deep/inner.py": "",
            "space_pack/one.py": "",
            "space_pack/two.py": "",
        },
    )
    shell.run(
        "%%podtask -o names,deep,space\nimport pkgutil, plugin_pack, space_pack\nnames = plugin_pack.names\n"
        "deep = [m.name for m in pkgutil.walk_packages(plugin_pack.__path__, 'plugin_pack.')]\n"
        "space = sorted(m.name for m in pkgutil.iter_modules(space_pack.__path__))"
    )
    assert shell["names"] == ["blue", "deep", "red"]
    assert "plugin_pack.deep.inner" in shell["deep"]
    assert shell["space"] == ["one", "two"]


def test_data_files_of_a_package_are_there(shell: Shell, project: Path) -> None:
    """E3: importlib.resources, pkgutil.get_data and paths beside __file__ find the data files."""
    write(
        project,
        {
            "data_pack/__init__.py": "from pathlib import Path\nHERE = Path(__file__).parent\nwords = (HERE / 'words.txt').read_text()\n",
            "data_pack/sub/__init__.py": "",
        },
    )
    (project / "data_pack" / "words.txt").write_text("a b")
    (project / "data_pack" / "sub" / "raw.bin").write_bytes(b"\0\xff")
    (project / "data_pack" / ".secret").write_text("no")
    shell.run(
        "%%podtask -o words,raw,found,files\nimport importlib.resources, pkgutil\nimport data_pack.sub\n"
        "words = data_pack.words\nraw = pkgutil.get_data('data_pack.sub', 'raw.bin')\n"
        "found = importlib.resources.files('data_pack').joinpath('sub/raw.bin').read_bytes()\n"
        "files = sorted(p.name for p in data_pack.HERE.iterdir() if p.name != '__pycache__')"
    )
    assert shell["words"] == "a b"
    assert shell["raw"] == shell["found"] == b"\0\xff"
    assert shell["files"] == ["__init__.py", "sub", "words.txt"]


def test_data_files_beside_a_module_are_there(shell: Shell, project: Path) -> None:
    """E3: files and folders that a module names, relative to its __file__, are sent; others are not."""
    write(
        project,
        {
            "reader_mod.py": "import os\nHERE = os.path.dirname(os.path.abspath(__file__))\n"
            "def words():\n    return open(os.path.join(HERE, 'assets', 'words.txt')).read()\n"
            "def config():\n    return open(os.path.join(HERE, 'config.ini')).read()\n",
        },
    )
    (project / "assets").mkdir()
    (project / "assets" / "words.txt").write_text("a b")
    (project / "assets" / "other.txt").write_text("no")
    (project / "config.ini").write_text("[x]")
    (project / "unrelated.csv").write_text("no")
    shell.run(
        "%%podtask -o got\nimport os, reader_mod\n"
        "got = reader_mod.words(), reader_mod.config(), os.listdir(reader_mod.HERE), "
        "os.listdir(os.path.join(reader_mod.HERE, 'assets'))"
    )
    words, config, files, assets = shell["got"]
    assert (words, config, assets) == ("a b", "[x]", ["words.txt"])
    assert "unrelated.csv" not in files


def test_data_files_over_the_limit_are_named(shell: Shell, project: Path) -> None:
    """E3: data files that are too large stay, the others are sent, and a line names what was left out."""
    write(project, {"heavy_pack/__init__.py": ""})
    with open(project / "heavy_pack" / "model.bin", "wb") as file:
        file.truncate(9 << 20)
    (project / "heavy_pack" / "small.txt").write_text("small")
    _, err = shell.output(
        "%%podtask -o small\nimport pkgutil, heavy_pack\nsmall = pkgutil.get_data('heavy_pack', 'small.txt')"
    )
    assert shell["small"] == b"small"
    assert "not sent: heavy_pack/model.bin (9.0 MiB)." in err


@pytest.mark.parametrize(
    "work",
    [
        "multiprocessing.get_context('spawn').Pool(1).map(child_mod.double, [21])[0]",
        "multiprocessing.get_context('forkserver').Pool(1).map(child_mod.double, [21])[0]",
        "concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context('spawn')).submit("
        "child_mod.double, 21).result()",
        "int(subprocess.check_output([sys.executable, '-c', 'import child_mod; print(child_mod.double(21))']))",
    ],
    ids=["spawn", "forkserver", "executor", "subprocess"],
)
def test_child_processes_know_the_modules(shell: Shell, project: Path, work: str) -> None:
    """E4: processes that do not inherit the interpreter import the modules, too."""
    write(
        project,
        {
            "child_mod.py": "import grand_mod\ndef double(n):\n    return grand_mod.two * n\n",
            "grand_mod.py": "two = 2\n",
        },
    )
    shell.run(
        "%%podtask -o value\nimport concurrent.futures, multiprocessing, subprocess, sys\nimport child_mod\n"
        f"value = {work}"
    )
    assert shell["value"] == 42


def test_shell_commands_know_the_modules(shell: Shell, project: Path) -> None:
    """E4: python in a shell command imports the modules, and runs them with -m."""
    write(project, {"tool_mod.py": "print('tool', __name__)\n"})
    out, _ = shell.output(
        "%%podtask\nimport sys, tool_mod\n!{sys.executable} -c 'import tool_mod'\n!{sys.executable} -m tool_mod"
    )
    assert out == "tool tool_mod\ntool tool_mod\ntool __main__\n"


def test_folder_is_removed(shell: Shell, project: Path) -> None:
    """The folder of the modules is removed when the task has ended."""
    write(project, {"gone_mod.py": ""})
    shell.run("%%podtask -o path\nimport gone_mod\npath = gone_mod.__file__")
    assert not os.path.exists(shell["path"])
    assert not os.path.exists(os.path.dirname(shell["path"]))


def test_tracebacks_have_the_paths_of_the_notebook(shell: Shell, project: Path) -> None:
    """Errors, warnings and inspect name the file in the notebook, with its lines; __file__ is where it is."""
    write(
        project,
        {
            "path_mod.py": "import traceback, warnings\ndef fail():\n    raise ValueError('no')\n"
            "def text():\n    try:\n        fail()\n    except ValueError:\n        return traceback.format_exc()\n",
        },
    )
    shell.run(
        "%%podtask -o text,source,exists\nimport inspect, os, path_mod\ntext = path_mod.text()\n"
        "source = inspect.getsource(path_mod.fail)\nexists = os.path.exists(path_mod.__file__)"
    )
    assert f'File "{project}/path_mod.py", line 3, in fail\n    raise ValueError' in shell["text"]
    assert shell["source"] == "def fail():\n    raise ValueError('no')\n"
    assert shell["exists"]
    assert "path_mod.py" in shell.shown_error("%%podtask\nimport path_mod\npath_mod.fail()")


def test_another_copy_in_the_image_is_reported(
    shell: Shell, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notebook's module is used, also if the cell puts the folder of another first; a line says so."""
    write(project, {"copy_mod.py": "which = 'notebook'\n"})
    image = tmp_path / "image"
    write(image, {"copy_mod.py": "which = 'image'\n"})
    monkeypatch.setenv("PYTHONPATH", str(image))
    _, err = shell.output(
        f"%%podtask -o which\nimport sys\nsys.path.insert(0, {str(image)!r})\nimport copy_mod\nwhich = copy_mod.which"
    )
    assert shell["which"] == "notebook"
    assert f"using the notebook's module copy_mod; the image has a different one, {image}/copy_mod.py" in err


def editable(project: Path, name: str, folder: Path) -> None:
    """Install a package as pip does with -e: by a finder and with metadata in site-packages."""
    site = project / "site-packages"
    info = site / f"{name}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[{name}.plugins]\none = {name}:one\n")
    (info / "direct_url.json").write_text(f'{{"dir_info": {{"editable": true}}, "url": "file://{folder}"}}')
    sys.path.append(str(site))


@pytest.mark.parametrize("at_first", [True, False], ids=["first imported in the cell", "imported before"])
def test_editable_install_travels(
    shell: Shell, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_first: bool
) -> None:
    """E5: a package that a finder maps to its sources travels, with its version and entry points."""
    source = tmp_path / "checkout"
    write(
        source,
        {
            "src/__init__.py": "import importlib.metadata\nversion = importlib.metadata.version('edit-pack')\n",
        },
    )
    write(source, {"src/part.py": "answer = 42\n"})
    monkeypatch.setattr(sys, "path", [*sys.path])
    editable(project, "edit_pack", source)

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> object:
            if name != "edit_pack":
                return None
            return importlib.util.spec_from_file_location(name, source / "src" / "__init__.py")

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    if not at_first:
        shell.run("import edit_pack")
    shell.run(
        "%%podtask -o got\nimport importlib.metadata, edit_pack.part\n"
        "points = importlib.metadata.entry_points()\n"
        "found = points.select(group='edit_pack.plugins') if hasattr(points, 'select') else points['edit_pack.plugins']\n"
        "got = edit_pack.part.answer, edit_pack.version, [each.name for each in found]"
    )
    assert shell["got"] == (42, "1.2", ["one"])


def test_hint_for_a_module_of_the_user_is_never_pip(shell: Shell, project: Path) -> None:
    """E5: a module of the user's that the cell names only at run time gets a hint that helps."""
    write(project, {"late_mod.py": "x = 1\n"})
    shell.run("name = ['late', 'mod']")
    shown = shell.shown_error("%%podtask\nimport importlib\nimportlib.import_module('_'.join(name))")
    assert "add 'import late_mod' to the cell" in shown
    assert "--pip" not in shown


def test_compiled_extension_is_named_before_anything_starts(shell: Shell, project: Path) -> None:
    """E6: a line names the file of a compiled extension; on the same machine it works."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    built = [Path(each) for each in importlib.util.find_spec("yaml").submodule_search_locations or ()]  # type: ignore[union-attr]
    extension = next(built[0].glob("_yaml*.so"), None)
    if extension is None:
        pytest.skip("no compiled extension here")
    write(project, {"fast_pack/__init__.py": ""})
    shutil.copy(extension, project / "fast_pack" / f"_yaml{suffix}")
    _, err = shell.output("%%podtask -o name\nimport fast_pack._yaml\nname = fast_pack._yaml.__name__")
    assert shell["name"] == "fast_pack._yaml"
    assert f"fast_pack/_yaml{suffix}: compiled for this machine." in err


def test_module_made_at_run_time_travels(shell: Shell, project: Path) -> None:
    """E7: a module that the notebook made has its values, functions and classes in the pod; they share globals."""
    shell.run(
        "import sys, types\nmade = types.ModuleType('made_mod')\nsys.modules['made_mod'] = made\n"
        "exec('rate = 2\\nclass Point:\\n    x = 1\\ndef double(n):\\n    return rate * n', vars(made))\n"
        "point = made.Point()"
    )
    shell.run(
        "%%podtask -o got,back\nimport made_mod\nmade_mod.rate = 3\n"
        "got = made_mod.double(7), made.double(7), type(point) is made_mod.Point\nback = made_mod.Point()"
    )
    assert shell["got"] == (21, 21, True)
    assert type(shell["back"]) is shell["made"].Point
    assert shell["made"].rate == 2


def test_modules_made_at_run_time_below_each_other(shell: Shell, project: Path) -> None:
    """E7: a package made at run time travels with its modules, also if a function of the notebook imports it."""
    shell.run(
        "import sys, types\nfor name in ('fake_pack', 'fake_pack.conf'):\n    sys.modules[name] = types.ModuleType(name)\n"
        "sys.modules['fake_pack'].conf = sys.modules['fake_pack.conf']\nsys.modules['fake_pack.conf'].n = 5\n"
        "def ask():\n    import fake_pack.conf\n    return fake_pack.conf.n"
    )
    shell.run("%%podtask -o got\nimport fake_pack\ngot = ask(), fake_pack.conf.n")
    assert shell["got"] == (5, 5)


def test_module_made_at_run_time_that_cannot_travel_is_named(shell: Shell, project: Path) -> None:
    """E7: a value that cannot be pickled is named with its module before anything starts."""
    shell.run(
        "import sys, threading, types\nmade = types.ModuleType('lock_mod')\nmade.lock = threading.Lock()\n"
        "sys.modules['lock_mod'] = made"
    )
    shown = shell.shown_error("%%podtask\nimport lock_mod")
    assert (
        "The cell uses the module lock_mod, which was made at run time, and its lock (lock) cannot be sent"
        in shown
    )
    assert "Traceback" not in shown


def test_object_in_place_of_a_module_travels(shell: Shell, project: Path) -> None:
    """E7: an object that stands in sys.modules in place of a module is imported in the pod."""
    shell.run("import sys, types\nsys.modules['space_mod'] = types.SimpleNamespace(rate=5)")
    shell.run("%%podtask -o rate\nimport space_mod\nfrom space_mod import rate")
    assert shell["rate"] == 5


def test_module_found_by_a_relative_path_travels(
    shell: Shell, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module in a relative folder of sys.path is sent."""
    write(project, {"src/relative_mod.py": "x = 1\n", "elsewhere/other.txt": ""})
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", [*sys.path, "src"])
    shell.run("%%podtask -o x\nimport relative_mod\nx = relative_mod.x")
    assert shell["x"] == 1


def test_compiled_module_beside_the_notebook_is_named(shell: Shell, project: Path) -> None:
    """E6: a line names the file of a module that is compiled as a whole."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    found = importlib.util.find_spec("_cffi_backend")
    if found is None or not found.origin:
        pytest.skip("no compiled module here")
    shutil.copy(found.origin, project / f"_cffi_backend_mod{suffix}")
    _, err = shell.output("%%podtask\ntry:\n    import _cffi_backend_mod\nexcept ImportError:\n    pass")
    assert f"_cffi_backend_mod{suffix}: compiled for this machine." in err


def test_module_executed_from_a_file_travels(shell: Shell, project: Path) -> None:
    """E7: a module that was loaded from a file under another name travels with that file."""
    write(project, {"scripts/any-name.py": "answer = 42\n"})
    shell.run(
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('renamed_mod', {str(project / 'scripts/any-name.py')!r})\n"
        "loaded = importlib.util.module_from_spec(spec)\nsys.modules['renamed_mod'] = loaded\n"
        "spec.loader.exec_module(loaded)"
    )
    shell.run("%%podtask -o got\ngot = loaded.answer, loaded.__name__")
    assert shell["got"] == (42, "renamed_mod")


@pytest.mark.parametrize(
    "source",
    [
        "import importlib\nx = importlib.import_module('named_mod').x",
        "from importlib import import_module\nx = import_module('named_mod').x",
        "x = __import__('named_mod').x",
        "x = load()",
    ],
)
def test_module_imported_by_a_constant_name_travels(shell: Shell, project: Path, source: str) -> None:
    """E7: a module whose name is a constant in the call of an import function is sent."""
    write(project, {"named_mod.py": "x = 1\n"})
    shell.run("import importlib\ndef load():\n    return importlib.import_module('named_mod').x")
    shell.run(f"%%podtask -o x\n{source}")
    assert shell["x"] == 1


COUNTER_MODULES: dict[str, str | bytes] = {
    "mod_counter.py": "STEP, LR, SEEN, _hidden, CACHE, HANDLERS, TABLE = 0, 0.1, [], 0, {}, {}, {'a': (1, [2])}\n"
    "def step():\n    global STEP, _hidden\n    STEP += 1\n    _hidden += 1\n    CACHE[STEP] = HANDLERS[STEP] = step\n"
    "    CACHE['size'] = 1\n    TABLE['a'][1].append(3)\n    return STEP\n",
    "mod_filler.py": "import mod_counter\nmod_counter.SEEN.append('imported')\n",
}


@pytest.mark.parametrize(
    ("cell", "named"),
    [
        ("import mod_counter\nmod_counter.step()", "mod_counter.STEP, mod_counter.TABLE"),
        ("from mod_counter import step\nstep()", "mod_counter.STEP, mod_counter.TABLE"),
        ("import mod_counter\nmod_counter.LR = 5", "mod_counter.LR"),
        ("import mod_counter\nmod_counter.SEEN.append(1)\nimport mod_filler", "mod_counter.SEEN"),
        ("import mod_filler, mod_counter\nmod_counter.LR, mod_counter.NEW = 0.1, 1", ""),
        ("import mod_counter\nlen(mod_counter.SEEN), mod_counter.TABLE['a'], str(mod_counter.LR)", ""),
    ],
    ids=["counter", "imported function", "assigned", "before an import", "while imported", "read"],
)
def test_values_of_modules_that_a_cell_changes_are_named(
    shell: Shell, project: Path, cell: str, named: str
) -> None:
    """C1: plain values of a module that a cell changes stay in the pod, and the closing line names them."""
    write(project, COUNTER_MODULES)
    _, err = shell.output(f"%%podtask\n{cell};")
    line = [part for part in err.replace("\n", " · ").split(" · ") if "which the cell changed" in part]
    assert [each.partition(", which")[0] for each in line] == (
        [f"the notebook keeps its own {named}"] if named else []
    )


def test_values_that_the_notebook_has_changed_are_not_named(shell: Shell, project: Path) -> None:
    """C1: what was sent with a cell is not a change of the cell; what a failed cell has changed is named."""
    write(project, COUNTER_MODULES)
    shell.run("import mod_counter\nfrom mod_counter import TABLE\nmod_counter.LR, TABLE['b'] = 3, 1")
    out, err = shell.output("%%podtask\nprint(mod_counter.LR, TABLE)")
    assert out == "3 {'a': (1, [2]), 'b': 1}\n"
    assert "which the cell changed" not in err
    shown = shell.shown_error("%%podtask\nmod_counter.LR += 1\n1 / 0")
    assert "the notebook keeps its own mod_counter.LR, which the cell changed" in shown


@pytest.mark.feature("N11")
def test_changed_file_is_reported(project: Path, kernel: Kernel) -> None:
    """The pod gets the current file; a note appears if the notebook still uses an older version."""
    path = project / "helper_mod.py"
    path.write_text("def f():\n    return 1\n\ndef same():\n    return 0\n")
    kernel.run(f"import sys; sys.path.insert(0, {str(project)!r}); import helper_mod")
    cell = "%%podtask --local\nimport helper_mod\nprint(helper_mod.f())"
    ran = kernel.run(cell)
    assert ran.stdout == "1\n"
    assert not any("has changed" in line for line in ran.lines)
    path.write_text("def f():\n    return 2\n\ndef same():\n    return 0\n")
    ran = kernel.run(cell)
    assert ran.stdout == "2\n"
    assert any(line.startswith("helper_mod.py has changed since") for line in ran.lines)


@pytest.mark.feature("N11")
def test_function_of_the_notebook_finds_its_modules(project: Path, shell: Shell) -> None:
    """Modules that only a function imports, and modules that define a value's class, are sent."""
    (project / "inner_mod.py").write_text("answer = 42\n")
    (project / "shape_mod.py").write_text(
        "class Shape:\n    def __init__(self, n):\n        self.n = n\n"
        "def fail():\n    raise ValueError('no')\n"
    )
    shell.run(
        "import shape_mod\nshape = shape_mod.Shape(3)\ndef ask():\n    import inner_mod\n    return inner_mod.answer"
    )
    shell.run("%%podtask --local -o got,kind\ngot = ask() + shape.n\nkind = type(shape).__module__")
    assert (shell["got"], shell["kind"]) == (45, "shape_mod")
    shown = shell.shown_error("%%podtask --local\nimport shape_mod\nshape_mod.fail()")
    assert "raise ValueError('no')" in shown


def test_package_is_imported_where_the_cell_does(project: Path, kernel: Kernel) -> None:
    """A package has the submodules that the notebook has loaded; values set by the cell win."""
    (project / "late_pack").mkdir()
    (project / "late_pack" / "__init__.py").write_text("import os\nmode = os.environ.get('LATE')\n")
    (project / "late_pack" / "part.py").write_text("y = 2\n")
    kernel.run(f"import sys; sys.path.insert(0, {str(project)!r}); import late_pack.part")
    ran = kernel.run(
        "%%podtask --local\nimport os, sys\nbefore = 'late_pack' in sys.modules\n"
        "os.environ['LATE'] = 'set'\nimport late_pack\nprint(before, late_pack.mode, late_pack.part.y)"
    )
    assert ran.stdout == "False set 2\n"
