"""Bars of real exchanges: lunch, half days, auctions, daylight saving, holidays, weeks and months."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from barbot.timing.interval import DAY, MINUTE, SECOND, Interval
from barbot.timing.sessions import AuctionBar, Grid, day_end, grid_for

pytest.importorskip("exchange_calendars", reason="the extra `calendars` is not installed")

HONG_KONG, SHANGHAI = ZoneInfo("Asia/Hong_Kong"), ZoneInfo("Asia/Shanghai")
NEW_YORK, UTC = ZoneInfo("America/New_York"), ZoneInfo("UTC")


def at(text: str, zone: ZoneInfo) -> int:
    """`2024-03-04 09:30` on the wall in `zone`, as ns since the epoch."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * SECOND


def wall(ts: int, zone: ZoneInfo, form: str = "%H:%M") -> str:
    """What the clock on the wall in `zone` shows at `ts`."""
    return datetime.fromtimestamp(ts // SECOND, tz=zone).strftime(form)


def bars(grid: Grid, first: int, last: int) -> list[tuple[int, int]]:
    """Opens and closes of the bars that open in `[first, last)`."""
    found, ts = [], grid.first_from(first)
    while ts < last:
        found.append((ts, grid.close_of(ts)))
        ts = grid.next_open(ts)
    return found


def day_of(calendar: str, text: str, day: str, zone: ZoneInfo, auction: AuctionBar = "merge") -> str:
    """The bars of one day, as the clock on the wall shows them: `09:30-10:30 10:30-11:30 ...`."""
    midnight = at(f"{day} 00:00", zone)
    found = bars(grid_for(calendar, Interval.parse(text), auction=auction), midnight, midnight + DAY)
    return " ".join(f"{wall(opened, zone)}-{wall(closed, zone)}" for opened, closed in found)


def floors(grid: Grid, day: str, times: str, zone: ZoneInfo) -> str:
    """The open of the bar that holds each of `times`, or `-`."""
    found = [grid.floor(at(f"{day} {time}", zone)) for time in times.split()]
    return " ".join("-" if ts is None else wall(ts, zone, "%d/%H:%M") for ts in found)


HK_60M = "09:30-10:30 10:30-11:30 11:30-12:00 13:00-14:00 14:00-15:00 15:00-16:00"
HK_HALF_60M = "09:30-10:30 10:30-11:30 11:30-12:00"


@pytest.mark.parametrize(
    ("text", "day", "auction", "expected"),
    [
        ("1h", "2020-10-12", "merge", HK_60M),
        ("1h", "2020-10-12", "own", f"09:00-09:30 {HK_60M}"),
        ("1h", "2019-12-24", "merge", HK_HALF_60M),
        ("1h", "2019-12-24", "own", f"09:00-09:30 {HK_HALF_60M}"),
        ("1h", "2020-10-13", "own", ""),  # typhoon Nangka: no trading at all
        ("1h", "2020-10-01", "merge", ""),
        ("2h", "2020-10-12", "merge", "09:30-11:30 11:30-12:00 13:00-15:00 15:00-16:00"),
        ("4h", "2020-10-12", "merge", "09:30-12:00 13:00-16:00"),
        ("45m", "2019-12-24", "merge", "09:30-10:15 10:15-11:00 11:00-11:45 11:45-12:00"),
        ("1d", "2020-10-12", "own", "09:30-16:00"),
        ("1d", "2019-12-24", "merge", "09:30-12:00"),
    ],
)
def test_hong_kong_cuts_at_lunch_and_starts_again_after_it(
    text: str, day: str, auction: AuctionBar, expected: str
) -> None:
    assert day_of("XHKG", text, day, HONG_KONG, auction) == expected


@pytest.mark.parametrize(
    ("day", "expected"), [("2020-10-12", 330), ("2019-12-24", 150), ("2019-12-31", 150), ("2020-01-24", 150)]
)
def test_hong_kong_has_a_minute_bar_for_every_minute_of_trading(day: str, expected: int) -> None:
    midnight = at(f"{day} 00:00", HONG_KONG)
    merged, own = (
        bars(grid_for("XHKG", Interval.parse("1m"), auction=auction), midnight, midnight + DAY)
        for auction in ("merge", "own")
    )
    opened = at(f"{day} 09:30", HONG_KONG)
    noon, one = at(f"{day} 12:00", HONG_KONG), at(f"{day} 13:00", HONG_KONG)
    stops = {150: [(opened, noon)], 330: [(opened, noon), (one, at(f"{day} 16:00", HONG_KONG))]}[expected]
    minutes = [(ts, ts + MINUTE) for start, stop in stops for ts in range(start, stop, MINUTE)]
    assert len(minutes) == expected
    assert merged == minutes
    assert own == [(opened - 30 * MINUTE, opened), *minutes]


def test_auctions_in_hong_kong_belong_to_the_first_and_the_last_bar() -> None:
    times = "08:59:59 09:00 09:20 09:30 11:59 12:00 12:59:59 13:00 15:59:59 16:00 16:08 16:09:59 16:10"
    hour, minute, day = (Interval.parse(text) for text in ("1h", "1m", "1d"))
    assert floors(grid_for("XHKG", hour), "2020-10-12", times, HONG_KONG) == (
        "- 12/09:30 12/09:30 12/09:30 12/11:30 - - 12/13:00 12/15:00 12/15:00 12/15:00 12/15:00 -"
    )
    assert floors(grid_for("XHKG", minute, auction="own"), "2020-10-12", times, HONG_KONG) == (
        "- 12/09:00 12/09:00 12/09:30 12/11:59 - - 12/13:00 12/15:59 12/15:59 12/15:59 12/15:59 -"
    )
    assert floors(grid_for("XHKG", day), "2020-10-12", times, HONG_KONG) == (f"-{' 12/09:30' * 11} -")


def test_auctions_on_a_half_day_in_hong_kong_surround_the_morning() -> None:
    grid = grid_for("XHKG", Interval.parse("1h"))
    times = "09:10 11:59:59 12:00 12:09:59 12:10 13:00 15:30"
    assert floors(grid, "2019-12-24", times, HONG_KONG) == "24/09:30 24/11:30 24/11:30 24/11:30 - - -"
    assert grid.close_of(at("2019-12-24 11:30", HONG_KONG)) == at("2019-12-24 12:00", HONG_KONG)
    assert grid.next_open(at("2019-12-24 11:30", HONG_KONG)) == at("2019-12-27 09:30", HONG_KONG)


def test_a_market_without_a_declared_auction_has_no_bar_before_its_open() -> None:
    times = "09:29:59 09:30 15:59:59 16:00"
    for auction in ("merge", "own"):
        grid = grid_for("XNYS", Interval.parse("5m"), auction=auction)
        assert floors(grid, "2024-03-08", times, NEW_YORK) == "- 08/09:30 08/15:55 -"


def test_end_labels_of_hong_kong_name_their_bars() -> None:
    labels = "09:30 09:31 12:00 12:01 13:00 13:01 16:00 16:05"
    merged, own = (grid_for("XHKG", Interval.parse("1m"), auction=auction) for auction in ("merge", "own"))
    answers = {
        name: [
            None if ts is None else wall(ts, HONG_KONG)
            for ts in (grid.open_of_end_label(at(f"2020-10-12 {label}", HONG_KONG)) for label in labels.split())
        ]
        for name, grid in (("merge", merged), ("own", own))
    }
    assert answers == {
        "merge": [None, "09:30", "11:59", None, None, "13:00", "15:59", None],
        "own": ["09:00", "09:30", "11:59", None, None, "13:00", "15:59", None],
    }


def test_the_other_names_of_an_exchange_mean_the_same() -> None:
    assert day_of("HKEX", "1h", "2020-10-12", HONG_KONG, "own") == f"09:00-09:30 {HK_60M}"


def test_shanghai_has_lunch_and_no_declared_auction() -> None:
    assert day_of("XSHG", "1h", "2024-03-08", SHANGHAI) == "09:30-10:30 10:30-11:30 13:00-14:00 14:00-15:00"
    assert day_of("XSHG", "45m", "2024-03-08", SHANGHAI, "own") == (
        "09:30-10:15 10:15-11:00 11:00-11:30 13:00-13:45 13:45-14:30 14:30-15:00"
    )
    assert floors(
        grid_for("XSHG", Interval.parse("1m")), "2024-03-08", "09:25 11:30 12:59:59 13:00 15:00", SHANGHAI
    ) == ("- - - 08/13:00 -")


NY_60M = "09:30-10:30 10:30-11:30 11:30-12:30 12:30-13:30 13:30-14:30 14:30-15:30 15:30-16:00"


@pytest.mark.parametrize("day", ["2024-03-08", "2024-03-11", "2024-11-01", "2024-11-04"])
def test_new_york_keeps_its_wall_clock_over_the_change_of_time(day: str) -> None:
    assert day_of("XNYS", "1h", day, NEW_YORK) == NY_60M


@pytest.mark.parametrize(
    ("friday", "expected"),
    [
        ("2024-03-08", "03-08 14:30 03-11 13:30 03-12 13:30"),
        ("2024-11-01", "11-01 13:30 11-04 14:30 11-05 14:30"),
    ],
)
def test_new_york_moves_by_an_hour_in_utc_over_the_change_of_time(friday: str, expected: str) -> None:
    grid = grid_for("XNYS", Interval.parse("1d"))
    ts, found = at(f"{friday} 00:00", UTC), []
    for _ in range(3):
        ts = grid.first_from(ts + 1)
        found.append(wall(ts, UTC, "%m-%d %H:%M"))
    assert " ".join(found) == expected


def test_new_york_closes_early_before_independence_day() -> None:
    assert day_of("XNYS", "1h", "2023-07-03", NEW_YORK) == "09:30-10:30 10:30-11:30 11:30-12:30 12:30-13:00"
    grid = grid_for("XNYS", Interval.parse("1h"))
    assert grid.next_open(at("2023-07-03 12:30", NEW_YORK)) == at("2023-07-05 09:30", NEW_YORK)
    assert day_end("XNYS", at("2023-07-03 10:00", NEW_YORK)) == at("2023-07-03 13:00", NEW_YORK)
    assert day_end("XNYS", at("2023-07-03 13:00", NEW_YORK)) == at("2023-07-05 16:00", NEW_YORK)


def spans(calendar: str, text: str, first: str, last: str, zone: ZoneInfo) -> list[str]:
    """Bars that open in the span, with dates."""
    found = bars(grid_for(calendar, Interval.parse(text)), at(f"{first} 00:00", zone), at(f"{last} 00:00", zone))
    form = "%m-%d %H:%M"
    return [f"{wall(opened, zone, form)} to {wall(closed, zone, form)}" for opened, closed in found]


def test_a_week_is_its_first_open_to_its_last_close() -> None:
    assert spans("XNYS", "1w", "2024-03-01", "2024-04-02", NEW_YORK) == [
        "03-04 09:30 to 03-08 16:00",
        "03-11 09:30 to 03-15 16:00",
        "03-18 09:30 to 03-22 16:00",
        "03-25 09:30 to 03-28 16:00",  # Good Friday
        "04-01 09:30 to 04-05 16:00",
    ]
    assert spans("XHKG", "1w", "2020-09-28", "2020-10-13", HONG_KONG) == [
        "09-28 09:30 to 09-30 16:00",  # national day, and the day after mid-autumn
        "10-05 09:30 to 10-09 16:00",
        "10-12 09:30 to 10-16 16:00",
    ]
    assert spans("XHKG", "1w", "2019-12-20", "2019-12-25", HONG_KONG) == ["12-23 09:30 to 12-27 16:00"]


def test_a_week_without_a_trading_day_has_no_bar() -> None:
    assert spans("XSHG", "1w", "2024-02-05", "2024-02-20", SHANGHAI) == [
        "02-05 09:30 to 02-08 15:00",
        "02-19 09:30 to 02-23 15:00",
    ]


def test_a_week_of_sessions_begins_on_its_anchor() -> None:
    grid = grid_for("XNYS", Interval.parse("1w"), week_anchor=0)  # the epoch was a Thursday
    first, last = at("2024-03-06 00:00", NEW_YORK), at("2024-03-20 00:00", NEW_YORK)
    assert [
        (wall(opened, NEW_YORK, "%a %d"), wall(closed, NEW_YORK, "%a %d")) for opened, closed in bars(grid, first, last)
    ] == [("Thu 07", "Wed 13"), ("Thu 14", "Wed 20")]


def test_a_month_is_its_first_open_to_its_last_close() -> None:
    assert spans("XNYS", "1M", "2024-01-01", "2024-04-01", NEW_YORK) == [
        "01-02 09:30 to 01-31 16:00",
        "02-01 09:30 to 02-29 16:00",
        "03-01 09:30 to 03-28 16:00",
    ]
    assert spans("XHKG", "1M", "2019-12-01", "2020-02-01", HONG_KONG) == [
        "12-02 09:30 to 12-31 12:00",
        "01-02 09:30 to 01-31 16:00",
    ]


def test_hong_kong_days_end_with_the_closing_auction() -> None:
    ends = {
        time: wall(day_end("XHKG", at(time, HONG_KONG)), HONG_KONG, "%m-%d %H:%M")
        for time in (
            "2020-10-12 08:00",
            "2020-10-12 12:30",
            "2020-10-12 16:05",
            "2020-10-12 16:10",
            "2019-12-24 09:30",
        )
    }
    assert ends == {
        "2020-10-12 08:00": "10-12 16:10",
        "2020-10-12 12:30": "10-12 16:10",
        "2020-10-12 16:05": "10-12 16:10",
        "2020-10-12 16:10": "10-14 16:10",  # the 13th was the typhoon
        "2019-12-24 09:30": "12-24 12:10",
    }


@pytest.mark.parametrize(
    ("week", "opened", "closed", "reopened"),
    [
        ("2024-03-03", "03-03 22:00", "03-08 22:00", "03-10 21:00"),  # winter
        ("2024-03-10", "03-10 21:00", "03-15 21:00", "03-17 21:00"),  # the clocks went forward that morning
        ("2024-10-27", "10-27 21:00", "11-01 21:00", "11-03 22:00"),
        ("2024-11-03", "11-03 22:00", "11-08 22:00", "11-10 22:00"),  # and back
    ],
)
def test_foreign_exchange_trades_from_sunday_to_friday_in_new_york(
    week: str, opened: str, closed: str, reopened: str
) -> None:
    sunday = at(f"{week} 00:00", UTC)
    weekly = bars(grid_for("24/5", Interval.parse("1w")), sunday, sunday + 7 * DAY)
    daily = bars(grid_for("24/5", Interval.parse("1d")), sunday, sunday + 7 * DAY)
    four_hours = bars(grid_for("24/5", Interval.parse("4h")), sunday, sunday + 7 * DAY)
    [(first, last)] = weekly
    assert (wall(first, UTC, "%m-%d %H:%M"), wall(last, UTC, "%m-%d %H:%M")) == (opened, closed)
    assert daily == [(first + day * DAY, first + (day + 1) * DAY) for day in range(5)]
    assert four_hours == [(ts, ts + 240 * MINUTE) for ts in range(first, last, 240 * MINUTE)]
    minute = grid_for("24/5", Interval.parse("1m"))
    assert [minute.floor(ts) for ts in (first - 1, first, last - 1, last)] == [
        None,
        first,
        last - MINUTE,
        None,
    ]
    assert wall(minute.next_open(last - MINUTE), UTC, "%m-%d %H:%M") == reopened


def test_foreign_exchange_days_and_months_roll_at_five_in_new_york() -> None:
    assert day_end("24/5", at("2024-03-06 16:59", NEW_YORK)) == at("2024-03-06 17:00", NEW_YORK)
    assert day_end("24/5", at("2024-03-06 17:00", NEW_YORK)) == at("2024-03-07 17:00", NEW_YORK)
    assert day_end("24/5", at("2024-03-09 12:00", NEW_YORK)) == at("2024-03-11 17:00", NEW_YORK)
    assert spans("24/5", "1M", "2024-02-29", "2024-05-15", NEW_YORK) == [
        "02-29 17:00 to 03-29 17:00",
        "03-31 17:00 to 04-30 17:00",
        "04-30 17:00 to 05-31 17:00",
    ]
