"""What a strategy class may say, and what is said to whoever writes something else."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar, Final

import pytest
from pydantic import Field

from barbot.core.history import History
from barbot.core.strategy import HOOKS, Strategy, hooks_of, parameters_of, validated
from barbot.errors import ConfigError
from barbot.model.market import Bar, Trade


class Mine(Strategy):
    feeds = ["sim:A@1m"]
    fast: int = 10
    slow: Annotated[int, Field(ge=2, le=500)] = 30
    share: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.5
    names: list[str] = ["a"]
    side: str | None = None
    size: float = Field(1.0, ge=0.1)
    of_class: ClassVar[int] = 3
    bare: ClassVar = 4
    constant: Final = 5
    _hidden: int = 6

    def on_bar_close(self, bar: Bar, history: History) -> None:
        pass


class Heir(Mine):
    fast: int = 20
    more: bool = False

    def on_trade(self, trade: Trade) -> None:
        pass


DEFAULTS: Final = {"fast": 10, "slow": 30, "share": 0.5, "names": ["a"], "side": None, "size": 1.0}


def refusal(make: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as raised:
        make()
    return str(raised.value)


# -- parameters -------------------------------------------------------------------------------------------


def test_annotated_public_attributes_with_a_default_are_parameters() -> None:
    assert validated(Mine, {}) == DEFAULTS
    assert validated(Heir, {}) == {**DEFAULTS, "fast": 20, "more": False}


def test_values_are_read_as_their_annotation_says() -> None:
    given = {"fast": "3", "slow": "4", "share": "0.25", "names": ["x", "y"], "side": "buy", "size": "2", "more": "true"}
    assert validated(Heir, given) == {
        "fast": 3,
        "slow": 4,
        "share": 0.25,
        "names": ["x", "y"],
        "side": "buy",
        "size": 2.0,
        "more": True,
    }


def test_a_list_that_is_a_default_is_not_shared() -> None:
    first, second = validated(Mine, {}), validated(Mine, {})
    assert first["names"] is not second["names"]
    assert first["names"] is not Mine.names


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"slow": 1}, "Mine: slow = 1: Input should be greater than or equal to 2. Set --param slow=..."),
        ({"slow": "501"}, "Mine: slow = '501': Input should be less than or equal to 500. Set --param slow=..."),
        ({"share": "nan"}, "Mine: share = 'nan': Input should be a finite number. Set --param share=..."),
        ({"size": 0}, "Mine: size = 0: Input should be greater than or equal to 0.1. Set --param size=..."),
        ({"fats": 3}, "Mine: there is no parameter called 'fats'. Did you mean fast?"),
        ({"zzz": 3}, "Mine: there is no parameter called 'zzz'. It has: fast, names, share, side, size, slow"),
        (
            {"of_class": 3},
            "Mine: there is no parameter called 'of_class'. It has: fast, names, share, side, size, slow",
        ),
        ({"feeds": []}, "Mine: there is no parameter called 'feeds'. It has: fast, names, share, side, size, slow"),
    ],
)
def test_a_value_or_a_name_that_will_not_do(given: dict[str, object], problem: str) -> None:
    assert refusal(lambda: validated(Mine, given)) == problem


def test_defaults_are_validated_too() -> None:
    class Wrong(Strategy):
        slow: Annotated[int, Field(ge=2)] = 1

    expected = "Wrong: slow = 1: Input should be greater than or equal to 2. Set --param slow=..."
    assert refusal(lambda: validated(Wrong, {})) == expected


def test_a_parameter_needs_a_default() -> None:
    class Without(Strategy):
        fast: int

    expected = "Without.fast: a parameter needs a default. Write fast: ... = value"
    assert refusal(lambda: parameters_of(Without)) == expected


def test_an_annotation_has_to_be_readable() -> None:
    class Unknown(Strategy):
        fast: Nowhere = 1  # type: ignore[name-defined]  # noqa: F821 - what a user forgot to import

    expected = "Unknown: an annotation cannot be read: name 'Nowhere' is not defined. Import what it names"
    assert refusal(lambda: parameters_of(Unknown)) == expected


def test_a_constraint_has_to_fit_its_type() -> None:
    class Unfit(Strategy):
        fast: Annotated[int, Field(min_length=2)] = 1

    assert refusal(lambda: validated(Unfit, {})) == (
        "Unfit: a parameter cannot be checked: Unable to apply constraint 'min_length' to supplied value 1. "
        "Give it a type that pydantic knows, and constraints that fit it"
    )


def test_parameters_may_have_names_that_pydantic_uses() -> None:
    class Named(Strategy):
        copy: int = 1
        model_path: str = "a"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert validated(Named, {}) == {"copy": 1, "model_path": "a"}


@pytest.mark.parametrize("name", ["position", "orders", "log", "buy", "close", "now", "account", "model_config"])
def test_a_value_does_not_stand_where_a_strategy_has_its_own(name: str) -> None:
    taken = type("Taken", (Strategy,), {name: 0, "__annotations__": {name: int}})
    assert refusal(lambda: parameters_of(taken)) == f"Taken.{name}: this name is taken. Rename it"


def test_methods_may_be_overridden() -> None:
    class Loud(Strategy):
        def close(self, instrument: str | None = None, *, tag: str = "") -> None:
            return None

    assert validated(Loud, {}) == {}


# -- hooks ------------------------------------------------------------------------------------------------


def test_a_class_has_the_hooks_that_it_or_its_parents_define() -> None:
    assert hooks_of(Strategy) == frozenset()
    assert hooks_of(Heir) == {"on_bar_close", "on_trade"}


def test_a_hook_can_be_given_back_to_the_strategy() -> None:
    class Without(Heir):
        on_trade = Strategy.on_trade

    assert hooks_of(Without) == {"on_bar_close"}


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_takes_what_the_base_class_takes(name: str) -> None:
    copied = type("Copied", (Strategy,), {name: lambda self, *given: None})
    assert hooks_of(copied) == {name}


async def later(self: Strategy, bar: Bar, history: History) -> None:
    pass


def yielding(self: Strategy, bar: Bar, history: History) -> Iterator[None]:
    yield


def too_few(self: Strategy, bar: Bar) -> None:
    pass


def too_many(self: Strategy, bar: Bar, history: History, more: int) -> None:
    pass


def with_default(self: Strategy, bar: Bar, history: History, more: int = 1) -> None:
    pass


REMEDY: Final = "Write def on_bar_close(self, bar, history)"


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        (
            later,
            "hooks are plain functions, because the market must not move under one. "
            "Write `def` instead of `async def` and hand slow work to a thread or another process",
        ),
        (yielding, "a hook with `yield` in it is never run. Take the `yield` out of the hook"),
        (too_few, f"the hook takes other arguments. {REMEDY}"),
        (too_many, f"the hook takes other arguments. {REMEDY}"),
        (staticmethod(too_few), f"the hook takes other arguments. {REMEDY}"),
        (3, "this name belongs to a hook. Make it a method or rename it"),
    ],
)
def test_a_hook_that_cannot_be_one(hook: object, problem: str) -> None:
    strategy = type("Wrong", (Strategy,), {"on_bar_close": hook})
    assert refusal(lambda: hooks_of(strategy)) == f"Wrong.on_bar_close: {problem}"


def test_a_hook_may_take_more_that_has_a_default() -> None:
    assert hooks_of(type("More", (Strategy,), {"on_bar_close": with_default})) == {"on_bar_close"}


def test_a_misspelt_hook_is_refused() -> None:
    strategy = type("Wrong", (Strategy,), {"on_bar_closed": lambda self: None})
    expected = "Wrong: there is no hook called 'on_bar_closed'. Did you mean on_bar_close?"
    assert refusal(lambda: hooks_of(strategy)) == expected


def test_a_hook_that_is_like_no_other_gets_the_list() -> None:
    strategy = type("Wrong", (Strategy,), {"on_zzzzzzz": lambda self: None})
    expected = f"Wrong: there is no hook called 'on_zzzzzzz'. It has: {', '.join(sorted(HOOKS))}"
    assert refusal(lambda: hooks_of(strategy)) == expected


# -- windows ----------------------------------------------------------------------------------------------


def test_history_sets_the_length_and_is_still_the_way_to_other_windows() -> None:
    class Long(Strategy):
        history = 500

    class Longer(Long):
        pass

    assert (Strategy.window_length, Long.window_length, Longer.window_length) == (200, 500, 500)
    assert Long.history is Strategy.history


@pytest.mark.parametrize("length", [0, -1, 1.5, "200", True])
def test_a_window_has_a_whole_length(length: object) -> None:
    expected = f"Wrong: history = {length!r} is no window length. Write history = 200"
    assert refusal(lambda: type("Wrong", (Strategy,), {"history": length})) == expected
