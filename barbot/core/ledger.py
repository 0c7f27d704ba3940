"""Cash, positions, profit and round trips, from fills alone. Floor 2; no I/O, no clock, no market data.

All money is `Decimal`, reckoned in the context `EXACT` (64 digits; the caller's decimal context is neither
used nor touched). What a position cost is the primary number and its average price only a view of it, so that

    equity - start equity == realised + unrealised - fees          (in every currency, to the last digit)

Money of different currencies is never added up: no exchange rate is invented, equity is one figure a currency.
A position belongs to the currency its instrument is priced in; spot, margin and futures are booked alike, by
paying the full notional out of cash and counting the position at its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Final

import msgspec

from barbot.errors import ConfigError
from barbot.model.instrument import Instrument, to_decimal
from barbot.model.market import Side
from barbot.model.order import Fill

EXACT: Final = Context(prec=64, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
"""The context of all money: enough digits that sums and products of prices, quantities and rates are exact."""

ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_QUANTUM: Final = Decimal("1E-18")
_BUY: Final = Side.BUY
_SELL: Final = Side.SELL
_add: Final = EXACT.add
_subtract: Final = EXACT.subtract
_multiply: Final = EXACT.multiply
_divide: Final = EXACT.divide


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A position at one moment: `quantity` is signed, `cost` too (what the open part cost, in `currency`)."""

    instrument: str
    currency: str
    quantity: Decimal = ZERO
    average_price: Decimal | None = None
    cost: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    ts_entry: int = 0

    @property
    def side(self) -> Side | None:
        """BUY when long, SELL when short, None when flat."""
        if not self.quantity:
            return None
        return _BUY if self.quantity > 0 else _SELL


class RoundTrip(msgspec.Struct, frozen=True, kw_only=True):
    """From flat to flat (or through zero): `profit` is after `fees`, `side` that of the entry.

    `quantity` is all that was entered, the prices are averages over it.
    """

    instrument: str
    currency: str
    side: Side
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    ts_entry: int
    ts_exit: int
    fees: Decimal
    profit: Decimal

    @property
    def holding_ns(self) -> int:
        """How long the position was open."""
        return self.ts_exit - self.ts_entry


class TradeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Round trips of one currency, added up; `gross_loss` is positive. A trip of profit 0 is neither."""

    trips: int = 0
    wins: int = 0
    losses: int = 0
    gross_profit: Decimal = ZERO
    gross_loss: Decimal = ZERO
    holding_ns: int = 0

    @property
    def win_rate(self) -> float | None:
        """Wins over all round trips; None before the first."""
        return self.wins / self.trips if self.trips else None


class _Account:
    """The running figures of one instrument."""

    __slots__ = (
        "cost",
        "currency",
        "entered",
        "entry_value",
        "exit_value",
        "fees",
        "instrument",
        "multiplier",
        "quantity",
        "realised",
        "trip_fees",
        "ts_entry",
        "view",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument.id
        self.currency = instrument.currency
        self.multiplier = instrument.multiplier
        self.quantity = self.cost = self.realised = self.fees = ZERO
        self.entered = self.entry_value = self.exit_value = self.trip_fees = ZERO
        self.ts_entry = 0
        self.view: Position | None = None

    def value(self, price: Decimal, quantity: Decimal) -> Decimal:
        """Return price x quantity in money."""
        value = _multiply(price, quantity)
        return value if self.multiplier == _ONE else _multiply(value, self.multiplier)

    def enter(self, signed: Decimal, value: Decimal, ts: int) -> None:
        """Open or enlarge by `signed` for `value`."""
        if not self.quantity:
            self.ts_entry = ts
        self.quantity = _add(self.quantity, signed)
        self.cost = _add(self.cost, value)
        self.entered = _add(self.entered, signed)
        self.entry_value = _add(self.entry_value, value)

    def leave(self, signed: Decimal, value: Decimal) -> None:
        """Close or shrink by `signed` (opposite in sign) for `value`; the closed part's cost is released.

        A part's cost is a division: it is cut to 18 decimals and what is cut off stays in the open part, so
        that nothing is lost.
        """
        rest = _add(self.quantity, signed)
        if rest:
            part = _divide(_multiply(self.cost, signed), self.quantity)
            released = part.quantize(_QUANTUM, context=EXACT).copy_negate()
        else:
            released = self.cost
        self.realised = _subtract(self.realised, _add(value, released))
        self.cost = _subtract(self.cost, released)
        self.quantity = rest
        self.exit_value = _add(self.exit_value, value)

    def finish(self, ts: int) -> RoundTrip:
        """Return the round trip that just ended and start a new account of trips."""
        entered = abs(self.entered)
        units = entered if self.multiplier == _ONE else _multiply(entered, self.multiplier)
        gross = -_add(self.entry_value, self.exit_value)
        trip = RoundTrip(
            instrument=self.instrument,
            currency=self.currency,
            side=_BUY if self.entered > 0 else _SELL,
            quantity=entered,
            entry_price=_divide(abs(self.entry_value), units),
            exit_price=_divide(abs(self.exit_value), units),
            ts_entry=self.ts_entry,
            ts_exit=ts,
            fees=self.trip_fees,
            profit=_subtract(gross, self.trip_fees),
        )
        self.entered = self.entry_value = self.exit_value = self.trip_fees = ZERO
        self.ts_entry = 0
        return trip


class _Tally:
    """Running figures of the round trips of one currency."""

    __slots__ = ("gross_loss", "gross_profit", "holding_ns", "losses", "trips", "wins")

    def __init__(self) -> None:
        self.trips = self.wins = self.losses = self.holding_ns = 0
        self.gross_profit = self.gross_loss = ZERO

    def count(self, trip: RoundTrip) -> None:
        self.trips += 1
        self.holding_ns += trip.ts_exit - trip.ts_entry
        if trip.profit > 0:
            self.wins += 1
            self.gross_profit = _add(self.gross_profit, trip.profit)
        elif trip.profit < 0:
            self.losses += 1
            self.gross_loss = _subtract(self.gross_loss, trip.profit)


class Ledger:
    """Books fills; answers what there is and what it is worth."""

    def __init__(self, cash: Mapping[str, Decimal]) -> None:
        """Start with `cash`, an amount a currency.

        Raises:
            ConfigError: an amount is negative or not a number.
        """
        for currency, amount in cash.items():
            if not amount.is_finite() or amount < 0:
                raise ConfigError(
                    f"cannot start with {amount} {currency}",
                    where="cash",
                    remedy="Give an amount of zero or more",
                )
        self._start = dict(cash)
        self._cash = dict(cash)
        self._fees: dict[str, Decimal] = {}
        self._accounts: dict[str, _Account] = {}
        self._tallies: dict[str, _Tally] = {}

    def apply(self, fill: Fill, instrument: Instrument) -> RoundTrip | None:
        """Book `fill`; return the round trip if it ended one.

        A fee in the base currency counts at the price of the fill: on a purchase it is taken out of what was
        bought, on a sale out of the proceeds. A fee in a third currency is paid from that currency's cash.
        """
        account = self._accounts.get(fill.instrument)
        if account is None:
            account = self._accounts[fill.instrument] = _Account(instrument)
        account.view = None
        signed = fill.quantity if fill.side is _BUY else -fill.quantity
        currency = instrument.currency
        if not fill.fee or fill.fee_currency == currency:
            return self._trade(account, signed, fill.price, fill.fee, fill.ts_event)
        if instrument.base and fill.fee_currency == instrument.base:
            worth = account.value(fill.price, fill.fee)
            if fill.side is _SELL:
                return self._trade(account, signed, fill.price, worth, fill.ts_event)
            trip = self._trade(account, signed, fill.price, ZERO, fill.ts_event)
            return self._trade(account, -fill.fee, fill.price, worth, fill.ts_event) or trip
        self._pay(fill.fee_currency, fill.fee)
        return self._trade(account, signed, fill.price, ZERO, fill.ts_event)

    def _trade(self, account: _Account, signed: Decimal, price: Decimal, fee: Decimal, ts: int) -> RoundTrip | None:
        value = account.value(price, signed)
        currency = account.currency
        self._cash[currency] = _subtract(self._cash.get(currency, ZERO), value)
        if fee:
            self._pay(currency, fee)
            account.fees = _add(account.fees, fee)
        held = account.quantity
        if not held or (held > 0) == (signed > 0):
            account.trip_fees = _add(account.trip_fees, fee)
            account.enter(signed, value, ts)
            return None
        return self._reduce(account, signed, price, value, fee, ts)

    def _reduce(
        self, account: _Account, signed: Decimal, price: Decimal, value: Decimal, fee: Decimal, ts: int
    ) -> RoundTrip | None:
        held = account.quantity
        over = _add(held, signed)
        if over and (over > 0) != (held > 0):
            closing = held.copy_negate()
            share = _divide(_multiply(fee, closing), signed).quantize(_QUANTUM, context=EXACT)
            closed = account.value(price, closing)
        else:
            closing, share, closed, over = signed, fee, value, ZERO
        account.trip_fees = _add(account.trip_fees, share)
        account.leave(closing, closed)
        if account.quantity:
            return None
        trip = account.finish(ts)
        self._tallies.setdefault(account.currency, _Tally()).count(trip)
        if over:
            account.trip_fees = _subtract(fee, share)
            account.enter(over, _subtract(value, closed), ts)
        return trip

    def _pay(self, currency: str, fee: Decimal) -> None:
        self._cash[currency] = _subtract(self._cash.get(currency, ZERO), fee)
        self._fees[currency] = _add(self._fees.get(currency, ZERO), fee)

    def cash(self, currency: str) -> Decimal:
        """Return the cash of one currency; 0 where there never was any."""
        return self._cash.get(currency, ZERO)

    def start_cash(self, currency: str) -> Decimal:
        """Return what there was of one currency in the beginning, which is also the start equity."""
        return self._start.get(currency, ZERO)

    def balances(self) -> dict[str, Decimal]:
        """Return the cash of all currencies."""
        return dict(self._cash)

    def fees(self, currency: str) -> Decimal:
        """Return the fees paid out of one currency; fees in a base currency count in the price's currency."""
        return self._fees.get(currency, ZERO)

    def quantity(self, instrument: str) -> Decimal:
        """Return the signed quantity held of `instrument`; the cheapest question there is."""
        account = self._accounts.get(instrument)
        return account.quantity if account is not None else ZERO

    def position(self, instrument: Instrument) -> Position:
        """Return the position in `instrument`, flat where it was never traded."""
        account = self._accounts.get(instrument.id)
        if account is None:
            return Position(instrument=instrument.id, currency=instrument.currency)
        return self._view(account)

    def positions(self) -> list[Position]:
        """Return every position ever held, flat ones too, in order of their first fill."""
        return [self._view(account) for account in self._accounts.values()]

    def _view(self, account: _Account) -> Position:
        if account.view is None:
            quantity = account.quantity
            average = _divide(account.cost, account.value(_ONE, quantity)) if quantity else None
            account.view = Position(
                instrument=account.instrument,
                currency=account.currency,
                quantity=quantity,
                average_price=average,
                cost=account.cost,
                realised=account.realised,
                fees=account.fees,
                ts_entry=account.ts_entry,
            )
        return account.view

    def held(self, currency: str) -> list[str]:
        """Return the instruments priced in `currency` in which there is a position."""
        return [a.instrument for a in self._accounts.values() if a.quantity and a.currency == currency]

    def value(self, instrument: str, mark: Decimal | float | None) -> Decimal:
        """Return what the position is worth at `mark`, negative when short; at what it cost without a mark."""
        account = self._accounts.get(instrument)
        if account is None or not account.quantity:
            return ZERO
        return account.cost if mark is None else account.value(to_decimal(mark), account.quantity)

    def unrealised(self, instrument: str, mark: Decimal | float | None) -> Decimal:
        """Return the profit of the open position at `mark`; 0 without a mark."""
        account = self._accounts.get(instrument)
        if account is None or mark is None or not account.quantity:
            return ZERO
        return _subtract(account.value(to_decimal(mark), account.quantity), account.cost)

    def realised(self, currency: str) -> Decimal:
        """Return the realised profit before fees of all positions priced in `currency`."""
        total = ZERO
        for account in self._accounts.values():
            if account.currency == currency:
                total = _add(total, account.realised)
        return total

    def equity(self, marks: Mapping[str, Decimal | float], currency: str) -> Decimal:
        """Return cash plus the value of the positions priced in `currency`, at `marks` by instrument id.

        A position without a mark counts at what it cost.
        """
        total = self._cash.get(currency, ZERO)
        for account in self._accounts.values():
            if account.quantity and account.currency == currency:
                total = _add(total, self.value(account.instrument, marks.get(account.instrument)))
        return total

    def currencies(self) -> list[str]:
        """Return the currencies of which there is or was cash, in order of appearance."""
        return list(self._cash)

    def statistics(self, currency: str) -> TradeStatistics:
        """Return the round trips of `currency`, added up."""
        tally = self._tallies.get(currency)
        if tally is None:
            return TradeStatistics()
        return TradeStatistics(
            trips=tally.trips,
            wins=tally.wins,
            losses=tally.losses,
            gross_profit=tally.gross_profit,
            gross_loss=tally.gross_loss,
            holding_ns=tally.holding_ns,
        )
