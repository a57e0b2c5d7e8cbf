"""The summary of a campaign: what the audit read in the topics, and whether it adds up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.contract.decisions import Outcome
from gateway.contract.receipts import ReceiptOutcome
from gateway.demo.audit.faults import Fault, Report
from gateway.demo.honour import in_ms
from gateway.demo.screen import STYLES

TITLE = "Read back from the topics and the providers' request log"

FINDINGS_SHOWN = 10
"""Each names one request; more do not help a reader."""


NEVER = (
    ("decisions on stale state", Fault.STALE),
    ("forwarded to held addresses", Fault.FORWARDED_HELD),
    ("provider calls to held addresses", Fault.HELD),
)
"""What there must be none of."""


def busy(console: Console, what: str) -> AbstractContextManager[object]:
    """Say what is going on: while it is, on a terminal, else as a line."""
    if console.is_terminal:
        return console.status(what)
    console.print(what, highlight=False)
    return nullcontext()


def summary(report: Report, honour_p50_s: float | None, honour_p99_s: float | None) -> RenderableType:
    """Table and verdict."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, title=TITLE, title_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_column("check")
    for what, count, holds, check in _rows(report):
        mark = Text("") if holds is None else Text(f"✓ {check}", "green") if holds else Text(f"✗ {check}", "bold red")
        table.add_row(what, str(count), mark)
    honour = f"{in_ms(honour_p50_s)} / {in_ms(honour_p99_s)}"
    table.add_row("honour time p50 / p99", honour, Text("acknowledged → enforced", "dim"))
    return Group(table, Text(""), _verdict(report))


def _rows(report: Report) -> Iterator[tuple[Text, int, bool | None, str]]:
    """What, how many, and whether that is what it must be; None where there is nothing it must be."""
    outcomes = report.outcomes
    yield Text("requests in"), report.requests, None, ""
    yield Text("decisions out"), report.decisions, _one_each(report), "= requests, one each"
    for outcome in Outcome:
        if outcome in outcomes:
            yield Text(f"  {outcome}", STYLES[outcome]), outcomes[outcome], None, ""
    forwarded, invalid = outcomes.get(Outcome.FORWARDED, 0), outcomes.get(Outcome.INVALID, 0)
    yield Text("records on channel topics"), report.forwarded, report.forwarded == forwarded, "= forwarded"
    yield Text("dead letters"), report.dead, report.dead == invalid, "= invalid"
    yield Text("final receipts"), sum(report.receipts.values()), _one_receipt_each(report), "= forwarded, one each"
    for finished in ReceiptOutcome:
        if finished in report.receipts:
            yield Text(f"  {finished}", STYLES[finished]), report.receipts[finished], None, ""
    sent = report.receipts.get(ReceiptOutcome.SENT, 0)
    yield Text("messages providers took"), report.taken, report.taken == sent, "= sent, by the same ids"
    yield Text("calls providers refused"), report.calls - report.taken, None, ""
    yield Text("recipients taken out of emails"), report.removed, None, ""
    yield Text("DND events, places and lifts"), report.events, None, ""
    for what, count in sorted(report.occasions.items()):
        yield Text(f"  {what}", "dim"), count, None, ""
    for what, fault in NEVER:
        count = report.count(fault)
        yield Text(what), count, count == 0, "= 0"


def _one_each(report: Report) -> bool:
    wrong = (Fault.UNDECIDED, Fault.DECIDED_TWICE, Fault.UNASKED)
    return report.requests == report.decisions and not any(report.count(fault) for fault in wrong)


def _one_receipt_each(report: Report) -> bool:
    wrong = (Fault.NO_RECEIPT, Fault.RECEIPT_TWICE, Fault.WRONG_RECEIPT)
    return not any(report.count(fault) for fault in wrong) and sum(report.receipts.values()) == report.forwarded


def _verdict(report: Report) -> RenderableType:
    if report.balances:
        return Text("Everything adds up.", "bold green")
    shown = [str(finding) for finding in report.findings[:FINDINGS_SHOWN]]
    more = len(report.findings) - len(shown)
    return Text("\n".join(["It does not add up:", *shown, *([f"... and {more} more"] if more else [])]), "bold red")
