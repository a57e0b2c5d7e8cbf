"""The audit finds what it is there for: every doctored history is reported, the clean one is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import msgspec
import pytest

from gateway.contract.decisions import Outcome
from gateway.contract.receipts import ReceiptOutcome
from gateway.demo.audit.faults import Fault
from gateway.demo.audit.history import History
from gateway.dnd.model import Cause, Channel, Scope, Subject, SubjectKind
from gateway.streams.tap import Tapped
from tests.demo.histories import ADA, BEN, Writer, audited, clean, faults, phone, start, stop


def test_a_clean_history_balances() -> None:
    report = audited(clean().history)
    assert report.balances
    assert (report.requests, report.decisions, report.forwarded, report.dead, report.calls) == (4, 4, 1, 1, 1)
    assert (report.receipts, report.taken) == ({ReceiptOutcome.SENT: 1}, 1)
    assert report.outcomes == {
        Outcome.DROPPED: 1,
        Outcome.FORWARDED: 1,
        Outcome.EXPIRED: 1,
        Outcome.INVALID: 1,
    }


def test_an_empty_history_balances() -> None:
    assert audited(Writer().history).balances


def altered_output(history: History) -> History:
    (record,) = history.outputs[Channel.SMS]
    value = (record.value or b"").replace(b"r-1", b"r-9")
    return with_outputs(history, msgspec.structs.replace(record, value=value))


def with_outputs(history: History, *records: Tapped) -> History:
    return dataclasses.replace(history, outputs={**history.outputs, Channel.SMS: list(records)})


def on_another_channel(history: History) -> History:
    return dataclasses.replace(
        history, outputs={**history.outputs, Channel.SMS: [], Channel.CALL: history.outputs[Channel.SMS]}
    )


DOCTORED: dict[str, tuple[Callable[[History], History], set[Fault]]] = {
    "a decision is missing": (
        lambda history: dataclasses.replace(history, decisions=history.decisions[1:]),
        {Fault.UNDECIDED},
    ),
    "a decision is there twice": (
        lambda history: dataclasses.replace(history, decisions=[*history.decisions, history.decisions[0]]),
        {Fault.DECIDED_TWICE},
    ),
    "a request is missing": (
        lambda history: dataclasses.replace(history, requests=history.requests[1:]),
        {Fault.UNASKED},
    ),
    "a forwarded record is missing": (
        lambda history: with_outputs(history),
        {Fault.NOT_FORWARDED, Fault.WRONG_RECEIPT},
    ),
    "a record is forwarded twice": (
        lambda history: with_outputs(history, *history.outputs[Channel.SMS], *history.outputs[Channel.SMS]),
        {Fault.FORWARDED_TWICE},
    ),
    "a record is forwarded to another channel": (
        on_another_channel,
        {Fault.NOT_FORWARDED, Fault.WRONGLY_FORWARDED},
    ),
    "a record is forwarded that was not decided": (
        lambda history: dataclasses.replace(history, decisions=[history.decisions[0], *history.decisions[2:]]),
        {Fault.UNDECIDED, Fault.WRONGLY_FORWARDED},
    ),
    "a forwarded record is another one": (altered_output, {Fault.ALTERED}),
    "a forwarded record has lost the sender's headers": (
        lambda history: with_outputs(
            history,
            *(msgspec.structs.replace(each, headers=each.headers[1:]) for each in history.outputs[Channel.SMS]),
        ),
        {Fault.ALTERED},
    ),
    "a dead letter is missing": (lambda history: dataclasses.replace(history, dead=[]), {Fault.NO_DEAD_LETTER}),
    "a dead letter is there twice": (
        lambda history: dataclasses.replace(history, dead=[*history.dead] * 2),
        {Fault.NO_DEAD_LETTER},
    ),
    "a dead letter is of a forwarded request": (
        lambda history: dataclasses.replace(history, dead=[*history.dead, *history.outputs[Channel.SMS]]),
        {Fault.WRONGLY_DEAD},
    ),
    "a receipt is missing": (
        lambda history: dataclasses.replace(history, receipts=[]),
        {Fault.NO_RECEIPT, Fault.WRONGLY_CALLED},
    ),
    "a receipt is there twice": (
        lambda history: dataclasses.replace(history, receipts=[*history.receipts] * 2),
        {Fault.RECEIPT_TWICE},
    ),
    "the provider was not called": (lambda history: dataclasses.replace(history, calls=[]), {Fault.NOT_CALLED}),
    "the provider took it twice": (
        lambda history: dataclasses.replace(
            history, calls=[*history.calls, msgspec.structs.replace(history.calls[0], message_id="another")]
        ),
        {Fault.CALLED_TWICE},
    ),
    "the provider took it under another id": (
        lambda history: dataclasses.replace(
            history, calls=[msgspec.structs.replace(history.calls[0], message_id="another")]
        ),
        {Fault.NOT_CALLED, Fault.WRONGLY_CALLED},
    ),
    "the provider took what nobody had asked for": (
        lambda history: dataclasses.replace(
            history, calls=[*history.calls, msgspec.structs.replace(history.calls[0], message_id="x", decision_id="")]
        ),
        {Fault.WRONGLY_CALLED},
    ),
    "nobody was on hold": (lambda history: dataclasses.replace(history, events=[]), {Fault.NOT_HELD}),
}


@pytest.mark.parametrize("name", DOCTORED)
def test_what_does_not_add_up_is_found(name: str) -> None:
    doctor, expected = DOCTORED[name]
    assert faults(doctor(clean().history)) == expected


def test_what_is_still_on_its_way_leaves_the_verdict_open() -> None:
    history = clean().history
    assert audited(history).is_settled
    assert not audited(dataclasses.replace(history, calls=[])).is_settled
    assert not audited(dataclasses.replace(history, decisions=history.decisions[1:])).is_settled
    assert not audited(dataclasses.replace(history, receipts=[])).is_settled
    assert audited(dataclasses.replace(history, receipts=[*history.receipts] * 2)).is_settled


def test_a_request_forwarded_to_somebody_held_is_found_though_the_decision_knew_of_the_hold() -> None:
    writer = Writer()
    writer.event(stop(phone(ADA), 100), 100)
    name = writer.request(200, Outcome.FORWARDED, ADA, state=((0, 1),))
    report = audited(writer.history)
    assert [(finding.fault, finding.about) for finding in report.findings] == [(Fault.FORWARDED_HELD, name)]


def test_a_decision_on_stale_state_is_found_with_what_came_of_it() -> None:
    writer = Writer()
    writer.event(stop(phone(ADA), 100), 100)
    writer.request(200, Outcome.FORWARDED, ADA, state=((0, 0),))
    assert faults(writer.history) == {Fault.STALE, Fault.FORWARDED_HELD}


def test_a_decision_on_stale_state_is_found_though_nothing_came_of_it() -> None:
    writer = Writer()
    writer.event(stop(phone(ADA), 100), 100, partition=1)
    writer.request(200, Outcome.FORWARDED, BEN, state=((0, 0), (1, 0)))
    assert faults(writer.history) == {Fault.STALE}


def test_a_hold_that_came_after_the_request_is_not_held_against_the_guard() -> None:
    writer = Writer()
    writer.event(stop(phone(ADA), 200), 200)
    writer.request(200, Outcome.FORWARDED, ADA, state=((0, 0),))
    assert audited(writer.history).balances


def test_a_hold_dated_before_the_request_that_nobody_had_seen_yet_is_not_held_against_the_guard() -> None:
    writer = Writer()
    writer.event(stop(phone(ADA), 100), 100, seen_after=200)
    writer.request(200, Outcome.FORWARDED, ADA, state=((0, 0),))
    assert audited(writer.history).balances


def test_a_hold_the_decision_knew_of_counts_though_it_came_after_the_request() -> None:
    writer = Writer()
    writer.event(stop(phone(ADA), 300), 300)
    writer.request(200, Outcome.FORWARDED, ADA, state=((0, 1),))
    assert faults(writer.history) == {Fault.FORWARDED_HELD}


def test_what_was_lifted_before_the_decision_is_not_held() -> None:
    writer = Writer()
    writer.event(stop(phone(ADA), 100), 100)
    writer.event(start(phone(ADA), 150), 150)
    writer.request(200, Outcome.FORWARDED, ADA, state=((0, 2),))
    assert audited(writer.history).balances


def test_a_lift_the_decision_could_not_know_of_excuses_nothing() -> None:
    writer = Writer()
    writer.event(stop(phone(ADA), 100), 100)
    writer.event(start(phone(ADA), 300), 300)
    writer.request(200, Outcome.FORWARDED, ADA, state=((0, 1),))
    assert faults(writer.history) == {Fault.FORWARDED_HELD}


@pytest.mark.parametrize(
    ("subject", "scope", "held"),
    [
        (Subject("loc1", SubjectKind.CONTACT, "c1"), Scope.SMS, True),
        (Subject("loc1", SubjectKind.CONTACT, "c1"), Scope.ALL, True),
        (Subject("loc1", SubjectKind.CONTACT, "c1"), Scope.CALL, False),
        (Subject("loc1", SubjectKind.CONTACT, "c2"), Scope.ALL, False),
        (phone(ADA), Scope.ALL, True),
        (phone(ADA), Scope.EMAIL, False),
        (phone(BEN), Scope.SMS, False),
        (phone(ADA, "loc2"), Scope.ALL, False),
    ],
)
def test_holds_on_contact_and_address_and_on_channel_and_all_count_within_a_location(
    subject: Subject, scope: Scope, held: bool
) -> None:
    writer = Writer()
    writer.event(stop(subject, 100, scope, Cause.MANUAL), 100)
    writer.request(200, Outcome.FORWARDED, ADA, state=((0, 1),))
    assert faults(writer.history) == ({Fault.FORWARDED_HELD} if held else set())


def test_a_clock_of_the_broker_that_was_set_back_hides_no_earlier_event() -> None:
    writer = Writer()
    writer.event(stop(phone(BEN), 500), 500)  # appended before the next one, whatever the clock said
    writer.event(stop(phone(ADA), 100), 100)
    writer.request(600, Outcome.FORWARDED, ADA, state=((0, 0),))
    assert faults(writer.history) == {Fault.STALE, Fault.FORWARDED_HELD}


ANN, BOB, CY = "ann@example.com", "bob@example.com", "cy@example.com"


def mailbox(address: str) -> Subject:
    return Subject("loc1", SubjectKind.EMAIL, address)


def invoice(state: tuple[tuple[int, int], ...], removed: list[str]) -> Writer:
    writer = Writer()
    writer.event(stop(mailbox(BOB), 100, Scope.EMAIL, Cause.BOUNCE), 100)
    writer.request(200, Outcome.FORWARDED, [ANN, BOB, CY], Channel.EMAIL, state, removed)
    return writer


def test_a_held_recipient_taken_out_of_an_email_is_right() -> None:
    report = audited(invoice(((0, 1),), [BOB]).history)
    assert report.balances
    assert report.removed == 1


def test_a_held_recipient_left_in_an_email_is_found() -> None:
    assert faults(invoice(((0, 1),), []).history) == {Fault.FORWARDED_HELD}


def test_a_recipient_taken_out_who_was_not_held_is_found() -> None:
    assert faults(invoice(((0, 1),), [BOB, CY]).history) == {Fault.NOT_HELD}


def test_a_recipient_that_is_gone_and_not_named_is_found() -> None:
    history = invoice(((0, 1),), [BOB]).history
    (decision,) = history.decisions
    unnamed = (decision.value or b"").replace(b'["bob@example.com"]', b"[]")
    doctored = dataclasses.replace(history, decisions=[msgspec.structs.replace(decision, value=unnamed)])
    assert faults(doctored) == {Fault.ALTERED}


def test_a_call_long_after_a_hold_is_found_though_it_was_rightly_forwarded() -> None:
    """What waited at dispatch while the STOP came in."""
    writer = Writer()
    writer.event(stop(phone(ADA), 1_000), 1_000)
    name = writer.request(900, Outcome.FORWARDED, ADA, called_after=601)
    report = audited(writer.history)
    assert [(finding.fault, finding.about) for finding in report.findings] == [(Fault.HELD, name)]


@pytest.mark.parametrize("called_after", [90, 110, 600])
def test_a_call_begun_within_the_promised_time_is_right(called_after: int) -> None:
    writer = Writer()
    writer.event(stop(phone(ADA), 1_000), 1_000)
    writer.request(900, Outcome.FORWARDED, ADA, called_after=called_after)
    assert audited(writer.history).balances


def test_a_call_that_the_provider_refused_counts_too() -> None:
    writer = Writer()
    writer.event(stop(phone(ADA), 100), 100)
    name = writer.request(50, Outcome.FORWARDED, ADA, finished=ReceiptOutcome.FAILED)
    writer.call(name, Channel.SMS, (ADA,), 5_000, message_id="")
    assert faults(writer.history) == {Fault.HELD}


def test_a_call_after_a_start_is_right_also_within_the_promised_time() -> None:
    writer = Writer()
    writer.event(stop(phone(ADA), 100), 100)
    writer.event(start(phone(ADA), 5_000), 5_000)
    writer.request(5_001, Outcome.FORWARDED, ADA, state=((0, 2),))
    assert audited(writer.history).balances


def test_a_hold_on_the_contact_counts_for_a_call_that_does_not_name_it() -> None:
    writer = Writer()
    writer.event(stop(Subject("loc1", SubjectKind.CONTACT, "c1"), 100, Scope.FB, Cause.MANUAL), 100)
    writer.request(50, Outcome.FORWARDED, "psid-1", Channel.FB, called_after=2_000)
    assert faults(writer.history) == {Fault.HELD}


def test_who_was_dropped_at_dispatch_was_on_hold() -> None:
    writer = Writer()
    writer.event(stop(phone(ADA), 1_000), 1_000)
    writer.request(900, Outcome.FORWARDED, ADA, finished=ReceiptOutcome.DROPPED, called_after=300)
    assert audited(writer.history).balances
    writer.request(900, Outcome.FORWARDED, BEN, finished=ReceiptOutcome.DROPPED, called_after=300)
    assert faults(writer.history) == {Fault.NOT_HELD}


def test_a_key_that_came_again_sent_nothing_more() -> None:
    writer = Writer()
    writer.request(200, Outcome.FORWARDED, "gmb-1", Channel.GMB)
    again = msgspec.structs.replace(writer.history.calls[0], repeated=True)
    report = audited(dataclasses.replace(writer.history, calls=[*writer.history.calls, again]))
    assert report.balances
    assert (report.calls, report.taken) == (2, 1)


def test_a_call_without_a_decision_id_belongs_to_the_receipt_that_names_its_message() -> None:
    writer = Writer()
    writer.request(200, Outcome.FORWARDED, "psid-1", Channel.FB)
    assert writer.history.calls[0].decision_id == ""
    assert audited(writer.history).balances
