"""Classes, members and values keep their identity when values of a cell come back."""

from __future__ import annotations

import pytest
from podtask.errors import TaskError

from tests.notebook import Shell

LOCAL = "%%podtask --local"

MODEL = "class Model:\n    rate = 1\n    def f(self): return self.rate\n"


def test_a1_instance_in_an_error_leaves_its_class(shell: Shell) -> None:
    """A1: an error that carries an instance changes no default of its dataclass."""
    shell.run(
        "from dataclasses import dataclass, field\n@dataclass\nclass Run:\n    tags: list = field(default_factory=list)"
    )
    with pytest.raises(ValueError, match="tags"):
        shell.run(f"{LOCAL}\nraise ValueError(Run())")
    assert shell["Run"]().tags == []


def test_a1_error_class_with_a_hook_is_not_subclassed_again(shell: Shell) -> None:
    """A1: an error whose text the notebook cannot compute runs no hook of its class."""
    shell.run(
        "count = []\nclass Base(Exception):\n    def __init_subclass__(cls): count.append(cls.__name__)\n"
        "class Mine(Base):\n    def __str__(self): return f'{self.args[0]} {len(count) * extra}'"
    )
    shell.run("extra = 1")
    with pytest.raises(shell["Base"], match="x 5"):
        shell.run(f"{LOCAL}\nextra = 5\nraise Mine('x')")
    assert shell["count"] == ["Mine"]


def test_a2_changes_of_a_class_are_named(shell: Shell) -> None:
    """A2: without -o, the closing line names the class that the cell changed, and only that."""
    shell.run(MODEL + "class Other: pass")
    _, err = shell.output(f"{LOCAL} -o m\nModel.rate = 5\nm = [Model(), Other()]\nNone")
    assert "changed in the process: Model; -o brings it back" in err
    assert (shell["Model"].rate, type(shell["m"][0]) is shell["Model"]) == (1, True)


def test_a2_auto_brings_changes_of_classes_back(shell: Shell) -> None:
    """A2: with -o auto, changed registries and attributes are what the pod has, shared as there."""
    shell.run("known = {}\nclass Base:\n    reg = known\nclass Model(Base):\n    rate = 1\nbase = Base")
    shell.run(f"{LOCAL} -o auto\nModel.rate = 2\nModel.reg['a'] = Model\nknown\nNone")
    assert (shell["Model"].rate, shell["Base"] is shell["base"]) == (2, True)
    assert shell["known"] == {"a": shell["Model"]}
    assert shell["Base"].reg is shell["known"]


def test_a2_class_that_came_along_is_changed_by_its_name(shell: Shell) -> None:
    """A2: the changes of a base class that the cell does not name come back by its name, too."""
    shell.run("class Base:\n    n = 1\nclass Model(Base): pass")
    shell.run(f"{LOCAL} -o Base\nModel.__mro__[1].n = 7")
    assert shell["Base"].n == shell["Model"].n == 7


ENUM = """
import enum, functools
class Step(enum.Enum):
    LOAD = 1
    FIT = ["x"]
    TRAIN = ["x"]
    def __init__(self, value): self.runs, self.notes = 0, []
    @functools.cached_property
    def title(self): return self.name.title()
step = Step.LOAD
"""


@pytest.mark.parametrize(
    ("cell", "after"),
    [
        ("Step.LOAD.runs = 5", "Step.LOAD.runs == 5"),
        ("Step.TRAIN.notes.append('slow')", "Step.FIT.notes == ['slow']"),
        ("step.extra = 1", "step.extra == 1"),
        ("Step.FIT.value.append('y')", "Step.FIT.value == ['x', 'y']"),
        ("del Step.LOAD.runs", "not hasattr(step, 'runs')"),
        ("print(Step.LOAD.title, Step(1).runs, list(Step), Step['TRAIN'].notes)", ""),
    ],
)
def test_a2_changes_of_members_of_an_enumeration(shell: Shell, cell: str, after: str) -> None:
    """A2: attributes of members that a cell changes are named, and come back by the name of the enumeration."""
    shell.run(ENUM + "step.ready = True")
    _, err = shell.output(f"{LOCAL}\n{cell}\nNone")
    assert ("changed in the process: Step" in err) is bool(after)
    kind, load, fit = shell["Step"], shell["Step"].LOAD, shell["Step"].FIT
    assert (load.runs, load.notes, fit.notes, fit.value, load.ready) == (0, [], [], ["x"], True)
    shell.run(f"{LOCAL} -o Step\n{cell}\nNone")
    assert (shell["Step"] is kind, kind.LOAD is load, shell["step"] is load, load.ready) == (True,) * 4
    assert shell.run(after or "True") is True


def test_a3_detached_result_changes_nothing(shell: Shell) -> None:
    """A3: neither the result nor the values of a detached task change a class, before they are assigned."""
    shell.run(MODEL)
    shell.run(f"{LOCAL} -d -o Model\nModel.rate = 3\nModel()")
    shell.run("Model.rate = 7\ngot = _task.result()\nvalues = _task.values")
    assert (shell["Model"].rate, type(shell["got"]) is shell["Model"]) == (7, True)
    shell.run("_task.assign(globals())")
    assert shell["Model"].rate == 3


def test_b2_output_that_cannot_be_sent_is_an_error(shell: Shell) -> None:
    """B2, U17: the other values are assigned; then the name that could not be is an error."""
    shell.run("lock, n = 'older', 1")
    with pytest.raises(TaskError, match=r"^-o lock \(lock\) was not returned: TypeError: cannot pickle"):
        shell.run(f"{LOCAL} -o lock,n\nimport threading\nlock, n = threading.Lock(), 2")
    assert (shell["lock"], shell["n"]) == ("older", 2)


@pytest.mark.parametrize(
    "value",
    [
        "(n for n in [])",
        "__import__('socket').socket()",
        "[1, {'deep': __import__('sqlite3').connect(':memory:')}]",
        "type('Refuses', (), {'__reduce__': lambda self: 1 / 0})()",
    ],
)
def test_error_of_an_output_comes_after_everything_else(shell: Shell, value: str) -> None:
    """U17: whatever cannot be sent, the output, the last value and the other variables come first."""
    shell["bad"] = "older"
    cell = f"{LOCAL} -o bad,good\nprint('said')\ngood = 2\nbad = {value}\ngood + 40"
    shown = shell.shown_error(cell)
    places = [shown.index(each) for each in ("said", "42", "TaskError: -o bad (")]
    assert places == sorted(places)
    assert "podtask/" not in shown
    assert (shell["bad"], shell["good"], shell["_"]) == ("older", 2, 42)


def test_b2_auto_raises_where_an_older_value_stays(shell: Shell) -> None:
    """B2: with -o auto, a new name that cannot be sent is reported; one that has an older value is an error."""
    _, err = shell.output(f"{LOCAL} -o auto\nimport threading\nfresh = threading.Lock()")
    assert "fresh (lock) was not returned" in err
    shell.run("lock = 'older'")
    with pytest.raises(TaskError, match=r"^-o lock"):
        shell.run(f"{LOCAL} -o auto\nimport threading\nlock = threading.Lock()")


def test_b2_output_that_cannot_be_decoded_is_an_error_and_stays_reachable(shell: Shell) -> None:
    """B2: a value whose class the notebook lacks is an error, and task.raw has it."""
    shell.run("thing = 'older'")
    source = (
        f"{LOCAL} -o thing,n\nimport sys, types\nm = sys.modules['far'] = types.ModuleType('far')\n"
        "m.__spec__ = None\nexec('class Thing: pass', m.__dict__)\nthing, n = m.Thing(), 3"
    )
    with pytest.raises(TaskError, match=r"^-o thing"):
        shell.run(source)
    assert (shell["thing"], shell["n"]) == ("older", 3)
    assert shell["_task"].raw.load()["n"] == 3
