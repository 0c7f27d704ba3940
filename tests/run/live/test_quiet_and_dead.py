"""Quiet is not dead: what the strategy is told of silence, of a cut, and of a cut that history cannot mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
