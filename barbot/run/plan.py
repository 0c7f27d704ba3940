"""Everything a run is decided by, checked and frozen. Floor 4."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from barbot.core.costs import PaperSettings
from barbot.core.risk import RiskLimits
from barbot.core.strategy import Strategy
from barbot.feeds.options import ColumnOptions
from barbot.model.instrument import Instrument

AuditLevel = Literal["events", "full", "off"]


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy on paper, over a recorded feed or, where `feeds` is empty, over live ones.

    `params` are validated already. `cash` by currency; an amount under "" is in the currency of the run.
    `instruments` holds what the settings know of instruments; of others nothing but the name is known.
    `settings` is what goes into `config.json`, `settings_digest` what decides (see `barbot.config`).
    """

    strategy: type[Strategy]
    strategy_file: str
    params: dict[str, object]
    feeds: tuple[str, ...]
    columns: ColumnOptions = ColumnOptions()
    missing: Literal["gap", "quiet"] = "gap"
    cash: dict[str, Decimal]
    instruments: dict[str, Instrument] = {}
    instrument_settings: dict[str, dict[str, object]] = {}
    """Instrument id to the fields that the user set: they go over what a venue or a journal says of it."""
    paper: PaperSettings
    limits: RiskLimits
    on_error: Literal["stop", "continue"] = "stop"
    check: bool = False
    hook_budget_s: float = 0.050
    audit: AuditLevel = "events"
    speed: float | None = None
    runs_dir: Path | None = Path("runs")
    endpoints: dict[str, str] = {}
    """Provider name to the address that replaces its own (a simulator)."""
    venues: dict[str, dict[str, object]] = {}
    """Provider name to its settings."""
    run_for_s: float | None = None
    """Wall seconds after which a live run ends by itself."""
    settings: dict[str, object] = {}
    settings_digest: str = ""
