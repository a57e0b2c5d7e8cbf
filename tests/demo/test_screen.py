"""The picture fits its terminal, and the summary says what is wrong."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
from rich.console import Console

from gateway.contract.decisions import Outcome
from gateway.contract.receipts import ReceiptOutcome
from gateway.demo.audit.faults import Fault, Finding
from gateway.demo.ledger import Figures, Told
from gateway.demo.providers.request_log import Asked
from gateway.demo.screen import Moment, Screen, line
from gateway.demo.summary import summary
from gateway.dnd.model import Cause, Channel
from tests.demo.histories import audited, clean

MARKUP = "[red]Zoë[/red], 20% off until Monday ..."

BUSY = Moment(
    title="Kafka 127.0.0.1:26670  http://127.0.0.1:8080",
    progress=0.5,
    elapsed_s=12.3,
    figures=Figures(
        requests=1234,
        opt_outs=105,
        outcomes=Counter({(channel, outcome): 123 for channel in (*Channel, None) for outcome in Outcome}),
        receipts=Counter({(channel, outcome): 12 for channel in Channel for outcome in ReceiptOutcome}),
        causes=Counter({cause: 100 + number for number, cause in enumerate(Cause)}),
        causes_at_dispatch=Counter({cause: 10 + number for number, cause in enumerate(Cause)}),
    ),
    honour_p50_s=0.0032,
    honour_p99_s=None,
    provider_calls=861,
    calls=[
        Asked(1, "mailgun", "mg", "loc1", Channel.EMAIL, ("zoë.1234@example.com",) * 3, MARKUP, 200, "id"),
        Asked(1, "twilio", "AC1", "loc1", Channel.SMS, ("+14155550100",), MARKUP, 400, code="21610"),
    ]
    * 10,
    refused=[
        Told("r-1", Channel.WHATSAPP, "(415) 555-0100", Outcome.DROPPED, "suppressed_complaint (temporary) " * 3),
        Told("r-2", Channel.SMS, "(415) 555-0101", ReceiptOutcome.DROPPED, "keyword_opt_out on the address"),
    ]
    * 10,
    problems=[],
)

IDLE = dataclasses.replace(BUSY, figures=Figures(), calls=[], refused=[], provider_calls=0, problems=["loading"])


def lines(moment: Moment, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, record=True, force_terminal=True, color_system=None, quiet=False)
    with console.capture() as captured:
        console.print(Screen(moment))
    return captured.get().splitlines()


@pytest.mark.parametrize("moment", [BUSY, IDLE], ids=["busy", "idle"])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 24), (120, 40), (200, 60)])
def test_the_picture_fits_the_terminal_and_does_not_jump(moment: Moment, width: int, height: int) -> None:
    shown = lines(moment, width, height)
    assert len(shown) < height
    assert all(len(each) <= width for each in shown)
    assert len(shown) == len(lines(BUSY, width, height))


def test_the_picture_shows_every_channel_the_commonest_causes_and_why_requests_were_refused() -> None:
    shown = "\n".join(lines(BUSY, 80, 24))
    for word in (*Channel, "forwarded", "dropped", "provider_opt_out", "other causes", "1234", "3.2 ms", "suppressed"):
        assert word in shown


def test_the_picture_shows_what_dispatch_made_of_what_was_forwarded() -> None:
    shown = "\n".join(lines(BUSY, 120, 40))
    for word in ("sent", "stopped", "waiting 573", "109+19", "while it waited: keyword", "refused: 21610"):
        assert word in shown


def test_what_a_message_says_is_shown_as_it_is() -> None:
    assert "[red]Zoë[/red]" in "\n".join(lines(BUSY, 200, 40))


def test_what_the_service_waits_for_is_shown() -> None:
    assert "loading" in lines(IDLE, 80, 24)[0]


def test_a_line_has_the_figures() -> None:
    shown = line(BUSY)
    for word in (
        "requests 1234",
        "dropped 861",
        "sent 72",
        "stopped at dispatch 72",
        "provider calls 861",
        "p50 3.2 ms",
    ):
        assert word in shown


def told(*findings: Finding) -> str:
    report = dataclasses.replace(audited(clean().history), findings=findings)
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(summary(report, 0.003, 0.02))
    return captured.get()


def test_the_summary_of_a_clean_campaign_says_that_it_adds_up() -> None:
    shown = told()
    assert "Everything adds up." in shown
    assert "✗" not in shown


def test_the_summary_names_what_is_wrong() -> None:
    shown = told(Finding(Fault.HELD, "outbound.requests-0-17"))
    assert "outbound.requests-0-17" in shown
    assert "does not add up" in shown
    assert "✗ = 0" in shown


def test_the_summary_of_much_that_is_wrong_stays_short() -> None:
    shown = told(*(Finding(Fault.STALE, f"outbound.requests-0-{offset}") for offset in range(500)))
    assert "... and 490 more" in shown
    assert len(shown.splitlines()) < 50
