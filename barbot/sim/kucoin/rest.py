"""What the simulated KuCoin answers over HTTP: which path leads where, quotas, tokens. Floor 4.

An answer is HTTP 200 with a `code`; anything but `"200000"` there is an error. Market data are in `answers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

from barbot.errors import VenueError
from barbot.sim.kucoin import answers
from barbot.sim.kucoin.encode import Encoder
from barbot.sim.kucoin.settings import Json, KuCoinSettings
from barbot.sim.kucoin.signing import check_signature
from barbot.sim.kucoin.streams import Venue
from barbot.timing.interval import SECOND

SUCCESS: Final = "200000"
_QUOTA_SPAN: Final = 30 * SECOND
_MILLISECOND: Final = 1_000_000

Query: TypeAlias = Mapping[str, str]
Answer: TypeAlias = Callable[[Venue, Query, int], Json]


class Reply(NamedTuple):
    """An HTTP answer; the connection stays open."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Route(NamedTuple):
    """An answer and its weight."""

    answer: Answer
    weight: int


ROUTES: Final[Mapping[str, Route]] = {
    "/api/v1/timestamp": Route(answers.timestamp, 0),
    "/api/v1/status": Route(answers.status, 3),
    "/api/v1/symbols": Route(answers.symbols, 4),
    "/api/v2/symbols": Route(answers.symbols, 4),
    "/api/v3/currencies": Route(answers.currencies, 3),
    "/api/v1/market/candles": Route(answers.candles, 3),
    "/api/v1/market/histories": Route(answers.histories, 3),
    "/api/v1/market/orderbook/level1": Route(answers.level1, 2),
    "/api/v1/market/stats": Route(answers.stats, 15),
    "/api/v1/market/allTickers": Route(answers.all_tickers, 15),
    "/api/v1/kline/query": Route(answers.futures_candles, 3),
    "/api/v1/contracts/active": Route(answers.contracts, 3),
}
"""What GET finds; a timestamp costs nothing here, since its replies carry no quota headers."""

_BELOW: Final[Mapping[str, Route]] = {
    "/api/v2/symbols/": Route(answers.symbol, 4),
    "/api/v1/contracts/": Route(answers.contract, 3),
}
"""Paths whose last part is a symbol."""

_CANDLES: Final = ("/api/v1/market/candles", "/api/v1/kline/query")
_BULLETS: Final = ("/api/v1/bullet-public", "/api/v1/bullet-private")
_BULLET_WEIGHT: Final = 10
_NOT_FOUND: Final = b'{"code":"404","msg":"Not Found","retry":false,"success":false}'
_REFUSALS: Final = {
    200: ("400100", "This service is currently unavailable."),
    403: ("400302", "Our services are currently unavailable in your region."),
    429: ("429000", "Too many requests in a short period of time, please retry later."),
    500: ("500000", "Internal Server Error"),
}


class Quota:
    """The weight that is left in one pool; it is full again every 30 s."""

    def __init__(self, limit: int) -> None:
        """Begin full."""
        self._limit = limit
        self._used = 0
        self._ends = 0

    def spend(self, weight: int, now: int) -> bool:
        """Use some weight; False if it is not there."""
        if now >= self._ends:
            self._used, self._ends = 0, now + _QUOTA_SPAN
        if self._used + weight > self._limit:
            return False
        self._used += weight
        return True

    def headers(self, now: int) -> list[tuple[str, str]]:
        """Return what a counted reply says of it."""
        return [
            ("gw-ratelimit-limit", str(self._limit)),
            ("gw-ratelimit-remaining", str(self._limit - self._used)),
            ("gw-ratelimit-reset", str(max(self._ends - now, 0) // _MILLISECOND)),
        ]


class Rest:
    """The HTTP side of the venue."""

    def __init__(self, venue: Venue, issue: Callable[[int, bool], str]) -> None:
        """Answer for `venue`; `issue` makes a token at a time, for private use or not."""
        self.endpoint = venue.settings.endpoint
        self._venue = venue
        self._settings: KuCoinSettings = venue.settings
        self._encoder: Encoder = venue.encoder
        self._issue = issue
        self._quota = Quota(venue.settings.public_quota)

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes, now: int) -> Reply:
        """Answer one request."""
        path, _, asked = target.partition("?")
        query = dict(parse_qsl(asked, keep_blank_values=True))
        if method == "POST" and path in _BULLETS:
            return self._counted(_BULLET_WEIGHT, now, lambda: self._bullet(path, target, headers, body, now))
        route = ROUTES.get(path)
        if route is None:
            stem, _, name = path.rpartition("/")
            route, query["symbol"] = _BELOW.get(f"{stem}/"), name
        if route is None or method != "GET":
            return _reply(404, _NOT_FOUND)
        if path in _CANDLES and self._venue.chaos.refuses_history(now):
            return self._refusal(self._settings.refusal_status)
        answer = route.answer
        if not route.weight:
            return self._say(lambda: answer(self._venue, query, now))
        return self._counted(route.weight, now, lambda: answer(self._venue, query, now))

    def _bullet(self, path: str, target: str, headers: Mapping[str, str], body: bytes, now: int) -> Json:
        is_private = path.endswith("private")
        if is_private:
            check_signature(self._settings.accounts, "POST", target, headers, body, now)
        server: Json = {
            "endpoint": self.endpoint,
            "encrypt": self._settings.encrypt,
            "protocol": "websocket",
            "pingInterval": self._settings.ping_interval_ms,
            "pingTimeout": self._settings.ping_timeout_ms,
        }
        return {"token": self._issue(now, is_private), "instanceServers": [server]}

    def _counted(self, weight: int, now: int, answer: Callable[[], Json]) -> Reply:
        reply = self._say(answer) if self._quota.spend(weight, now) else self._refusal(429)
        reply.headers.extend(self._quota.headers(now))
        return reply

    def _say(self, answer: Callable[[], Json]) -> Reply:
        try:
            return _reply(200, self._encoder.encode({"code": SUCCESS, "data": answer()}))
        except VenueError as error:
            refusal: dict[str, Json] = {"code": error.code, "msg": str(error).partition(": ")[2]}
            return _reply(400 if error.code.startswith("40000") else 200, self._encoder.encode(refusal))

    def _refusal(self, status: int) -> Reply:
        code, text = _REFUSALS[status]
        return _reply(status, self._encoder.encode({"code": code, "msg": text}))


def _reply(status: int, body: bytes) -> Reply:
    return Reply(status, [("content-type", "application/json")], body)
