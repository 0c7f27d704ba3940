"""What can be set on a simulated KuCoin; the defaults are what the real one does. Floor 4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from barbot.errors import ConfigError
from barbot.timing.interval import Interval

SPOT_TYPES: Final[Mapping[str, Interval]] = {
    "1min": Interval(1, "m"),
    "3min": Interval(3, "m"),
    "5min": Interval(5, "m"),
    "15min": Interval(15, "m"),
    "30min": Interval(30, "m"),
    "1hour": Interval(1, "h"),
    "2hour": Interval(2, "h"),
    "4hour": Interval(4, "h"),
    "6hour": Interval(6, "h"),
    "8hour": Interval(8, "h"),
    "12hour": Interval(12, "h"),
    "1day": Interval(1, "d"),
    "1week": Interval(1, "w"),
    "1month": Interval(1, "M"),
}
"""How KuCoin spells bar lengths."""

FUTURES_TYPES: Final[Mapping[str, Interval]] = {
    name: interval for name, interval in SPOT_TYPES.items() if name != "6hour"
}
GRANULARITIES: Final[Mapping[int, Interval]] = dict(
    zip((1, 3, 5, 15, 30, 60, 120, 240, 480, 720, 1440, 10080, 43200), FUTURES_TYPES.values(), strict=True)
)
"""How the REST of the futures spells them: in minutes."""

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class Account(msgspec.Struct, frozen=True):
    """What a signed request must be signed with."""

    secret: str
    passphrase: str


class KuCoinSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The behaviour of a simulated KuCoin. Times in the unit of their name; chances are fractions."""

    seed: int = 0
    endpoint: str = "ws://127.0.0.1:0/endpoint"
    """Where clients are sent; the server shell puts its own address here."""
    encrypt: bool | None = None
    """In the bullet reply. The real one says true; python-kucoin needs null for a `ws://` endpoint."""
    ping_interval_ms: int = 18_000
    ping_timeout_ms: int = 10_000
    idle_s: float = 60.0
    """Without a message of the client for so long: error, then close 1000 `Bye`."""
    token_lifetime_s: float = 86_400.0
    ends_with_token: bool = True
    """Whether a connection ends with the token that it was made with."""
    refuses_by_http: bool = False
    """An expired token is answered with HTTP 401 instead of a connection that says so and ends."""
    accounts: Mapping[str, Account] = {}
    """By API key; who may ask for a private token."""
    max_connections: int = 800
    messages_per_10_s: int = 100
    topics_per_request: int = 100
    topics_per_connection: int = 400
    ack_delay_s: tuple[float, float] = (0.1, 0.2)
    late_ack_chance: float = 0.1
    """How often an ack takes a second longer, so that data comes before it."""
    candle_period_s: float = 1.0
    candle_delay_s: float = 0.9
    """A push tells of trades at least this old."""
    trade_delay_s: float = 0.04
    ticker_period_s: float = 0.1
    fills_empty_periods: bool = True
    """Whether an `add` comes for each period without trades, when the next trade has come."""
    late_update_s: float = 0.4
    """How long after the first word on a candle a late last word on the one before comes."""
    rest_delay_s: float = 1.0
    """How far candles over REST lie behind the trades."""
    end_is_included: bool = True
    """Whether a candle that starts at endAt is in the reply; sources differ."""
    public_quota: int = 2_000
    """Weight per 30 s of the public pool."""
    refusal_status: int = 500
    """What `history_refused` answers: 429, 403, 500, or 200 with an error code."""
    shuffles_keys: bool = True

    def __post_init__(self) -> None:
        if min(self.candle_period_s, self.ticker_period_s, self.idle_s, self.token_lifetime_s) <= 0:
            raise ConfigError("periods, idle_s and token_lifetime_s must be above 0", where="KuCoinSettings")
        if self.refusal_status not in (200, 403, 429, 500):
            raise ConfigError(
                f"refusal_status {self.refusal_status} is not simulated",
                where="KuCoinSettings",
                remedy="Give 200, 403, 429 or 500",
            )
