"""One WebSocket connection to the simulated KuCoin, from welcome to close. Floor 4.

Give it what the client sent (`receive`), take what there is to send (`to_send`), come back at `next_deadline`; when
`closing` says so, close. It never asks the time and never sees a socket.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from barbot.sim.kucoin.settings import Json
from barbot.sim.kucoin.streams import Push, Stream, Venue, make_streams
from barbot.sim.kucoin.topics import FAMILIES, PRIVATE, split_topic
from barbot.sim.seeded import draw, fraction, happens, key_of
from barbot.timing.interval import SECOND

NORMAL: Final = 1000
CUT: Final = 1006
"""No close frame: the connection is gone."""
_BYE: Final = "Bye"
_BYE_AFTER: Final = 400_000_000
"""Between the error and the close, ns."""
_RATE_SPAN: Final = 10 * SECOND
_LATE_ACK: Final = SECOND
_HELD_FOR: Final = 2 * SECOND
"""A push that is to change places with the next waits so long for it."""
_MICROSECOND: Final = 1_000
_TOO_MANY: Final = 509


class Request(msgspec.Struct, frozen=True):
    """A message of a client, as far as it is understood."""

    type: str = ""
    id: str | int | float | None = None
    topic: str | None = None
    private: bool = msgspec.field(default=False, name="privateChannel")
    response: bool = False


class Ending(msgspec.Struct, frozen=True):
    """When a connection ends without anyone having done wrong, and what is said before."""

    ts: int
    error: str = ""


class Session:
    """One connection. Times are the venue's."""

    def __init__(
        self,
        venue: Venue,
        number: int,
        connect_id: str,
        now: int,
        *,
        is_private: bool,
        ending: Callable[[int], Ending | None],
        refusal: tuple[int, str] | None = None,
    ) -> None:
        """Welcome the client, or say `refusal` (code and text) and end.

        `ending` tells when the connection next ends by itself, strictly after a time.
        """
        self.number = number
        self.closing: tuple[int, str] | None = None
        """Code and reason once the connection is to be closed; 1006 means to cut it."""
        self._venue = venue
        self._settings = venue.settings
        self._key = key_of(venue.settings.seed, "session", number)
        self._is_private = is_private
        self._outbox: list[tuple[int, int, str]] = []
        self._queue: list[tuple[int, int, Stream]] = []
        self._topics: dict[str, list[Stream]] = {}
        self._received: deque[int] = deque()
        self._idle_from = now
        self._close_at: tuple[int, int, str] | None = None
        self._held: str | None = None
        self._held_until = 0
        self._count = 0
        self._pushes = 0
        self._ending = ending(now)
        if refusal:
            self._say_error(None, *refusal, now)
            self._close_at = (now, CUT, "")
        else:
            self._send(now, {"id": connect_id or venue.encoder.word(10), "type": "welcome"})

    @property
    def topics(self) -> list[str]:
        """The topics that are subscribed, in order of subscription."""
        return list(self._topics)

    def receive(self, text: str | bytes, now: int) -> None:
        """Take in one message of the client."""
        if self.closing or self._close_at:
            return
        self._idle_from = now
        if not self._is_within_rate(now):
            self._say_error(None, _TOO_MANY, "exceed max permits per second", now)
            self._close_at = (now, NORMAL, _BYE)
            return
        try:
            request = msgspec.json.decode(text, type=Request)
        except (msgspec.DecodeError, UnicodeDecodeError):
            word = (text if isinstance(text, str) else text.decode("utf-8", "replace")).split(" ")[0][:30]
            problem = f"Unrecognized token '{word}': was expecting (JSON String, Number, Array, Object or token)"
            self._say_error(self._venue.encoder.word(10), 400, problem, now)
            return
        self._answer(request, now)

    def to_send(self, now: int) -> list[str]:
        """Return the messages that are due up to `now`, in order; what follows the end is not among them."""
        until = self._advance_timers(now)
        self._run_streams(until)
        sent: list[str] = []
        while self._outbox and self._outbox[0][0] <= until:
            sent.append(heapq.heappop(self._outbox)[2])
        if self._held is not None and self._held_until <= until:
            sent.append(self._held)
            self._held = None
        if self._close_at and self._close_at[0] <= now:
            self.closing = self._close_at[1:]
            self._queue.clear()
        return sent

    def next_deadline(self) -> int | None:
        """Return when there is next something to send or to do; None once it is closing."""
        if self.closing:
            return None
        times = [entry[0] for entry in self._outbox[:1]]
        times += [entry[0] for entry in self._queue[:1]]
        if self._held is not None:
            times.append(self._held_until)
        if self._close_at:
            times.append(self._close_at[0])
        else:
            times.append(self._idle_deadline())
            if self._ending is not None:
                times.append(self._ending.ts)
        return min(times)

    def _advance_timers(self, now: int) -> int:
        """Let what ends a connection happen, if it is time; return up to when there is anything to send."""
        idle, ending = self._idle_deadline(), self._ending
        if self._close_at:
            pass
        elif ending is not None and ending.ts <= min(now, idle):
            if ending.error:
                self._say_error(None, 401, ending.error, ending.ts)
            self._close_at = (ending.ts, CUT, "")
        elif idle <= now:
            self._say_error(None, 400, "ping timeout", idle)
            self._close_at = (idle + _BYE_AFTER, NORMAL, _BYE)
        return min(now, self._close_at[0]) if self._close_at else now

    def _idle_deadline(self) -> int:
        return self._idle_from + round(self._settings.idle_s * SECOND)

    def _is_within_rate(self, now: int) -> bool:
        received = self._received
        while received and received[0] <= now - _RATE_SPAN:
            received.popleft()
        received.append(now)
        return len(received) <= self._settings.messages_per_10_s

    def _answer(self, request: Request, now: int) -> None:
        name = None if request.id is None else str(request.id)
        if request.type == "ping":
            pong: dict[str, Json] = {"type": "pong", "timestamp": now // _MICROSECOND}
            self._send(now, pong if name is None else {"id": name, **pong})
        elif request.type not in ("subscribe", "unsubscribe"):
            self._say_error(name, 415, "type is not supported", now)
        elif not request.topic:
            self._say_error(name, 406, "topic is required", now)
        else:
            fault = self._change(request.type, request.topic, request.private, now)
            if fault:
                self._say_error(name, *fault, now)
            elif request.response:
                self._send(now + self._ack_delay(), {"id": name or self._venue.encoder.hex_id(), "type": "ack"})

    def _change(self, kind: str, topic: str, private: bool, now: int) -> tuple[int, str] | None:
        """Subscribe or unsubscribe; return code and text if it is refused."""
        family, items = split_topic(topic)
        if not family.startswith("/"):
            return 400, "topic is invalid"
        if family not in FAMILIES and family not in PRIVATE:
            return 404, "topic does not exist"
        if (family in PRIVATE or private) and not self._is_private:
            return 403, "login is required"
        if len(items) > self._settings.topics_per_request:
            most = self._settings.topics_per_request
            return _TOO_MANY, f"exceed max subscription count limitation of {most} per time"
        if kind == "unsubscribe":
            self._drop_topics(family, items)
            return None
        new = [item for item in dict.fromkeys(items) if f"{family}:{item}" not in self._topics]
        most = self._settings.topics_per_connection
        if len(self._topics) + len(new) > most:
            return _TOO_MANY, f"exceed max subscription count limitation of {most} per session"
        for item in new:
            streams = self._topics[f"{family}:{item}"] = make_streams(self._venue, family, item, now)
            for stream in streams:
                self._enqueue(stream)
        return None

    def _drop_topics(self, family: str, items: list[str]) -> None:
        gone = [stream for item in items for stream in self._topics.pop(f"{family}:{item}", ())]
        if gone:
            names = set(map(id, gone))
            self._queue = [entry for entry in self._queue if id(entry[2]) not in names]
            heapq.heapify(self._queue)

    def _ack_delay(self) -> int:
        low, high = self._settings.ack_delay_s
        self._count += 1
        delay = round((low + (high - low) * fraction(self._key, self._count)) * SECOND)
        is_late = happens(self._key, -self._count, self._settings.late_ack_chance)
        return delay + _LATE_ACK if is_late else delay

    def _enqueue(self, stream: Stream) -> None:
        self._count += 1
        heapq.heappush(self._queue, (stream.due, self._count, stream))

    def _run_streams(self, until: int) -> None:
        """Move what is due of every topic to the outbox, in order of time."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            _, number, stream = queue[0]
            pushes = stream.push()
            heapq.heapreplace(queue, (stream.due, number, stream))
            for push in pushes:
                self._put(push)

    def _put(self, push: Push) -> None:
        """Put a push into the outbox, with what goes wrong with it."""
        chaos, text, ts = self._venue.chaos, push.text, push.ts
        self._pushes += 1
        what = draw(self._key, self._pushes)
        if chaos.may_strike("garbage") and chaos.strikes("garbage", what, ts):
            self._post(ts, garble(text, what))
        if chaos.may_strike("duplicate") and chaos.strikes("duplicate", what, ts):
            self._post(ts, text)
        held, self._held = self._held, None
        if held is None and chaos.may_strike("reorder") and chaos.strikes("reorder", what, ts):
            self._held, self._held_until = text, ts + _HELD_FOR
            return
        self._post(ts, text)
        if held is not None:
            self._post(ts, held)

    def _send(self, ts: int, message: dict[str, Json]) -> None:
        self._post(ts, self._venue.encoder.text(message))

    def _post(self, ts: int, text: str) -> None:
        self._count += 1
        heapq.heappush(self._outbox, (ts + self._venue.chaos.delay(ts), self._count, text))

    def _say_error(self, name: str | None, code: int, text: str, ts: int) -> None:
        error: dict[str, Json] = {"type": "error", "code": code, "data": text}
        self._send(ts, error if name is None else {"id": name, **error})


def garble(text: str, what: int) -> str:
    """Return something that is no message, one of several kinds by `what`."""
    kinds = (
        text[: len(text) // 2],
        "not json",
        "[]",
        "",
        '{"type":"message"}',
        text.replace('"candles":[', '"candles":["x",', 1).replace('"price":"', '"price":"x', 1),
        text.replace('"data":{', '"data":[{', 1) + "]",
        "\u0000" + text,
    )
    return kinds[what % len(kinds)]
