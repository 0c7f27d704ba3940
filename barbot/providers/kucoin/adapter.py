"""KuCoin in one run: what to ask first, how to spread the feeds, where to connect. Floor 3."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Final
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from barbot.errors import ConfigError, VenueError
from barbot.model.instrument import FeedId, Instrument
from barbot.providers.base import NEVER, Answer, ClockOffset, ConnectionPlan, Dial, Fetch, Provider, Purpose
from barbot.providers.kucoin.connection import KuCoinConnection, Session
from barbot.providers.kucoin.rest import Listing, read_clock, read_listings, read_token, retry_after
from barbot.providers.kucoin.topics import spread, topics_of
from barbot.providers.kucoin.venue import MILLISECOND, TIMESTAMP_PATH, TOKEN_PATH, Venue
from barbot.timing.interval import HOUR, SECOND

_POOL: Final = 32
"""Connections that retire one after another before the order begins again."""
_LEAST_PING: Final = SECOND
"""The venue drops who pings more often."""


class KuCoinSettings(BaseModel):
    """What can be set for KuCoin; the defaults keep within its published limits."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    endpoint: str = ""
    """Address of its HTTP interface; empty: KuCoin's own. The WebSocket's comes with the token."""
    topics_per_connection: Annotated[int, Field(ge=15, le=400)] = 300
    """How many topics one connection may carry (an instrument's are never torn apart)."""
    welcome_timeout_s: Annotated[float, Field(gt=0)] = 5.0
    """How long the venue may take to greet a new connection."""
    ack_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """How long the venue may take to acknowledge a subscription."""
    connection_lifetime_h: Annotated[float, Field(gt=0)] = 24.0
    """After how long the venue ends a connection; its successor is dialled a little earlier."""
    history_lag_s: Annotated[float, Field(ge=0)] = 5.0
    """How long after a bar's end its history is not asked for yet, because it may lack the last trades."""
    silent_bars: Annotated[int, Field(ge=1)] = 5
    """After how many bars without data a topic is reported (at least a minute, at most an hour)."""


class KuCoinAdapter:
    """An `Adapter`."""

    def __init__(
        self, provider: Provider, venue: Venue, settings: Mapping[str, object], feeds: Sequence[str], endpoint: str = ""
    ) -> None:
        """Check settings and bar lengths; nothing is asked yet.

        Raises:
            ConfigError: a setting that there is not, or a bar length that the venue does not offer.
        """
        self.provider = provider
        self.settings = _read_settings(provider.name, settings)
        self.feeds = tuple(dict.fromkeys(feeds))
        self.instruments = {feed.instrument: Instrument.bare(feed.instrument) for feed in map(FeedId.parse, feeds)}
        self.clock: ClockOffset | None = None
        self.warnings: list[str] = []
        self._venue = venue
        self._endpoint = _read_endpoint(provider.name, endpoint or self.settings.endpoint or venue.endpoint)
        for feed in self.feeds:
            self._check_interval(FeedId.parse(feed))

    def _check_interval(self, feed: FeedId) -> None:
        offered = list(self._venue.intervals)
        if str(feed.interval) not in offered:
            shorter = [length for length in self.provider.intervals if length.divides(feed.interval)]
            hint = f"{max(shorter, key=lambda length: length.ns)} divides it. " if shorter else ""
            raise ConfigError(
                f"{self.provider.title} offers no {feed.interval} bars",
                where=str(feed),
                remedy=f"{hint}It offers: {' '.join(offered)}",
            )

    # -- before the first connection ----------------------------------------------------------------------

    def startup(self) -> list[Fetch]:
        """Return the requests for the venue's clock and its symbols."""
        paths = (TIMESTAMP_PATH, self._venue.symbols_path)
        return [Fetch(url=f"{self._endpoint}{path}", purpose=Purpose.STARTUP) for path in paths]

    def receive_startup(self, fetch: Fetch, answer: Answer) -> None:
        """Take the clock, or the symbols.

        Raises:
            ConfigError: a feed's symbol is not listed, or of a kind that cannot be accounted for.
            VenueError: the answer is an error.
        """
        if fetch.url.endswith(TIMESTAMP_PATH):
            self.clock = read_clock(answer)
            return
        listings = read_listings(self._venue, answer)
        self.instruments = {name: self._find(name, listings) for name in self.instruments}

    def _find(self, name: str, listings: Mapping[str, Listing]) -> Instrument:
        symbol = name.partition(":")[2]
        listing = listings.get(symbol)
        if listing is None:
            close = difflib.get_close_matches(symbol.upper(), listings, n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(close)}?" if close else "See the venue's list of markets"
            raise ConfigError(f"{self.provider.title} does not list {symbol!r}", where=name, remedy=hint)
        if listing.is_inverse:
            raise ConfigError(
                f"{symbol} is an inverse contract, whose value is counted in the coin itself; barbot cannot account so",
                where=name,
                remedy="Use the contract that is settled in USDT or USDC",
            )
        if not listing.is_trading:
            self.warnings.append(f"{name} is listed but not open for trading: there may be no data")
        return listing.instrument

    def plan(self, *, trades: Sequence[str] = (), quotes: Sequence[str] = ()) -> list[ConnectionPlan]:
        """Spread the topics of the run over as few connections as the limit allows."""
        name, most = self.provider.name, self.settings.topics_per_connection
        return spread(name, self.feeds, trades, quotes, topics_each=most)

    # -- each connection ----------------------------------------------------------------------------------

    def credentials(self, plan: ConnectionPlan) -> Fetch | None:
        """Return the request for a token: every connection needs a new one."""
        return Fetch(url=f"{self._endpoint}{TOKEN_PATH}", purpose=Purpose.CREDENTIALS, method="POST")

    def dial(self, plan: ConnectionPlan, name: str, answer: Answer | None, now: int, *, attempt: int = 0) -> Dial:
        """Return the address that came with the token, and the connection that knows its heartbeat.

        Raises:
            VenueError: there was no token, or no address that is safe to take it to.
        """
        if answer is None:
            raise VenueError("no token was fetched", retryable=True)
        token = read_token(answer, is_encrypted=self._endpoint.startswith("https://"))
        server = token.instance_servers[attempt % len(token.instance_servers)]
        query = urlencode({"token": token.token, "connectId": f"{name}-{now}"}, quote_via=quote, safe="")
        url = f"{server.endpoint}{'&' if '?' in server.endpoint else '?'}{query}"
        settings = self.settings
        session = Session(
            topics=tuple(topics_of(self._venue, plan)),
            endpoint=self._endpoint,
            ping_every_ns=max(server.ping_interval * MILLISECOND // 2, _LEAST_PING),
            ping_timeout_ns=max(server.ping_timeout * MILLISECOND, _LEAST_PING),
            welcome_timeout_ns=round(settings.welcome_timeout_s * SECOND),
            ack_timeout_ns=round(settings.ack_timeout_s * SECOND),
            history_lag_ns=round(settings.history_lag_s * SECOND),
            silent_bars=settings.silent_bars,
            retire_at=self._retire_at(plan, now),
        )
        return Dial(url, KuCoinConnection(self._venue, name, plan.feeds, session))

    def _retire_at(self, plan: ConnectionPlan, now: int) -> int:
        """Return the end of a connection that begins now: 15 minutes before 24 hours, each 30 s before the next."""
        lifetime = round(self.settings.connection_lifetime_h * HOUR)
        number = int(plan.name.rpartition("-")[2])
        return min(now + lifetime - lifetime // 96 - number % _POOL * (lifetime // 2_880), NEVER)

    def retry_after(self, fetch: Fetch, answer: Answer) -> float | None:
        """Return how many seconds to wait before asking again, None if the answer stands."""
        return retry_after(answer)


def _read_settings(provider: str, settings: Mapping[str, object]) -> KuCoinSettings:
    try:
        return KuCoinSettings.model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = list(KuCoinSettings.model_fields)
        if first["type"] != "extra_forbidden":
            raise ConfigError(first["msg"], where=f"{provider}.{key}", remedy="Correct the setting") from None
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        raise ConfigError(
            "there is no such setting", where=f"{provider}.{key}", remedy=f"{hint}There are: {', '.join(known)}"
        ) from None


def _read_endpoint(provider: str, text: str) -> str:
    endpoint = text.rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"{text!r} is not an address", where=f"{provider}.endpoint", remedy="Write https://HOST or http://HOST:PORT"
        )
    return endpoint
