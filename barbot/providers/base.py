"""What a provider declares, what a live run drives it by, and how it is found. Floor 3.

A provider is a record, not a class to inherit from: it says what its venue does, and the engine, the
simulator and `barbot providers` go by that. Its codec is a `Decoder`: an object per connection that turns
frames into market events, sans I/O. Past it there is only `ts_open` in UTC nanoseconds.

A provider that can be run live also makes an `Adapter`, once a run, which plans connections and gives each a
`VenueConnection`: its decoder, with the state machine that says what to send, fetch and wait for. None of them
reads a socket or asks the time; the order in which a driver calls them is written at `VenueConnection`.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Protocol, TypeAlias

import msgspec

from barbot.errors import ConfigError
from barbot.model.instrument import Instrument
from barbot.model.market import MarketEvent
from barbot.providers.limits import RateLimit
from barbot.timing.interval import MONDAY, Interval
from barbot.wire.journal import Fetched

ENTRY_POINTS: Final = "barbot.providers"
"""The entry-point group of providers in other packages: `name = "package.module:PROVIDER"`."""

NEVER: Final = 2**63 - 1
"""A deadline that does not come."""

_BUILT_IN: Final = {
    "native": "barbot.providers.native:PROVIDER",
    "native-history": "barbot.providers.native:HISTORY",
    "native-trades": "barbot.providers.native:TRADES",
    "kucoin": "barbot.providers.kucoin:PROVIDER",
    "kucoin-futures": "barbot.providers.kucoin:FUTURES",
}


class Sends(enum.Enum):
    """What a venue streams."""

    TRADES = "trades"
    CANDLES = "candles"
    BOTH = "trades and candles"


class LabelSide(enum.Enum):
    """Which end of a bar the venue's label names."""

    OPEN = "open"
    CLOSE = "close"


class Silence(enum.Enum):
    """What a venue sends for an interval without trades."""

    FLAT = "flat candles, on time"
    LATE = "flat candles, with the next trade"
    NOTHING = "nothing"


class Grace(msgspec.Struct, frozen=True):
    """How long after its end a bar is kept open: `initial_s` at first, then learned within the bounds."""

    minimum_s: float = 0.5
    initial_s: float = 2.0
    maximum_s: float = 10.0


class Decoder(Protocol):
    """The codec of one connection. A fresh one is made for each, so it may keep state.

    Both methods return the events in the order in which they are to happen, each with `ts_recv` = `now`. A
    frame that says nothing about a market is a `Heartbeat`: it proves that the connection is alive.
    """

    def receive_frame(self, frame: str | bytes, now: int) -> list[MarketEvent]:
        """Decode one incoming frame, text as `str`, binary as `bytes`.

        Raises:
            DecodeError: it is not what the venue says it sends; the next frame may be given all the same.
        """
        ...

    def receive_fetched(self, record: Fetched, now: int) -> list[MarketEvent]:
        """Decode what was fetched over HTTP for this connection: history, mostly.

        Raises:
            DecodeError: the body is not what the venue says it answers.
        """
        ...


DecoderFactory: TypeAlias = Callable[[str, tuple[str, ...]], Decoder]
"""Makes the decoder of a connection from its name and its feeds."""


class Purpose(enum.Enum):
    """What something is fetched for."""

    STARTUP = "startup"
    """Before any connection: the venue's clock, its symbols."""
    CREDENTIALS = "credentials"
    """Right before a connection; the answer may hold a secret."""
    HISTORY = "history"
    """For a connection that is up; its decoder turns the answer into market events."""


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request to make. Its fragment (after `#`) is for the decoder: recorded, and never sent."""

    url: str
    purpose: Purpose
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""

    @property
    def is_recorded(self) -> bool:
        """Whether the exchange goes into the journal: if and only if market events are made of it."""
        return self.purpose is Purpose.HISTORY


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. Status 0: nothing did, and `body` says why in one line. Header names are lower case."""

    status: int
    body: str | bytes
    headers: Mapping[str, str] = {}
    ts_sent: int = 0
    ts_recv: int = 0


class Effect(enum.Enum):
    """What a driver does about a problem besides telling it."""

    NOTE = "note"
    """Nothing."""
    DROP = "drop"
    """Drop the connection and dial again: it is of no more use."""
    STOP = "stop"
    """End the run: dialling again would not help."""


class Problem(msgspec.Struct, frozen=True):
    """What a venue complained of, or what is odd about it. A value: the connection goes on unless `effect` says so."""

    connection: str
    ts: int
    effect: Effect
    code: str
    text: str
    """One line, for people."""


class VenueConnection(Decoder, Protocol):
    """One connection to a venue: its decoder, and what is to be sent, fetched and waited for. Never used twice.

    A driver calls `connection_made`, then `receive_frame` and `receive_fetched` as things arrive, and
    `handle_deadline` when `next_deadline` has come and all that arrived was handed over; `connection_lost` at the
    end. After each of these calls it sends `frames_to_send`, makes `fetches_to_make` and takes `problems` out.

    Market events come from what arrived and from nothing else, so that the journal's frames and fetched bodies,
    given to a decoder that knows but name and feeds, make the same events again.
    """

    name: str
    """As in the journal and in events."""
    feeds: tuple[str, ...]
    problems: list[Problem]
    """What to tell people, oldest first; whoever reads it empties it."""
    is_ready: bool
    """Whether all subscriptions stand, so that an older connection for the same feeds may go."""
    opening: list[str | bytes]
    """The frames that made it ready: a journal that begins in the middle repeats them after its connect record."""
    retire_at: int
    """When to dial its successor, ahead of an end that the venue imposes; `NEVER` where it imposes none."""

    def connection_made(self, now: int) -> None:
        """Note that the link is up, its handshakes done."""
        ...

    def frames_to_send(self) -> list[str | bytes]:
        """Return what is to be sent now, in order, once each."""
        ...

    def fetches_to_make(self) -> list[Fetch]:
        """Return what is to be fetched now for this connection, once each.

        The answer that stands, after the retries that the adapter advises, is made a journal record and given to
        `receive_fetched`; that of a lost connection is thrown away.
        """
        ...

    def next_deadline(self) -> int:
        """Return when `handle_deadline` is to be called; asked after every frame, so it must cost nothing."""
        ...

    def handle_deadline(self, now: int) -> None:
        """Do what is due.

        Raises:
            LinkLost: the peer must be taken for dead.
        """
        ...

    def ask_history(self, feed: str, ts_from: int, ts_to: int, now: int) -> None:
        """Ask the venue for the bars of `[ts_from, ts_to)`, by frame or fetch; one `HistoryBars` will answer.

        It says why when the venue gives none. Asked again for what it is being asked, it does nothing.
        """
        ...

    def connection_lost(self, now: int) -> None:
        """Note that the link is gone; nothing is sent, fetched or waited for any more."""
        ...


class ConnectionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection is to serve: feeds, and the instruments whose trades and quotes are wanted as well."""

    name: str
    feeds: tuple[str, ...]
    trades: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()


class Dial(msgspec.Struct, frozen=True):
    """Where to connect, and the connection that then speaks. The scheme says how: ws, wss, tcp, tls.

    The URL may hold a secret: the journal takes it out, logs must not show it.
    """

    url: str
    connection: VenueConnection
    headers: tuple[tuple[str, str], ...] = ()


class ClockOffset(msgspec.Struct, frozen=True):
    """How far the venue's clock is ahead of ours, and how far from that the truth may be, in ns."""

    ns: int
    uncertainty_ns: int


class Adapter(Protocol):
    """One venue in one run: what to ask first, how to spread the feeds, where to connect.

    A driver makes the `startup` fetches and hands in each answer, then asks for the `plan`. For every connection,
    and again for every new attempt, it makes the `credentials` fetch if there is one and calls `dial`.
    """

    provider: Provider
    instruments: dict[str, Instrument]
    """Instrument id to instrument, of the run's feeds: as the startup answers told, bare ones before."""
    clock: ClockOffset | None
    """As the last answer told that names the venue's time."""
    warnings: list[str]
    """What to tell people before the run, a line each."""

    def startup(self) -> list[Fetch]:
        """Return what is to be fetched before anything else; nothing where a venue has no HTTP."""
        ...

    def receive_startup(self, fetch: Fetch, answer: Answer) -> None:
        """Take the answer to one of the startup fetches.

        Raises:
            ConfigError: a symbol that the venue does not have.
            VenueError: the venue gave no answer that can be used.
        """
        ...

    def plan(self, *, trades: Sequence[str] = (), quotes: Sequence[str] = ()) -> list[ConnectionPlan]:
        """Spread the run's feeds, and the instruments whose trades and quotes are wanted, over connections.

        Plans keep to the venue's limits, and all that belongs to one instrument is in one plan.
        """
        ...

    def credentials(self, plan: ConnectionPlan) -> Fetch | None:
        """Return what is to be fetched right before `dial`, None where nothing is."""
        ...

    def dial(self, plan: ConnectionPlan, name: str, answer: Answer | None, now: int, *, attempt: int = 0) -> Dial:
        """Return where to connect for `plan`, and a fresh connection called `name`.

        `answer` is that of the `credentials` fetch. `attempt` counts failures in a row: a venue with several
        addresses gives another one.

        Raises:
            VenueError: the answer is none that can be used.
        """
        ...

    def retry_after(self, fetch: Fetch, answer: Answer) -> float | None:
        """Return how many seconds to wait before making `fetch` again, None if `answer` stands."""
        ...


AdapterFactory: TypeAlias = Callable[[Mapping[str, object], tuple[str, ...], str], "Adapter"]
"""Makes the adapter of a run from the provider's settings as configured, the feeds, and an endpoint that replaces
the venue's own (empty: none). Raises `ConfigError` for a setting or a bar length that does not exist."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """What one venue does, as far as bars depend on it."""

    name: str
    """As in feed ids: `kucoin`."""
    title: str
    """For people: `KuCoin spot`."""
    intervals: tuple[Interval, ...]
    """The bar lengths it offers, shortest first; empty: any."""
    label: LabelSide
    declares_close: bool
    """Whether its candles carry a closed flag that can be believed."""
    sends: Sends
    has_history: bool
    """Whether it can be asked for bars that were missed."""
    silence: Silence
    heartbeat_s: float
    """How often we prove to the venue that we live; 0: never."""
    max_subscriptions: int | None
    """Per connection; None: no limit is known."""
    zone: str
    """The time zone of its labels, an IANA name."""
    grace: Grace
    settle_s: float = 0.0
    """How long after a supersession a last word on the old bar is waited for."""
    week_anchor: int = MONDAY
    """Any moment (ns) at which one of its weekly bars opens."""
    tells_connected: bool = False
    """Whether its decoder tells `Connected` itself, once all subscriptions stand; else the link's being up is it."""
    message_limit: RateLimit | None = None
    """How many messages we may send on a connection."""
    dial_limit: RateLimit | None = None
    """How many connections we may open."""
    fetch_limit: RateLimit | None = None
    """How many HTTP requests we may make."""
    make_decoder: DecoderFactory
    """Loads the codec when it is called, so that looking a provider up imports nothing heavy."""
    make_adapter: AdapterFactory | None = None
    """None: there is no live venue behind it. Loads what it needs when it is called, likewise."""


def provider_names() -> list[str]:
    """Return the names of the providers that are installed, built-in ones first, without loading any."""
    return [*_BUILT_IN, *(name for name in sorted(_plugged_in()) if name not in _BUILT_IN)]


def find_provider(name: str) -> Provider:
    """Return the provider called `name`; a built-in one goes before a plugged-in one of the same name.

    Raises:
        ConfigError: there is none, or the package that offers it cannot be loaded.
    """
    if name in _BUILT_IN:
        return _load(EntryPoint(name, _BUILT_IN[name], ENTRY_POINTS))
    point = _plugged_in().get(name)
    if point is not None:
        return _load(point)
    names = provider_names()
    close = difflib.get_close_matches(name, names, n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    raise ConfigError(f"no provider is called {name!r}", remedy=f"{meant}Installed are: {', '.join(names)}")


def _plugged_in() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _load(point: EntryPoint) -> Provider:
    where = f"provider {point.name!r} ({point.value})"
    try:
        provider: object = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"cannot be loaded: {error}", where=where, remedy="Reinstall the package that offers it"
        ) from error
    if not isinstance(provider, Provider):
        raise ConfigError(
            f"is a {type(provider).__name__}, not a Provider record",
            where=where,
            remedy="Point the entry point at a barbot.providers.base.Provider",
        )
    return provider
