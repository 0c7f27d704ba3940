"""Every exception that barbot raises on purpose. Floor 0: imports nothing.

    BarbotError
    ├── ConfigError      names file, key and remedy; nothing was started
    │   └── FeedError    a recorded feed cannot be read as it stands
    ├── ProviderError    a venue, or the way to it
    │   ├── LinkLost     the connection ended; try again
    │   ├── DecodeError  a frame that is not what the venue says it sends; carries the frame and where
    │   └── VenueError   the venue said no: code, text, retryable
    ├── StrategyError    the user's code raised: strategy, hook and bar; the cause is chained
    ├── OrderInDoubt     an order left and its fate is unknown; never sent again on its own
    ├── ContractError    barbot broke its own bar contract (raised by the checker, `--check`)
    └── JournalError     a journal cannot be read or written: file and record

Orders that are rejected by a venue or refused by the risk gate are values, not exceptions.
"""

from __future__ import annotations


class BarbotError(Exception):
    """The root: catch it to catch everything that barbot raises on purpose."""


class ConfigError(BarbotError):
    """Say what is wrong, where, and what to do about it. Nothing was started."""

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        """Build the one line a user sees.

        `where` is a file, a key or a flag; `remedy` is an imperative sentence.
        """
        self.problem = problem
        self.where = where
        self.remedy = remedy
        text = f"{where}: {problem}" if where else problem
        super().__init__(f"{text}. {remedy}" if remedy else text)


class FeedError(ConfigError):
    """A recorded feed (CSV, Parquet, journal) cannot be read as it stands."""


class ProviderError(BarbotError):
    """A venue, or the way to it, failed."""


class LinkLost(ProviderError):  # noqa: N818 - says what happened, and most often it is no error
    """The connection ended or did not come about; a new one may be tried."""

    def __init__(self, text: str, *, code: int | None = None, reason: str = "") -> None:
        """Keep the WebSocket close `code` and `reason`, the peer's or ours, where there are any."""
        self.code = code
        self.reason = reason
        super().__init__(text)


class DecodeError(ProviderError):
    """A frame is not what the venue says it sends."""

    def __init__(self, problem: str, *, frame: bytes | str = b"", where: str = "") -> None:
        """Keep the offending `frame` and the place in it (`where`) for the audit."""
        self.frame = frame
        self.where = where
        super().__init__(f"{problem} (at {where})" if where else problem)


class VenueError(ProviderError):
    """The venue answered with an error of its own."""

    def __init__(self, text: str, *, code: str = "", retryable: bool = False) -> None:
        """Keep the venue's `code` and whether asking again makes sense."""
        self.code = code
        self.retryable = retryable
        super().__init__(f"{code}: {text}" if code else text)


class StrategyError(BarbotError):
    """The user's code raised; strategy, hook and bar are named and the cause is chained."""

    def __init__(self, strategy: str, hook: str, cause: BaseException, *, bar: str = "") -> None:
        """Name the place; raise it `from cause`."""
        self.strategy = strategy
        self.hook = hook
        self.bar = bar
        at = f" at {bar}" if bar else ""
        super().__init__(f"{strategy}.{hook}{at} raised {type(cause).__name__}: {cause}")


class OrderInDoubt(BarbotError):  # noqa: N818 - the state of an order, named as traders say it
    """An order left and no answer tells its fate; look it up at the venue before anything else."""


class ContractError(BarbotError):
    """barbot broke its own bar contract; please report it with the journal."""


class JournalError(BarbotError):
    """A journal cannot be read or written."""

    def __init__(self, problem: str, *, file: str = "", record: int | None = None) -> None:
        """Name the `file` and the number of the `record` (the header is record 0)."""
        self.file = file
        self.record = record
        at = f" record {record}" if record is not None else ""
        super().__init__(f"{file}{at}: {problem}" if file else problem)
