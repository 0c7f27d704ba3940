"""A strategy's hooks, bound once: None where there is none, guarded or timed where that is asked for. Floor 2.

An unused hook costs nothing, a used one its call. With `on_error = "stop"` nothing is wrapped: the engine names
strategy, hook and bar when an exception passes it. With `"continue"` every hook is guarded, with a budget every
hook is timed (by a timer the driver lends; durations decide nothing and are in no digest).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, TypeVarTuple

from barbot.core.history import History
from barbot.core.strategy import Strategy, hooks_of
from barbot.errors import ContractError
from barbot.model.market import Bar, Connected, Disconnected, Gap, Quote, Trade
from barbot.model.order import Fill, Order
from barbot.timing.clock import iso

Args = TypeVarTuple("Args")

Timer: TypeAlias = Callable[[], float]
Report: TypeAlias = Callable[[str, str], None]
"""(hook, what happened)"""
SlowReport: TypeAlias = Callable[[str, float], None]
"""(hook, seconds)"""


class HookPolicy:
    """What happens around a hook call."""

    def __init__(
        self,
        *,
        on_error: Literal["stop", "continue"] = "stop",
        timer: Timer | None = None,
        budget_s: float = 0.050,
        failed: Report,
        slow: SlowReport,
    ) -> None:
        """Report failures to `failed` (with "continue") and calls longer than `budget_s` to `slow`."""
        self.on_error = on_error
        self.timer = timer
        self.budget_s = budget_s
        self.failed = failed
        self.slow = slow

    def wrap(self, name: str, hook: Callable[[*Args], None]) -> Callable[[*Args], None]:
        """Return `hook` itself, or what times and guards it."""
        if self.timer is not None:
            hook = self._timed(name, hook, self.timer)
        return self._guarded(name, hook) if self.on_error == "continue" else hook

    def _timed(self, name: str, hook: Callable[[*Args], None], timer: Timer) -> Callable[[*Args], None]:
        def timed(*args: *Args) -> None:
            started = timer()
            hook(*args)
            seconds = timer() - started
            if seconds > self.budget_s:
                self.slow(name, seconds)

        return timed

    def _guarded(self, name: str, hook: Callable[[*Args], None]) -> Callable[[*Args], None]:
        def guarded(*args: *Args) -> None:
            try:
                hook(*args)
            except ContractError:
                raise
            except Exception as error:  # the user chose on_error = "continue"
                at = f"at {name_of(args[0])}: " if args and isinstance(args[0], Bar) else ""
                self.failed(name, f"{at}{type(error).__name__}: {error}")

        return guarded


def name_of(bar: Bar) -> str:
    """Return feed and opening of a bar, as messages name it."""
    return f"{bar.feed} {iso(bar.ts_open)}"


class BoundHooks:
    """The hooks of one strategy instance."""

    def __init__(self, strategy: Strategy, policy: HookPolicy) -> None:
        """Bind what the strategy defines.

        Raises:
            ConfigError: see `hooks_of`.
        """
        defined = hooks_of(type(strategy))

        def bound(name: str, hook: Callable[[*Args], None]) -> Callable[[*Args], None] | None:
            return policy.wrap(name, hook) if name in defined else None

        self.start = bound("on_start", strategy.on_start)
        self.bar_open: Callable[[Bar, History], None] | None = bound("on_bar_open", strategy.on_bar_open)
        self.bar_update: Callable[[Bar, History], None] | None = bound("on_bar_update", strategy.on_bar_update)
        self.bar_close: Callable[[Bar, History], None] | None = bound("on_bar_close", strategy.on_bar_close)
        self.bar_correct: Callable[[Bar, Bar, History], None] | None = bound("on_bar_correct", strategy.on_bar_correct)
        self.gap: Callable[[Gap], None] | None = bound("on_gap", strategy.on_gap)
        self.trade: Callable[[Trade], None] | None = bound("on_trade", strategy.on_trade)
        self.quote: Callable[[Quote], None] | None = bound("on_quote", strategy.on_quote)
        self.connection: Callable[[Connected | Disconnected], None] | None = bound(
            "on_connection", strategy.on_connection
        )
        self.order: Callable[[Order], None] | None = bound("on_order", strategy.on_order)
        self.fill: Callable[[Fill], None] | None = bound("on_fill", strategy.on_fill)
        self.stop = bound("on_stop", strategy.on_stop)
