"""Load a strategy from its file. Floor 4."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from pathlib import Path

from barbot.core.strategy import Strategy, hooks_of, parameters_of
from barbot.errors import BarbotError, ConfigError
from barbot.model.instrument import FeedId


def load_strategy(path: Path, name: str | None = None) -> type[Strategy]:
    """Return the one strategy class that the file defines, checked for everything that can be known before a run.

    Args:
        path: a Python file.
        name: which class, where the file defines several.

    Raises:
        ConfigError: no such file, it cannot be run, it defines no strategy or several, or the strategy has no
            feeds, an unknown feed or hook, an `async` hook, or a parameter without a default.
    """
    if path.is_dir():
        raise ConfigError("this is a directory", where=str(path), remedy="Name a strategy's Python file")
    if not path.is_file():
        raise ConfigError(
            "there is no such file", where=str(path), remedy="Name a strategy file, or make one: barbot init"
        )
    classes = _classes_in(path)
    if name is not None:
        classes = [c for c in classes if c.__name__ == name]
    if not classes:
        wanted = f"no strategy called {name}" if name else "no subclass of barbot.Strategy"
        raise ConfigError(f"it defines {wanted}", where=str(path), remedy="Write `class MyStrategy(Strategy):` in it")
    if len(classes) > 1:
        names = ", ".join(c.__name__ for c in classes)
        raise ConfigError(f"it defines several strategies: {names}", where=str(path), remedy="Name one with --strategy")
    check_strategy(classes[0])
    return classes[0]


def check_strategy(strategy: type[Strategy]) -> list[FeedId]:
    """Return the strategy's feeds, in order, after checking feeds, hooks and parameters.

    Raises:
        ConfigError: see `load_strategy`.
    """
    hooks_of(strategy)
    parameters_of(strategy)
    if strategy.quiet not in ("emit", "skip"):
        raise ConfigError(f"quiet = {strategy.quiet!r}", where=strategy.__name__, remedy='Write "emit" or "skip"')
    feeds: object = strategy.feeds
    if not isinstance(feeds, (list, tuple)) or not feeds:
        raise ConfigError(
            "it names no feeds", where=f"{strategy.__name__}.feeds", remedy='Write feeds = ["kucoin:BTC-USDT@1m"]'
        )
    wrong = next((feed for feed in feeds if not isinstance(feed, str)), None)
    if wrong is not None:
        raise ConfigError(f"{wrong!r} is not a feed", where=f"{strategy.__name__}.feeds", remedy="Write it as text")
    parsed = [FeedId.parse(feed) for feed in feeds]
    for position, feed in enumerate(parsed):
        if feed in parsed[:position]:
            raise ConfigError(f"{feed} stands twice", where=f"{strategy.__name__}.feeds", remedy="Name each feed once")
    return parsed


def _classes_in(path: Path) -> list[type[Strategy]]:
    spec = importlib.util.spec_from_file_location(f"barbot_strategy_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError("this is no Python file", where=str(path), remedy="Name a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except BarbotError:
        raise
    except SyntaxError as error:
        raise ConfigError(
            f"syntax error: {error.msg}", where=f"{_shown(error.filename, path)}:{error.lineno}", remedy="Mend the line"
        ) from error
    except (Exception, SystemExit) as error:  # the user's module may raise anything while it is imported
        line = traceback.extract_tb(error.__traceback__)[-1]
        raise ConfigError(
            f"{type(error).__name__} while it was loaded: {error}",
            where=f"{_shown(line.filename, path)}:{line.lineno}",
            remedy="Mend the line; a strategy file must load without data or network",
        ) from error
    finally:
        sys.path.remove(folder)
    found = (
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Strategy) and value.__module__ == module.__name__
    )
    return list(dict.fromkeys(found))  # one that has a second name is still one


def _shown(file: str | None, path: Path) -> str:
    """Return the strategy's own file as the user named it, any other as Python names it."""
    return str(path) if file is None or Path(file) == path.resolve() else file
