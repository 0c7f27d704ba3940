"""The gate between a strategy's intent and a venue. Floor 2; no I/O, no clock.

`RiskGate.check` returns either an `Approved`, which nothing else can make and which is all that a venue takes,
or a `Refusal`, a value that says which rule said no, with figures, and what to do. Rules come in two groups:

* of form, for every order: quantity, prices, and the instrument's own minima and maxima;
* of risk, for every order that opens, enlarges or turns a position: data quality, orders a minute, size of
  order and position, daily loss, and what the account can pay.

An order that only reduces a position (opposite in side, and with the open orders of its side no larger than the
position) is checked for form alone: the way out is always open. `docs/paper.md` lists the rules.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias, final

import msgspec

from barbot.core.ledger import EXACT, ZERO, Ledger
from barbot.core.orders import OrderBook
from barbot.errors import ConfigError
from barbot.model.instrument import Instrument, to_decimal
from barbot.model.market import Quality, Side
from barbot.model.order import Fill, OrderIntent, OrderType
from barbot.timing.interval import DAY, MINUTE

_ONE: Final = Decimal(1)
_BUY: Final = Side.BUY
_LIMIT: Final = OrderType.LIMIT
_STOP: Final = OrderType.STOP
_STOP_LIMIT: Final = OrderType.STOP_LIMIT
_MARKET: Final = OrderType.MARKET
_add: Final = EXACT.add
_subtract: Final = EXACT.subtract
_multiply: Final = EXACT.multiply
_fma: Final = EXACT.fma
_NEVER: Final = 1 << 62


@final
class Approved:
    """An intent that the risk gate let through. Only this module can make one."""

    __slots__ = ("_intent",)

    _intent: OrderIntent

    def __init__(self, *_unused: object) -> None:
        """Refuse to be made.

        Raises:
            TypeError: always.
        """
        raise TypeError("only RiskGate.check approves orders")

    @property
    def intent(self) -> OrderIntent:
        """The order as it was checked."""
        return self._intent


class Refusal(msgspec.Struct, frozen=True):
    """An intent that the risk gate refused: which `rule`, and why, in one sentence with the remedy."""

    intent: OrderIntent
    rule: str
    reason: str


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may set of the risk gate; None sets no limit.

    Notionals and the daily loss are in the currency of the order's instrument; the day is UTC's. `leverage`
    above 1 or `allow_short` makes the account a margin account: what its positions and open orders could come
    to, over `leverage`, must not exceed its equity. Otherwise spot rules hold: no short, no negative cash.
    """

    max_order_quantity: Decimal | None = None
    max_order_notional: Decimal | None = None
    max_position_quantity: Decimal | None = None
    max_position_notional: Decimal | None = None
    max_orders_per_minute: int | None = None
    max_daily_loss: Decimal | None = None
    allowed_quality: tuple[Quality, ...] = (Quality.OK, Quality.QUIET)
    allow_short: bool = False
    leverage: Decimal = _ONE

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ConfigError: a limit is not above zero, or leverage is below 1.
        """
        for name in _LIMIT_NAMES:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{value} is no limit", where=name, remedy="Give more than 0, or leave it out")
        if not self.leverage >= 1:
            raise ConfigError(f"{self.leverage} is too low", where="leverage", remedy="Give 1 or more")

    @property
    def is_margin(self) -> bool:
        """Whether the account is a margin account rather than a spot one."""
        return self.allow_short or self.leverage > 1


_LIMIT_NAMES: Final = (
    "max_order_quantity",
    "max_order_notional",
    "max_position_quantity",
    "max_position_notional",
    "max_orders_per_minute",
    "max_daily_loss",
)


class RiskContext(msgspec.Struct, frozen=True, gc=False):
    """What a check goes by. `mark` is the instrument's newest price, `marks` those of others by id.

    `quality` is that of the bar in hand, None outside bar hooks. `fee_rate` is the fee expected, as a fraction.
    """

    now: int
    instrument: Instrument
    ledger: Ledger
    book: OrderBook
    mark: Decimal | float | None = None
    quality: Quality | None = None
    fee_rate: Decimal = ZERO
    marks: Mapping[str, Decimal | float] = {}


class _Case(msgspec.Struct, gc=False):
    """One order under examination. `held` is the position, `projected` what it could become at the worst."""

    intent: OrderIntent
    context: RiskContext
    price: Decimal
    notional: Decimal
    held: Decimal
    projected: Decimal


_Finding: TypeAlias = tuple[str, str] | None
"""(rule, reason), or None where there is nothing to say."""


class RiskGate:
    """Checks orders one by one; remembers when orders were approved, last marks, and the day's first equity."""

    def __init__(self, limits: RiskLimits) -> None:
        """Hold to `limits`. `ts_next_day` is when `start_day` wants to be called (never, without a loss limit)."""
        self._limits = limits
        self._approved_at: deque[int] = deque()
        self._marks: dict[str, Decimal | float] = {}
        self._instruments: dict[str, Instrument] = {}
        self._day_equity: dict[str, Decimal] = {}
        self._rules = self._active_rules()
        self.ts_next_day = -_NEVER if limits.max_daily_loss is not None else _NEVER

    @property
    def needs_marks(self) -> bool:
        """Whether checks go by the equity, so that the newest prices of all positions matter."""
        return self._limits.is_margin or self._limits.max_daily_loss is not None

    def _active_rules(self) -> tuple[Callable[[_Case], _Finding], ...]:
        limits = self._limits
        has_sizes = any(getattr(limits, name) is not None for name in _LIMIT_NAMES[:4])
        rules: list[tuple[bool, Callable[[_Case], _Finding]]] = [
            (True, self._check_quality),
            (limits.max_orders_per_minute is not None, self._check_rate),
            (has_sizes, self._check_sizes),
            (limits.max_daily_loss is not None, self._check_daily_loss),
            (True, self._check_margin if limits.is_margin else self._check_spot),
        ]
        return tuple(rule for is_active, rule in rules if is_active)

    def start_day(self, now: int, ledger: Ledger, marks: Mapping[str, Decimal | float]) -> None:
        """Remember the equity of every currency as that of the UTC day's start.

        Call it with the first step at or after `ts_next_day`; else the day starts at its first order.
        """
        self._day_equity = {c: ledger.equity(marks, c) for c in ledger.currencies()}
        self.ts_next_day = now - now % DAY + DAY

    def check(self, intent: OrderIntent, context: RiskContext) -> Approved | Refusal:
        """Approve `intent` or say which rule it breaks; the first broken rule counts."""
        name = intent.instrument
        self._instruments[name] = context.instrument
        if context.mark is not None:
            self._marks[name] = context.mark
        if context.now >= self.ts_next_day:
            self.start_day(context.now, context.ledger, self._all_marks(context))
        finding = self._find(intent, context)
        if finding is not None:
            return Refusal(intent, finding[0], finding[1])
        if self._limits.max_orders_per_minute is not None:
            self._approved_at.append(context.now)
        return _approved(intent)

    def _find(self, intent: OrderIntent, context: RiskContext) -> _Finding:
        """Return the first broken rule: those of form, then, unless the order is a way out, those of risk."""
        instrument, name = context.instrument, intent.instrument
        finding = _check_form(intent, instrument)
        if finding is None and instrument.has_bounds:
            finding = _check_bounds(intent.quantity, instrument, self._price(intent))
        if finding is not None:
            return finding
        held = context.ledger.quantity(name)
        projected = _projected(intent, context.book, held)
        if held and _is_reduction(held, projected):
            return None
        price = self._price(intent)
        if price is None:
            return "price", f"no price of {name} is known yet; wait for its first bar"
        if context.mark is None:
            self._marks.setdefault(name, price)
        case = _Case(intent, context, price, _value(instrument, price, intent.quantity), held, projected)
        for rule in self._rules:
            finding = rule(case)
            if finding is not None:
                return finding
        return None

    def _price(self, intent: OrderIntent) -> Decimal | None:
        """Return what the order is reckoned at: its own price, else the newest of the market."""
        own = intent.limit_price if intent.limit_price is not None else intent.stop_price
        if own is not None:
            return own
        mark = self._marks.get(intent.instrument)
        return None if mark is None else to_decimal(mark)

    def _all_marks(self, context: RiskContext) -> Mapping[str, Decimal | float]:
        return {**self._marks, **context.marks}

    def _check_quality(self, case: _Case) -> _Finding:
        quality = case.context.quality
        if quality is None or quality in self._limits.allowed_quality:
            return None
        allowed = ", ".join(q.name for q in self._limits.allowed_quality)
        return "quality", (
            f"the bar in hand is {quality.name} and orders are allowed on {allowed or 'none'}; "
            f"wait for a sound bar or add {quality.name} to allowed_quality"
        )

    def _check_rate(self, case: _Case) -> _Finding:
        times, limit = self._approved_at, self._limits.max_orders_per_minute
        while times and times[0] <= case.context.now - MINUTE:
            times.popleft()
        if limit is None or len(times) < limit:
            return None
        return "max_orders_per_minute", (
            f"{len(times)} orders were approved within 60 s and {limit} are allowed; "
            "send fewer or raise max_orders_per_minute"
        )

    def _check_sizes(self, case: _Case) -> _Finding:
        limits, currency = self._limits, case.context.instrument.currency
        position = abs(case.projected)
        worth = _value(case.context.instrument, case.price, position)
        sizes = (
            ("max_order_quantity", case.intent.quantity, limits.max_order_quantity, ""),
            ("max_order_notional", case.notional, limits.max_order_notional, f" {currency}"),
            ("max_position_quantity", position, limits.max_position_quantity, ""),
            ("max_position_notional", worth, limits.max_position_notional, f" {currency}"),
        )
        for rule, size, limit, unit in sizes:
            if limit is not None and size > limit:
                what = rule.removeprefix("max_").replace("_", " ")
                return rule, (
                    f"{what} {_show(size)}{unit} is above {_show(limit)}{unit}; lower the quantity or raise {rule}"
                )
        return None

    def _check_daily_loss(self, case: _Case) -> _Finding:
        context, limit = case.context, self._limits.max_daily_loss
        currency = context.instrument.currency
        equity = context.ledger.equity(self._all_marks(context), currency)
        lost = _subtract(self._day_equity.get(currency, equity), equity)
        if limit is None or lost <= limit:
            return None
        return "max_daily_loss", (
            f"{_show(lost)} {currency} are lost since midnight UTC and {_show(limit)} {currency} are allowed; "
            "only orders that reduce a position pass until the next UTC day, or raise max_daily_loss"
        )

    def _check_spot(self, case: _Case) -> _Finding:
        intent, context = case.intent, case.context
        if intent.side is not _BUY:
            interest = context.book.interest(intent.instrument)
            return "position", (
                f"sell {_show(intent.quantity)} {intent.instrument} exceeds the position "
                f"{_show(case.held)} less {_show(interest.sell_quantity)} in open sells; "
                "lower the quantity, cancel an open sell, or set allow_short"
            )
        cost = _fma(case.notional, context.fee_rate, case.notional) if context.fee_rate else case.notional
        currency = context.instrument.currency
        free = context.ledger.cash(currency)
        if context.book.active:
            free = _subtract(free, self._reserved(case))
        if cost <= free:
            return None
        return "cash", (
            f"buy {_show(intent.quantity)} {intent.instrument} costs {_show(cost)} {currency} with the fee and "
            f"{_show(free)} {currency} are free; lower the quantity, start with more cash, or set leverage"
        )

    def _reserved(self, case: _Case) -> Decimal:
        """Return what the open buys in the instrument's currency could cost, fees included.

        Open market orders are reckoned at the last mark that a check saw.
        """
        context = case.context
        currency = context.instrument.currency
        total = ZERO
        for name, interest in context.book.active.items():
            unpriced = interest.buy_quantity
            if not unpriced:
                continue
            instrument = self._instruments.get(name)
            if instrument is None or instrument.currency != currency:
                continue
            if interest.priced_buy_quantity:
                total = _add(total, _value(instrument, _ONE, interest.priced_buy_value))
                unpriced = interest.market_buy_quantity
            if unpriced:
                total = _add(total, _value(instrument, self._mark(name, context), unpriced))
        return _multiply(total, _add(_ONE, context.fee_rate)) if total else total

    def _check_margin(self, case: _Case) -> _Finding:
        """Let positions and open orders, each instrument at its worst, come to equity times leverage at most."""
        context, limits = case.context, self._limits
        currency = context.instrument.currency
        if case.projected < 0 and not limits.allow_short:
            return "position", (
                f"sell {_show(case.intent.quantity)} {case.intent.instrument} could end short at "
                f"{_show(case.projected)}; lower the quantity, cancel an open sell, or set allow_short"
            )
        exposure = _value(context.instrument, case.price, abs(case.projected))
        others = dict.fromkeys([*context.ledger.held(currency), *context.book.interested()])
        others.pop(case.intent.instrument, None)
        for name in others:
            exposure = _add(exposure, self._worst_exposure(name, currency, context))
        fee = _multiply(case.notional, context.fee_rate)
        needed = _add(EXACT.divide(exposure, limits.leverage), fee)
        equity = context.ledger.equity(self._all_marks(context), currency)
        if needed <= equity:
            return None
        return "margin", (
            f"{_show(needed)} {currency} of margin are needed and equity is {_show(equity)} {currency}; "
            "lower the quantity, start with more cash, or raise leverage"
        )

    def _worst_exposure(self, name: str, currency: str, context: RiskContext) -> Decimal:
        instrument = self._instruments.get(name)
        if instrument is None:
            return abs(context.ledger.value(name, context.marks.get(name)))
        if instrument.currency != currency:
            return ZERO
        held, interest = context.ledger.quantity(name), context.book.interest(name)
        long, short = _add(held, interest.buy_quantity), _subtract(held, interest.sell_quantity)
        return _value(instrument, self._mark(name, context), max(abs(long), abs(short)))

    def _mark(self, name: str, context: RiskContext) -> Decimal:
        return to_decimal(context.marks.get(name, self._marks[name]))


class Funds:
    """Says of a fill whether the account can pay it: the paper venue's last check, at the actual price."""

    def __init__(
        self,
        limits: RiskLimits,
        ledger: Ledger,
        instruments: Mapping[str, Instrument],
        marks: Mapping[str, Decimal | float] | None = None,
    ) -> None:
        """Read `ledger`, and `marks` where there are any (a live view; other positions count at cost without)."""
        self._limits = limits
        self._is_margin = limits.is_margin
        self._ledger = ledger
        self._instruments = instruments
        self._marks: Mapping[str, Decimal | float] = {} if marks is None else marks

    def __call__(self, fill: Fill, unbooked: Sequence[Fill] = ()) -> str:
        """Return "" or why `fill` cannot be paid, after the `unbooked` fills that the ledger has not seen yet."""
        if not self._is_margin:
            if fill.side is _BUY:
                return self._lack_of_cash(fill, unbooked)
            return self._lack_of_position(fill, unbooked)
        held = self._held(fill.instrument, unbooked)
        after = _add(held, _signed(fill))
        return "" if _is_reduction(held, after) else self._lack_of_margin(fill, unbooked, after)

    def _held(self, instrument: str, unbooked: Sequence[Fill]) -> Decimal:
        held = self._ledger.quantity(instrument)
        for other in unbooked:
            if other.instrument == instrument:
                held = _add(held, _signed(other))
        return held

    def _lack_of_position(self, fill: Fill, unbooked: Sequence[Fill]) -> str:
        held = self._held(fill.instrument, unbooked) if unbooked else self._ledger.quantity(fill.instrument)
        if fill.quantity <= held:
            return ""
        return f"sell {_show(fill.quantity)} at {_show(fill.price)} exceeds the position {_show(held)}"

    def _lack_of_cash(self, fill: Fill, unbooked: Sequence[Fill]) -> str:
        currency = self._instruments[fill.instrument].currency
        cash = self._ledger.cash(currency)
        for other in unbooked:
            cash = _subtract(cash, self._outlay(other, currency))
        cost = self._outlay(fill, currency)
        if cost <= cash:
            return ""
        what = f"{_show(cost)} {currency} with the fee and {_show(cash)} {currency} are there"
        return f"buy {_show(fill.quantity)} at {_show(fill.price)} costs {what}"

    def _outlay(self, fill: Fill, currency: str) -> Decimal:
        """Return what `fill` takes out of the cash of `currency`, negative where it brings some."""
        instrument = self._instruments[fill.instrument]
        fee = fill.fee if fill.fee_currency == currency else ZERO
        if instrument.currency != currency:
            return fee
        if fill.side is _BUY and instrument.multiplier == _ONE:
            return _fma(fill.price, fill.quantity, fee)
        value = _value(instrument, fill.price, fill.quantity)
        return _add(value, fee) if fill.side is _BUY else _subtract(fee, value)

    def _lack_of_margin(self, fill: Fill, unbooked: Sequence[Fill], after: Decimal) -> str:
        instrument = self._instruments[fill.instrument]
        currency = instrument.currency
        if after < 0 and not self._limits.allow_short:
            return f"sell {_show(fill.quantity)} at {_show(fill.price)} would end short at {_show(after)}"
        marks = {**self._marks, fill.instrument: fill.price}
        equity = _subtract(self._ledger.equity(marks, currency), fill.fee)
        exposure = abs(_value(instrument, fill.price, after))
        for name in self._ledger.held(currency):
            if name != fill.instrument:
                exposure = _add(exposure, abs(self._ledger.value(name, marks.get(name))))
        for other in unbooked:
            equity = _subtract(equity, other.fee)
            if other.instrument != fill.instrument:
                exposure = _add(exposure, _value(self._instruments[other.instrument], other.price, other.quantity))
        needed = EXACT.divide(exposure, self._limits.leverage)
        if needed <= equity:
            return ""
        return (
            f"{fill.side.name.lower()} {_show(fill.quantity)} at {_show(fill.price)} needs {_show(needed)} "
            f"{currency} of margin and equity is {_show(equity)} {currency}"
        )


def _approved(intent: OrderIntent) -> Approved:
    """Seal `intent`."""
    approved = Approved.__new__(Approved)
    approved._intent = intent
    return approved


def _check_form(intent: OrderIntent, instrument: Instrument) -> _Finding:
    """Check what holds for every order, whatever account and venue."""
    quantity = intent.quantity
    if not quantity or quantity.is_signed() or not quantity.is_finite():
        return "quantity", (
            f"quantity {_show(quantity)} of {intent.instrument} is not above zero after rounding to lots of "
            f"{instrument.quantity_increment or 'eight decimals'}; ask for at least one lot"
        )
    if intent.type is not _MARKET or intent.limit_price is not None or intent.stop_price is not None:
        return _check_prices(intent)
    return None


def _check_prices(intent: OrderIntent) -> _Finding:
    kind = intent.type
    needs_limit, needs_stop = kind is _LIMIT or kind is _STOP_LIMIT, kind is _STOP or kind is _STOP_LIMIT
    for name, value, is_needed in (
        ("limit price", intent.limit_price, needs_limit),
        ("stop price", intent.stop_price, needs_stop),
    ):
        if (value is not None) != is_needed:
            return "price", (
                f"a {kind.value} order needs {'a' if is_needed else 'no'} {name}; "
                f"{'give one' if is_needed else 'leave it out'}"
            )
        if value is not None and (not value.is_finite() or value <= 0):
            return "price", f"{name} {value} is not above zero; give a price of the market"
    return None


def _check_bounds(quantity: Decimal, instrument: Instrument, price: Decimal | None) -> _Finding:
    least, most, worth = instrument.min_quantity, instrument.max_quantity, instrument.min_notional
    if least is not None and quantity < least:
        return "min_quantity", f"quantity {_show(quantity)} is below {instrument.id}'s {_show(least)}; ask for more"
    if most is not None and quantity > most:
        return "max_quantity", f"quantity {_show(quantity)} is above {instrument.id}'s {_show(most)}; split it"
    if worth is not None and price is not None:
        notional = _value(instrument, price, quantity)
        if notional < worth:
            return "min_notional", (
                f"{_show(notional)} {instrument.currency} are below {instrument.id}'s {_show(worth)}; ask for more"
            )
    return None


def _projected(intent: OrderIntent, book: OrderBook, held: Decimal) -> Decimal:
    """Return the position if this order and every open one of its side were filled and no other."""
    is_buy, quantity = intent.side is _BUY, intent.quantity
    interest = book.active.get(intent.instrument)
    if interest is not None:
        quantity = _add(quantity, interest.buy_quantity if is_buy else interest.sell_quantity)
    if not held:
        return quantity if is_buy else quantity.copy_negate()
    return _add(held, quantity) if is_buy else _subtract(held, quantity)


def _is_reduction(held: Decimal, after: Decimal) -> bool:
    return ZERO <= after < held or held < after <= ZERO


def _signed(fill: Fill) -> Decimal:
    return fill.quantity if fill.side is _BUY else fill.quantity.copy_negate()


def _value(instrument: Instrument, price: Decimal, quantity: Decimal) -> Decimal:
    value = _multiply(price, quantity)
    return value if instrument.multiplier == _ONE else _multiply(value, instrument.multiplier)


def _show(value: Decimal) -> str:
    """Print an amount for people: no exponent, no trailing zeros, eight decimals at most."""
    rounded = value.quantize(Decimal("1E-8"), context=EXACT) if value.as_tuple().exponent < -8 else value  # type: ignore[operator]  # finite
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
