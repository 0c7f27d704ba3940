"""The progress of a run: a bar with rate and time left on a terminal, nothing anywhere else."""

from __future__ import annotations

import io

from rich.console import Console

from barbot.cli.progress import ProgressBar
from barbot.run.replay import Progress

NOON = 1_767_614_400_000_000_000  # 2026-01-05T12:00:00Z


def drawn(*steps: Progress, width: int = 80, terminal: bool = True, lines: str = "") -> str:
    """Return what the bar wrote for `steps`, each drawn at once, and for log lines among them."""
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    with ProgressBar(console, every_s=0.0) as bar:
        for step in steps:
            bar(step)
        bar.stream.write(lines)
    return file.getvalue()


def test_a_known_end_gives_percent_rate_and_time_left() -> None:
    text = drawn(Progress(250, 1000, NOON))
    assert [word in text for word in ("25%", "250 events", "/s", "0:00:00 left")] == [True] * 4


def test_an_unknown_end_gives_the_recorded_time() -> None:
    assert "2026-01-05 12:00:00" in drawn(Progress(250, None, NOON))


def test_more_than_was_estimated_is_no_negative_time() -> None:
    assert "0:00:00 left" in drawn(Progress(1500, 1000, NOON))


def test_a_bar_leaves_room_for_what_a_terminal_echoes() -> None:
    text = drawn(Progress(999_000, 2_000_000, NOON)).replace("\r", "\n")
    assert [line for line in text.splitlines() if len(line) > 80 - len("^C")] == []


def test_a_line_goes_above_the_bar() -> None:
    text = drawn(Progress(250, 1000, NOON), lines="a fill\n")
    assert text.index("250 events") < text.index("a fill") < text.rindex("250 events")


def test_nothing_is_drawn_where_there_is_no_terminal() -> None:
    assert drawn(Progress(250, 1000, NOON), terminal=False, lines="a line\n") == "a line\n"
