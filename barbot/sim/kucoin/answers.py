"""The market data that the simulated KuCoin answers over HTTP: one function a path. Floor 4.

Each takes the venue, the query and the venue's time, and returns the `data` of the reply or raises what the reply
says instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from barbot.errors import VenueError
from barbot.sim.kucoin.settings import GRANULARITIES, SPOT_TYPES, Json
from barbot.sim.kucoin.streams import Venue, book_of, ticker_data
from barbot.sim.market import Candle, Listing, decimal_text, seconds
from barbot.timing.interval import DAY, SECOND, Interval

_MILLISECOND: Final = 1_000_000
_MOST_ROWS: Final = 1500
_DEFAULT_ROWS: Final = 100
_MOST_FUTURES_ROWS: Final = 500
_HISTORIES: Final = 100
_MOST_DIGITS: Final = 15
_NO_STATS: Final = (
    "buy",
    "sell",
    "changeRate",
    "changePrice",
    "high",
    "low",
    "vol",
    "volValue",
    "last",
    "averagePrice",
    "takerFeeRate",
    "makerFeeRate",
    "takerCoefficient",
    "makerCoefficient",
)


def timestamp(_venue: Venue, _query: Mapping[str, str], now: int) -> Json:
    """Return the venue's time in ms."""
    return now // _MILLISECOND


def status(_venue: Venue, _query: Mapping[str, str], _now: int) -> Json:
    """Return that the venue trades."""
    return {"status": "open", "msg": ""}


def symbols(venue: Venue, query: Mapping[str, str], _now: int) -> Json:
    """Return every symbol, or those of one market."""
    rows: list[Json] = []
    for listing in _spot(venue):
        row = _symbol(listing)
        if query.get("market") in (None, "", row["market"]):
            rows.append(row)
    return rows


def symbol(venue: Venue, query: Mapping[str, str], _now: int) -> Json:
    """Return one symbol."""
    return _symbol(_spot_listing(venue, query, code="900001", text="The symbol does not exist."))


def currencies(venue: Venue, _query: Mapping[str, str], _now: int) -> Json:
    """Return every currency that something is traded in."""
    names = dict.fromkeys(name for listing in _spot(venue) for name in (listing.base, listing.quote))
    return [
        {
            "currency": name,
            "name": name,
            "fullName": name,
            "precision": 8,
            "confirms": None,
            "contractAddress": None,
            "isMarginEnabled": True,
            "isDebitEnabled": True,
            "chains": [],
        }
        for name in names
    ]


def candles(venue: Venue, query: Mapping[str, str], now: int) -> Json:
    """Return candles newest first, the running one included; periods without trades are missing."""
    interval = SPOT_TYPES.get(query.get("type", ""))
    if interval is None:
        raise VenueError("Incorrect candlestick type.", code="400100")
    name = _spot_listing(venue, query, code="400100", text="Unsupported trading pair.").symbol
    start, end = _whole(query, "startAt"), _whole(query, "endAt")
    until = now - round(venue.settings.rest_delay_s * SECOND)
    ts_to = until if not end else min(until, end * SECOND + venue.settings.end_is_included)
    most = _MOST_ROWS if start else _DEFAULT_ROWS
    first = start * SECOND if start else 0
    rows = _newest(venue, name, interval, first, ts_to, until, most)
    return [_row(candle) for candle in reversed(rows)]


def histories(venue: Venue, query: Mapping[str, str], now: int) -> Json:
    """Return the last hundred trades, newest first."""
    listing = _spot_listing(venue, query, code="900001", text="The symbol does not exist.")
    return [
        {
            "sequence": str(tick.sequence),
            "price": decimal_text(tick.price, listing.price_decimals),
            "size": decimal_text(tick.size, listing.size_decimals),
            "side": "buy" if tick.is_buy else "sell",
            "time": tick.ts,
        }
        for tick in venue.market.latest(listing.symbol, now, _HISTORIES)
    ]


def level1(venue: Venue, query: Mapping[str, str], now: int) -> Json:
    """Return the last price and the top of the book; null for a symbol that does not exist."""
    listing = venue.market.listings.get(query.get("symbol", ""))
    if listing is None or listing.multiplier is not None:
        return None
    last = venue.market.latest(listing.symbol, now)
    return {"time": now // _MILLISECOND, **ticker_data(listing, last[0])} if last else None


def stats(venue: Venue, query: Mapping[str, str], now: int) -> Json:
    """Return the last 24 hours of a symbol; nulls for one that does not exist."""
    name = query.get("symbol", "")
    data: dict[str, Json] = {"time": now // _MILLISECOND, "symbol": name, **dict.fromkeys(_NO_STATS)}
    listing = venue.market.listings.get(name)
    if listing is None or listing.multiplier is not None:
        return data
    ticks = venue.market.trades(name, now - DAY, now)
    if not ticks:
        return data
    first, last = ticks[0], ticks[-1]
    data.update(_change(listing, first.price, last.price))
    bid, _, ask, _ = book_of(listing, last)
    turnover = sum(tick.price * tick.size for tick in ticks)
    volume = sum(tick.size for tick in ticks)
    data.update(
        buy=bid,
        sell=ask,
        high=decimal_text(max(tick.price for tick in ticks), listing.price_decimals),
        low=decimal_text(min(tick.price for tick in ticks), listing.price_decimals),
        vol=decimal_text(volume, listing.size_decimals),
        volValue=decimal_text(turnover, listing.price_decimals + listing.size_decimals),
        averagePrice=decimal_text(turnover // volume if volume else last.price, listing.price_decimals),
        takerFeeRate="0.001",
        makerFeeRate="0.001",
        takerCoefficient="1",
        makerCoefficient="1",
    )
    return data


def all_tickers(venue: Venue, _query: Mapping[str, str], now: int) -> Json:
    """Return the last price of every symbol; the sums over 24 hours are null: they would cost seconds."""
    rows: list[Json] = []
    for listing in _spot(venue):
        row: dict[str, Json] = {"symbol": listing.symbol, "symbolName": listing.symbol, **dict.fromkeys(_NO_STATS)}
        last = venue.market.latest(listing.symbol, now)
        if last:
            before = venue.market.latest(listing.symbol, now - DAY)
            row.update(_change(listing, (before or last)[0].price, last[0].price))
            row["buy"], row["bestBidSize"], row["sell"], row["bestAskSize"] = book_of(listing, last[0])
        row.update(takerFeeRate="0.001", makerFeeRate="0.001", takerCoefficient="1", makerCoefficient="1")
        rows.append(row)
    return {"time": now // _MILLISECOND, "ticker": rows}


def futures_candles(venue: Venue, query: Mapping[str, str], now: int) -> Json:
    """Return candles of a future oldest first, as numbers."""
    interval = GRANULARITIES.get(_whole(query, "granularity"))
    if interval is None:
        raise VenueError("Unsupported granularity", code="300000")
    listing = _contract_listing(venue, query)
    until = now - round(venue.settings.rest_delay_s * SECOND)
    start, end = _whole(query, "from"), _whole(query, "to")
    ts_to = min(until, end * _MILLISECOND + venue.settings.end_is_included) if end else until
    rows = _newest(venue, listing.symbol, interval, start * _MILLISECOND, ts_to, until, _MOST_FUTURES_ROWS)
    return [
        [
            candle.ts_open // _MILLISECOND,
            float(candle.open),
            float(candle.high),
            float(candle.low),
            float(candle.close),
            int(candle.volume),
            float(candle.turnover),
        ]
        for candle in rows
    ]


def contracts(venue: Venue, _query: Mapping[str, str], now: int) -> Json:
    """Return every future."""
    return [_contract(venue, one, now) for one in venue.market.listings.values() if one.multiplier is not None]


def contract(venue: Venue, query: Mapping[str, str], now: int) -> Json:
    """Return one future."""
    return _contract(venue, _contract_listing(venue, query), now)


def _newest(
    venue: Venue, name: str, interval: Interval, ts_from: int, ts_to: int, until: int, most: int
) -> list[Candle]:
    """Return the newest `most` candles that open in `[ts_from, ts_to)`, oldest first.

    They are looked for backwards, so that a window of years costs no more than what is returned.
    """
    market = venue.market
    found: list[Candle] = []
    ts_from = max(ts_from, market.starts(name, interval))
    while ts_to > ts_from and len(found) < most:
        start = market.floor(interval, max(ts_from, ts_to - (most - len(found)) * interval.ns))
        page = market.candles(name, interval, max(start, ts_from), ts_to, until=until)
        found = page + found
        ts_to = start
    return found[-most:]


def _row(candle: Candle) -> Json:
    start = str(seconds(candle.ts_open))
    return [start, candle.open, candle.close, candle.high, candle.low, candle.volume, candle.turnover]


def _change(listing: Listing, before: int, last: int) -> dict[str, Json]:
    sign = "-" if last < before else ""
    return {
        "last": decimal_text(last, listing.price_decimals),
        "changePrice": sign + decimal_text(abs(last - before), listing.price_decimals),
        "changeRate": f"{(last - before) / before:.4f}",
    }


def _spot(venue: Venue) -> list[Listing]:
    return [listing for listing in venue.market.listings.values() if listing.multiplier is None]


def _spot_listing(venue: Venue, query: Mapping[str, str], *, code: str, text: str) -> Listing:
    listing = venue.market.listings.get(query.get("symbol", ""))
    if listing is None or listing.multiplier is not None:
        raise VenueError(text, code=code)
    return listing


def _contract_listing(venue: Venue, query: Mapping[str, str]) -> Listing:
    listing = venue.market.listings.get(query.get("symbol", ""))
    if listing is None or listing.multiplier is None:
        raise VenueError("Invalid symbol.", code="200003")
    return listing


def _whole(query: Mapping[str, str], name: str) -> int:
    """Return a number of the query, 0 if it is not given."""
    text = query.get(name, "") or "0"
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise VenueError(f"Param error. {name} is invalid.", code="400100")
    return int(text)


def _symbol(listing: Listing) -> dict[str, Json]:
    least = decimal_text(1, listing.size_decimals)
    return {
        "symbol": listing.symbol,
        "name": listing.symbol,
        "baseCurrency": listing.base,
        "quoteCurrency": listing.quote,
        "feeCurrency": listing.quote,
        "market": "USDS" if listing.quote in ("USDT", "USDC") else listing.quote,
        "baseMinSize": least,
        "quoteMinSize": "0.1",
        "baseMaxSize": "10000000000",
        "quoteMaxSize": "99999999",
        "baseIncrement": least,
        "quoteIncrement": "0.000001",
        "priceIncrement": decimal_text(listing.price_step, listing.price_decimals),
        "priceLimitRate": "0.1",
        "minFunds": "0.1",
        "isMarginEnabled": True,
        "enableTrading": True,
        "feeCategory": 1,
        "makerFeeCoefficient": "1.00",
        "takerFeeCoefficient": "1.00",
        "st": False,
        "callauctionIsEnabled": False,
        "callauctionPriceFloor": None,
        "callauctionPriceCeiling": None,
        "callauctionFirstStageStartTime": None,
        "callauctionSecondStageStartTime": None,
        "callauctionThirdStageStartTime": None,
        "tradingStartTime": None,
    }


def _contract(venue: Venue, listing: Listing, now: int) -> Json:
    last = venue.market.latest(listing.symbol, now)
    price = float(decimal_text(last[0].price, listing.price_decimals)) if last else None
    return {
        "symbol": listing.symbol,
        "rootSymbol": listing.quote,
        "type": "FFWCSX",
        "firstOpenDate": venue.market.starts(listing.symbol) // _MILLISECOND,
        "expireDate": None,
        "settleDate": None,
        "baseCurrency": listing.base,
        "quoteCurrency": listing.quote,
        "settleCurrency": listing.quote,
        "maxOrderQty": 1_000_000,
        "maxPrice": 1_000_000.0,
        "lotSize": 1,
        "tickSize": float(decimal_text(listing.price_step, listing.price_decimals)),
        "indexPriceTickSize": 0.01,
        "multiplier": float(listing.multiplier or Decimal(1)),
        "makerFeeRate": 0.0002,
        "takerFeeRate": 0.0006,
        "isDeleverage": True,
        "isQuanto": False,
        "isInverse": False,
        "status": "Open",
        "lastTradePrice": price,
        "markPrice": price,
        "indexPrice": price,
    }
