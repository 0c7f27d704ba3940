"""What a user writes: one class, plain hooks, typed parameters. Floor 2.

`Strategy` is the only class of barbot meant to be subclassed. Hooks are plain functions: a step is atomic, the
market cannot move under a hook. What a strategy asks for leaves after the hook returned, through the risk gate.
"""

from __future__ import annotations

import difflib
import inspect
import typing
import warnings
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeVar

import pydantic

from barbot.core.history import History
from barbot.core.indicators import Indicator
from barbot.errors import ConfigError
from barbot.model.market import Bar, Connected, Disconnected, Gap, Quote, Side, Trade
from barbot.model.order import Fill, Order, TimeInForce

HOOKS: Final = {
    "on_start": 0,
    "on_bar_open": 2,
    "on_bar_update": 2,
    "on_bar_close": 2,
    "on_bar_correct": 3,
    "on_gap": 1,
    "on_trade": 1,
    "on_quote": 1,
    "on_connection": 1,
    "on_order": 1,
    "on_fill": 1,
    "on_stop": 0,
}
"""Every hook and how many arguments it gets besides `self`."""

DEFAULT_WINDOW: Final = 200

IndicatorT = TypeVar("IndicatorT", bound=Indicator)


class Account(Protocol):
    """What a strategy may know of its account. Money is `Decimal`."""

    @property
    def cash(self) -> Mapping[str, Decimal]:
        """Cash by currency."""

    @property
    def positions(self) -> Mapping[str, Decimal]:
        """Open positions: signed quantity by instrument id."""

    def equity(self, currency: str = "") -> Decimal:
        """Cash and the value of positions in `currency` (default: the account's only or first one)."""

    def average_price(self, instrument: str) -> Decimal | None:
        """Average entry price of the open position, None without one."""

    def unrealised(self, instrument: str) -> Decimal:
        """Profit of the open position at the last price, 0 without one."""


class Desk(Protocol):
    """What an engine offers to its strategy."""

    @property
    def now(self) -> int: ...
    @property
    def account(self) -> Account: ...
    @property
    def in_hand(self) -> str: ...
    def position(self) -> Decimal: ...
    def position_of(self, instrument: str) -> Decimal: ...
    def window(self, feed: str) -> History: ...
    def attach(self, indicator: Indicator, feed: str | None) -> None: ...
    def order(
        self,
        side: Side,
        quantity: Decimal | float | int | str,
        instrument: str | None,
        limit: Decimal | float | None,
        stop: Decimal | float | None,
        tif: TimeInForce,
        tag: str,
    ) -> Order: ...
    def target(self, quantity: Decimal | float | int, instrument: str | None, tag: str) -> Order | None: ...
    def target_percent(self, fraction: float, instrument: str | None, tag: str) -> Order | None: ...
    def cancel(self, order: Order | str) -> None: ...
    def open_orders(self, instrument: str | None) -> list[Order]: ...
    def log(self, level: str, text: str, fields: Mapping[str, object]) -> None: ...


class StrategyLog:
    """Write lines that carry the time of the step; they reach the console and the audit."""

    __slots__ = ("_desk",)

    def __init__(self, desk: Desk) -> None:
        """Write through `desk`."""
        self._desk = desk

    def debug(self, text: str, **fields: object) -> None:
        """Write a line for the author."""
        self._desk.log("debug", text, fields)

    def info(self, text: str, **fields: object) -> None:
        """Write a line for whoever runs the strategy."""
        self._desk.log("info", text, fields)

    def warning(self, text: str, **fields: object) -> None:
        """Write a line that somebody should act on."""
        self._desk.log("warning", text, fields)


class Strategy:
    """Subclass it, name `feeds`, write the hooks you need.

    Class attributes:
        feeds: feed ids, `provider:symbol@interval`.
        history: how many bars a window holds (200).
        quiet: `"emit"` shows quiet bars, `"skip"` leaves them out of the bar hooks.
        derive: True builds a longer interval from the shorter feed of the same instrument.

    Annotated public class attributes with a default are parameters: validated by pydantic, set with
    `--param name=value` or in `barbot.toml`.
    """

    feeds: ClassVar[list[str]] = []
    quiet: ClassVar[str] = "emit"
    derive: ClassVar[bool] = False
    window_length: ClassVar[int] = DEFAULT_WINDOW

    if TYPE_CHECKING:
        # `history = 200` in a class body sets the length, `self.history(feed)` is the method below; one name
        # for both is what a user wants to write, and what no type but Any can say.
        history: Any
    else:

        def history(self, feed: str) -> History:
            """Return the window of another of the strategy's feeds."""
            return self._desk.window(feed)

    _desk: Desk

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        length = cls.__dict__.get("history")
        if length is None:
            return
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise ConfigError(
                f"history = {length!r} is no window length", where=cls.__name__, remedy="Write history = 200"
            )
        cls.window_length = length
        del cls.history

    # -- hooks (all optional) -----------------------------------------------------------------------------

    def on_start(self) -> None:
        """Run once when the windows are ready, before the first bar hook."""

    def on_bar_open(self, bar: Bar, history: History) -> None:
        """Run when the first data of a bar arrives."""

    def on_bar_update(self, bar: Bar, history: History) -> None:
        """Run when the forming bar changes (and once after its open)."""

    def on_bar_close(self, bar: Bar, history: History) -> None:
        """Run when a bar is closed; exactly once a bar."""

    def on_bar_correct(self, bar: Bar, previous: Bar, history: History) -> None:
        """Run when late data amended a closed bar; windows and indicators already follow."""

    def on_gap(self, gap: Gap) -> None:
        """Run when a feed has a hole that nothing can fill."""

    def on_trade(self, trade: Trade) -> None:
        """Run for every trade of the strategy's instruments."""

    def on_quote(self, quote: Quote) -> None:
        """Run for every quote of the strategy's instruments."""

    def on_connection(self, event: Connected | Disconnected) -> None:
        """Run when a connection comes up or ends."""

    def on_order(self, order: Order) -> None:
        """Run when an order changed its status, refused ones included."""

    def on_fill(self, fill: Fill) -> None:
        """Run when a part of an order was traded."""

    def on_stop(self) -> None:
        """Run once when the run ends; nothing is closed or ordered after it."""

    # -- what a hook may ask ------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The time of this step, ns since the epoch UTC."""
        return self._desk.now

    @property
    def position(self) -> Decimal:
        """Signed quantity held of the instrument in hand; 0 (false) when flat."""
        return self._desk.position()

    def position_of(self, instrument: str) -> Decimal:
        """Signed quantity held of `instrument`."""
        return self._desk.position_of(instrument)

    @property
    def account(self) -> Account:
        """Cash, positions and equity."""
        return self._desk.account

    @property
    def orders(self) -> list[Order]:
        """The open orders of all instruments, oldest first."""
        return self._desk.open_orders(None)

    @property
    def log(self) -> StrategyLog:
        """Where to write lines: `self.log.info("crossed", price=bar.close)`."""
        return StrategyLog(self._desk)

    def indicator(self, indicator: IndicatorT, feed: str | None = None) -> IndicatorT:
        """Let the engine feed `indicator` before every hook, from `feed` (default: the strategy's first).

        Call it in `on_start`. The bars that the window already holds are fed at once.
        """
        self._desk.attach(indicator, feed)
        return indicator

    # -- orders -------------------------------------------------------------------------------------------

    def buy(
        self,
        quantity: Decimal | float | int | str,
        *,
        instrument: str | None = None,
        limit: Decimal | float | None = None,
        stop: Decimal | float | None = None,
        tif: TimeInForce = TimeInForce.GTC,
        tag: str = "",
    ) -> Order:
        """Ask to buy; a market order unless `limit` or `stop` (or both) is given.

        Returns the order as it left, or with status REFUSED and the reason. `instrument` defaults to that of
        the bar in hand. Quantities and prices are rounded to the instrument.
        """
        return self._desk.order(Side.BUY, quantity, instrument, limit, stop, tif, tag)

    def sell(
        self,
        quantity: Decimal | float | int | str,
        *,
        instrument: str | None = None,
        limit: Decimal | float | None = None,
        stop: Decimal | float | None = None,
        tif: TimeInForce = TimeInForce.GTC,
        tag: str = "",
    ) -> Order:
        """Ask to sell; otherwise as `buy`."""
        return self._desk.order(Side.SELL, quantity, instrument, limit, stop, tif, tag)

    def close(self, instrument: str | None = None, *, tag: str = "") -> Order | None:
        """Ask to go flat with a market order; None when there is nothing to close."""
        return self._desk.target(0, instrument, tag)

    def order_target(
        self, quantity: Decimal | float | int, *, instrument: str | None = None, tag: str = ""
    ) -> Order | None:
        """Ask for what is missing to hold `quantity` (signed), open market orders counted in; None if nothing."""
        return self._desk.target(quantity, instrument, tag)

    def order_target_percent(self, fraction: float, *, instrument: str | None = None, tag: str = "") -> Order | None:
        """Ask for a position worth `fraction` of the equity (0.5 is half); None if it is held already."""
        return self._desk.target_percent(fraction, instrument, tag)

    def cancel(self, order: Order | str) -> None:
        """Ask to cancel an open order, given as the order or its client order id."""
        self._desk.cancel(order)


_TAKEN: Final = frozenset(
    {name for name in vars(Strategy) if not name.startswith("_")}
    - {*HOOKS, "feeds", "history", "quiet", "derive", "window_length"}
    | {"model_config"}  # pydantic's own
)
_NO_PARAMETER: Final[tuple[object, ...]] = (ClassVar, Final)


def hooks_of(strategy_class: type[Strategy]) -> frozenset[str]:
    """Return the names of the hooks that the class defines itself.

    Raises:
        ConfigError: a method called `on_...` is no hook, is `async`, or takes other arguments than its hook.
    """
    defined = set()
    for name in dir(strategy_class):
        if not name.startswith("on_"):
            continue
        hook = getattr(strategy_class, name)
        if name not in HOOKS:
            raise _unknown("hook", name, HOOKS, strategy_class.__name__)
        if hook is getattr(Strategy, name):
            continue
        _check_hook(strategy_class.__name__, name, hook)
        defined.add(name)
    return frozenset(defined)


def _check_hook(strategy: str, name: str, hook: object) -> None:
    where = f"{strategy}.{name}"
    if not callable(hook):
        raise ConfigError("this name belongs to a hook", where=where, remedy="Make it a method or rename it")
    if inspect.iscoroutinefunction(hook) or inspect.isasyncgenfunction(hook):
        raise ConfigError(
            "hooks are plain functions, because the market must not move under one",
            where=where,
            remedy="Write `def` instead of `async def` and hand slow work to a thread or another process",
        )
    if inspect.isgeneratorfunction(hook):
        raise ConfigError(
            "a hook with `yield` in it is never run", where=where, remedy="Take the `yield` out of the hook"
        )
    try:
        inspect.signature(hook).bind(None, *[None] * HOOKS[name])
    except TypeError:
        expected = list(inspect.signature(getattr(Strategy, name)).parameters)
        raise ConfigError(
            "the hook takes other arguments", where=where, remedy=f"Write def {name}({', '.join(expected)})"
        ) from None


def parameters_of(strategy_class: type[Strategy]) -> type[pydantic.BaseModel]:
    """Return the pydantic model of the strategy's parameters.

    Raises:
        ConfigError: a parameter has no default, its annotation cannot be read, or its name is taken.
    """
    _check_names(strategy_class)
    fields: dict[str, tuple[object, object]] = {}
    try:
        hints = typing.get_type_hints(strategy_class, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigError(
            f"an annotation cannot be read: {error}", where=strategy_class.__name__, remedy="Import what it names"
        ) from error
    for name, hint in hints.items():
        is_constant = hint in _NO_PARAMETER or typing.get_origin(hint) in _NO_PARAMETER
        if name.startswith("_") or hasattr(Strategy, name) or is_constant:
            continue
        if not hasattr(strategy_class, name):
            raise ConfigError(
                "a parameter needs a default",
                where=f"{strategy_class.__name__}.{name}",
                remedy=f"Write {name}: ... = value",
            )
        fields[name] = (hint, getattr(strategy_class, name))
    config = pydantic.ConfigDict(
        extra="forbid", validate_default=True, arbitrary_types_allowed=True, protected_namespaces=()
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # `copy` and `json` are good names for a parameter
            return pydantic.create_model(f"{strategy_class.__name__}Parameters", __config__=config, **fields)  # type: ignore[call-overload,no-any-return]  # fields are made at run time
    except (pydantic.errors.PydanticUserError, TypeError) as error:
        raise _uncheckable(strategy_class, error) from error


def _check_names(strategy_class: type[Strategy]) -> None:
    """Pass if no value stands where a strategy has its methods: `position = 0` would hide the position."""
    for name in dir(strategy_class):
        value = getattr(strategy_class, name)
        if name in _TAKEN and not callable(value) and not isinstance(value, property):
            raise ConfigError("this name is taken", where=f"{strategy_class.__name__}.{name}", remedy="Rename it")


def _uncheckable(strategy_class: type[Strategy], error: Exception) -> ConfigError:
    return ConfigError(
        f"a parameter cannot be checked: {str(error).splitlines()[0]}",
        where=strategy_class.__name__,
        remedy="Give it a type that pydantic knows, and constraints that fit it",
    )


def validated(strategy_class: type[Strategy], given: Mapping[str, object]) -> dict[str, object]:
    """Return all parameters of the strategy, defaults included, after validation.

    Raises:
        ConfigError: an unknown name (with a did-you-mean) or a value that its annotation does not allow.
    """
    model = parameters_of(strategy_class)
    for name in given:
        if name not in model.model_fields:
            raise _unknown("parameter", name, model.model_fields, strategy_class.__name__)
    try:
        values = model(**given)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "parameters"
        raise ConfigError(
            f"{name} = {first['input']!r}: {first['msg']}",
            where=strategy_class.__name__,
            remedy=f"Set --param {name}=...",
        ) from None
    except TypeError as error:  # a constraint that the type does not have shows only when a value is checked
        raise _uncheckable(strategy_class, error) from error
    return {name: getattr(values, name) for name in model.model_fields}


def _unknown(what: str, name: str, known: typing.Iterable[str], strategy: str) -> ConfigError:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    remedy = f"Did you mean {close[0]}?" if close else f"It has: {', '.join(names) or 'none'}"
    return ConfigError(f"there is no {what} called {name!r}", where=strategy, remedy=remedy)
