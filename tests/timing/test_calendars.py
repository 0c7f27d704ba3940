"""Calendars that are missing, misspelt, broken or too short for what is asked of them."""

from __future__ import annotations

import subprocess
import sys
import zoneinfo
from collections.abc import Iterator

import pytest

from barbot.errors import ConfigError
from barbot.timing.calendars import trading_days
from barbot.timing.clock import iso, parse_time
from barbot.timing.interval import Interval
from barbot.timing.sessions import day_end, grid_for

exchange_calendars = pytest.importorskip("exchange_calendars", reason="the extra `calendars` is not installed")


@pytest.fixture
def _nothing_remembered() -> Iterator[None]:
    trading_days.cache_clear()
    yield
    trading_days.cache_clear()


def test_importing_sessions_imports_no_calendar_library() -> None:
    script = (
        "import sys, barbot.timing.sessions as s; from barbot.timing.interval import Interval;"
        "s.grid_for('24/5', Interval.parse('1m'));"
        "print(sorted({'exchange_calendars', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("calendar", "remedy"),
    [
        ("XHKK", "Did you mean XHKG"),
        ("xnys", "Did you mean XNYS"),
        ("24/6", "Did you mean 24/7 or 24/5"),
        ("the moon", "Use 24/7, 24/5 or an exchange's MIC, as XHKG"),
    ],
)
def test_a_misspelt_market_is_refused_with_the_nearest_names(calendar: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        grid_for(calendar, Interval.parse("1m"))
    assert str(caught.value).startswith(f"calendar: no market is called {calendar!r}. {remedy}")
    with pytest.raises(ConfigError, match="no market is called"):
        day_end(calendar, 0)


@pytest.mark.usefixtures("_nothing_remembered")
def test_a_missing_extra_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(ConfigError) as caught:
        trading_days("XLON")
    assert caught.value.problem.startswith("the sessions of 'XLON' need the package exchange_calendars (")
    assert caught.value.remedy == 'Run: pip install "barbot[calendars]"'


@pytest.mark.usefixtures("_nothing_remembered")
def test_a_machine_without_time_zones_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    zoneinfo.ZoneInfo.clear_cache()
    zoneinfo.reset_tzpath(to=())
    for name in [name for name in sys.modules if name.partition(".")[0] == "tzdata"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tzdata", None)
    try:
        with pytest.raises(ConfigError) as caught:
            trading_days("24/5")
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache()
    assert str(caught.value) == ("calendar 24/5: this machine has no time zone data. Run: pip install tzdata")


def test_a_calendar_that_the_library_cannot_make_is_a_configuration_error() -> None:
    def broken(**_: object) -> object:
        raise ValueError("special dates are not sessions")

    exchange_calendars.register_calendar_type("XBROKEN", broken)
    try:
        with pytest.raises(ConfigError) as caught:
            trading_days("XBROKEN")
    finally:
        exchange_calendars.deregister_calendar("XBROKEN")
    assert str(caught.value) == (
        "calendar: exchange_calendars cannot make XBROKEN (special dates are not sessions). "
        "Run: pip install --upgrade exchange_calendars"
    )


def test_a_calendar_reaches_over_every_year_the_library_knows() -> None:
    known = {
        code: (iso(days.known_from)[:10], iso(days.known_to)[:4] >= "2027", days.market)
        for code in ("XHKG", "HKEX", "XNYS", "24/5")
        for days in [trading_days(code)]
    }
    assert known == {
        "XHKG": ("1970-01-01", True, "XHKG"),
        "HKEX": ("1970-01-01", True, "XHKG"),
        "XNYS": ("1970-01-01", True, "XNYS"),
        "24/5": ("1970-01-01", True, "24/5"),
    }
    assert iso(trading_days("XSHG").known_from) == "1990-12-03T00:00:00Z"


def test_a_time_outside_the_known_years_is_refused_with_the_span() -> None:
    days = trading_days("XSHG")
    span = f"calendar XSHG knows its sessions from {iso(days.opens[0])} to {iso(days.closes[-1])}"
    grid = grid_for("XSHG", Interval.parse("1h"))
    past, future = parse_time("1980-01-01"), parse_time("2199-01-01")
    last = grid.floor(days.closes[-1] - 1)
    assert last is not None
    for question, asked, named in (
        (grid.floor, past, past),
        (grid.floor, future, future),
        (grid.first_from, past, past),
        (grid.first_from, future, future),
        (grid.open_of_end_label, future, future - 1),
        (grid.close_of, future, future),
        (grid.next_open, last, last),
        (lambda ts: day_end("XSHG", ts), past, past),
        (lambda ts: day_end("XSHG", ts), future, future),
    ):
        with pytest.raises(ConfigError) as caught:
            question(asked)
        assert str(caught.value) == (
            f"{span}, not at {iso(named)}. Use data of that span, or upgrade the calendars: "
            "pip install --upgrade exchange_calendars"
        )


def test_a_week_that_is_known_in_part_has_no_bar() -> None:
    days = trading_days("24/5")  # from Thursday 1970-01-01 to Friday 2049-12-31
    week, month = (grid_for("24/5", Interval.parse(text)) for text in ("1w", "1M"))
    assert iso(week.first_from(parse_time("1970-01-05"))) == "1970-01-11T22:00:00Z"
    assert week.floor(parse_time("1970-01-06")) == parse_time("1970-01-04T22:00:00Z")
    with pytest.raises(ConfigError, match="knows its sessions from 1970-01-04T22:00:00Z"):
        week.floor(days.opens[0])
    assert month.floor(days.opens[0]) == days.opens[0]
    with pytest.raises(ConfigError, match=r"to 2049-12-24T22:00:00Z"):
        week.floor(days.closes[-1] - 1)
