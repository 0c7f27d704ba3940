"""The simulated KuCoin: its REST, its connections, its tokens. Floor 4.

    simulator = KuCoinSimulator(market, KuCoinSettings())
    status, headers, body = simulator.rest("POST", "/api/v1/bullet-public", {}, b"", now)
    session = simulator.open("token=...&connectId=1", now)

Every call is told the time. One port serves spot and futures: their topics and paths differ, their tokens are not
told apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qs

import msgspec

from barbot.errors import LinkLost, VenueError
from barbot.sim.chaos import Chaos
from barbot.sim.kucoin.encode import Encoder
from barbot.sim.kucoin.rest import Reply, Rest
from barbot.sim.kucoin.session import Ending, Session
from barbot.sim.kucoin.settings import KuCoinSettings
from barbot.sim.kucoin.streams import Venue
from barbot.sim.market import Market
from barbot.timing.interval import SECOND

_UNAUTHORISED: Final = 401
_TOO_MANY: Final = 509
_TOKEN_EXPIRED: Final = "token is expired"


class Token(NamedTuple):
    """What a bullet request gave out."""

    issued: int
    is_private: bool


class Connection:
    """A session as the outside sees it: the same calls in true time, whatever the venue's clock shows."""

    def __init__(self, session: Session, chaos: Chaos) -> None:
        """Wrap a session."""
        self._session = session
        self._chaos = chaos
        self._skew = 0

    @property
    def number(self) -> int:
        """Which connection this is, from 1 on."""
        return self._session.number

    @property
    def topics(self) -> Sequence[str]:
        """The topics that are subscribed, in order of subscription."""
        return self._session.topics

    @property
    def closing(self) -> tuple[int, str] | None:
        """Code and reason once the server closes; 1006: the connection is cut without a close frame."""
        return self._session.closing

    def receive(self, text: str | bytes, now: int) -> None:
        """Take in one message of the client."""
        self._session.receive(text, self._venue_time(now))

    def to_send(self, now: int) -> list[str]:
        """Return the messages that are due up to `now`, in order."""
        return self._session.to_send(self._venue_time(now))

    def next_deadline(self) -> int | None:
        """Return when there is next something to send or to do; None once it is closing."""
        deadline = self._session.next_deadline()
        return None if deadline is None else deadline - self._skew

    def _venue_time(self, now: int) -> int:
        self._skew = self._chaos.skew(now)
        return now + self._skew


class KuCoinSimulator:
    """A KuCoin without a socket."""

    def __init__(self, market: Market, settings: KuCoinSettings | None = None, chaos: Chaos | None = None) -> None:
        """Serve `market`; `chaos` says what goes wrong."""
        self.market = market
        self.settings = settings or KuCoinSettings()
        self.chaos = chaos or Chaos(seed=self.settings.seed)
        self._encoder = Encoder(self.settings.seed, shuffles=self.settings.shuffles_keys)
        self._venue = Venue(market, self.settings, self.chaos, self._encoder)
        self._tokens: dict[str, Token] = {}
        self._rest = Rest(self._venue, self._issue)
        self._opened = 0
        self._sessions: list[Session] = []

    def serve_at(self, endpoint: str) -> None:
        """Send clients to `endpoint` from now on (`ws://127.0.0.1:8080/endpoint`)."""
        self.settings = msgspec.structs.replace(self.settings, endpoint=endpoint)
        self._rest.endpoint = endpoint

    def venue_time(self, now: int) -> int:
        """Return what the venue's clock shows at the true time `now`."""
        return now + self.chaos.skew(now)

    def is_down(self, now: int) -> bool:
        """Whether no connection is accepted."""
        return self.chaos.is_down(self.venue_time(now))

    def delay(self, now: int) -> int:
        """Return by how many ns an answer is to be sent later than it could be."""
        return self.chaos.delay(self.venue_time(now))

    def rest(self, method: str, target: str, headers: Mapping[str, str], body: bytes, now: int) -> Reply:
        """Answer a request; the names of `headers` are in lower case.

        Raises:
            LinkLost: nobody answers, during an outage.
        """
        ts = self.venue_time(now)
        self._check_up(ts)
        return self._rest.answer(method, target, headers, body, ts)

    def open(self, query: str, now: int) -> Connection:
        """Open a connection for the query of its URL: `token`, `connectId`; what else there is counts nothing.

        Raises:
            LinkLost: nobody answers, during an outage.
            VenueError: the connection is refused with the HTTP status that is its code.
        """
        ts = self.venue_time(now)
        self._check_up(ts)
        given = parse_qs(query)
        name = given.get("token", [""])[0]
        token = self._tokens.get(name)
        refusal = self._refusal(token, ts)
        if refusal is not None and refusal[0] == _UNAUTHORISED and self.settings.refuses_by_http:
            raise VenueError(refusal[1], code=str(_UNAUTHORISED))
        return self._open(token or Token(ts, False), given.get("connectId", [""])[0], ts, refusal)

    def _refusal(self, token: Token | None, ts: int) -> tuple[int, str] | None:
        """Return why a connection with that token is told to go away, None if it may stay."""
        if token is None:
            return _UNAUTHORISED, "token is invalid"
        if self._is_void(token, ts):
            return _UNAUTHORISED, _TOKEN_EXPIRED
        self._sessions = [session for session in self._sessions if not session.closing]
        most = self.settings.max_connections
        return (_TOO_MANY, f"exceed max session count limitation of {most}") if len(self._sessions) >= most else None

    def _open(self, token: Token, connect_id: str, ts: int, refusal: tuple[int, str] | None) -> Connection:
        self._opened += 1
        number = self._opened
        session = Session(
            self._venue,
            number,
            connect_id,
            ts,
            is_private=token.is_private,
            ending=lambda after: self._ending(number, token, after),
            refusal=refusal,
        )
        if refusal is None:
            self._sessions.append(session)
        return Connection(session, self.chaos)

    def _ending(self, number: int, token: Token, after: int) -> Ending | None:
        """Return when a connection ends without its doing: cut, or with its token."""
        cut = self.chaos.next_cut(number, after)
        expiry = self.chaos.next_expiry(after)
        if self.settings.ends_with_token:
            end = token.issued + round(self.settings.token_lifetime_s * SECOND)
            expiry = end if expiry is None else min(end, expiry)
        if expiry is not None and (cut is None or expiry < cut):
            return Ending(expiry, _TOKEN_EXPIRED)
        return None if cut is None else Ending(cut)

    def _issue(self, now: int, is_private: bool) -> str:
        """Make a token; forget those that are long void."""
        word = self._encoder.word
        name = f"{word(146)}==.{word(80)}"
        lifetime = round(self.settings.token_lifetime_s * SECOND)
        if len(self._tokens) >= 1000:
            self._tokens = {n: token for n, token in self._tokens.items() if token.issued + 2 * lifetime > now}
        self._tokens[name] = Token(now, is_private)
        return name

    def _is_void(self, token: Token, now: int) -> bool:
        end = token.issued + round(self.settings.token_lifetime_s * SECOND)
        return now >= end or token.issued < self.chaos.tokens_void(now)

    def _check_up(self, ts: int) -> None:
        if self.chaos.is_down(ts):
            raise LinkLost("the venue is down")
