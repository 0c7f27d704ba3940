"""Make before break: a connection that will be ended is replaced before, and no bar shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from barbot.errors import LinkLost
from barbot.timing.interval import SECOND

if TYPE_CHECKING:
    from tests.run.live.conftest import Rehearsal, Stage

FEED = "kucoin:BTC-USDT@1m"


def handed_over_after(seconds: float) -> dict[str, dict[str, object]]:
    """Return the settings by which the first connection's successor is dialled after `seconds`."""
    return {"kucoin": {"connection_lifetime_h": seconds / 3_600 / (1 - 1 / 96 - 1 / 2_880)}}


def connections(run: Rehearsal) -> list[str]:
    return [what for _, what in run.witness.told if "onnected" in what]


def test_a_handover_at_the_end_of_a_bar_delays_and_mislabels_nothing(stage: Stage) -> None:
    for seconds in (298.5, 299.9, 300.5):
        run = stage.rehearse(stage.simulator(), minutes=9, venues=handed_over_after(seconds))
        outcome = run.run()
        assert connections(run) == ["Connected kucoin-1#2", "Disconnected kucoin-1#1"], seconds
        assert (run.missing(FEED), run.wrong(FEED), run.witness.gaps, run.problems) == ([], [], [], [])
        qualities = {bar.quality.name for _, bar in run.bars(FEED)}
        lateness = [now - bar.ts_close for now, bar in zip(closes(run), run.witness.closed[FEED].values(), strict=True)]
        assert (qualities, max(lateness) < 15 * SECOND) == ({"OK"}, True)
        assert sum(path == "/api/v1/market/candles" for _, path in run.network.fetched) == 1, "the warm-up alone"
        assert run.replay().digest == outcome.digest


def closes(run: Rehearsal) -> list[int]:
    return [now for now, what in run.witness.told if what.startswith(("OK", "QUIET", "REFILLED"))]


def test_the_old_connection_is_read_until_the_new_one_has_all(stage: Stage) -> None:
    run = stage.rehearse(stage.simulator(), minutes=6, venues=handed_over_after(180))
    run.run()
    at = {what: now for now, what in run.witness.told}
    overlap = (at["Disconnected kucoin-1#1"] - at["Connected kucoin-1#2"]) / SECOND
    assert round(overlap, 1) == 5.0
    assert run.outcome.feeds[0].duplicates > 0, "what both tell is taken once"


def test_a_handover_that_fails_is_tried_again_while_the_old_connection_serves(stage: Stage) -> None:
    run = stage.rehearse(stage.simulator(), minutes=5.5, venues=handed_over_after(180))
    run.network.refusals = dict.fromkeys((2, 3, 4), LinkLost("no way"))
    outcome = run.run()
    assert [p.text for p in run.problems] == ["no way"] * 3
    assert connections(run) == ["Connected kucoin-1#5", "Disconnected kucoin-1#1"]
    assert (run.missing(FEED), run.wrong(FEED), run.witness.gaps) == ([], [], [])
    assert run.replay().digest == outcome.digest


def test_history_that_the_old_connection_was_asked_for_is_asked_for_again(stage: Stage) -> None:
    settings = {"kucoin": {**handed_over_after(10)["kucoin"], "history_lag_s": 15.8}}
    run = stage.rehearse(stage.simulator(), minutes=2.5, venues=settings)
    outcome = run.run()
    first = min(now for now, path in run.network.fetched if path == "/api/v1/market/candles")
    lost = {what: now for now, what in run.witness.told}
    assert first > stage.at(0) + 15 * SECOND
    assert "Disconnected kucoin-1#1" not in lost, "it went before the warm-up was in"
    assert outcome.feeds[0].warmed >= 20
    assert (run.missing(FEED), run.wrong(FEED), run.witness.gaps, run.problems) == ([], [], [], [])
    assert run.replay().digest == outcome.digest
