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
from decimal import Decimal
from typing import Final

import msgspec

from barbot.errors import ConfigError
from barbot.model.instrument import EXACT as EXACT
from barbot.model.instrument import Instrument, to_decimal
from barbot.model.market import Side
from barbot.model.order import Fill

ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_QUANTUM: Final = Decimal("1E-18")
_BUY: Final = Side.BUY
_SELL: Final = Side.SELL
_add: Final = EXACT.add
_subtract: Final = EXACT.subtract
_multiply: Final = EXACT.multiply
_divide: Final = EXACT.divide
_minus: Final = EXACT.minus


class Position(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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


class RoundTrip(msgspec.Struct, frozen=True, gc=False):
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


class TradeStatistics(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    """The running figures of one instrument and of its open round trip."""

    __slots__ = (
        "cost",
        "currency",
        "entered",
        "entry_price",
        "entry_value",
        "exit_value",
        "fees",
        "has_multiplier",
        "instrument",
        "multiplier",
        "quantity",
        "realised",
        "tally",
        "trip_fees",
        "ts_entry",
        "view",
    )

    def __init__(self, instrument: Instrument, tally: _Tally) -> None:
        self.instrument = instrument.id
        self.tally = tally
        self.currency = instrument.currency
        self.multiplier = instrument.multiplier
        self.has_multiplier = instrument.multiplier != _ONE
        self.quantity = self.cost = self.realised = self.fees = ZERO
        self.entered = self.entry_value = self.exit_value = self.trip_fees = ZERO
        self.entry_price: Decimal | None = None
        self.ts_entry = 0
        self.view: Position | None = None

    def value(self, price: Decimal, quantity: Decimal) -> Decimal:
        """Return price x quantity in money."""
        value = _multiply(price, quantity)
        return _multiply(value, self.multiplier) if self.has_multiplier else value

    def enter(self, signed: Decimal, price: Decimal, value: Decimal, fee: Decimal, ts: int) -> None:
        """Open or enlarge by `signed` at `price`, for `value`."""
        if not self.quantity:
            self.quantity = self.entered = signed
            self.cost = self.entry_value = value
            self.exit_value = ZERO
            self.entry_price, self.trip_fees, self.ts_entry = price, fee, ts
            return
        self.quantity = _add(self.quantity, signed)
        self.cost = _add(self.cost, value)
        self.entered = _add(self.entered, signed)
        self.entry_value = _add(self.entry_value, value)
        self.entry_price, self.trip_fees = None, _add(self.trip_fees, fee)

    def shrink(self, signed: Decimal, value: Decimal, fee: Decimal, rest: Decimal) -> None:
        """Close the part `signed` (opposite in sign) for `value`; its share of the cost is released.

        The share is a division: it is cut to 18 decimals and what is cut off stays in the open part, so that
        nothing is lost.
        """
        part = _divide(_multiply(self.cost, signed), self.quantity)
        released = part.quantize(_QUANTUM, context=EXACT).copy_negate()
        self.realised = _subtract(self.realised, _add(value, released))
        self.cost = _subtract(self.cost, released)
        self.quantity = rest
        self.exit_value = _add(self.exit_value, value)
        self.trip_fees = _add(self.trip_fees, fee)

    def finish(self, price: Decimal, value: Decimal, fee: Decimal, ts: int) -> RoundTrip:
        """Close all that is left at `price`, for `value`; return the round trip."""
        fees = _add(self.trip_fees, fee)
        exit_value = _add(self.exit_value, value) if self.exit_value else value
        trip = RoundTrip(
            self.instrument,
            self.currency,
            _SELL if self.entered.is_signed() else _BUY,
            self.entered.copy_abs(),
            self.entry_price or self._average(self.entry_value),
            self._average(exit_value) if self.exit_value else price,
            self.ts_entry,
            ts,
            fees,
            _minus(_add(_add(self.entry_value, exit_value), fees)),
        )
        self.realised = _subtract(self.realised, _add(value, self.cost))
        self.fees = _add(self.fees, fees)
        self.quantity = self.cost = self.trip_fees = ZERO
        self.ts_entry = 0
        return trip

    def _average(self, value: Decimal) -> Decimal:
        return _divide(value.copy_abs(), self.value(_ONE, self.entered).copy_abs())

    def position(self) -> Position:
        """Return the public picture, made once a change."""
        if self.view is None:
            self.view = Position(
                instrument=self.instrument,
                currency=self.currency,
                quantity=self.quantity,
                average_price=_divide(self.cost, self.value(_ONE, self.quantity)) if self.quantity else None,
                cost=self.cost,
                realised=self.realised,
                fees=_add(self.fees, self.trip_fees),
                ts_entry=self.ts_entry,
            )
        return self.view


class _Tally:
    """Running figures of the round trips of one currency."""

    __slots__ = ("gross_loss", "gross_profit", "holding_ns", "losses", "trips", "wins")

    def __init__(self) -> None:
        self.trips = self.wins = self.losses = self.holding_ns = 0
        self.gross_profit = self.gross_loss = ZERO

    def count(self, trip: RoundTrip) -> None:
        self.trips += 1
        self.holding_ns += trip.ts_exit - trip.ts_entry
        profit = trip.profit
        if not profit:
            return
        if profit.is_signed():
            self.losses += 1
            self.gross_loss = _subtract(self.gross_loss, profit)
        else:
            self.wins += 1
            self.gross_profit = _add(self.gross_profit, profit)


def _share(fee: Decimal, held: Decimal, signed: Decimal) -> Decimal:
    """Return the part of `fee` that falls to closing `held` in a fill of `signed` that turns the position."""
    if not fee:
        return ZERO
    return _divide(_multiply(fee, held), signed).copy_sign(fee).quantize(_QUANTUM, context=EXACT)


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
            tally = self._tallies.setdefault(instrument.currency, _Tally())
            account = self._accounts[fill.instrument] = _Account(instrument, tally)
        account.view = None
        signed = fill.quantity if fill.side is _BUY else fill.quantity.copy_negate()
        if fill.fee_currency == account.currency or not fill.fee:
            return self._trade(account, signed, fill.price, fill.fee, fill.ts_event)
        if instrument.base and fill.fee_currency == instrument.base:
            if fill.side is _BUY and fill.fee < fill.quantity:
                signed = _subtract(signed, fill.fee)
            return self._trade(account, signed, fill.price, account.value(fill.price, fill.fee), fill.ts_event)
        self._pay(fill.fee_currency, fill.fee)
        return self._trade(account, signed, fill.price, ZERO, fill.ts_event)

    def _trade(self, account: _Account, signed: Decimal, price: Decimal, fee: Decimal, ts: int) -> RoundTrip | None:
        value = _multiply(price, signed)
        if account.has_multiplier:
            value = _multiply(value, account.multiplier)
        currency = account.currency
        spent = value
        if fee:
            spent = _add(value, fee)
            self._fees[currency] = _add(self._fees.get(currency, ZERO), fee)
        self._cash[currency] = _subtract(self._cash.get(currency, ZERO), spent)
        held = account.quantity
        if not held or held.is_signed() == signed.is_signed():
            account.enter(signed, price, value, fee, ts)
            return None
        rest = _add(held, signed)
        if not rest:
            return self._finish(account, price, value, fee, ts)
        if rest.is_signed() == held.is_signed():
            account.shrink(signed, value, fee, rest)
            return None
        closed = account.value(price, held.copy_negate())
        share = _share(fee, held, signed)
        trip = self._finish(account, price, closed, share, ts)
        account.enter(rest, price, _subtract(value, closed), _subtract(fee, share), ts)
        return trip

    def _finish(self, account: _Account, price: Decimal, value: Decimal, fee: Decimal, ts: int) -> RoundTrip:
        trip = account.finish(price, value, fee, ts)
        account.tally.count(trip)
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
        return account.position()

    def positions(self) -> list[Position]:
        """Return every position ever held, flat ones too, in order of their first fill."""
        return [account.position() for account in self._accounts.values()]

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
