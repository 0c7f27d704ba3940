"""What a run shows while it goes on: a bar on a terminal, nothing anywhere else. Floor 5.

A log file wants no line a second that says how far it is; whoever wants to follow a run that is not on a
terminal asks for `--log-level info`.
"""

from __future__ import annotations

import io
from types import TracebackType
from typing import TYPE_CHECKING, Final, TextIO, cast

from barbot.timing.clock import stopwatch

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from barbot.run.replay import Progress

_EVERY_S: Final = 0.1


class ProgressBar:
    """Draws how far a run is, with its rate and the time left; call it with the driver's `Progress`."""

    def __init__(self, console: Console, *, every_s: float = _EVERY_S) -> None:
        """Draw on `console` if it is a terminal, every `every_s` at most and not before the first call."""
        self._console = console
        self._every_s = every_s
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._due = self._started = stopwatch()

    @property
    def stream(self) -> TextIO:
        """Where log lines go, so that they and the bar do not overwrite each other."""
        if self._console.is_terminal:
            return cast("TextIO", LinesAbove(self._console))
        return cast("TextIO", self._console.file)

    def __enter__(self) -> ProgressBar:
        self._due = self._started = stopwatch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Draw, if it is time."""
        if not self._console.is_terminal or (now := stopwatch()) < self._due:
            return
        self._due = now + self._every_s
        if self._bar is None:
            self._bar = _make_bar(self._console)
            self._bar.start()
            self._task = self._bar.add_task("", total=progress.rows_hint, seen="", rate="", until="")
        assert self._task is not None, "a bar has its task"
        rate = progress.events / (now - self._started)
        self._bar.update(
            self._task,
            completed=progress.events,
            seen=_short(progress.events),
            rate=f"{_short(rate)}/s",
            until=_time_left(progress, rate),
        )
        self._bar.refresh()


class LinesAbove(io.TextIOBase):
    """A text stream whose lines go above the bar."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def write(self, text: str) -> int:
        self._console.out(text, end="", highlight=False)
        return len(text)

    def isatty(self) -> bool:
        return True


def _make_bar(console: Console) -> RichProgress:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    return Progress(
        BarColumn(bar_width=max(10, min(40, console.width - 46))),  # "^C" must not wrap the line, or it stays
        TaskProgressColumn(),
        TextColumn("{task.fields[seen]} events"),
        TextColumn("{task.fields[rate]}", style="cyan"),
        TextColumn("{task.fields[until]}"),
        console=console,
        auto_refresh=False,
        transient=True,
    )


def _short(count: float) -> str:
    """Print a count in three digits or so: 950, 12 k, 3.4 M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.{0 if count >= 10 * size else 1}f} {unit}"
    return f"{count:.0f}"


def _time_left(progress: Progress, rate: float) -> str:
    """Return the time left; without a known end, the recorded time that was reached."""
    if progress.rows_hint is None or not rate:
        from barbot.cli.terminal import moment

        return moment(progress.ts)
    minutes, seconds = divmod(round(max(progress.rows_hint - progress.events, 0) / rate), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d} left"
