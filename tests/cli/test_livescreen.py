"""The status of a live run on a terminal: whole at 80 columns, and no taller than the terminal."""

from __future__ import annotations

import io

from rich.console import Console

from barbot.cli.livescreen import Screen, duration, status_table
from barbot.run.live import FeedStatus, LiveStatus

NOON = 1_767_614_400_000_000_000  # 2026-01-05T12:00:00Z
SECOND = 1_000_000_000
MINUTE = 60 * SECOND


def status(*feeds: FeedStatus) -> LiveStatus:
    return LiveStatus(
        now=NOON,
        feeds=list(feeds),
        positions={"kucoin:BTC-USDT": "0.10000000"},
        equity="10003.21456",
        currency="USDT",
        bars=1234,
        corrections=5,
        orders=6,
        frames=7_654_321,
        reconnects=8,
    )


def feed(number: int = 0, connection: str = "kucoin-1#1", silent_ns: int | None = SECOND // 2) -> FeedStatus:
    return FeedStatus(f"kucoin:S{number:04d}-USDT@1m", connection, NOON - MINUTE, 66555.5, number % 2 == 0, silent_ns)


def drawn(shown: LiveStatus, *, width: int = 80, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(status_table(shown, "SmaCross", 3725.4, height=height, width=width))
    return capture.get().splitlines()


def test_all_that_there_is_to_know_fits_into_80_columns() -> None:
    lines = drawn(status(feed(), feed(1, "", None)))
    said = [" ".join(line.split()) for line in lines if line.strip(" ─")]
    assert (said, max(map(len, lines)) <= 80) == (
        [
            "SmaCross 2026-01-05 12:00:00 UTC running 1:02:05",
            "feed bar close heard connection",
            "kucoin:S0000-USDT@1m 01-05 11:59 ... 66555.5 0.5 s ago kucoin-1#1",
            "kucoin:S0001-USDT@1m 01-05 11:59 66555.5 - down",
            "equity 10,003.21 USDT position kucoin:BTC-USDT 0.10000000",
            "bars 1,234 corrections 5 orders 6 frames 7,654,321 reconnects 8",
        ],
        True,
    )


def test_a_thousand_feeds_leave_room_for_the_rest() -> None:
    lines = drawn(status(*map(feed, range(1000))))
    assert (len(lines) < 24, "... and 985 more feeds" in lines) == (True, True)


def test_a_feed_without_a_bar_yet() -> None:
    lines = drawn(status(FeedStatus("kucoin:BTC-USDT@1m", "", 0, 0.0, False, None)))
    assert any(line.split() == ["kucoin:BTC-USDT@1m", "-", "-", "-", "down"] for line in lines)


def test_log_lines_go_above_and_nothing_stays() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system=None)
    with Screen(console, every_s=0.0) as screen:
        screen.draw(lambda: status_table(status(feed()), "SmaCross", 1.0, height=24, width=80))
        screen.stream.write("a fill\n")
    text = file.getvalue()
    assert text.index("SmaCross") < text.index("a fill") < text.rindex("SmaCross")


def test_nothing_is_drawn_where_there_is_no_terminal() -> None:
    file = io.StringIO()
    with Screen(Console(file=file), every_s=0.0) as screen:
        screen.draw(lambda: status_table(status(feed()), "SmaCross", 1.0, height=24, width=80))
        screen.stream.write("a line\n")
    assert (screen.is_shown, file.getvalue()) == (False, "a line\n")


def test_durations_print_as_people_write_them() -> None:
    assert [duration(seconds) for seconds in (0.9, 61, 36_000)] == ["0:00:00", "0:01:01", "10:00:00"]
