"""What a recording offers becomes the feeds that a strategy wants: its own, derived, or built from trades."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, TypeAlias

import pytest

from barbot.core.spec import Grace, Source
from barbot.errors import ConfigError, FeedError, JournalError
from barbot.feeds.options import ColumnOptions
from barbot.model.instrument import FeedId, Instrument
from barbot.model.market import Connected
from barbot.providers.base import find_provider
from barbot.run.sources import RecordedSource, open_source, provider_spec
from barbot.timing.interval import MINUTE, SECOND
from barbot.wire.journal import Header
from barbot.wire.journal_write import open_writer

Write: TypeAlias = Callable[..., Path]

T0: Final = 1_767_571_200_000_000_000
M1, M5, M10 = "sim:A@1m", "sim:A@5m", "sim:A@10m"


def opened(
    *paths: Path | str,
    wanted: Sequence[str],
    derive: bool = False,
    missing: Literal["gap", "quiet"] = "gap",
    known: dict[str, Instrument] | None = None,
    overrides: dict[str, dict[str, object]] | None = None,
    **columns: int,
) -> RecordedSource:
    return open_source(
        [str(path) for path in paths],
        [FeedId.parse(feed) for feed in wanted],
        derive=derive,
        window=50,
        columns=ColumnOptions(**columns),  # type: ignore[arg-type]  # the test gives times
        missing=missing,
        known=known or {},
        overrides=overrides,
    )


def plan_of(source: RecordedSource) -> list[tuple[str, str, str, bool]]:
    return [(spec.id, spec.source.name, spec.base, spec.is_hidden) for spec in source.specs]


def trades_csv(path: Path) -> Path:
    path.write_text(f"time,price,size,id\n{T0 // SECOND},1,1,1\n{T0 // SECOND + 70},2,1,2\n", "utf-8")
    return path


# -- which feeds there are --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "derive", "expected"),
    [
        ([M1], False, [(M1, "CANDLES", "", False)]),
        ([M5], False, [(M1, "CANDLES", "", True), (M5, "DERIVED", M1, False)]),
        ([M5, M1], False, [(M1, "CANDLES", "", False), (M5, "DERIVED", M1, False)]),
        ([M5, M1], True, [(M1, "CANDLES", "", False), (M5, "DERIVED", M1, False)]),
        (
            [M10, M5],
            True,
            [(M1, "CANDLES", "", True), (M5, "DERIVED", M1, False), (M10, "DERIVED", M5, False)],
        ),
        (
            [M10, M5],
            False,
            [(M1, "CANDLES", "", True), (M5, "DERIVED", M1, False), (M10, "DERIVED", M1, False)],
        ),
    ],
)
def test_what_is_not_in_a_file_is_derived_from_what_is(
    bars_csv: Write, wanted: list[str], derive: bool, expected: list[tuple[str, str, str, bool]]
) -> None:
    source = opened(bars_csv("a.csv", range(10)), wanted=wanted, derive=derive)
    assert plan_of(source) == expected
    assert source.prices == {"sim:A": M1}


@pytest.mark.parametrize(("derive", "kind", "base"), [(False, "CANDLES", ""), (True, "DERIVED", M1)])
def test_the_venue_s_own_interval_is_the_default(bars_csv: Write, derive: bool, kind: str, base: str) -> None:
    files = bars_csv("1.csv", range(10)), bars_csv("5.csv", range(2), minutes=5)
    source = opened(*files, wanted=[M1, M5], derive=derive)
    assert plan_of(source)[1] == (M5, kind, base, False)
    assert source.prices == {"sim:A": M1}


def test_trades_make_bars_of_any_length_and_are_what_orders_fill_at(tmp_path: Path) -> None:
    source = opened(trades_csv(tmp_path / "t.csv"), wanted=[M5, M1])
    assert plan_of(source) == [(M5, "TRADES", "", False), (M1, "TRADES", "", False)]
    assert source.prices == {"sim:A": "trades"}
    first = next(iter(source.steps()))
    assert (first.stamps, first.events) == ([T0], [Connected("file", T0, (M5, M1))])


def test_what_cannot_be_built_is_named(bars_csv: Write, journal: Write) -> None:
    with pytest.raises(FeedError, match=r"sim:A@1m cannot be built from bars of 5m"):
        opened(bars_csv("a.csv", range(4), minutes=5), wanted=[M1])
    with pytest.raises(ConfigError) as raised:
        opened(journal("a.jsonl.zst", [M5], []), wanted=[M1])
    assert str(raised.value) == "--feed: sim:A@1m is not in the recording. It holds: sim:A@5m"


def test_a_journal_is_replayed_alone(bars_csv: Write, journal: Write) -> None:
    with pytest.raises(ConfigError) as raised:
        opened(bars_csv("a.csv", range(4)), journal("a.jsonl.zst", [M1], []), wanted=[M1])
    assert str(raised.value) == "--feed: a journal is replayed alone. Give one journal, or only CSV and Parquet"


def test_holes_of_a_file_read_as_the_user_says(bars_csv: Write) -> None:
    path = bars_csv("a.csv", range(4))
    assert [opened(path, wanted=[M1], missing=m).specs[0].missing for m in ("gap", "quiet")] == ["gap", "quiet"]


# -- journals ---------------------------------------------------------------------------------------------


def two_connections(path: Path, later: int) -> Path:
    """Write a journal whose second connection, which serves five minutes, comes up `later` than the first."""
    with open_writer(path, Header(run_id="made", barbot="0"), now=T0) as writer:
        writer.connect(T0, "one", "native", (M1,))
        for second in range(0, 200, 5):
            now = T0 + second * SECOND
            if now == T0 + later:
                writer.connect(now, "two", "native", (M5,))
            writer.frame(now, "one", "in", '["h"]')
        writer.seal(T0 + 200 * SECOND)
    return path


def test_all_connections_of_the_first_minute_are_known(tmp_path: Path) -> None:
    soon = opened(two_connections(tmp_path / "soon.jsonl.zst", 5 * SECOND), wanted=[M1, M5])
    assert plan_of(soon) == [(M1, "CANDLES", "", False), (M5, "CANDLES", "", False)]
    late = opened(two_connections(tmp_path / "late.jsonl.zst", 90 * SECOND), wanted=[M1, M5])
    assert plan_of(late) == [(M1, "CANDLES", "", False), (M5, "DERIVED", M1, False)]


def test_an_instrument_is_looked_for_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    with open_writer(path, Header(run_id="made", barbot="0"), now=T0) as writer:
        writer.connect(T0, "one", "native", (M1,))
        writer.connect(T0 + 500 * SECOND, "two", "native-trades", ("sim:B@1m",))
        writer.seal(T0 + 600 * SECOND)
    source = opened(path, wanted=["sim:B@1m", M1])
    assert plan_of(source) == [("sim:B@1m", "TRADES", "", False), (M1, "CANDLES", "", False)]
    assert source.prices == {"sim:B": "trades", "sim:A": M1}


def test_instruments_are_the_user_s_then_the_header_s_then_bare(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    recorded = [Instrument(provider="sim", symbol=name, currency="JPY") for name in ("A", "B")]
    with open_writer(path, Header(run_id="made", barbot="0", instruments=tuple(recorded)), now=T0) as writer:
        writer.connect(T0, "one", "native", (M1, "sim:B@1m", "sim:C@1m"))
        writer.seal(T0)
    source = opened(path, wanted=[M1, "sim:B@1m", "sim:C@1m"], overrides={"sim:A": {"currency": "EUR"}})
    assert [i.currency for i in source.instruments.values()] == ["EUR", "JPY", "USD"]


def test_records_that_cannot_be_decoded_are_counted_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    with open_writer(path, Header(run_id="made", barbot="0"), now=T0) as writer:
        writer.connect(T0, "one", "native", (M1,))
        writer.frame(T0 + 1, "one", "in", "nonsense")
        writer.frame(T0 + 2, "one", "in", '["h"]')
        writer.seal(T0 + 3)
    source = opened(path, wanted=[M1])
    stamps = [stamp for steps in source.steps() for stamp in steps.stamps]
    assert (stamps, source.undecodable) == ([T0, T0 + 2, T0 + 3], 1)
    assert source.warnings == ["1 records could not be decoded and were skipped"]


def test_a_journal_that_was_cut_short_is_read_as_far_as_it_goes(journal: Write) -> None:
    frames = [(T0 + m * MINUTE, ["b", M1, T0 + m * MINUTE, 1, 1, 1, 1, 1]) for m in range(50)]
    path = journal("a.jsonl.zst", [M1], frames)
    whole = sum(len(steps.stamps) for steps in opened(path, wanted=[M1]).steps())
    path.write_bytes(path.read_bytes()[:-40])
    source = opened(path, wanted=[M1])
    assert 0 < sum(len(steps.stamps) for steps in source.steps()) < whole
    assert len(source.warnings) == 1
    assert source.warnings[0].startswith(str(path))


def test_a_journal_cut_off_before_its_first_connection_says_so(journal: Write) -> None:
    path = journal("a.jsonl.zst", [M1], [(T0, ["h"])])
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises((JournalError, ConfigError)) as raised:
        opened(path, wanted=[M1])
    assert str(raised.value).startswith(str(path))


def test_a_span_of_a_journal_begins_with_a_preroll_and_ends_before_its_end(journal: Write) -> None:
    frames = [(T0 + m * MINUTE, ["h"]) for m in range(10)]
    source = opened(journal("a.jsonl.zst", [M1], frames), wanted=[M1], ts_from=T0 + 1, ts_to=T0 + 3 * MINUTE)
    stamps = [stamp for steps in source.steps() for stamp in steps.stamps]
    assert (source.ts_start, stamps) == (T0 + 1, [T0, T0, T0 + MINUTE, T0 + 2 * MINUTE])


def test_what_a_provider_declares_is_what_the_core_goes_by() -> None:
    provider, instrument = find_provider("native-history"), Instrument.bare("sim:A")
    spec = provider_spec(provider, FeedId.parse(M1), instrument, window=77, feeds=1)
    grace = provider.grace
    assert spec.grace == Grace(*(round(s * SECOND) for s in (grace.minimum_s, grace.initial_s, grace.maximum_s)))
    assert (spec.source, spec.has_history, spec.window, spec.warmup_bars) == (Source.CANDLES, True, 77, 77)


def test_what_the_user_sets_of_an_instrument_goes_over_what_the_journal_says_and_the_rest_stays() -> None:
    path = Path(__file__).resolve().parents[2] / "examples" / "feeds" / "btc-usdt-1m.jsonl.zst"
    source = opened(
        path, wanted=["kucoin:BTC-USDT@1m"], overrides={"kucoin:BTC-USDT": {"price_increment": Decimal("0.5")}}
    )
    instrument = source.instruments["kucoin:BTC-USDT"]
    assert (instrument.price_increment, instrument.quantity_increment) == (Decimal("0.5"), Decimal("0.00000001"))
