"""What `barbot feed` says of journals. Floor 5."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Final

import msgspec

from barbot.cli.terminal import Row, moment, output, plural, print_json, print_rows
from barbot.model.instrument import Instrument
from barbot.wire.journal import BinaryFrame, Connect, Drop, Header, Record, Seal, TextFrame
from barbot.wire.journal_read import JournalReader, open_reader, verify

_JSON: Final = msgspec.json.Encoder(decimal_format="number")


class ConnectionSummary(msgspec.Struct, kw_only=True):
    """One connection of a journal, all its connects taken together; times are ns."""

    connection: str
    codec: str = ""
    feeds: list[str] = []
    connects: int = 0
    drops: int = 0
    received: int = 0
    """Frames that came in."""
    sent: int = 0
    fetched: int = 0
    first: int | None = None
    last: int | None = None


class JournalSummary(msgspec.Struct, kw_only=True):
    """What is in a journal."""

    file: str
    kind: str = "journal"
    run_id: str
    made_by: str
    barbot: str
    instruments: tuple[Instrument, ...]
    connections: list[ConnectionSummary]
    first: int | None
    last: int | None
    records: int
    zstd_frames: int
    sealed: bool
    torn: str


def look(file: str, *, verify: bool, cat: bool, limit: int | None, as_json: bool) -> bool:
    """Print what was asked for; False if the journal is not whole.

    Raises:
        JournalError: it cannot be opened, or (but for `--verify`) is damaged.
    """
    if verify:
        return _verify(file, as_json=as_json)
    with open_reader(file) as reader:
        if cat:
            _cat(reader, limit)
        else:
            _show(summary_of(reader, file), as_json=as_json)
    return True


def summary_of(reader: JournalReader, file: str) -> JournalSummary:
    """Read a journal to its end and say what is in it."""
    header = reader.header
    connections: dict[str, ConnectionSummary] = {}
    first = last = None
    for record in reader:
        last = record.ts
        first = last if first is None else first
        if not isinstance(record, Seal):
            _count(connections, record)
    return JournalSummary(
        file=file,
        run_id=header.run_id,
        made_by=header.made_by,
        barbot=header.barbot,
        instruments=header.instruments,
        connections=list(connections.values()),
        first=first,
        last=last,
        records=reader.records,
        zstd_frames=reader.frames,
        sealed=reader.sealed,
        torn=reader.torn,
    )


def _count(connections: dict[str, ConnectionSummary], record: Record) -> None:
    assert not isinstance(record, Seal), "a seal belongs to no connection"
    summary = connections.get(record.connection)
    if summary is None:
        summary = connections[record.connection] = ConnectionSummary(connection=record.connection, first=record.ts)
    summary.last = record.ts
    if isinstance(record, TextFrame | BinaryFrame):
        if record.direction == "in":
            summary.received += 1
        else:
            summary.sent += 1
    elif isinstance(record, Connect):
        summary.connects += 1
        summary.codec = record.codec
        summary.feeds += [feed for feed in record.feeds if feed not in summary.feeds]
    elif isinstance(record, Drop):
        summary.drops += 1
    else:
        summary.fetched += 1


def _show(summary: JournalSummary, *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.json.format(_JSON.encode(summary), indent=2) + b"\n")
    else:
        print_rows(output(), list(_rows(summary)))


def _rows(summary: JournalSummary) -> Iterator[Row]:
    yield "Journal", summary.file, "bold"
    yield "Made by", f"{summary.made_by or 'barbot'}, barbot {summary.barbot}, run {summary.run_id}", ""
    for number, instrument in enumerate(summary.instruments):
        yield ("" if number else "Instruments"), _instrument(instrument), ""
    yield "Span", f"{moment(summary.first)} to {moment(summary.last)} UTC", ""
    yield "Records", f"{summary.records:,} in {plural(summary.zstd_frames, 'zstd frame')}", ""
    yield "End", *_end(sealed=summary.sealed, torn=summary.torn)
    for connection in summary.connections:
        yield "Connection", f"{connection.connection}, read by the codec {connection.codec or '-'}", "bold"
        for number, feed in enumerate(connection.feeds):
            yield ("" if number else "  feeds"), feed, ""
        up = f"{plural(connection.connects, 'connect')}, {plural(connection.drops, 'drop')}"
        yield "  up", f"{up}, {moment(connection.first)} to {moment(connection.last)}", ""
        frames = f"{connection.received:,} received, {connection.sent:,} sent, {connection.fetched:,} fetched"
        yield "  frames", frames, ""


def _instrument(instrument: Instrument) -> str:
    known = (
        ("tick", instrument.price_increment),
        ("lot", instrument.quantity_increment),
        ("market", instrument.calendar),
    )
    facts = ", ".join(f"{name} {_text(value)}" for name, value in known if value is not None)
    return f"{instrument.id} in {instrument.currency}, {facts}"


def _text(value: Decimal | str) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else value


def _end(*, sealed: bool, torn: str) -> tuple[str, str]:
    if torn:
        return torn, "yellow"
    return (
        ("sealed: ended on purpose", "") if sealed else ("no seal: the recording was cut off between frames", "yellow")
    )


def _verify(file: str, *, as_json: bool) -> bool:
    found = verify(file)
    is_good = not (found.torn or found.problem)
    if as_json:
        encoded = _JSON.encode({"file": file, "kind": "journal", "good": is_good, **msgspec.structs.asdict(found)})
        print_json(msgspec.json.format(encoded, indent=2) + b"\n")
    elif found.problem:
        output().out(found.problem, highlight=False)
    else:
        state, _ = _end(sealed=found.sealed, torn=found.torn)
        output().out(
            f"{file}: {'good' if is_good else 'not whole'}, "
            f"{plural(found.records, 'record')} in {plural(found.frames, 'zstd frame')}; {state}",
            highlight=False,
        )
    return is_good


def _cat(reader: JournalReader, limit: int | None) -> None:
    out = sys.stdout.buffer
    for line in islice(_lines(reader), limit):
        out.write(msgspec.json.encode(line) + b"\n")  # as it stands in the journal
    out.flush()


def _lines(reader: JournalReader) -> Iterator[Header | Record]:
    yield reader.header
    yield from reader
