"""The directory of a run: `runs/<utc-time>-<strategy>/` and its `config.json`. Floor 4."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from barbot import __version__
from barbot.errors import ConfigError
from barbot.run.plan import RunPlan
from barbot.timing.clock import Clock, iso

CONFIG: Final = "config.json"
_TRIES: Final = 100


def open_run(plan: RunPlan, run_id: str, source_digest: str, clock: Clock) -> Path:
    """Make the run's directory, write `config.json` into it, and return it.

    Raises:
        ConfigError: it cannot be made.
    """
    assert plan.runs_dir is not None, "a run without a directory opens none"
    stamp = iso(clock.now() // 1_000_000_000 * 1_000_000_000).replace("-", "").replace(":", "")
    folder = _make(plan.runs_dir, f"{stamp}-{plan.strategy.__name__}")
    config = {
        "run_id": run_id,
        "barbot": __version__,
        "strategy": plan.strategy.__name__,
        "strategy_file": plan.strategy_file,
        "params": plan.params,
        "feeds": plan.feeds,
        "feed_digest": source_digest,
        "settings": plan.settings,
        "settings_digest": plan.settings_digest,
    }
    encoded = msgspec.json.format(msgspec.json.encode(config, enc_hook=str), indent=2)
    (folder / CONFIG).write_bytes(encoded + b"\n")
    return folder


def _make(runs_dir: Path, name: str) -> Path:
    for number in range(_TRIES):
        folder = runs_dir / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not runs_dir.is_dir():
                break
            continue
        except OSError as error:
            raise ConfigError(f"cannot be made: {error}", where=str(folder), remedy="Set run.runs_dir") from error
        return folder
    raise ConfigError("no run directory can be made in it", where=str(runs_dir), remedy="Set run.runs_dir") from None
