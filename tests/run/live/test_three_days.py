"""Seventy-two hours in virtual time: tokens that end, connections that are cut, and not one bar missing or doubled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from barbot.sim.chaos import Chances, Fault
from barbot.sim.kucoin.settings import KuCoinSettings

if TYPE_CHECKING:
    from tests.run.live.conftest import Stage

FEED = "kucoin:BTC-USDT@1m"
HOURS = 72
DROPS = (1, 2, 3, 4, 30, 31, 32, 33, 60, 65)
"""In hours; the two long stretches between them end with a token that is about to expire."""
SPARSE = KuCoinSettings(candle_period_s=20.0, ping_interval_ms=55_000)
"""Fewer frames than the venue sends, so that the days take seconds."""


def test_three_days_with_ten_drops_and_the_ends_of_tokens_miss_and_double_nothing(stage: Stage) -> None:
    tape = stage.tape("BTC-USDT", trades_per_minute=2.0, silent_fraction=0.05)
    drops = [Fault(stage.at(hour * 60 + hour + hour / 7), "drop") for hour in DROPS]
    chances = Chances(late_update=0.02, duplicate=0.01)
    simulator = stage.simulator(tape, faults=drops, chances=chances, settings=SPARSE)
    run = stage.rehearse(simulator, FEED, minutes=HOURS * 60)
    outcome = run.run(look_s=3_600)
    assert (run.missing(FEED), run.wrong(FEED), run.witness.gaps, run.problems) == ([], [], [], [])
    assert len(run.witness.closed[FEED]) == HOURS * 60 - 1
    connections = [what.split()[0] for _, what in run.witness.told if "onnected" in what]
    lost, replaced = ["Disconnected", "Connected"], ["Connected", "Disconnected"]
    assert connections == [*lost * 4, *replaced, *lost * 4, *replaced, *lost * 2]
    assert run.live.supervisor is not None
    assert (run.live.supervisor.reconnects, outcome.feeds[0].corrections > 100) == (10, True)
    assert run.replay().digest == outcome.digest
