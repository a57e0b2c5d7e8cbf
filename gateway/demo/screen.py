"""The live picture of a running campaign, for terminals of 80x24 and more; and one line of it where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import Box
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
"""Everything but the latest calls and refusals in the narrow picture, and one line for the cursor."""

ROOMY, GAPS = 30, 3
"""Lines from which on there are empty ones between the parts, and how many."""

SHOWN_LIMIT = 12
"""Latest calls and refusals shown, however high the terminal is."""

HEADED = Box("    \n    \n ── \n    \n    \n ── \n    \n    \n")
"""A line under the head and one over the totals."""


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
        f"opt-outs {figures.opt_outs}, provider calls {moment.provider_calls}, "
        f"honour time p50 {in_ms(moment.honour_p50_s)} p99 {in_ms(moment.honour_p99_s)}"
    )


class Screen:
    """Renders a moment in the room there is."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        moment, wide, gaps = self._moment, options.max_width >= WIDE, options.size.height >= ROOMY
        lines = options.size.height - FIXED_LINES - (GAPS if gaps else 0)
        room = min(SHOWN_LIMIT, max(2, lines if wide else lines // 2))
        yield _head(moment)
        yield _bar(moment.progress)
        yield from [""] * gaps
        yield _beside(_channels(moment.figures), _causes(moment.figures))
        yield from [""] * gaps
        yield _numbers(moment)
        yield from [""] * gaps
        calls = _calls(moment.calls, moment.provider_calls, room)
        refused = _refused(moment.refused, room)
        yield _halves(calls, refused) if wide else Group(calls, refused)


def _head(moment: Moment) -> RenderableType:
    state = Text("ready", style="green") if not moment.problems else Text(moment.problems[0], style="bold yellow")
    text = Text.assemble(("sendguard", "bold"), "  ", (moment.title, "dim"), "  ", state)
    return _one_line(text)


def _bar(progress: float) -> RenderableType:
    bar = Table.grid(expand=True)  # a bar alone ends without a line break
    bar.add_row(ProgressBar(total=1.0, completed=progress))
    return bar


def _channels(figures: Figures) -> Table:
    table = _table()
    table.add_column("channel", "all", min_width=8)
    for outcome in SHOWN_OUTCOMES:
        table.add_column(outcome, str(figures.total(outcome)), justify="right", style=STYLES[outcome])
    for channel in (*Channel, None):
        counts = [figures.outcomes[channel, outcome] for outcome in SHOWN_OUTCOMES]
        table.add_row(channel or "unknown", *(str(count) if count else "·" for count in counts))
    return table


def _causes(figures: Figures) -> Table:
    """As many rows as there are channels; the rarest causes share the last one."""
    rows = len(Channel) + 1
    table = _table()
    table.add_column("dropped for", "all", min_width=len("suppressed_complaint"))
    table.add_column("", str(figures.total(Outcome.DROPPED)), justify="right", style=STYLES[Outcome.DROPPED])
    causes = figures.causes.most_common()
    if len(causes) > rows:
        rare = causes[rows - 1 :]
        causes = [*causes[: rows - 1], (f"{len(rare)} other causes", sum(count for _, count in rare))]
    for cause, count in causes:
        table.add_row(cause, str(count))
    for _ in range(rows - len(causes)):
        table.add_row("", "")
    return table


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
            (f"{figures.opt_outs}", "bold"),
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


def _table() -> Table:
    return Table(box=HEADED, show_edge=False, pad_edge=False, padding=(0, 1), show_footer=True, footer_style="bold")


def _list(title: str) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.title, table.title_justify, table.title_style = title, "left", "bold"
    table.add_column(width=8, no_wrap=True)
    table.add_column(ratio=4, no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=5, no_wrap=True, overflow="ellipsis")
    return table


def _filled(table: Table, room: int) -> Table:
    """Of constant height, so that the picture does not jump."""
    for _ in range(room - table.row_count):
        table.add_row("", "", "")
    return table


def _beside(left: RenderableType, right: RenderableType) -> Table:
    grid = Table.grid(padding=(0, 3))
    grid.add_row(left, right)
    return grid


def _halves(left: RenderableType, right: RenderableType) -> Table:
    grid = Table.grid(expand=True, padding=(0, 3))
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    grid.add_row(left, right)
    return grid


def _one_line(text: Text) -> Text:
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text
