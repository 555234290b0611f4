"""Which value of a name counts, the notebook's or the session's: that of the side which has set it last."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from podtask.errors import InputError
from podtask.sessions import shared_values

from tests.unit.sides import Sides


@pytest.fixture
def sides() -> Sides:
    """Notebook with a new session."""
    return Sides()


def conflict(run: Callable[[], object]) -> str:
    """Return the message of the error for names that were set on both sides."""
    with pytest.raises(InputError) as caught:
        run()
    return f"{caught.value.message} {caught.value.hint}"


# -- the twelve scenarios ------------------------------------------------------------------------------


def test_objects_that_are_shared(sides: Sides) -> None:
    """Scenario 1: a change of one of two names of a list leaves them one list in the session."""
    sides.here("a = [1]\nb = a")
    assert sides.there("print(a is b)") == "True\n"
    sides.here("a.append(2)")
    assert sides.there("print(a)") == "[1, 2]\n"
    assert sides.choice.summary == "sent: a · with a: b (shares objects)"
    assert sides.there("print(a is b, b)") == "True [1, 2]\n"


def test_global_of_a_function(sides: Sides) -> None:
    """Scenario 2: a cell needs what its functions read, although it does not name it; the function is not sent again."""
    sides.here("rate = 2\ndef g(x): return rate * x\ndef f(x): return g(x)")
    assert sides.there("print(f(10))") == "20\n"
    sides.here("rate = 3")
    assert sides.there("print(f(10))") == "30\n"
    assert sides.choice.summary == "sent: rate · as before: f, g"


def test_default_of_a_function(sides: Sides) -> None:
    """Scenario 3: a mutable default that calls on both sides have changed is a conflict of the function."""
    sides.here("def f(seen=[]):\n    seen.append(1)\n    return len(seen)")
    assert sides.there("print(f())") == "1\n"
    assert sides.there("print(f())") == "2\n"
    sides.here("f()")
    message = conflict(lambda: sides.there("print(f())"))
    assert "f is function in the notebook" in message
    assert "A call that changes a default argument or an attribute changes its function." in message
    assert sides.there("print(f())", theirs=["f"]) == "3\n"


def test_data_frame(sides: Sides) -> None:
    """Scenario 4: reading a frame changes nothing; a column there and a row here are a conflict."""
    sides.here("import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})")
    sides.there("df['p'] = 3")
    sides.here("df.sum()")
    assert sides.there("print([*df])") == "['a', 'p']\n"
    assert sides.choice.summary == "as before: df"
    sides.here("df.loc[0] = 9")
    message = conflict(lambda: sides.there("df"))
    assert "df is DataFrame (2 x 1) in the notebook and DataFrame (2 x 2) in session gpu" in message
    assert sides.there("print([*df])", ours=["df"]) == "['a']\n"


def test_attribute_of_a_module(sides: Sides) -> None:
    """Scenario 5: the state of a module stays on its side; the module is never sent again."""
    sides.here("import string")
    sides.there("string.digits")
    sides.here("string.tau = 6")
    try:
        sides.there("string")
        assert sides.choice.summary == "as before: string"
    finally:
        sides.here("del string.tau")


def test_class_that_is_defined_again(sides: Sides) -> None:
    """Scenario 6: an instance of the old class stays one, as in a kernel."""
    sides.here("class P:\n    def hi(self): return 'old'\np = P()")
    assert sides.there("print(p.hi(), isinstance(p, P))") == "old True\n"
    sides.here("class P:\n    def hi(self): return 'new'")
    assert sides.there("print(p.hi(), isinstance(p, P), P().hi())") == "old False new\n"


def test_attribute_of_a_class(sides: Sides) -> None:
    """What is set on a class here, its instances in the session see; what is set there stays when an instance is sent."""
    sides.here("class P: rate = 1\np = P()")
    sides.there("q = P(); p")
    sides.here("P.rate = 5")
    assert sides.there("print(p.rate, q.rate, P.rate)") == "5 5 5\n"
    sides.there("P.rate = 7")
    sides.here("r = P()")
    assert sides.there("print(r.rate, type(r) is P)") == "7 True\n"


def test_deleted_names(sides: Sides) -> None:
    """Scenario 7: ``del`` frees its own side only, and the summary says so."""
    sides.here("z, w = [1], [2]")
    sides.there("z, w")
    sides.here("del z")
    sides.there("del w")
    assert sides.there("print(z, w)") == "[1] [2]\n"
    assert sides.choice.summary == "sent: w · session's, deleted here: z"


def test_outputs(sides: Sides) -> None:
    """Scenario 8: after ``-o`` both sides have the value; what changes it here afterwards is sent."""
    sides.there("m = [1]", outputs=["m"])
    assert sides.there("print(m)") == "[1]\n"
    assert sides.choice.summary == "as before: m"
    sides.here("m.append(3)")
    assert sides.there("print(m)") == "[1, 3]\n"
    sides.there("m.append(4)")
    sides.here("m.append(5)")
    assert "m is list (3 items) in the notebook and list (3 items)" in conflict(lambda: sides.there("m"))


def test_output_that_has_not_changed(sides: Sides) -> None:
    """An output that the cell has not changed does not come back: the notebook keeps its object."""
    sides.here("a = [1]\nb = a")
    sides.there("a", outputs=["a"])
    assert sides.here("print(a is b)") == "True\n"
    sides.here("del a")
    sides.there("None", outputs=["a"])
    assert sides.here("print(a)") == "[1]\n"


def test_output_that_the_notebook_has_set(sides: Sides) -> None:
    """An output that the cell does not set is that of the notebook if it was set here last."""
    sides.here("a = 1")
    sides.there("a")
    sides.here("a = 2")
    sides.there("None", outputs=["a"])
    assert sides.here("print(a)") == "2\n"


def test_generator(sides: Sides) -> None:
    """Scenario 9: what cannot be pickled is never sent; it lives where it was made."""
    sides.here("gen = (n for n in [1])")
    assert "gen (generator) cannot be sent" in conflict(lambda: sides.there("next(gen)"))
    sides.there("gen = (n for n in [5, 6])")
    assert sides.there("print(next(gen))") == "5\n"
    sides.here("gen = (n for n in [1])")
    assert sides.there("print(next(gen))") == "6\n"
    assert sides.lines == [
        "gen (generator) cannot be sent to the session; the cell uses the session's value. Make it in the session."
    ]


def test_one_item_of_a_large_array(sides: Sides) -> None:
    """Scenario 10: one item of a large array that is set in place is sent."""
    sides.notebook.names["x"] = np.zeros(2_000_000)
    assert sides.there("print(x.sum())") == "0.0\n"
    sides.here("x[1_234_567] = 1")
    assert sides.there("print(x.sum())") == "1.0\n"


def test_generators_of_random_numbers(sides: Sides) -> None:
    """Scenario 11: a generator that both sides have drawn from is a conflict, and both ways out work."""
    sides.here("import random\nrng = random.Random(0)")
    sides.there("rng.random()")
    sides.here("rng.random()")
    assert "rng is Random in the notebook" in conflict(lambda: sides.there("rng.random()"))
    sides.there("rng.random()", theirs=["rng"])
    assert sides.choice.summary == "session's: rng"
    sides.here("rng.random()")
    conflict(lambda: sides.there("rng.random()"))
    sides.there("rng.random()", ours=["rng"])
    assert sides.choice.summary.startswith("sent: rng")


def test_bound_again_to_what_it_was(sides: Sides) -> None:
    """Scenario 12: the side that has set the name last counts, also if it binds the object that it had."""
    sides.here("x = 0")
    sides.there("x = 5")
    assert sides.there("print(x)") == "5\n"
    sides.here("x = 0")
    assert sides.there("print(x)") == "0\n"
    assert sides.lines == [
        "x: set here after the session had changed it; the notebook's 0 replaces the session's 5."
    ]


# -- the rule ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", ["here", "there"])
def test_last_binding_counts(sides: Sides, last: str) -> None:
    """Of two bindings the later one counts."""
    sides.here("x = 1")
    sides.there("x")
    for side in ["there", "here"] if last == "here" else ["here", "there"]:
        getattr(sides, side)(f"x = {side!r}")
    assert sides.there("print(x)") == f"{last}\n"


def test_change_in_place_before_the_session_binds(sides: Sides) -> None:
    """A change in place here, before the session binds the name, is older than that binding."""
    sides.here("x = [1]")
    sides.there("x")
    sides.here("x.append(2)")
    sides.there("x = [5]")
    assert sides.there("print(x)") == "[5]\n"


def test_change_in_place_after_the_session_binds(sides: Sides) -> None:
    """A change in place here, of another object than the session has bound, is a conflict; nothing has run."""
    sides.here("x = []")
    sides.there("x = [5]")
    sides.here("x.append(1)")
    conflict(lambda: sides.there("ran = 1; x"))
    assert "ran" not in sides.session.names


def test_change_in_place_on_both_sides(sides: Sides) -> None:
    """The error names both sides, since when, and the ways out."""
    sides.here("model = [1, 2]")
    sides.there("model.append(3)")
    sides.here("model.pop()")
    assert conflict(lambda: sides.there("model")) == (
        "Changed on both sides since In [2], so it is not known which value counts: model is list (1 item) in the "
        "notebook and list (3 items) in session gpu. The cell was not run. "
        "Send the notebook's: -i model. Keep the session's: --theirs model."
    )


def test_change_there_and_binding_here(sides: Sides) -> None:
    """A name that is bound here after the session has changed its object in place: the notebook's value counts."""
    sides.here("x = [1]")
    sides.there("x.append(2)")
    sides.here("x = [7]")
    assert sides.there("print(x)") == "[7]\n"
    assert sides.lines == [
        "x: set here after the session had changed it; the notebook's list (1 item) replaces the session's list (2 items)."
    ]


def test_theirs_keeps_the_session_value(sides: Sides) -> None:
    """After ``--theirs`` the notebook's change is older; a later one is a conflict again, and a binding counts."""
    sides.here("x = [1]")
    sides.there("x.append(2)")
    sides.here("x.append(3)")
    assert sides.there("print(x)", theirs=["x"]) == "[1, 2]\n"
    assert sides.there("print(x)") == "[1, 2]\n"
    sides.here("x.append(4)")
    conflict(lambda: sides.there("x"))
    sides.here("x = 0")
    assert sides.there("print(x)") == "0\n"


@pytest.mark.parametrize("times", [2, 3])
def test_run_all_again(times: int) -> None:
    """All cells of a notebook run again, and again, give the same output, and no error."""
    sides = Sides()
    for _ in range(times):
        sides.here("import random\nmodel, log, rate = None, [], 2\ndef f(x, seen=[]): return rate * x")
        sides.here("class P:\n    rows = []\np = P()")
        assert sides.there("model = [f(1)]; log.append(1); p.rows.append(model); print(model)") == "[2]\n"
        sides.here("rate = 3\nfor i in range(3): pass")
        assert sides.there("for i in range(5): log.append(f(i))\nprint(log, i)", outputs=["log"]) == (
            "[1, 0, 3, 6, 9, 12] 4\n"
        )
        assert sides.here("print(log)") == "[1, 0, 3, 6, 9, 12]\n"
        assert sides.there("print(p.rows, len(log), model)") == "[[2]] 6 [2]\n"


def test_name_of_a_function_of_the_session(sides: Sides) -> None:
    """What a function of the session reads is taken from the notebook if it was set here last."""
    sides.here("n = 1")
    sides.there("def g(): return n\nclass P:\n    def m(self): return n\np = P()")
    sides.here("n = 2")
    assert sides.there("print(g())") == "2\n"
    sides.here("n = 3")
    assert sides.there("print(p.m())") == "3\n"


def test_new_name_of_an_object_of_the_session(sides: Sides) -> None:
    """A new name of an unchanged value refers to the session's object, as its cells have changed it."""
    sides.here("a = [1]")
    sides.there("a.append(2)")
    sides.here("b = [a]\nc = a")
    assert sides.there("print(b, b[0] is a, c is a)") == "[[1, 2]] True True\n"


def test_shared_part_of_a_changed_value(sides: Sides) -> None:
    """Values with a common list travel together; one that the session has changed meanwhile is a conflict."""
    sides.here("inner = [0]\na, b = [inner], [inner]\ndel inner")
    assert sides.there("print(a[0] is b[0])") == "True\n"
    sides.here("a.append(1)")
    assert sides.there("print(a[0] is b[0], a)") == "True [[0], 1]\n"
    sides.there("b.append(2)")
    sides.here("a.append(3)")
    assert "b is list (1 item)" in conflict(lambda: sides.there("a"))


def test_large_value_that_is_bound_again(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large value that is loaded again, and is as it was, is not sent; the session asks for it if it has changed its own."""
    monkeypatch.setattr(shared_values, "RESENT_BYTES", 1000)
    sides.here("x = bytearray(5000)")
    sides.there("x")
    sides.here("x = bytearray(5000)")
    sides.there("x")
    assert (sides.choice.values, sides.rounds) == ({}, 1)
    sides.there("x[0] = 1")
    sides.here("x = bytearray(5000)")
    assert sides.there("print(x[0])") == "0\n"
    assert sides.rounds == 2


def test_look_at_large_values(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large value is not looked at again while only the session runs cells and the notebook has no threads."""
    monkeypatch.setattr(shared_values, "LARGE_BYTES", 1000)
    sides.here("x = bytearray(5000)")
    sides.there("x")
    sides.notebook.names["x"][0] = 1  # by a callback, which is not seen
    assert sides.there("print(x[0])") == "0\n"
    assert sides.there("print(x[0])", fresh=["x"]) == "1\n"
    sides.notebook.names["x"][0] = 2
    sides.here("None")
    assert sides.there("print(x[0])") == "2\n"
    sides.notebook.names["x"][0] = 3
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait)
    thread.start()
    try:
        assert sides.there("print(x[0])") == "3\n"
    finally:
        gate.set()
        thread.join()


def test_take_over() -> None:
    """A kernel that takes a session over has the names that it sets from then on; all else is the session's."""
    sides = Sides("x, y, z = 1, [2], 3")
    sides.here("x, y, w = 10, [20], 30")
    sides.take_over()
    assert sides.there("print(x, y, z, w)") == "1 [2] 3 30\n"
    sides.here("x = 11")
    assert sides.there("print(x, y)") == "11 [2]\n"
    sides.here("y.append(1)")
    conflict(lambda: sides.there("y"))


def test_detached_cell(sides: Sides) -> None:
    """What the notebook binds while a detached cell sets the same name is a conflict; another name is not."""
    sides.here("x, y = [1], 1")
    finish = sides.start("x = [2]; print(y)")
    sides.here("x = [3]\ny = 2")
    finish()
    assert "x is list (1 item)" in conflict(lambda: sides.there("x"))
    assert sides.there("print(y)") == "2\n"


def test_cells_that_wait_in_a_queue(sides: Sides) -> None:
    """A cell that is submitted while another one runs does not send again what that one has got, and changes."""
    sides.here("x = [1]")
    first = sides.start("x.append(2)")
    second = sides.choice
    assert [*second.values] == ["x"]
    first()
    assert sides.there("print(x)") == "[1, 2]\n"


def test_cell_that_fails_before_it_sets_what_it_was_sent(sides: Sides) -> None:
    """A name that a failed cell has taken, but not set, is the same on both sides; the notebook can set it again."""
    sides.here("import math as m\nx = 'a'")
    for name in ("m", "x"):
        with pytest.raises(TypeError):
            sides.there(f"{name} += 1")
    sides.here("m = 1\nx = 2")
    assert sides.there("print(m, x)") == "1 2\n"
    with pytest.raises(TypeError):
        sides.there("m += 'a'")
    assert sides.there("print(m, x)") == "1 2\n"
    assert sides.choice.about["sent"] == []


def test_two_names_of_one_object_that_a_sent_value_refers_to(sides: Sides) -> None:
    """A value that contains an object with two names in the session refers to that object."""
    sides.here("d = [4]\nb = d")
    sides.there("print(b, d)")
    sides.here("a = {'k': b}")
    sides.there("print(a)")
    sides.here("c = a")
    assert sides.there("print(c, c is a, c['k'] is b is d)") == "{'k': [4]} True True\n"
    assert sides.choice.references == ["b", "d", "a"]


def test_needs_of_an_older_class_set_no_name_of_the_session(sides: Sides) -> None:
    """An object whose class the session has defined again brings its class, but not the names that this needs."""
    sides.here("import math as m\nclass P:\n    def total(self): return m")
    sides.here("q = P()")
    sides.there("class P:\n    pass\nprint(m)")
    sides.there("m = 3")
    assert sides.there("print(q.total())") == "3\n"
    assert sides.there("print(m)") == "3\n"


@pytest.mark.parametrize("held", ["P()", "[{'k': P()}]", "functools.partial(f, P)", "f"])
def test_class_that_a_value_of_the_session_holds(sides: Sides, held: str) -> None:
    """What is set on a class here, the session's values see that hold the class or its instances."""
    sides.here("class P: rate = 1\ndef f(p=P): return p.rate\nimport functools")
    sides.there(f"value = {held}; functools, f")
    sides.here("P.rate = 5")
    sides.there("value", ours=["functools"])
    assert [*sides.choice.values] == ["P", "functools"]


def test_old_class_of_an_instance(sides: Sides) -> None:
    """An instance whose class was defined again has not changed: the session's newer value counts."""
    sides.here("class P: rate = 1\np = P()")
    sides.there("p.x = 2", outputs=["p"])
    sides.there("p = [p]")
    sides.here("class P: rate = 2")
    assert sides.there("print(p[0].x, isinstance(p[0], P))") == "2 False\n"


def test_cell_that_has_not_begun(sides: Sides) -> None:
    """What a cancelled cell would have sent is sent with the next one."""
    sides.here("x = [1]")
    with sides.notebook.active():
        cell = sides.cell("x")
        sides.shared.cancel(sides.shared.choose(cell))
    assert sides.there("print(x)") == "[1]\n"


def test_cells_in_a_queue_that_set_one_name(sides: Sides) -> None:
    """After two waiting cells that may set a name, one binding here counts, and the last one there."""
    sides.here("x = 1")
    first = sides.start("x = 2")
    second = sides.start("if False: x = 3")
    first()
    second()
    assert sides.there("print(x)") == "2\n"
    sides.here("x = 4")
    assert sides.there("print(x)") == "4\n"


def test_lost_process(sides: Sides) -> None:
    """After the session's process has ended, the lost names are known, and the notebook's are sent again."""
    sides.here("x = [1]")
    sides.there("y = x")
    assert sides.shared.forget_all() == ["x", "y"]
    sides.there("x")
    assert [*sides.choice.values] == ["x"]


def test_name_that_the_cell_sets_before_a_function_reads_it(sides: Sides) -> None:
    """A name that the cell always sets before is not taken from the notebook."""
    sides.here("n = 1\ndef f(): return n")
    assert sides.there("n = 2\nprint(f())") == "2\n"
    assert "n" not in sides.choice.conditions
