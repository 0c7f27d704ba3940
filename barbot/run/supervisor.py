"""Keep a run's connections up: dial, read, redial, fetch, hand over before a venue's own end. Floor 4.

One task a connection plan, and two a connection: who reads, and who minds its deadlines. Whatever arrives is
stamped, recorded, decoded and given on, with no `await` between the four. A lost connection is an event in the
line, not an exception in a task: the supervisor dials again after a pause that doubles up to a minute. Before a
connection reaches the end that its venue imposes, its successor is dialled; when that is ready, the old one is
read for a little longer and then closed. Nothing here polls: every wait ends at a deadline or is ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from barbot.errors import DecodeError, LinkLost, ProviderError, VenueError
from barbot.model.market import Connected, Disconnected, HistoryBars, MarketEvent
from barbot.providers.base import NEVER, Adapter, ConnectionPlan, Effect, Fetch, Problem, VenueConnection
from barbot.run.asking import Asker, pause, pause_s
from barbot.run.network import Network
from barbot.timing.clock import PacedClock
from barbot.timing.interval import SECOND
from barbot.wire.journal import FetchedBinary, FetchedText
from barbot.wire.journal_write import JournalWriter, without_secrets
from barbot.wire.link import Frame, Link

CLOSE_TIMEOUT_S: Final = 2.0
LOOK_S: Final = 1.0
"""How long, in wall time, the line is left alone at most while nothing arrives and no deadline comes."""
FLUSH_S: Final = 0.1
"""How old, in wall time, a record may be that is not on the disk."""
STEADY_S: Final = 60.0
"""Who loses a connection that was up for less goes on doubling his pauses."""
OVERLAP_S: Final = 5.0
"""How long an old connection is read after its successor is up: what was sent before that is still under way."""
SLEPT_S: Final = 5.0
"""A machine whose clocks drift apart by more was asleep."""
_LONGEST_WAIT_S: Final = 3_600.0
_FINAL: Final = ("400", "404")
"""Answers to a dial after which the next one would be the same."""


class Audience(Protocol):
    """Who gets what arrives."""

    def take(self, now: int, events: Sequence[MarketEvent]) -> None:
        """Take the events of one record, in order; called for records without events too."""

    def let_pass(self, now: int) -> int:
        """Let time pass up to `now`, and do what can wait until a whole read was taken; return the next deadline."""

    def tell(self, problem: Problem) -> None:
        """Take what people should know."""


class Session:
    """One connection while it lives."""

    def __init__(
        self, adapter: Adapter, plan: ConnectionPlan, connection: VenueConnection, link: Link, url: str
    ) -> None:
        """Hold a connection and its link, which is up."""
        self.adapter = adapter
        self.plan = plan
        self.connection = connection
        self.link = link
        self.url = url
        self.reason = ""
        self.began = 0
        self.settled = anyio.Event()
        """Set when it is ready, or over before it was."""
        self.ended = anyio.Event()
        self.roused = anyio.Event()
        self.wakes_at = NEVER
        self.scope = anyio.CancelScope()
        self.tasks: TaskGroup | None = None

    def cut(self, reason: str) -> None:
        """End it; the first reason counts."""
        self.reason = self.reason or reason
        self.scope.cancel()


class Supervisor:
    """Keeps all connections of a run."""

    def __init__(
        self,
        clock: PacedClock,
        network: Network,
        journal: JournalWriter | None,
        audience: Audience,
        *,
        asker: Asker | None = None,
        look_s: float = LOOK_S,
    ) -> None:
        """Serve `audience` and record into `journal`; `asker` is the one that made the startup fetches."""
        self.sessions: dict[str, Session] = {}
        self.reconnects = 0
        """How often a connection that was up was lost."""
        self.undecodable = 0
        self.frames = 0
        self._clock = clock
        self._network = network
        self._journal = journal
        self._audience = audience
        self._asker = asker or Asker(network, clock)
        self._look_s = look_s
        self._last = 0
        self._numbers: dict[str, int] = {}
        self._tasks: TaskGroup | None = None
        self._failure: ProviderError | None = None
        self._roused = anyio.Event()
        self._wakes_at = NEVER
        self._flush_ns = round(FLUSH_S * SECOND * clock.speed)

    @property
    def last(self) -> int:
        """The newest stamp: what is to happen after all that arrived happens later than that."""
        return self._last

    def stamp(self) -> int:
        """Return the time of what has just arrived: the clock's, and later than any stamp before."""
        now, last = self._clock.now(), self._last
        self._last = now = now if now > last else last + 1
        return now

    def record_to(self, journal: JournalWriter) -> list[tuple[tuple[str, ...], int]]:
        """Record into `journal` from now on, which begins with the connections that are up.

        Return the feeds of each that is ready, and the stamp at which a reader of the journal finds it so.
        """
        self._journal = journal
        up = [session for session in self.sessions.values() if not session.scope.cancel_called]
        return [(session.plan.feeds, ts) for session in up if (ts := self._repeat(session, journal)) is not None]

    def _repeat(self, session: Session, journal: JournalWriter) -> int | None:
        """Record what made `session` what it is; return when a reader finds it ready, None if it is not yet."""
        connection, provider = session.connection, session.adapter.provider
        ready_at = self.stamp()
        journal.connect(ready_at, connection.name, provider.name, session.plan.feeds, session.url)
        for frame in connection.opening:
            now = self.stamp()
            journal.frame(now, connection.name, "in", frame)
            ready_at = now if provider.tells_connected else ready_at
        return ready_at if connection.is_ready else None

    # -- the run ------------------------------------------------------------------------------------------

    async def run(self, plans: Sequence[tuple[Adapter, ConnectionPlan]]) -> None:
        """Keep the connections of `plans` until cancelled.

        Raises:
            VenueError: a venue says that dialling again would not help.
        """
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._watch_time)
            for adapter, plan in plans:
                tasks.start_soon(self._keep, adapter, plan)
        if self._failure is not None:
            raise self._failure

    def ask_history(self, feed: str, ts_from: int, ts_to: int, now: int) -> None:
        """Ask the newest connection that serves `feed`, if possible one that is ready, for its history."""
        serving = [session for session in self.sessions.values() if feed in session.connection.feeds]
        if serving:
            session = max(serving, key=lambda each: (each.connection.is_ready, each.began))
            session.connection.ask_history(feed, ts_from, ts_to, now)
            session.roused.set()

    def _fail(self, error: ProviderError) -> None:
        self._failure = self._failure or error
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    async def _watch_time(self) -> None:
        """Let deadlines pass that nothing overtakes, and have flushed what was recorded."""
        while True:
            await self._notice_sleep()
            self._roused = anyio.Event()
            now = self.stamp()
            due = self._audience.let_pass(now)
            if self._journal is not None:
                flush_at = self._journal.tick(now)
                due = due if flush_at is None else min(due, flush_at)
            self._wakes_at = due
            with anyio.move_on_after(
                min(self._seconds_to(due + 1), self._look_s)
            ):  # a deadline fires once it lies behind
                await self._roused.wait()

    async def _notice_sleep(self) -> None:
        """Drop every connection if the machine has slept: what is in their sockets is old, what came later is lost."""
        slept_s = self._clock.slept_ns() / SECOND
        if slept_s > SLEPT_S:
            sessions = list(self.sessions.values())
            for session in sessions:
                session.cut(f"this machine slept for {slept_s:.0f} s")
            for session in sessions:
                await session.ended.wait()
            self._clock.catch_up()

    def _rouse(self, due: int) -> None:
        """Have the time looked at earlier than planned if something is due before, or was recorded."""
        if self._journal is not None:
            due = min(due, self._last + self._flush_ns)
        if due < self._wakes_at:
            self._wakes_at = due
            self._roused.set()

    def _seconds_to(self, ts: int) -> float:
        """Return how long, in wall time, to wait for `ts`, up to an hour."""
        seconds = (ts - self._clock.now()) / SECOND / self._clock.speed
        return min(max(seconds, 0.0), _LONGEST_WAIT_S)

    # -- one plan -----------------------------------------------------------------------------------------

    async def _keep(self, adapter: Adapter, plan: ConnectionPlan) -> None:
        """Keep one plan served: redial what was lost, replace what will end."""
        assert self._tasks is not None, "run made the task group"
        failures = 0
        old: Session | None = None
        while True:
            session = await self._open(adapter, plan, failures)
            if session is not None:
                self._tasks.start_soon(self._serve, session)
                await session.settled.wait()
            if session is None or session.ended.is_set():
                failures += 1
                await pause(pause_s(plan.name, failures, self._clock.now()), self._clock)
                continue
            if old is not None:
                self._tasks.start_soon(self._relieve, old)
                old = None
            await self._until_end(session)
            was_steady = self._clock.now() - session.began > STEADY_S * SECOND
            failures = 0 if was_steady else failures
            if session.ended.is_set():
                self.reconnects += 1
                failures += 1
                await pause(pause_s(plan.name, failures, self._clock.now()), self._clock)
            else:
                old = session

    async def _until_end(self, session: Session) -> None:
        """Wait until the session has ended, or it is time for its successor."""
        while not session.ended.is_set() and self._clock.now() < session.connection.retire_at:
            with anyio.move_on_after(self._seconds_to(session.connection.retire_at)):
                await session.ended.wait()

    async def _relieve(self, old: Session) -> None:
        """End a connection whose successor is up, when all that was under way on it has arrived."""
        await pause(OVERLAP_S, self._clock)
        old.cut("its successor is up")

    async def _open(self, adapter: Adapter, plan: ConnectionPlan, failures: int) -> Session | None:
        """Dial once; None if that failed, which the audience is told."""
        await self._asker.turn_to_dial(adapter.provider)
        number = self._numbers[plan.name] = self._numbers.get(plan.name, 0) + 1
        name = f"{plan.name}#{number}"
        try:
            fetch = adapter.credentials(plan)
            answer = await self._asker.ask(adapter, fetch) if fetch is not None else None
            dial = adapter.dial(plan, name, answer, self._clock.now(), attempt=failures)
            link = await self._network.dial(dial)
        except VenueError as error:
            if not error.retryable and error.code in _FINAL:
                self._fail(error)
            else:
                self._note(name, error.code, str(error))
            return None
        except LinkLost as error:
            self._note(name, "link", str(error))
            return None
        return Session(adapter, plan, dial.connection, link, dial.url)

    def _note(self, name: str, code: str, text: str) -> None:
        self._audience.tell(Problem(name, self._clock.now(), Effect.NOTE, code, text))

    # -- one connection -----------------------------------------------------------------------------------

    async def _serve(self, session: Session) -> None:
        """Read until the connection ends, and tell that it has."""
        try:
            self._begin(session)
            with session.scope:
                async with anyio.create_task_group() as tasks:
                    session.tasks = tasks
                    tasks.start_soon(self._mind, session)
                    await self._read(session)
            self._end(session)
        finally:
            self.sessions.pop(session.connection.name, None)
            session.ended.set()
            session.settled.set()
            await session.link.close(CLOSE_TIMEOUT_S)

    def _begin(self, session: Session) -> None:
        connection, provider = session.connection, session.adapter.provider
        now = session.began = self.stamp()
        if self._journal is not None:
            self._journal.connect(now, connection.name, provider.name, session.plan.feeds, session.url)
        self.sessions[connection.name] = session
        connection.connection_made(now)
        feeds = session.plan.feeds
        self._give(now, [] if provider.tells_connected else [Connected(connection.name, now, feeds)])

    def _end(self, session: Session) -> None:
        now, name = self.stamp(), session.connection.name
        session.connection.connection_lost(now)
        if self._journal is not None:
            self._journal.drop(now, name, session.reason)
        self._give(now, [Disconnected(name, now, session.reason)])

    async def _read(self, session: Session) -> None:
        connection, link = session.connection, session.link
        await self._send(session)
        try:
            while True:
                frames = await link.receive()
                self._arrive(connection, frames)
                if connection.is_ready and not session.settled.is_set():
                    session.settled.set()
                await self._send(session)
        except LinkLost as error:
            session.cut(str(error))

    async def _mind(self, session: Session) -> None:
        """Call the connection at its deadlines."""
        connection = session.connection
        while True:
            session.roused = anyio.Event()
            session.wakes_at = connection.next_deadline()
            with anyio.move_on_after(self._seconds_to(session.wakes_at)):
                await session.roused.wait()
            await anyio.lowlevel.checkpoint()  # what has arrived goes before a deadline
            now = self.stamp()
            if now >= connection.next_deadline():
                try:
                    connection.handle_deadline(now)
                except LinkLost as error:
                    session.cut(str(error))
            await self._send(session)

    def _arrive(self, connection: VenueConnection, frames: Sequence[Frame]) -> None:
        """Stamp, record, decode and give on what one read brought: it was all there at the time of the read."""
        now = self.stamp()
        self._last = now + len(frames) - 1
        self.frames += len(frames)
        if self._journal is not None:
            self._journal.frames(now, connection.name, "in", frames)
        receive, take = connection.receive_frame, self._audience.take
        for ts, frame in enumerate(frames, now):
            try:
                events = receive(frame, ts)
            except DecodeError as error:
                self._skip(connection.name, ts, error)
            else:
                take(ts, events)
        self._rouse(self._audience.let_pass(self._last))

    def _skip(self, name: str, now: int, error: DecodeError) -> None:
        """Count what cannot be read; tell of the 1st, 2nd, 4th, 8th ... alone, for a venue may send nothing else."""
        self.undecodable += 1
        if self.undecodable & (self.undecodable - 1) == 0:
            text = str(error) if self.undecodable == 1 else f"{error} ({self.undecodable} such messages by now)"
            self._audience.tell(Problem(name, now, Effect.NOTE, "undecodable", text))

    def _give(self, now: int, events: Sequence[MarketEvent]) -> None:
        self._audience.take(now, events)
        self._rouse(self._audience.let_pass(now))

    async def _send(self, session: Session) -> None:
        """Send, fetch and tell what the connection wants sent, fetched and told."""
        connection = session.connection
        if connection.problems:
            self._tell(session)
        frames = connection.frames_to_send()
        for fetch in connection.fetches_to_make():
            assert session.tasks is not None, "a connection is sent for while it is served"
            session.tasks.start_soon(self._fetch_for, session, fetch)
        if connection.next_deadline() < session.wakes_at:
            session.roused.set()
        if not frames:
            return
        if self._journal is not None:
            now = self.stamp()
            for frame in frames:
                self._journal.frame(now, connection.name, "out", frame)
            self._rouse(NEVER)
        try:
            await session.link.send(frames)
        except LinkLost as error:
            session.cut(str(error))

    def _tell(self, session: Session) -> None:
        problems, session.connection.problems = session.connection.problems, []
        for problem in problems:
            if problem.effect is Effect.STOP:  # raised, which is how it is told
                self._fail(VenueError(problem.text, code=problem.code))
                continue
            self._audience.tell(problem)
            if problem.effect is Effect.DROP:
                session.cut(problem.text)

    async def _fetch_for(self, session: Session, fetch: Fetch) -> None:
        """Fetch for a connection; the answer is recorded and decoded like a frame. It ends with the connection."""
        answer = await self._asker.ask(session.adapter, fetch)
        connection, now = session.connection, self.stamp()
        if self._journal is not None:
            self._journal.fetched(now, connection.name, fetch.method, fetch.url, answer.status, answer.body)
        head = (now, connection.name, fetch.method, without_secrets(fetch.url), answer.status)
        body = answer.body
        try:
            record = FetchedText(*head, body) if isinstance(body, str) else FetchedBinary(*head, body)
            events = connection.receive_fetched(record, now)
        except DecodeError as error:
            self._skip(connection.name, now, error)
            events = []
        for event in events:
            if isinstance(event, HistoryBars) and event.error:
                self._note(connection.name, "history", f"no history of {event.feed}: {event.error}")
        self._give(now, events)
        await self._send(session)
