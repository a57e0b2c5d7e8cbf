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
from gateway.contract.receipts import ReceiptOutcome
from gateway.demo.honour import in_ms
from gateway.demo.ledger import Figures, Told
from gateway.demo.providers.request_log import Asked
from gateway.dnd.model import Channel

WIDE = 112
"""Columns from which on two tables stand beside each other."""

STYLES: dict[str, str] = {
    Outcome.FORWARDED: "cyan",
    Outcome.DROPPED: "red",
    Outcome.UNAVAILABLE: "yellow",
    Outcome.EXPIRED: "yellow",
    Outcome.INVALID: "magenta",
    ReceiptOutcome.SENT: "green",
    ReceiptOutcome.DROPPED: "bold red",
    ReceiptOutcome.FAILED: "magenta",
}
"""Of outcomes and of receipts; `expired` is both."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the channels' table, and what it counts."""

    head: str
    style: str
    decided: tuple[Outcome, ...] = ()
    finished: tuple[ReceiptOutcome, ...] = ()

    def count(self, figures: Figures, channel: Channel | None) -> int:
        return sum(figures.outcomes[channel, each] for each in self.decided) + sum(
            figures.receipts[channel, each] for each in self.finished
        )


COLUMNS = (
    Column("forwarded", "cyan", decided=(Outcome.FORWARDED,)),
    Column("dropped", "red", decided=(Outcome.DROPPED,)),
    Column("other", "yellow", (Outcome.UNAVAILABLE, Outcome.EXPIRED, Outcome.INVALID)),
    Column("sent", "green", finished=(ReceiptOutcome.SENT,)),
    Column("stopped", "bold red", finished=(ReceiptOutcome.DROPPED,)),
)
"""What the guard decided, and what became of the forwarded ones at dispatch. What is neither yet is waiting, and what a
provider refused is in the list below."""

SAID = (Outcome.FORWARDED, Outcome.DROPPED, Outcome.EXPIRED, Outcome.INVALID)
"""Outcomes in a line; `unavailable` needs an account that does not work, which the demo has none of."""

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
    honour_p50_s: float | None
    honour_p99_s: float | None
    provider_calls: int
    calls: Sequence[Asked]
    refused: Sequence[Told]
    problems: Sequence[str]


def line(moment: Moment) -> str:
    """For a log file or a pipe."""
    figures = moment.figures
    decided = ", ".join(f"{outcome} {figures.total(outcome)}" for outcome in SAID)
    return (
        f"{moment.elapsed_s:5.1f} s  requests {figures.requests}, decisions {figures.decisions} ({decided}), "
        f"sent {figures.sent()}, stopped at dispatch {figures.sent(ReceiptOutcome.DROPPED)}, "
        f"waiting {figures.waiting}, opt-outs {figures.opt_outs}, provider calls {moment.provider_calls}, "
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
    channels = (*Channel, None)
    table.add_column("channel", "all", min_width=8)
    for column in COLUMNS:
        total = sum(column.count(figures, channel) for channel in channels)
        table.add_column(column.head, str(total), justify="right", style=column.style)
    for channel in channels:
        counts = [column.count(figures, channel) for column in COLUMNS]
        table.add_row(channel or "unknown", *(str(count) if count else "" for count in counts))
    return table


def _causes(figures: Figures) -> Table:
    """As many rows as there are channels; the rarest causes share the last one. By the guard + at dispatch."""
    rows = len(Channel) + 1
    table = _table()
    table.add_column("dropped for", "all", min_width=len("suppressed_complaint"))
    both = _both(figures.total(Outcome.DROPPED), figures.sent(ReceiptOutcome.DROPPED))
    table.add_column("", both, justify="right", style="red", min_width=len("123+12"))
    causes = (figures.causes + figures.causes_at_dispatch).most_common()
    shown = [(cause, _both(figures.causes[cause], figures.causes_at_dispatch[cause])) for cause, _ in causes]
    if len(causes) > rows:
        rare = [cause for cause, _ in causes[rows - 1 :]]
        first, second = (sum(each[cause] for cause in rare) for each in (figures.causes, figures.causes_at_dispatch))
        shown = [*shown[: rows - 1], (f"{len(rare)} other causes", _both(first, second))]
    for cause, count in shown:
        table.add_row(cause, count)
    for _ in range(rows - len(shown)):
        table.add_row("", "")
    return table


def _both(by_guard: int, at_dispatch: int) -> str:
    return f"{by_guard}+{at_dispatch}" if at_dispatch else str(by_guard)


def _numbers(moment: Moment) -> RenderableType:
    figures = moment.figures
    return _one_line(
        Text.assemble(
            ("requests ", "dim"),
            (str(figures.requests), "bold"),
            ("  decided ", "dim"),
            (str(figures.decisions), "bold"),
            ("  waiting ", "dim"),
            (str(figures.waiting), "bold"),
            ("  opt-outs ", "dim"),
            (f"{figures.opt_outs}", "bold"),
            ("  honour ", "dim"),
            (in_ms(moment.honour_p50_s), "bold cyan"),
            (", p99 ", "dim"),
            (in_ms(moment.honour_p99_s), "cyan"),
        )
    )


def _calls(calls: Sequence[Asked], count: int, room: int) -> Table:
    table = _list(f"{count} calls to providers (sandbox), the latest:")
    for call in list(calls)[-room:]:
        more = f" +{len(call.to) - 1}" if len(call.to) > 1 else ""
        style = "green" if call.message_id else "magenta"
        said = call.text if call.message_id else f"refused: {call.code}"
        table.add_row(Text(f"{call.channel:8}", style=style), "".join(call.to[:1]) + more, Text(said, style="dim"))
    return _filled(table, room)


def _refused(refused: Sequence[Told], room: int) -> Table:
    table = _list("not sent, the latest:")
    for told in list(refused)[-room:]:
        style = STYLES[told.outcome]
        channel = Text(f"{told.channel or '?':8}", style=style)
        stopped = "while it waited: " if told.outcome is ReceiptOutcome.DROPPED else ""
        table.add_row(channel, told.to, Text(stopped + (told.why or told.outcome), style=style))
    return _filled(table, room)


def _table() -> Table:
    return Table(
        box=HEADED,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
        show_footer=True,
        footer_style="bold",
    )


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
    grid = Table.grid(padding=(0, 2))
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
