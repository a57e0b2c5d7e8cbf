"""The live picture of a running campaign, for terminals of 80x24 and more; and one line of it where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gateway.contract.decisions import Outcome
from gateway.demo.calls import Call
from gateway.demo.honour import in_ms
from gateway.demo.ledger import Decided, Figures
from gateway.dnd.model import Channel

WIDE = 112
"""Columns from which on two tables stand beside each other."""

STYLES: dict[Outcome, str] = {
    Outcome.FORWARDED: "green",
    Outcome.DROPPED: "red",
    Outcome.UNAVAILABLE: "yellow",
    Outcome.EXPIRED: "yellow",
    Outcome.INVALID: "magenta",
}

SHOWN_OUTCOMES = (Outcome.FORWARDED, Outcome.DROPPED, Outcome.EXPIRED, Outcome.INVALID)
"""Columns; `unavailable` needs an integration, which the demo has none of."""

FIXED_LINES = 17
"""Everything but the latest calls and refusals, in the narrow picture."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is to be shown."""

    title: str
    progress: float
    elapsed_s: float
    figures: Figures
    rate: float
    honour_p50_s: float | None
    honour_p99_s: float | None
    provider_calls: int
    calls: Sequence[Call]
    refused: Sequence[Decided]
    problems: Sequence[str]


def line(moment: Moment) -> str:
    """For a log file or a pipe."""
    figures = moment.figures
    outcomes = ", ".join(f"{outcome} {figures.total(outcome)}" for outcome in SHOWN_OUTCOMES)
    return (
        f"{moment.elapsed_s:5.1f} s  requests {figures.requests}, decisions {figures.decisions} ({outcomes}), "
        f"opt-outs {figures.places}, provider calls {moment.provider_calls}, "
        f"honour time p50 {in_ms(moment.honour_p50_s)} p99 {in_ms(moment.honour_p99_s)}"
    )


class Screen:
    """Renders a moment in the room there is."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        moment, height = self._moment, options.size.height
        wide = options.max_width >= WIDE
        room = max(2, (height - FIXED_LINES) if wide else (height - FIXED_LINES - 1) // 2)
        channels, causes = _channels(moment.figures), _causes(moment.figures)
        calls, refused = _calls(moment.calls, moment.provider_calls, room), _refused(moment.refused, room)
        yield _head(moment)
        yield ProgressBar(total=1.0, completed=moment.progress)
        if wide:
            yield _beside(channels, causes)
            yield _numbers(moment)
            yield _beside(calls, refused)
        else:
            yield channels
            yield _cause_line(moment.figures)
            yield _numbers(moment)
            yield Group(calls, refused)


def _head(moment: Moment) -> RenderableType:
    state = Text("ready", style="green") if not moment.problems else Text(moment.problems[0], style="bold yellow")
    text = Text.assemble(("sendguard", "bold"), "  ", (moment.title, "dim"), "  ", state)
    return _one_line(text)


def _channels(figures: Figures) -> Table:
    table = _table(show_footer=True, footer_style="bold")
    table.add_column("channel", "all", min_width=10)
    for outcome in SHOWN_OUTCOMES:
        table.add_column(outcome, str(figures.total(outcome)), justify="right", style=STYLES[outcome], min_width=9)
    for channel in (*Channel, None):
        counts = [figures.outcomes[channel, outcome] for outcome in SHOWN_OUTCOMES]
        table.add_row(channel or "unknown", *(str(count) if count else "·" for count in counts))
    return table


def _causes(figures: Figures) -> Table:
    table = _table()
    table.add_column("dropped because of", min_width=22)
    table.add_column("", justify="right", style="red")
    for cause, count in figures.causes.most_common():
        table.add_row(cause, str(count))
    return table


def _cause_line(figures: Figures) -> RenderableType:
    """At most two lines, and always two."""
    causes = " · ".join(f"{cause} {count}" for cause, count in figures.causes.most_common()) or "nothing yet"
    return Text(f"dropped because of: {causes}", style="red")


def _numbers(moment: Moment) -> RenderableType:
    figures = moment.figures
    return _one_line(
        Text.assemble(
            ("requests ", "dim"),
            (str(figures.requests), "bold"),
            ("  decisions ", "dim"),
            (str(figures.decisions), "bold"),
            (f" ({moment.rate:.0f}/s)", "dim"),
            ("  opt-outs ", "dim"),
            (f"{figures.places}", "bold"),
            ("  honoured in ", "dim"),
            (in_ms(moment.honour_p50_s), "bold cyan"),
            (" (p99 ", "dim"),
            (in_ms(moment.honour_p99_s), "cyan"),
            (")", "dim"),
        )
    )


def _calls(calls: Sequence[Call], count: int, room: int) -> Table:
    table = _list(f"{count} provider calls (sandbox), the latest:")
    for call in list(calls)[-room:]:
        more = f" +{len(call.to) - 1}" if len(call.to) > 1 else ""
        table.add_row(Text(f"{call.channel:8}", style="green"), call.to[0] + more, Text(call.text, style="dim"))
    return _filled(table, room)


def _refused(refused: Sequence[Decided], room: int) -> Table:
    table = _list("not forwarded, the latest:")
    for decided in list(refused)[-room:]:
        style = STYLES[decided.outcome]
        channel = Text(f"{decided.channel or '?':8}", style=style)
        table.add_row(channel, decided.to, Text(decided.why or decided.outcome, style=style))
    return _filled(table, room)


def _table(show_footer: bool = False, footer_style: str = "") -> Table:
    return Table(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1),
        show_footer=show_footer,
        footer_style=footer_style,
    )


def _list(title: str) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.title, table.title_justify, table.title_style = title, "left", "bold"
    table.add_column(width=8, no_wrap=True)
    table.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
    return table


def _filled(table: Table, room: int) -> Table:
    """Of constant height, so that the picture does not jump."""
    for _ in range(room - table.row_count):
        table.add_row("", "", "")
    return table


def _beside(left: RenderableType, right: RenderableType) -> Table:
    grid = Table.grid(expand=True, padding=(0, 2))
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    grid.add_row(left, right)
    return grid


def _one_line(text: Text) -> Text:
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text
