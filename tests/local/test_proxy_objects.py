"""Objects that forward their attributes travel to a cell and back."""

from __future__ import annotations

import pytest

from tests.notebook import Shell

FORWARD = "def __getattr__(self, name): return getattr(self._inner, name)"

CLASSES = {
    "forwarding": f"class P:\n    def __init__(self, inner): self._inner = inner\n    {FORWARD}\n",
    "slots": (
        "class P:\n    __slots__ = ['_inner', 'unset']\n    def __init__(self, inner): self._inner = inner\n"
        f"    {FORWARD}\n"
    ),
    "every attribute": (
        "class P:\n    def __init__(self, inner): object.__setattr__(self, '_inner', inner)\n"
        "    def __getattribute__(self, name):\n"
        "        return getattr(object.__getattribute__(self, '_inner'), name)\n"
        "    def __setattr__(self, name, value): raise TypeError('read-only')\n"
    ),
    "own new": (
        "class P:\n    def __new__(cls, *args): return super().__new__(cls)\n"
        f"    def __init__(self, inner): self._inner = inner\n    {FORWARD}\n"
    ),
}


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("inner", ["[3, 1]", "'abc'", "{1: 2}", "(1, 2)", "__import__('decimal').Decimal(3)"])
def test_proxy_travels(shell: Shell, kind: str, inner: str) -> None:
    """J3: a proxy is a proxy in the pod and comes back as one, whatever it forwards to."""
    shell.run(f"{CLASSES[kind]}p = P({inner})\nget = lambda p: object.__getattribute__(p, '_inner')")
    shell.run("%%podtask --local -o kind,back,same\nkind = type(p).__name__\nback = [p, p]\nsame = get(p)")
    assert shell["kind"] == "P"
    assert shell["same"] == shell["get"](shell["p"])
    assert type(shell["back"][0]) is shell["P"]
    assert shell["back"][0] is shell["back"][1]
    assert shell["get"](shell["back"][0]) == shell["same"]


def test_dict_with_attributes_travels(shell: Shell) -> None:
    """J3: a dict whose items are attributes travels, with items, attributes and references to itself."""
    shell.run(
        "class Config(dict):\n    __getattr__ = dict.__getitem__\n    __setattr__ = dict.__setitem__\n"
        "config = Config(lr=0.1)\nconfig.me = config"
    )
    shell.run("%%podtask --local -o got,back\ngot = config.lr, config.me is config\nback = config")
    assert shell["got"] == (0.1, True)
    assert shell["back"].lr == 0.1
    assert shell["back"].me is shell["back"]
