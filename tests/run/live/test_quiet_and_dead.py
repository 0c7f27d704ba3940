"""Quiet is not dead: what the strategy is told of silence, of a cut, and of a cut that history cannot mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from barbot.sim.chaos import Fault
from barbot.timing.interval import SECOND

if TYPE_CHECKING:
    from tests.run.live.conftest import Stage

FEED = "kucoin:BTC-USDT@1m"


def test_three_silent_minutes_with_pongs_are_three_quiet_bars_on_time(stage: Stage) -> None:
    tape = stage.tape(silences=((stage.at(5), stage.at(8)),))
    run = stage.rehearse(stage.simulator(tape), minutes=12)
    outcome = run.run()
    closes = {what: now for now, what in run.witness.told}
    late = [(closes[f"QUIET {minute}"] - stage.at(minute + 1)) / SECOND for minute in (5, 6, 7)]
    assert all(0 <= seconds <= 15 for seconds in late), late
    assert (run.missing(FEED), run.wrong(FEED), run.witness.gaps) == ([], [], [])
    assert run.replay().digest == outcome.digest
    assert run.problems == []


def test_a_cut_of_three_minutes_is_refilled_in_order_before_live_goes_on(stage: Stage) -> None:
    outage = Fault(stage.at(5.5), "outage", seconds=180)
    run = stage.rehearse(stage.simulator(faults=[outage]), minutes=14)
    outcome = run.run()
    told = [what for _, what in run.witness.told]
    dead = told[told.index("Disconnected kucoin-1#1") :]
    number = dead[1].partition("#")[2]
    assert dead[:6] == [
        "Disconnected kucoin-1#1",
        f"Connected kucoin-1#{number}",
        "REFILLED 5",
        "REFILLED 6",
        "REFILLED 7",
        "OK 8",
    ]
    assert (run.missing(FEED), run.wrong(FEED), run.witness.gaps) == ([], [], [])
    assert run.replay().digest == outcome.digest
    assert {problem.code for problem in run.problems} == {""}  # nobody answered, told at each attempt
    assert {problem.text for problem in run.problems} == {"the venue is down"}


def test_without_history_a_cut_is_a_gap_and_nothing_is_invented(stage: Stage) -> None:
    faults = [Fault(stage.at(5.5), "outage", seconds=180), Fault(stage.at(5.5), "history_refused", seconds=600)]
    run = stage.rehearse(stage.simulator(faults=faults), minutes=14)
    outcome = run.run()
    assert [(gap.ts_from, gap.ts_to, gap.reason) for gap in run.witness.gaps] == [
        (stage.at(6), stage.at(8), "500000: Internal Server Error")
    ]
    assert run.missing(FEED) == [6, 7]
    # the cut minute closes as the connection left it, and says so; the rest is as the market made it
    assert [(minute, bar.quality.name) for minute, bar in run.wrong(FEED)] == [(5, "GAP")]
    assert run.replay().digest == outcome.digest
    assert "no history of kucoin:BTC-USDT@1m: 500000: Internal Server Error" in [p.text for p in run.problems]


def test_a_warm_up_that_fails_is_told_and_live_goes_on_without_it(stage: Stage) -> None:
    run = stage.rehearse(stage.simulator(faults=[Fault(stage.at(-60), "history_refused")]), minutes=4)
    outcome = run.run()
    assert [feed.warmed for feed in outcome.feeds] == [0]
    assert {p.text for p in run.problems} == {"no history of kucoin:BTC-USDT@1m: 500000: Internal Server Error"}
    assert run.missing(FEED) == []
    assert [minute for minute, _ in run.bars(FEED)][-1] == 2
    assert run.replay().digest == outcome.digest
