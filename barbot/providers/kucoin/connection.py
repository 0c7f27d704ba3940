"""One connection to KuCoin: the decoder of its frames, and what is to be sent and waited for. Floor 3.

    phase         waits for              left by
    OFF           the link               `connection_made` -> GREETING
    GREETING      the welcome            welcome -> SUBSCRIBING; its deadline -> LinkLost
    SUBSCRIBING   acks, pongs            the last ack -> READY; the deadline of one -> LinkLost
    READY         pongs                  the deadline of one -> LinkLost
    GONE          nothing                (entered by `connection_lost` from anywhere)

Whether the connection is ready follows from its acks alone, in whatever phase, so a decoder that is only fed the
frames of a journal (it stays OFF) tells `Connected` at the same frame. Pushes before that are held until then: the
events of a connection begin with its `Connected`.
"""

from __future__ import annotations

import enum
import re
from collections import Counter, deque
from typing import Final

import msgspec

from barbot.errors import DecodeError, LinkLost
from barbot.model.instrument import FeedId
from barbot.model.market import Connected, Heartbeat, MarketEvent
from barbot.providers.base import NEVER, Effect, Fetch, Problem
from barbot.providers.kucoin.history import PageCollector, Span, page_fetches
from barbot.providers.kucoin.messages import Control, Route, read_control, read_envelope, route_of
from barbot.providers.kucoin.topics import subscribe_requests
from barbot.providers.kucoin.venue import MESSAGE_LIMIT, Kind, Venue
from barbot.providers.limits import RateLimit, RateLimiter
from barbot.timing.interval import HOUR, MINUTE, SECOND
from barbot.wire.journal import Fetched

_REQUEST_ID: Final = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})", re.ASCII)
_MOST_ROUTES: Final = 4_096
_MOST_HELD: Final = 10_000
_MOST_PROBLEMS: Final = 100
_LONGEST_TEXT: Final = 160


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What a live connection needs beyond its name and feeds."""

    topics: tuple[str, ...]
    endpoint: str
    """Of HTTP, for history."""
    ping_every_ns: int = 9 * SECOND
    ping_timeout_ns: int = 10 * SECOND
    welcome_timeout_ns: int = 5 * SECOND
    ack_timeout_ns: int = 10 * SECOND
    message_limit: RateLimit = MESSAGE_LIMIT
    history_lag_ns: int = 5 * SECOND
    """How long after a bar's end HTTP may still lack its last trades: it is not asked earlier."""
    silent_bars: int = 5
    retire_at: int = NEVER


class Phase(enum.Enum):
    """How far a connection is; see the table above."""

    OFF = "off"
    GREETING = "greeting"
    SUBSCRIBING = "subscribing"
    READY = "ready"
    GONE = "gone"


_NO_SESSION: Final = Session(topics=(), endpoint="")


class KuCoinConnection:
    """A `VenueConnection`; with no session, a decoder."""

    def __init__(self, venue: Venue, name: str, feeds: tuple[str, ...] = (), session: Session = _NO_SESSION) -> None:
        """Wait for the link; nothing is sent yet."""
        self.name = name
        self.feeds = feeds
        self.phase = Phase.OFF
        self.is_ready = False
        self.opening: list[str | bytes] = []
        self.problems: list[Problem] = []
        self.skipped: Counter[str] = Counter()
        """Messages that say nothing about a market and are not part of the protocol, by kind."""
        self.retire_at = session.retire_at
        self.round_trip_ns: int | None = None
        """From the last ping to its pong."""
        self._venue = venue
        self._session = session
        self._routes = {topic: self._route(topic) for topic in session.topics}
        self._wanted = list(self._routes.values())
        self._held: deque[str | bytes] = deque(maxlen=_MOST_HELD)
        self._acked: set[int] = set()
        self._history = PageCollector(venue)
        self._asked: dict[Span, deque[Fetch]] = {}
        self._fetches: list[Fetch] = []
        self._waiting: list[tuple[int, Fetch]] = []
        """First pages that may not be fetched yet, and when they may."""
        self._outbox: list[str | bytes] = []
        self._unsent: deque[str] = deque()
        self._sent = 0
        self._limiter = RateLimiter(session.message_limit)
        self._pings = 0
        self._awaited: deque[tuple[str, int]] = deque()
        self._welcome_by = self._ack_by = self._send_at = self._ping_at = self._pong_by = NEVER
        self._deadline = NEVER
        self._is_still = False
        """Whether it was told that all topics are silent."""

    # -- what arrives -------------------------------------------------------------------------------------

    def receive_frame(self, frame: str | bytes, now: int) -> list[MarketEvent]:
        """Decode one incoming frame.

        Raises:
            DecodeError: not JSON, no object, or a push whose data is not what its topic promises.
        """
        try:
            push = read_envelope(frame)
            if push.type != "message":
                return self._control(frame, now)
            route = self._routes.get(push.topic) or self._new_route(push.topic)
            event = route.decode(route, push, now)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            problem, _, where = str(error).partition(" - at ")
            raise DecodeError(f"not a message of KuCoin's: {problem}", frame=frame, where=where) from None
        route.heard = now
        if not self.is_ready:
            self._held.append(frame)
            return []
        if event is None:
            self._skip("no price" if route.kind is Kind.QUOTES else "other topic", now)
            return [Heartbeat(self.name, now)]
        return [event]

    def receive_fetched(self, record: Fetched, now: int) -> list[MarketEvent]:
        """Take a page of candles; the last one of a span gives the `HistoryBars`, with an error where it is one.

        Raises:
            DecodeError: what was fetched is no page of candles, or those before it are missing.
        """
        page, bars = self._history.receive(record, now)
        if bars is not None:
            self._asked.pop(page.span, None)
            return [bars]
        pages = self._asked.get(page.span)
        if pages:
            self._fetches.append(pages.popleft())
        return []

    def _control(self, frame: str | bytes, now: int) -> list[MarketEvent]:
        message = read_control(frame)
        if message.type == "ack":
            return self._ack(message, frame, now)
        if message.type == "pong":
            self._pong(message, now)
        elif message.type == "welcome":
            self._welcome(frame, now)
        elif message.type == "error":
            self._error(message, now)
        else:
            self._skip(message.type if message.type in ("notice", "command") else "unknown type", now)
        return [Heartbeat(self.name, now)] if self.is_ready else []

    def _ack(self, message: Control, frame: str | bytes, now: int) -> list[MarketEvent]:
        match = _REQUEST_ID.fullmatch(str(message.id))
        if match is not None and not self.is_ready and self.phase is not Phase.GONE:
            number, count = int(match[1]), int(match[2])
            if number <= count and number not in self._acked:
                self._acked.add(number)
                self.opening.append(frame)
                self._plan_acks(now)
            if len(self._acked) >= count:
                return self._become_ready(now)
        return [Heartbeat(self.name, now)] if self.is_ready else []

    def _become_ready(self, now: int) -> list[MarketEvent]:
        self.is_ready = True
        if self.phase is Phase.SUBSCRIBING:
            self.phase = Phase.READY
        for route in self._wanted:
            route.heard = now
        events: list[MarketEvent] = [Connected(self.name, now, self.feeds)]
        held = list(self._held)
        self._held.clear()
        for frame in held:
            events += self.receive_frame(frame, now)  # each was decoded when it came: it does not raise
        return events

    def _welcome(self, frame: str | bytes, now: int) -> None:
        if self.phase is not Phase.GREETING:
            return
        self.phase = Phase.SUBSCRIBING
        self.opening.append(frame)
        self._welcome_by = NEVER
        self._ping_at = now + self._session.ping_every_ns
        self._unsent.extend(subscribe_requests(self._session.topics))
        self._pump(now)

    def _pong(self, message: Control, now: int) -> None:
        """Settle the ping of that id and those before it; a pong that answers none of ours settles nothing."""
        if not any(ping == message.id for ping, _ in self._awaited):
            return
        while True:
            ping, sent = self._awaited.popleft()
            if ping == message.id:
                break
        self.round_trip_ns = now - sent
        self._pong_by = self._awaited[0][1] + self._session.ping_timeout_ns if self._awaited else NEVER
        self._plan()

    def _error(self, message: Control, now: int) -> None:
        code, text = str(message.code), str(message.data)
        is_ours = not self.is_ready or _REQUEST_ID.fullmatch(str(message.id)) is not None
        self._tell(now, effect_of(code, text, is_ours=is_ours), code, text)

    def _skip(self, kind: str, now: int) -> None:
        """Count what is of no use here, and tell of each kind once."""
        self.skipped[kind] += 1
        if self.skipped[kind] == 1:
            self._tell(now, Effect.NOTE, "skipped", f"a message that is of no use here: {kind}")

    def _tell(self, now: int, effect: Effect, code: str, text: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:  # nobody empties the list of a decoder
            line = " ".join(text.split())[:_LONGEST_TEXT]
            self.problems.append(Problem(self.name, now, effect, code, line))

    def _route(self, topic: str) -> Route:
        bars = self._session.silent_bars
        return route_of(self._venue, topic, silent_bars=bars, least_ns=MINUTE, most_ns=HOUR)

    def _new_route(self, topic: str) -> Route:
        route = self._route(topic)
        if len(self._routes) < _MOST_ROUTES:
            self._routes[topic] = route
        return route

    # -- the link -----------------------------------------------------------------------------------------

    def connection_made(self, now: int) -> None:
        """Wait for the welcome."""
        self.phase = Phase.GREETING
        self._welcome_by = now + self._session.welcome_timeout_ns
        self._plan()

    def connection_lost(self, now: int) -> None:
        """Forget what was to be sent, fetched and waited for."""
        self.phase = Phase.GONE
        self.is_ready = False
        self._outbox.clear()
        self._unsent.clear()
        self._fetches.clear()
        self._waiting.clear()
        self._asked.clear()
        self._held.clear()
        self._welcome_by = self._ack_by = self._send_at = self._ping_at = self._pong_by = NEVER
        self._plan()

    def frames_to_send(self) -> list[str | bytes]:
        """Return what is to be sent now, once each."""
        frames = self._outbox
        if frames:
            self._outbox = []
        return frames

    def fetches_to_make(self) -> list[Fetch]:
        """Return the pages of history to be fetched now, once each; the next one follows when one is in."""
        fetches = self._fetches
        if fetches:
            self._fetches = []
        return fetches

    def ask_history(self, feed: str, ts_from: int, ts_to: int, now: int) -> None:
        """Fetch the candles that open within `[ts_from, ts_to)`, the running one among them.

        Just after a bar's end it waits a little: the venue's HTTP lags its stream.
        """
        span = Span(feed, ts_from, ts_to)
        if span in self._asked or self.phase is Phase.GONE:
            return
        self._asked[span] = deque(page_fetches(self._venue, self._session.endpoint, span))
        newest_end = self._venue.grid(FeedId.parse(feed).interval).floor(ts_to) or 0
        self._waiting.append((newest_end + self._session.history_lag_ns, self._asked[span].popleft()))
        self._release_fetches(now)
        self._plan()

    # -- deadlines ----------------------------------------------------------------------------------------

    def next_deadline(self) -> int:
        """Return when something is due next."""
        return self._deadline

    def handle_deadline(self, now: int) -> None:
        """Send the ping or the requests that are due, and look for topics that have fallen silent.

        Raises:
            LinkLost: welcome, ack or pong did not come in time.
        """
        session = self._session
        for due, what, allowed in (
            (self._welcome_by, "no welcome", session.welcome_timeout_ns),
            (self._ack_by, "a subscription was not acknowledged", session.ack_timeout_ns),
            (self._pong_by, "no pong", session.ping_timeout_ns),
        ):
            if now >= due:
                raise LinkLost(f"{what} in {allowed / SECOND:g} s")
        if now >= self._ping_at:
            self._ping(now)
            self._listen(now)
        if now >= self._send_at:
            self._pump(now)
        self._release_fetches(now)
        self._plan()

    def _release_fetches(self, now: int) -> None:
        if self._waiting:
            self._fetches += [fetch for due, fetch in self._waiting if due <= now]
            self._waiting = [(due, fetch) for due, fetch in self._waiting if due > now]

    def _ping(self, now: int) -> None:
        """Send a ping, whatever the limit says: it counts, and ours leaves room for it under the venue's."""
        self._pings += 1
        ping = f"p{self._pings}"
        self._awaited.append((ping, now))
        self._pong_by = min(self._pong_by, now + self._session.ping_timeout_ns)
        self._ping_at = now + self._session.ping_every_ns
        self._send(f'{{"id":"{ping}","type":"ping"}}', now)

    def _pump(self, now: int) -> None:
        """Send as many of the waiting requests as the limit allows."""
        self._send_at = NEVER
        while self._unsent:
            free_at = self._limiter.free_at(now)
            if free_at > now:
                self._send_at = free_at
                break
            self._send(self._unsent.popleft(), now)
            self._sent += 1
        self._plan_acks(now)

    def _send(self, frame: str, now: int) -> None:
        self._limiter.take(now)
        self._outbox.append(frame)

    def _plan_acks(self, now: int) -> None:
        self._ack_by = now + self._session.ack_timeout_ns if len(self._acked) < self._sent else NEVER
        self._plan()

    def _plan(self) -> None:
        fetch_at = min((due for due, _ in self._waiting), default=NEVER)
        self._deadline = min(self._welcome_by, self._ack_by, self._send_at, self._ping_at, self._pong_by, fetch_at)

    def _listen(self, now: int) -> None:
        """Tell of topics without data: an unknown symbol is acknowledged like any other, and silent."""
        if not self.is_ready or not self._wanted:
            return
        stillness = now - max(route.heard for route in self._wanted)
        for route in self._wanted:
            silence = now - route.heard
            if silence < route.silence_ns:
                route.is_told = False
            elif stillness < route.silence_ns and not route.is_told:
                route.is_told = True
                what = f"no {route.kind.value} of {route.target} for {silence // MINUTE} min while others flow"
                self._tell(now, Effect.NOTE, "silent", f"{what}: a quiet market, or one that is not traded")
        is_still = stillness >= min(route.silence_ns for route in self._wanted)
        if is_still and not self._is_still:
            which = self._wanted[0].target if len(self._wanted) == 1 else f"any of {len(self._wanted)} topics"
            self._tell(now, Effect.NOTE, "silent", f"no data of {which} for {stillness // MINUTE} min, but pongs")
        self._is_still = is_still


def effect_of(code: str, text: str, *, is_ours: bool) -> Effect:
    """Return what an `error` message asks for; `is_ours` says that it is about one of our subscriptions."""
    if "subscription count" in text:
        return Effect.STOP  # more topics than the venue allows: the next connection would ask for as many
    if code in ("401", "500", "509") or (code == "400" and ("ping timeout" in text or "exceed max" in text)):
        return Effect.DROP
    if is_ours and code in ("400", "403", "404", "406"):
        return Effect.STOP
    return Effect.NOTE
