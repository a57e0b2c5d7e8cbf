"""Who may lift, as people are told it, and what a door asks before it writes a lift."""

from __future__ import annotations

from itertools import product

import pytest

from gateway.dnd.causes import may_lift
from gateway.dnd.lifters import lifters, may_lift_directly
from gateway.dnd.model import ActorKind, Cause

WHO_LIFTS = {
    Cause.MANUAL: "user, agency, workflow, support",
    Cause.LEGACY: "user, agency, workflow, support",
    Cause.KEYWORD_OPT_OUT: "support (by an approved appeal), contact",
    Cause.CARRIER_OPT_OUT: "support (by an approved appeal), contact",
    Cause.UNREACHABLE: "user, agency, workflow, support, contact",
    Cause.BOUNCE: "user, agency, workflow, support",
    Cause.UNSUBSCRIBE: "user, agency, workflow, support",
    Cause.SUPPRESSED_COMPLAINT: "user, agency, workflow, support",
    Cause.COMPLAINT: "support (by an approved appeal)",
    Cause.PROVIDER_OPT_OUT: "user, agency, workflow, support, contact",
}


@pytest.mark.parametrize("cause", Cause)
def test_people_are_told_who_may_lift_a_hold(cause: Cause) -> None:
    """R11, R17, R18."""
    assert ", ".join(map(str, lifters(cause))) == WHO_LIFTS[cause]


def test_a_door_lets_through_what_the_fold_does_but_for_support_without_an_appeal() -> None:
    """R18."""
    by_appeal = {Cause.KEYWORD_OPT_OUT, Cause.CARRIER_OPT_OUT, Cause.COMPLAINT}
    for actor, cause in product([None, *ActorKind], Cause):
        refused_at_the_door = actor is ActorKind.SUPPORT and cause in by_appeal
        assert may_lift_directly(actor, cause) is (may_lift(actor, cause) and not refused_at_the_door)
