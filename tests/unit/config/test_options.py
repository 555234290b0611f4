"""The options: each value has its own parser, and an error about a value names its flag."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from podtask.config.option_types import (
    parse_count,
    parse_env,
    parse_names,
    parse_namespace,
    parse_seconds,
)
from podtask.config.options import RunOptions
from podtask.config.quantities import parse_quantity
from podtask.errors import InputError


@pytest.mark.parametrize(
    "text", ["2", "0.5", ".5", "2.", "500m", "8Gi", "512Mi", "1e3", "1E3", "100k", "5n", "1E", "7u"]
)
def test_quantity_is_kept_as_written(text: str) -> None:
    """A Kubernetes quantity is returned as the text that was given."""
    assert parse_quantity(text) == text


@pytest.mark.parametrize(("given", "text"), [(2, "2"), (1.5, "1.5"), (" 8Gi\n", "8Gi")])
def test_quantity_may_be_a_number(given: Any, text: str) -> None:
    """Numbers are converted to text, and surrounding blanks are stripped."""
    assert parse_quantity(given) == text


@pytest.mark.parametrize("text", ["", "Gi", "8gib", "8 Gi", "1.2.3", "a lot", "8GiB", "2,5", "None"])
def test_invalid_quantity_is_rejected(text: str) -> None:
    """Any other value is an error that quotes the value."""
    with pytest.raises(InputError, match="not a quantity") as caught:
        parse_quantity(text)
    assert repr(text) in caught.value.message
    assert "8Gi" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "meant"), [("8GB", "8Gi"), ("500MB", "500Mi"), ("1.5TB", "1.5Ti"), ("8gb", "8Gi")]
)
def test_quantity_suggests_the_unit_meant(text: str, meant: str) -> None:
    """The error for a common unit such as GB suggests the Kubernetes unit."""
    with pytest.raises(InputError, match=f"Did you mean {meant}\\?"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("90", 90),
        (90, 90),
        (0.5, 0.5),
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        ("1d2h3m4.5s", 93784.5),
        (" 5s ", 5),
    ],
)
def test_duration_in_seconds(text: Any, total: float) -> None:
    """Units add up, and a number without a unit means seconds."""
    assert parse_seconds(text) == total


@pytest.mark.parametrize("text", ["", "m", "1x", "30m1h", "1h 30m", "-5", "1:30", "nan", "inf", "5S"])
def test_invalid_duration_is_rejected(text: str) -> None:
    """Any other value is an error that quotes the value."""
    with pytest.raises(InputError, match="not a duration") as caught:
        parse_seconds(text)
    assert repr(text) in caught.value.message


@pytest.mark.parametrize("text", ["0", "0s", "0h0m", 0])
def test_duration_of_zero_is_rejected(text: Any) -> None:
    """A duration of zero is an error."""
    with pytest.raises(InputError, match="not a positive duration"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("a", ("a",)),
        ("a,b", ("a", "b")),
        (" a , b c ", ("a", "b", "c")),
        (["a,b", "c"], ("a", "b", "c")),
        ("a,b,a", ("a", "b")),
        ("é,_x1", ("é", "_x1")),
        ("", ()),
        ([], ()),
    ],
)
def test_names_apart_by_commas(given: Any, found: tuple[str, ...]) -> None:
    """Names keep their order, without duplicates."""
    assert parse_names(given) == found


@pytest.mark.parametrize(("given", "bad"), [("a.b", "a.b"), ("a,1b", "1b"), (["a", "b-c"], "b-c")])
def test_invalid_name_is_rejected(given: Any, bad: str) -> None:
    """The error quotes the invalid name."""
    with pytest.raises(InputError, match="not a valid Python name") as caught:
        parse_names(given)
    assert repr(bad) in caught.value.message


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("A=1", (("A", "1"),)),
        (["A=1", "B=2=3", "C="], (("A", "1"), ("B", "2=3"), ("C", ""))),
        ({"A": 1, "B": "x y"}, (("A", "1"), ("B", "x y"))),
        ((("A", "1"),), (("A", "1"),)),
        ([], ()),
    ],
)
def test_pairs_of_name_and_value(given: Any, found: tuple[tuple[str, str], ...]) -> None:
    """Strings and mappings give the same pairs, and a string is split at the first equals sign."""
    assert parse_env(given) == found


@pytest.mark.parametrize("given", ["A", ["A=1", "A"], "=1"])
def test_pair_without_name_or_value_is_refused(given: Any) -> None:
    """A string without a name or an equals sign is an error."""
    with pytest.raises(InputError, match="has no value") as caught:
        parse_env(given)
    assert "NAME=VALUE" in caught.value.hint


def test_refused_pair_does_not_show_a_value() -> None:
    """The error does not repeat the value, which may be a secret."""
    with pytest.raises(InputError) as caught:
        parse_env("=hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("given", ["PODTASK_KEY=x", {"PODTASK_": "x"}, [("PODTASK_PORT", "1")]])
def test_reserved_name_is_refused(given: Any) -> None:
    """Names that begin with PODTASK_ are reserved, in every form of the option."""
    with pytest.raises(InputError, match=r"PODTASK_.*reserved"):
        parse_env(given)


@pytest.mark.parametrize("text", ["a", "team-a", "0x1", "a" * 63])
def test_namespace_name(text: str) -> None:
    """A DNS label is returned unchanged."""
    assert parse_namespace(text) == text


@pytest.mark.parametrize("text", ["", "Prod", "a_b", "-a", "a-", "a.b", "a b", "a" * 64, "é"])
def test_invalid_namespace_name_is_rejected(text: str) -> None:
    """Any other value is an error that quotes the value."""
    with pytest.raises(InputError, match="not a valid namespace") as caught:
        parse_namespace(text)
    assert repr(text) in caught.value.message


@pytest.mark.parametrize(("given", "found"), [("1", 1), (8, 8), ("16", 16)])
def test_count(given: Any, found: int) -> None:
    """A positive whole number is accepted."""
    assert parse_count(given) == found


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "", "one", "01", True, 1.0])
def test_invalid_count_is_rejected(given: Any) -> None:
    """Any other value is an error that quotes the value."""
    with pytest.raises(InputError, match="not a positive whole number") as caught:
        parse_count(given)
    assert repr(given) in caught.value.message


def test_options_are_parsed_by_their_rules() -> None:
    """The value of each keyword is parsed by its option's parser."""
    given = RunOptions.of(
        inputs="a,b", env={"A": 1}, cpu=2, memory="8Gi", gpu="1", namespace="team", timeout="2h"
    )
    assert given == RunOptions(
        inputs=("a", "b"),
        env=(("A", "1"),),
        cpu="2",
        memory="8Gi",
        gpu=1,
        namespace="team",
        timeout=7200.0,
    )


@pytest.mark.pod("P12")
@pytest.mark.parametrize(
    "given",
    [
        "cpu=2,memory=8Gi",
        "cpu=2 memory=8Gi",
        ["cpu=2", "memory=8Gi"],
        {"cpu": 2, "memory": "8Gi"},
        (("cpu", "2"), ("memory", "8Gi")),
    ],
)
def test_limits_are_pairs(given: Any) -> None:
    """Limits may be given as a flag, several flags or a mapping; they survive a change of other options."""
    options = RunOptions.of(limits=given)
    assert options.limits == (("cpu", "2"), ("memory", "8Gi"))
    assert options.replace(cpu=1).limits == options.limits


def test_none_is_the_default() -> None:
    """An option with the value None counts as not given."""
    nothing = {field.name: None for field in dataclasses.fields(RunOptions)}
    assert RunOptions.of(**nothing) == RunOptions()


def test_options_do_not_change() -> None:
    """A field cannot be set."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunOptions().image = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("tiemout", "timeout"), ("imag", "image"), ("start_timout", "start_timeout")],
)
def test_unknown_option_suggests_the_nearest(name: str, meant: str) -> None:
    """The error for a misspelled option suggests the right one."""
    with pytest.raises(InputError) as caught:
        RunOptions.of(**{name: "1"})
    assert caught.value.message == f"Unknown option {name!r}. Did you mean {meant!r}?"


def test_unknown_option_lists_the_known_ones() -> None:
    """The error for an unknown option lists all options."""
    with pytest.raises(InputError) as caught:
        RunOptions.of(zzz=1)
    assert caught.value.message == "Unknown option 'zzz'."
    assert all(field.name in caught.value.hint for field in dataclasses.fields(RunOptions))


@pytest.mark.parametrize(
    ("flag", "given"),
    [
        ("--inputs", {"inputs": "a.b"}),
        ("--outputs", {"outputs": "1"}),
        ("--env", {"env": "A"}),
        ("--env", {"env": {"PODTASK_KEY": "x"}}),
        ("--env", {"env": {"A=B": "x"}}),
        ("--env", {"env": "=x"}),
        ("--cpu", {"cpu": "two"}),
        ("--memory", {"memory": "8GB"}),
        ("--limits", {"limits": "cpu"}),
        ("--limits", {"limits": "memory=8GB"}),
        ("--limits", {"limits": "memory=8"}),
        ("--limits", {"limits": "=2"}),
        ("--limits", {"limits": 2}),
        ("--gpu", {"gpu": -1}),
        ("--namespace", {"namespace": "A"}),
        ("--timeout", {"timeout": "soon"}),
        ("--start-timeout", {"start_timeout": 0}),
        ("--linger", {"linger": "1:00"}),
        ("--grace", {"grace": "x\ny"}),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_wrong_value_names_its_flag_in_two_lines(flag: str, given: dict[str, Any]) -> None:
    """The message begins with the flag and has at most two lines."""
    with pytest.raises(InputError) as caught:
        RunOptions.of(**given)
    assert str(caught.value).startswith(f"{flag}:")
    assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.parametrize(
    ("text", "meant"),
    [("500 m", "500m"), ("8 Gi", "8Gi"), ("8 GB", "8Gi"), ("8GiB", "8Gi"), ("8g", "8Gi")],
)
def test_quantity_with_a_blank_or_another_unit_suggests_the_right_one(text: str, meant: str) -> None:
    """The error for a blank before the unit, or for a common unit, suggests the right quantity."""
    with pytest.raises(InputError, match=f"Did you mean {meant}\\?"):
        parse_quantity(text)


@pytest.mark.parametrize(
    "given", [{"inputs": 5}, {"outputs": [1]}, {"env": 5}, {"env": [5]}, {"env": [("a",)]}]
)
def test_value_of_another_type_is_an_input_error(given: dict[str, Any]) -> None:
    """A value of the wrong type is an InputError, not a TypeError."""
    with pytest.raises(InputError) as caught:
        RunOptions.of(**given)
    assert str(caught.value).startswith(f"--{next(iter(given))}:")


@pytest.mark.parametrize(
    ("given", "found"),
    [(True, True), (False, False), ("no", False), ("Yes", True), ("0", False), (1, True)],
)
def test_flag_is_yes_or_no(given: Any, found: bool) -> None:
    """The word ``no`` means false, although a non-empty string is true in Python."""
    assert RunOptions.of(local=given).local is found


@pytest.mark.parametrize("given", [{"local": "maybe"}, {"entrypoint": "kep"}])
def test_unknown_word_is_rejected(given: dict[str, Any]) -> None:
    """Any other word is an error that lists the accepted words."""
    with pytest.raises(InputError, match=f"^--{next(iter(given))}: "):
        RunOptions.of(**given)
