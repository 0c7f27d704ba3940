"""HTTP answers: envelope, errors in one line, when to ask again, token, clock, symbols. Floor 3.

Anything but code "200000" is an error, also with HTTP 200; in front of the venue stands a CDN whose answers are
no JSON at all.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from barbot.errors import VenueError
from barbot.model.instrument import Instrument
from barbot.providers.base import Answer, ClockOffset
from barbot.providers.kucoin.venue import MILLISECOND, Venue

_T = TypeVar("_T")

OK: Final = "200000"
_CDN_BLOCK_S: Final = 30.0
_OLD_LIMIT_S: Final = 10.0
_BUSY_S: Final = 1.0
_WAITS: Final = {"429000": 0.0, "200002": _OLD_LIMIT_S, "500000": _BUSY_S, "503000": _BUSY_S}
"""Codes after which asking again helps, and in how many seconds; headers that say more go before."""
_CDN_LIMIT: Final = re.compile(r"\b1015\b|rate.limited", re.IGNORECASE)
_TAGS: Final = re.compile(r"<(script|style).*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.DOTALL | re.IGNORECASE)
_LONGEST: Final = 160


class _Envelope(msgspec.Struct):
    code: str | int = ""
    msg: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")


class Server(msgspec.Struct, frozen=True, rename="camel"):
    """One of the addresses that a token is good for; times in ms."""

    endpoint: str
    ping_interval: int = 18_000
    ping_timeout: int = 10_000


class Token(msgspec.Struct, frozen=True, rename="camel"):
    """The answer of `bullet-public`."""

    token: str
    instance_servers: list[Server]


class _Symbol(msgspec.Struct, rename="camel"):
    symbol: str
    base_currency: str = ""
    quote_currency: str = ""
    base_increment: Decimal | None = None
    price_increment: Decimal | None = None
    base_min_size: Decimal | None = None
    base_max_size: Decimal | None = None
    min_funds: Decimal | None = None
    enable_trading: bool = True


class _Contract(msgspec.Struct, rename="camel"):
    symbol: str
    quote_currency: str = ""
    settle_currency: str = ""
    lot_size: Decimal | None = None
    tick_size: Decimal | None = None
    max_order_qty: Decimal | None = None
    multiplier: Decimal = Decimal(1)
    is_inverse: bool = False
    status: str = "Open"


class Listing(msgspec.Struct, frozen=True):
    """An instrument as the venue lists it."""

    instrument: Instrument
    is_trading: bool
    is_inverse: bool = False
    """Whether its value is counted in the base currency, which barbot's ledger cannot."""


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


def read_data(status: int, body: str | bytes, kind: type[_T]) -> _T:
    """Return the data of an answer as `kind`.

    Raises:
        VenueError: the answer is an error, or not what was expected; one line, retryable where asking again helps.
    """
    envelope = _read_envelope(status, body)
    code = str(envelope.code)
    if code != OK:
        retryable = code in _WAITS or status == 429
        raise VenueError(_one_line(envelope.msg or f"HTTP {status}"), code=code, retryable=retryable)
    try:
        return msgspec.json.decode(envelope.data, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ArithmeticError) as error:
        raise VenueError(f"an answer that is not as documented: {_one_line(str(error))}") from None


def _read_envelope(status: int, body: str | bytes) -> _Envelope:
    """Return the envelope of an answer.

    Raises:
        VenueError: there is none: no answer, or something in between answered.
    """
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    if status == 0:
        raise VenueError(_one_line(text) or "no answer", retryable=True)
    try:
        return _ENVELOPE.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        retryable = status >= 500 or status == 429 or bool(_CDN_LIMIT.search(text))
        raise VenueError(f"HTTP {status}, not an answer of its API: {_readable(text)}", retryable=retryable) from None


def retry_after(answer: Answer) -> float | None:
    """Return how many seconds to wait before asking again, None where that does not help."""
    try:
        code = str(_read_envelope(answer.status, answer.body).code)
    except VenueError as error:
        if not error.retryable:
            return None
        return _BUSY_S if answer.status == 0 or answer.status >= 500 else _CDN_BLOCK_S
    if code == "429000" or answer.status == 429:
        reset = answer.headers.get("gw-ratelimit-reset", "")
        # without that header the venue is overloaded, not we too eager: at once is allowed
        return max(int(reset) / 1_000, 0.0) if reset.isascii() and reset.isdigit() else _WAITS["429000"]
    if code != OK and answer.status >= 500:
        return _WAITS.get(code, _BUSY_S)
    return _WAITS.get(code)


def read_token(answer: Answer, *, is_encrypted: bool) -> Token:
    """Return token and addresses.

    Raises:
        VenueError: there is none, or an address would send the token in clear although HTTP was encrypted.
    """
    token = read_data(answer.status, answer.body, Token)
    allowed = ("wss://",) if is_encrypted else ("wss://", "ws://")
    servers = [server for server in token.instance_servers if server.endpoint.startswith(allowed)]
    if not token.token or not servers:
        raise VenueError("the token's answer names no address to connect to", retryable=True)
    return Token(token.token, servers)


def read_clock(answer: Answer) -> ClockOffset:
    """Return how far the venue's clock is ahead: it was read halfway between question and answer.

    Raises:
        VenueError: the answer is not a time.
    """
    theirs = read_data(answer.status, answer.body, int) * MILLISECOND
    half = (answer.ts_recv - answer.ts_sent) // 2
    return ClockOffset(theirs - (answer.ts_sent + half), half + MILLISECOND)


def read_listings(venue: Venue, answer: Answer) -> dict[str, Listing]:
    """Return all symbols of the venue.

    Raises:
        VenueError: the answer is no list of symbols.
    """
    if venue.is_futures:
        contracts = read_data(answer.status, answer.body, list[_Contract])
        return {contract.symbol: _of_contract(venue, contract) for contract in contracts}
    symbols = read_data(answer.status, answer.body, list[_Symbol])
    return {symbol.symbol: _of_symbol(venue, symbol) for symbol in symbols}


def _of_symbol(venue: Venue, symbol: _Symbol) -> Listing:
    instrument = Instrument(
        provider=venue.name,
        symbol=symbol.symbol,
        currency=symbol.quote_currency,
        base=symbol.base_currency,
        price_increment=symbol.price_increment,
        quantity_increment=symbol.base_increment,
        min_quantity=symbol.base_min_size,
        max_quantity=symbol.base_max_size,
        min_notional=symbol.min_funds,
    )
    return Listing(instrument, symbol.enable_trading)


def _of_contract(venue: Venue, contract: _Contract) -> Listing:
    instrument = Instrument(
        provider=venue.name,
        symbol=contract.symbol,
        currency=contract.settle_currency or contract.quote_currency,
        base="",
        price_increment=contract.tick_size,
        quantity_increment=contract.lot_size,
        min_quantity=contract.lot_size,
        max_quantity=contract.max_order_qty,
        multiplier=abs(contract.multiplier),
    )
    return Listing(instrument, contract.status == "Open", contract.is_inverse or contract.multiplier < 0)


def _readable(text: str) -> str:
    """Return the gist of a page that was made for a browser."""
    title = _TITLE.search(text)
    return _one_line(title[1] if title and title[1].strip() else _TAGS.sub(" ", text)) or "an empty body"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    printable = "".join(letter if letter.isprintable() else "?" for letter in line[: _LONGEST + 1])
    return printable if len(printable) <= _LONGEST else f"{printable[:_LONGEST]}..."
