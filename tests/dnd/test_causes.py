"""The causes table against the rules, and the fold against the table: every cause, scope and actor."""

from __future__ import annotations

from itertools import product

import pytest

from gateway.dnd.causes import CAUSES, may_lift
from gateway.dnd.model import Actor, ActorKind, Cause, Kind, Lift, LiftTerm, Place, Scope
from gateway.dnd.record import EMPTY, RegisterKey, fold
from tests.dnd.strategies import SUBJECT

# As the requirements have it, written down once more: cause, scopes, kind, lifted by, of these support by appeal.
RULES = """
manual               Call Email SMS WhatsApp GMB FB ALL  manual     user agency workflow support
legacy               ALL                                 manual     user agency workflow support
keyword_opt_out      SMS Call WhatsApp                   permanent  contact support(appeal)
carrier_opt_out      SMS                                 permanent  contact support(appeal)
unreachable          SMS                                 temporary  user agency workflow contact support
bounce               Email                               temporary  user agency workflow support
unsubscribe          Email                               temporary  user agency workflow support
suppressed_complaint Email                               temporary  user agency workflow support
complaint            Email                               permanent  support(appeal)
provider_opt_out     WhatsApp                            temporary  user agency workflow contact support
"""

ACTORS = [None, *ActorKind]


def rule(line: str) -> tuple[Cause, set[str], Kind, set[str]]:
    cause, *words = line.split()
    at = next(index for index, word in enumerate(words) if word in set(Kind) and index > 0)
    return Cause(cause), set(words[:at]), Kind(words[at]), set(words[at + 1 :])


TABLE = [rule(line) for line in RULES.strip().splitlines()]


def lifters(cause: Cause) -> set[ActorKind]:
    return {actor for actor in ActorKind if may_lift(actor, cause)}


@pytest.mark.parametrize(("cause", "scopes", "kind", "lifted_by"), TABLE, ids=[row[0].value for row in TABLE])
def test_each_row_is_that_of_the_requirements(cause: Cause, scopes: set[str], kind: Kind, lifted_by: set[str]) -> None:
    """R9-R18, R19."""
    row = CAUSES[cause]
    assert {scope.value for scope in row.scopes} == scopes
    assert row.kind is kind
    assert {actor.value for actor in row.lifted_by} == {word.removesuffix("(appeal)") for word in lifted_by}
    assert row.by_appeal is ("support(appeal)" in lifted_by)


def test_every_cause_has_one_row() -> None:
    assert [row[0] for row in TABLE] == list(CAUSES) == list(Cause)


@pytest.mark.parametrize("place_actor", ACTORS)
def test_a_hold_weakens_only_through_the_table(place_actor: ActorKind | None) -> None:
    """Guarantee 4: every scope, cause, who placed it, who lifts it, and which cause and scope the lift names."""
    for scope, cause in product(Scope, Cause):
        place = Place("p", SUBJECT, (scope,), (cause,), 10, Actor(place_actor))
        record = fold(EMPTY, place, 10).record
        assert [key for key, _ in record.holds()] == [(scope, cause)]
        for lift_actor, lift_scope, lift_cause in product(ACTORS, Scope, Cause):
            lift = Lift("l", SUBJECT, (LiftTerm(lift_scope, lift_cause, 10),), Actor(lift_actor))
            result = fold(record, lift, 20)
            lifted: list[RegisterKey] = [] if list(result.record.holds()) else [(scope, cause)]
            allowed = lift_actor is not None and lift_actor in lifters(lift_cause)
            expected = allowed and (lift_scope, lift_cause) == (scope, cause)
            assert lifted == ([(scope, cause)] if expected else [])
            assert result.refused == (() if allowed else ((lift_scope, lift_cause),))


def test_nobody_lifts_a_complaint_but_support() -> None:
    """R11: users may clear every email cause except spam; R18: support does so by an approved appeal."""
    assert lifters(Cause.COMPLAINT) == {ActorKind.SUPPORT}
    assert CAUSES[Cause.COMPLAINT].by_appeal


@pytest.mark.parametrize("cause", [Cause.BOUNCE, Cause.UNSUBSCRIBE, Cause.SUPPRESSED_COMPLAINT])
def test_users_and_agencies_clear_the_other_email_causes(cause: Cause) -> None:
    """R11."""
    assert {ActorKind.USER, ActorKind.AGENCY} <= lifters(cause)


def test_users_clear_a_temporary_hold() -> None:
    """R15, R17: every temporary cause, by user, agency, workflow and support."""
    people = {ActorKind.USER, ActorKind.AGENCY, ActorKind.WORKFLOW, ActorKind.SUPPORT}
    for cause, row in CAUSES.items():
        if row.kind is Kind.TEMPORARY:
            assert people <= lifters(cause)


def test_a_permanent_hold_is_lifted_by_the_contact_or_by_an_appeal_and_by_nobody_else() -> None:
    """R16, R18, R19: neither the contact record nor a workflow clears it."""
    for cause, row in CAUSES.items():
        if row.kind is Kind.PERMANENT:
            assert row.by_appeal
            assert lifters(cause) <= {ActorKind.CONTACT, ActorKind.SUPPORT}


def test_start_lifts_what_its_sender_may_lift_and_never_a_users_own_hold() -> None:
    """R18: the contact ends keyword, carrier and unreachable causes, and WhatsApp's own stop."""
    lifted = {cause for cause in Cause if may_lift(ActorKind.CONTACT, cause)}
    assert lifted == {Cause.KEYWORD_OPT_OUT, Cause.CARRIER_OPT_OUT, Cause.UNREACHABLE, Cause.PROVIDER_OPT_OUT}


@pytest.mark.parametrize("actor", [ActorKind.PROVIDER, ActorKind.SYSTEM, None])
def test_programs_and_strangers_lift_nothing(actor: ActorKind | None) -> None:
    assert not any(may_lift(actor, cause) for cause in Cause)
