"""Keep a run's connections up: dial, read, redial, fetch, hand over before a venue's own end. Floor 4.

One task a connection plan. Whatever arrives is stamped, recorded, decoded and given on, with no `await` between
the four. A lost connection is an event in the line, not an exception in a task: the supervisor dials again after
a pause that doubles up to a minute. Before a connection reaches the end that its venue imposes, its successor is
dialled, and only when that is ready the old one is closed.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import anyio
from anyio.abc import TaskGroup

from barbot.errors import DecodeError, LinkLost, ProviderError, VenueError
from barbot.model.market import Connected, Disconnected, MarketEvent
from barbot.providers.base import Adapter, Answer, ConnectionPlan, Dial, Effect, Fetch, Problem, VenueConnection
from barbot.providers.limits import RateLimiter
from barbot.timing.clock import VenueClock
from barbot.timing.interval import SECOND
from barbot.wire.http import HttpClient
from barbot.wire.journal import FetchedBinary, FetchedText
from barbot.wire.journal_write import JournalWriter, without_secrets
from barbot.wire.link import Frame, Link
from barbot.wire.proxy import proxy_for
from barbot.wire.tcp import connect_tcp
from barbot.wire.websocket import connect_websocket

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0
CLOSE_TIMEOUT_S: Final = 2.0
TICK_S: Final = 0.05
"""How long, in wall time, a deadline may be overslept: it still fires at its own time."""


class Audience(Protocol):
    """Who gets what arrives."""

    def take(self, now: int, events: Sequence[MarketEvent]) -> None:
        """Take the events of one record, in order; called for records without events too."""

    def let_pass(self, now: int) -> None:
        """Let time pass up to `now`."""

    def tell(self, problem: Problem) -> None:
        """Take what people should know."""


class Session:
    """One connection while it lives."""

    def __init__(self, adapter: Adapter, plan: ConnectionPlan, connection: VenueConnection, link: Link) -> None:
        """Hold a connection and its link, both up."""
        self.adapter = adapter
        self.plan = plan
        self.connection = connection
        self.link = link
        self.ready = anyio.Event()
        self.ended = anyio.Event()
        self.scope = anyio.CancelScope()
        self.reason = ""


class Supervisor:
    """Keeps all connections of a run."""

    def __init__(
        self,
        adapters: Sequence[Adapter],
        clock: VenueClock,
        journal: JournalWriter | None,
        audience: Audience,
        *,
        environment: Mapping[str, str],
        limiters: Mapping[str, RateLimiter] | None = None,
    ) -> None:
        """Serve `audience`; `environment` may name proxies."""
        self.adapters = adapters
        self.sessions: dict[str, Session] = {}
        self.reconnects = 0
        self.undecodable = 0
        self.frames = 0
        self._clock = clock
        self._journal = journal
        self._audience = audience
        self._environment = environment
        self._last = 0
        self._numbers: dict[str, int] = {}
        self._limiters = dict(limiters or {})
        self._tasks: TaskGroup | None = None
        self._http: HttpClient | None = None
        self._failure: ProviderError | None = None

    def stamp(self) -> int:
        """Return the time of what has just arrived: the clock's, and later than any stamp before."""
        self._last = max(self._clock.now(), self._last + 1)
        return self._last

    def use(self, http: HttpClient) -> None:
        """Fetch through `http` from now on."""
        self._http = http

    # -- the run ------------------------------------------------------------------------------------------

    async def run(self, plans: Sequence[tuple[Adapter, ConnectionPlan]], http: HttpClient) -> None:
        """Keep the connections of `plans` until cancelled.

        Raises:
            VenueError: a venue says that dialling again would not help.
        """
        self.use(http)
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._tick)
            for adapter, plan in plans:
                tasks.start_soon(self._keep, adapter, plan)
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Take leave on every link that is up; what still arrives is not looked at."""
        async with anyio.create_task_group() as tasks:
            for session in self.sessions.values():
                tasks.start_soon(session.link.close, CLOSE_TIMEOUT_S)

    def ask_history(self, feed: str, ts_from: int, ts_to: int, now: int) -> None:
        """Ask the connection that serves `feed` for its history."""
        for session in reversed(self.sessions.values()):
            if feed in session.plan.feeds:
                session.connection.ask_history(feed, ts_from, ts_to, now)
                return

    def _fail(self, error: ProviderError) -> None:
        self._failure = self._failure or error
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    async def _tick(self) -> None:
        """Let deadlines pass that nothing overtakes."""
        while True:
            await anyio.sleep(TICK_S)
            now = self.stamp()
            self._audience.let_pass(now)
            for session in list(self.sessions.values()):
                if session.connection.next_deadline() <= now:
                    try:
                        session.connection.handle_deadline(now)
                    except LinkLost as error:
                        self._cut(session, str(error))
                await self._send(session)
            if self._journal is not None:
                self._journal.tick(now)

    def _cut(self, session: Session, reason: str) -> None:
        session.reason = session.reason or reason
        session.scope.cancel()

    # -- one plan -----------------------------------------------------------------------------------------

    async def _keep(self, adapter: Adapter, plan: ConnectionPlan) -> None:
        """Keep one plan served: redial what was lost, replace what will end."""
        failures = 0
        old: Session | None = None
        while True:
            session = await self._open(adapter, plan, failures)
            if session is not None:
                assert self._tasks is not None, "run made the task group"
                self._tasks.start_soon(self._serve, session)
                await self._settled(session)
            if session is None or session.ended.is_set():
                failures += 1
                self.reconnects += 1
                await anyio.sleep(pause_s(plan.name, failures) / self._clock.speed)
                continue
            failures = 0
            if old is not None:
                self._cut(old, "its successor is up")
            old = session
            await self._until_end(session)
            if session.ended.is_set():
                old = None
                failures = 1
                self.reconnects += 1
                await anyio.sleep(pause_s(plan.name, failures) / self._clock.speed)

    async def _settled(self, session: Session) -> None:
        """Wait until the session is ready or has ended."""
        async with anyio.create_task_group() as tasks:

            async def wait(event: anyio.Event) -> None:
                await event.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(wait, session.ready)
            tasks.start_soon(wait, session.ended)

    async def _until_end(self, session: Session) -> None:
        """Wait until the session has ended, or it is time for its successor."""
        remaining_s = (session.connection.retire_at - self._clock.now()) / SECOND / self._clock.speed
        with anyio.move_on_after(max(0.0, remaining_s)):
            await session.ended.wait()

    async def _open(self, adapter: Adapter, plan: ConnectionPlan, failures: int) -> Session | None:
        """Dial once; None if that failed, which the audience is told."""
        number = self._numbers[plan.name] = self._numbers.get(plan.name, 0) + 1
        name = f"{plan.name}#{number}"
        try:
            fetch = adapter.credentials(plan)
            answer = await self.fetched(adapter, fetch) if fetch is not None else None
            dial = adapter.dial(plan, name, answer, self._clock.now(), attempt=failures)
            link = await self._connect(dial)
        except VenueError as error:
            self._tell_failure(name, error.code, str(error))
            if not error.retryable and error.code in ("400", "404"):
                self._fail(error)
            return None
        except LinkLost as error:
            self._tell_failure(name, "link", str(error))
            return None
        now = self.stamp()
        if self._journal is not None:
            self._journal.connect(now, name, adapter.provider.name, plan.feeds, dial.url)
        session = Session(adapter, plan, dial.connection, link)
        self.sessions[name] = session
        dial.connection.connection_made(now)
        events: list[MarketEvent] = [] if adapter.provider.tells_connected else [Connected(name, now, plan.feeds)]
        self._audience.take(now, events)
        return session

    def _tell_failure(self, name: str, code: str, text: str) -> None:
        self._audience.tell(Problem(name, self._clock.now(), Effect.NOTE, code, text))

    async def _connect(self, dial: Dial) -> Link:
        scheme, _, rest = dial.url.partition("://")
        if scheme in ("tcp", "tls"):
            host, _, port = rest.partition("/")[0].rpartition(":")
            return await connect_tcp(host, int(port))
        proxy = proxy_for(dial.url, self._environment)
        return await connect_websocket(dial.url, headers=dial.headers, proxy=proxy)

    async def _serve(self, session: Session) -> None:
        """Read until the connection ends, then tell that it has."""
        try:
            with session.scope:
                await self._read(session)
        except LinkLost as error:
            session.reason = session.reason or str(error)
        finally:
            name = session.connection.name
            self.sessions.pop(name, None)
            with anyio.CancelScope(shield=True):
                await session.link.close(CLOSE_TIMEOUT_S)
            session.ended.set()
        now = self.stamp()
        session.connection.connection_lost(now)
        if self._journal is not None:
            self._journal.drop(now, name, session.reason)
        self._audience.take(now, [Disconnected(name, now, session.reason)])

    async def _read(self, session: Session) -> None:
        connection, link = session.connection, session.link
        await self._send(session)
        while True:
            frames = await link.receive()
            self.frames += len(frames)
            for frame in frames:
                self._arrive(connection, frame)
            if connection.is_ready and not session.ready.is_set():
                session.ready.set()
            await self._send(session)
            await anyio.lowlevel.checkpoint()

    def _arrive(self, connection: VenueConnection, frame: Frame) -> None:
        """Stamp, record, decode, give on."""
        now = self.stamp()
        if self._journal is not None:
            self._journal.frame(now, connection.name, "in", frame)
        try:
            events = connection.receive_frame(frame, now)
        except DecodeError as error:
            self.undecodable += 1
            self._audience.tell(Problem(connection.name, now, Effect.NOTE, "undecodable", str(error)))
            return
        self._audience.take(now, events)

    async def _send(self, session: Session) -> None:
        """Send, fetch and tell what the connection wants sent, fetched and told."""
        connection = session.connection
        for problem in connection.problems:
            self._audience.tell(problem)
            if problem.effect is Effect.STOP:
                self._fail(VenueError(problem.text, code=problem.code))
            elif problem.effect is Effect.DROP:
                self._cut(session, problem.text)
        connection.problems.clear()
        frames = connection.frames_to_send()
        if frames:
            if self._journal is not None:
                now = self.stamp()
                for frame in frames:
                    self._journal.frame(now, connection.name, "out", frame)
            try:
                await session.link.send(frames)
            except LinkLost as error:
                self._cut(session, str(error))
        for fetch in connection.fetches_to_make():
            assert self._tasks is not None, "run made the task group"
            self._tasks.start_soon(self._fetch_for, session, fetch)

    # -- fetching -----------------------------------------------------------------------------------------

    async def _fetch_for(self, session: Session, fetch: Fetch) -> None:
        """Fetch for a connection; the answer is recorded and decoded like a frame, unless it came too late."""
        answer = await self.fetched(session.adapter, fetch)
        connection = session.connection
        if session.ended.is_set() or connection.name not in self.sessions:
            return
        now = self.stamp()
        url = without_secrets(fetch.url)
        record = (
            FetchedText(now, connection.name, fetch.method, url, answer.status, answer.body)
            if isinstance(answer.body, str)
            else FetchedBinary(now, connection.name, fetch.method, url, answer.status, answer.body)
        )
        if self._journal is not None:
            self._journal.fetched(now, connection.name, fetch.method, fetch.url, answer.status, answer.body)
        try:
            events = connection.receive_fetched(record, now)
        except DecodeError as error:
            self.undecodable += 1
            self._audience.tell(Problem(connection.name, now, Effect.NOTE, "undecodable", str(error)))
            events = []
        self._audience.take(now, events)
        await self._send(session)

    async def fetched(self, adapter: Adapter, fetch: Fetch) -> Answer:
        """Fetch within the provider's limit, again where the adapter advises it; what never came has status 0."""
        while True:
            await self._wait_for_turn(adapter)
            answer = await self._fetch_once(fetch)
            after_s = adapter.retry_after(fetch, answer)
            if after_s is None:
                return answer
            await anyio.sleep(after_s / self._clock.speed)

    async def _wait_for_turn(self, adapter: Adapter) -> None:
        limit = adapter.provider.fetch_limit
        if limit is None:
            return
        limiter = self._limiters.setdefault(adapter.provider.name, RateLimiter(limit))
        turn = max(limiter.free_at(now := self._clock.now()), now)
        limiter.take(turn)
        await anyio.sleep((turn - now) / SECOND / self._clock.speed)

    async def _fetch_once(self, fetch: Fetch) -> Answer:
        assert self._http is not None, "a supervisor fetches through the client that it was given"
        sent = self._clock.now()
        try:
            found = await self._http.fetch(fetch)
        except (LinkLost, DecodeError) as error:
            return Answer(status=0, body=str(error), ts_sent=sent, ts_recv=self._clock.now())
        return Answer(
            status=found.status, body=found.body, headers=found.headers, ts_sent=sent, ts_recv=self._clock.now()
        )


def pause_s(name: str, failures: int) -> float:
    """Return how long to wait before the next dial: doubling, capped, and spread so that plans do not dial at once.

    The spread comes from the plan's name, so that a run is the same each time.
    """
    longest: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * float(2 ** min(failures - 1, 10)))
    spread = zlib.crc32(f"{name}/{failures}".encode()) / 2**32
    return longest * (0.5 + spread / 2)
