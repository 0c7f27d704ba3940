"""`barbot providers`: what adapters there are, and what each declares. Floor 5."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from barbot.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from barbot.cli.terminal import Row
    from barbot.providers.base import Provider
    from barbot.providers.limits import RateLimit


def providers(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only this one, with all that it declares.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the adapters and what each declares.

    The engine goes by what is declared: how long a bar waits for its last word, and what silence means.
    """
    from barbot.cli.terminal import output, print_json, print_rows
    from barbot.providers.base import find_provider, provider_names

    found = [find_provider(each) for each in ([name] if name is not None else provider_names())]
    if as_json:
        import msgspec

        facts = [facts_of(provider) for provider in found]
        shown = facts[0] if name is not None else facts
        print_json(msgspec.json.format(msgspec.json.encode(shown), indent=2) + b"\n")
    elif name is not None:
        print_rows(output(), list(_rows(found[0])))
    else:
        _show_all(output(), found)


def facts_of(provider: Provider) -> dict[str, object]:
    """Return what a provider declares, as plain values."""
    grace = provider.grace
    return {
        "name": provider.name,
        "title": provider.title,
        "live": provider.make_adapter is not None,
        "intervals": [str(interval) for interval in provider.intervals],
        "sends": provider.sends.value,
        "label": provider.label.value,
        "declares_close": provider.declares_close,
        "has_history": provider.has_history,
        "silence": provider.silence.value,
        "heartbeat_s": provider.heartbeat_s,
        "grace_s": {"minimum": grace.minimum_s, "initial": grace.initial_s, "maximum": grace.maximum_s},
        "settle_s": provider.settle_s,
        "zone": provider.zone,
        "max_subscriptions": provider.max_subscriptions,
        "message_limit": _limit(provider.message_limit),
        "dial_limit": _limit(provider.dial_limit),
        "fetch_limit": _limit(provider.fetch_limit),
    }


def _limit(limit: RateLimit | None) -> dict[str, float] | None:
    return {"count": limit.count, "seconds": limit.per_s} if limit is not None else None


def _rows(provider: Provider) -> Iterator[Row]:
    grace = provider.grace
    yield "Provider", f"{provider.name}  {provider.title}", "bold"
    yield "Live", "yes" if provider.make_adapter is not None else "no: recordings only", ""
    yield "Bars", " ".join(map(str, provider.intervals)) or "any length", ""
    yield "Sends", provider.sends.value, ""
    yield "Label", f"the {provider.label.value} of a bar, in {provider.zone}", ""
    yield "A bar's end", "declared by the venue" if provider.declares_close else "not declared", ""
    yield "Without trades", provider.silence.value, ""
    yield "Grace", f"{grace.initial_s:g} s at first, then {grace.minimum_s:g} to {grace.maximum_s:g} s as learned", ""
    yield "History", "can be asked for" if provider.has_history else "none", ""
    yield "Heartbeat", f"every {provider.heartbeat_s:g} s" if provider.heartbeat_s else "none", ""
    most = provider.max_subscriptions
    yield "Subscriptions", "no limit is known" if most is None else f"{most:,} a connection", ""
    yield "Messages", _rate(provider.message_limit, "a connection"), ""
    yield "Connections", _rate(provider.dial_limit, ""), ""
    yield "Requests", _rate(provider.fetch_limit, ""), ""


def _rate(limit: RateLimit | None, of: str) -> str:
    return f"{limit.count:,} in {limit.per_s:g} s {of}".strip() if limit is not None else "no limit is known"


def _show_all(console: Console, found: Sequence[Provider]) -> None:
    heads = ("Provider", "Live", "Sends", "Bars", "Without trades", "Grace")
    lines = [heads, *map(_line, found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for number, line in enumerate(lines):
        text = "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        console.print(text, style="bold" if not number else "", soft_wrap=True, markup=False)


def _line(provider: Provider) -> tuple[str, ...]:
    from barbot.providers.base import Sends, Silence

    intervals, grace = provider.intervals, provider.grace
    return (
        provider.name,
        "yes" if provider.make_adapter is not None else "no",
        "both" if provider.sends is Sends.BOTH else provider.sends.value,
        f"{intervals[0]} to {intervals[-1]}" if intervals else "any",
        {Silence.FLAT: "flat bars", Silence.LATE: "flat, late", Silence.NOTHING: "nothing"}[provider.silence],
        f"{grace.minimum_s:g} to {grace.maximum_s:g} s",
    )
