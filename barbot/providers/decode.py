"""From journal to market events, through the codecs that were there when it was recorded. Floor 3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from barbot.errors import DecodeError
from barbot.model.market import Connected, Disconnected, MarketEvent
from barbot.providers.base import Decoder, Provider, find_provider
from barbot.wire.journal import (
    BinaryFrame,
    Connect,
    Drop,
    Fetched,
    FetchedBinary,
    FetchedText,
    Frame,
    Record,
    Seal,
    TextFrame,
)


class Undecodable(msgspec.Struct, frozen=True):
    """An incoming record that its codec could not read: skipped, to be counted and audited by the driver."""

    connection: str
    ts: int
    problem: str
    record: int
    """Its number in the journal."""


Step: TypeAlias = tuple[int, list[MarketEvent]] | Undecodable
"""What one record comes to: a time and what happened then, perhaps nothing; or nothing that can be read."""


def decode_journal(records: Iterable[Record]) -> Iterator[Step]:
    """Yield what each record came to, in order: pass a `JournalReader`.

    A connect gives a fresh decoder from its codec, and `Connected` unless that decoder tells it itself; a drop
    gives `Disconnected`, an incoming frame and a fetched body what the decoder makes of them. The seal gives its
    time and no event: deadlines up to it had fired in the recorded run. Outgoing frames give nothing at all.

    Raises:
        ConfigError: a connection's codec is not installed.
        JournalError: the journal is damaged; steps before the damage were yielded.
    """
    session = _Session()
    receive = session.receive
    for number, record in enumerate(records, 1):
        if isinstance(record, Seal):
            yield record.ts, []
            continue
        try:
            events = receive(record)
        except DecodeError as error:
            yield Undecodable(record.connection, record.ts, str(error), number)
            continue
        if events is not None:
            yield record.ts, events


class _Session:
    """The connections of a journal, as far as it was read."""

    def __init__(self) -> None:
        self._providers: dict[str, Provider] = {}
        self._decoders: dict[str, Decoder] = {}

    def receive(self, record: Frame | Fetched | Connect | Drop) -> list[MarketEvent] | None:
        """Return the events of `record`, None if it came from us."""
        if isinstance(record, (TextFrame, BinaryFrame)):  # a tuple: half the time of a union
            if record.direction == "out":
                return None
            return self._decoder(record.connection).receive_frame(record.payload, record.ts)
        if isinstance(record, (FetchedText, FetchedBinary)):
            return self._decoder(record.connection).receive_fetched(record, record.ts)
        if isinstance(record, Connect):
            return self._connect(record)
        self._decoders.pop(record.connection, None)
        return [Disconnected(record.connection, record.ts, record.reason)]

    def _connect(self, record: Connect) -> list[MarketEvent]:
        provider = self._providers.get(record.codec)
        if provider is None:
            provider = self._providers[record.codec] = find_provider(record.codec)
        self._decoders[record.connection] = provider.make_decoder(record.connection, record.feeds)
        return [] if provider.tells_connected else [Connected(record.connection, record.ts, record.feeds)]

    def _decoder(self, connection: str) -> Decoder:
        try:
            return self._decoders[connection]
        except KeyError:
            raise DecodeError(f"connection {connection!r} is not up") from None
