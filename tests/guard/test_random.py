"""Whatever comes in: exactly one decision for every record, and nothing is raised."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.dnd.model import Cause, Scope
from tests.guard.batches import CONTACT, EMAIL, GOOD, NOW, PHONE, Decided, Line, decide, held, mailbox

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""On a busy machine a time limit would fail what is right."""

HOLDS = {
    CONTACT: held(Scope.EMAIL),
    PHONE: held(Scope.SMS, Cause.KEYWORD_OPT_OUT),
    mailbox("b@example.com"): held(Scope.ALL),
}

ADDRESSES: st.SearchStrategy[object] = st.sampled_from(
    ["+14155552671", "+14155552672", "a@example.com", "B@example.com", "", "x", "\x00", "Ж", 7, None, [], {}]
)

FIELDS: dict[str, st.SearchStrategy[object]] = {
    "request_id": st.sampled_from(["r", "", "x" * 129, None, 7]),
    "location_id": st.sampled_from(["loc1", "loc2", "Ж", "\x00", None]),
    "contact_id": st.sampled_from(["c1", "c2", '"', "\\", None]),
    "channel": st.sampled_from(["SMS", "email", "Call", "Instagram", "", None, 1]),
    "to": ADDRESSES | st.lists(ADDRESSES, max_size=4),
    "cc": ADDRESSES | st.lists(ADDRESSES, max_size=4),
    "bcc": ADDRESSES | st.lists(ADDRESSES, max_size=2),
    "not_after": st.sampled_from([NOW - 1, NOW + 1, 0, None, -1, 1.5, 10**30]),
    "body": st.text(max_size=5) | st.integers(),
    "metadata": st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2),
    "other": st.text(max_size=5),
}


@st.composite
def almost_requests(draw: st.DrawFn) -> bytes:
    """A good request with some fields changed or taken out, sometimes with its bytes damaged."""
    fields = dict(draw(st.sampled_from([GOOD, EMAIL])))
    for name in draw(st.lists(st.sampled_from(list(FIELDS)), max_size=4)):
        fields[name] = draw(FIELDS[name])
    for name in draw(st.lists(st.sampled_from(list(GOOD)), max_size=1)):
        fields.pop(name, None)
    text = json.dumps(fields, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    if draw(st.integers(0, 9)):
        return text
    place = draw(st.integers(0, len(text)))
    return text[:place] + draw(st.binary(max_size=3)) + text[place + draw(st.integers(0, 3)) :]


KEYS = st.none() | st.binary(max_size=5)
HEADERS = st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=3)), max_size=2).map(tuple)


def lines(values: st.SearchStrategy[bytes | None]) -> st.SearchStrategy[list[Line]]:
    """Batches with gaps between their offsets."""
    rows = st.lists(st.tuples(st.integers(1, 3), values, KEYS, HEADERS), max_size=6)

    def numbered(given: list[tuple[int, bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]]) -> list[Line]:
        offset, found = 0, []
        for gap, value, key, headers in given:
            offset += gap
            found.append(Line(offset, value, key, headers))
        return found

    return rows.map(numbered)


def is_conserved(batch: list[Line], decided: Decided) -> None:
    """One decision for each record, in order; with it what its outcome demands, and nothing else."""
    assert [decision["decision_id"] for decision in decided.decisions] == [
        f"outbound.requests-3-{line.offset}" for line in batch
    ]
    by_id = {f"outbound.requests-3-{line.offset}": line for line in batch}
    outcomes = {decision["decision_id"]: decision["outcome"] for decision in decided.decisions}
    for kind, written in (("forwarded", decided.forwarded), ("invalid", decided.dead)):
        ids = [each.headers["sg-decision-id"].decode() for each in written]
        assert ids == [identity for identity, outcome in outcomes.items() if outcome == kind]
        for identity, each in zip(ids, written, strict=True):
            line = by_id[identity]
            assert each.key == line.key
            assert each.raw_headers[: len(line.headers)] == list(line.headers)
            if kind == "invalid":
                assert each.value == line.value
    removed = {decision["decision_id"] for decision in decided.decisions if "removed" in decision}
    for each in decided.forwarded:
        identity = each.headers["sg-decision-id"].decode()
        assert (each.value == by_id[identity].value) == (identity not in removed)
    assert len(decided.written) == len(batch) + len(decided.forwarded) + len(decided.dead)
    assert sum(decided.tally.values()) == len(batch)


@given(lines(st.none() | st.binary(max_size=40)))
@UNHURRIED
def test_arbitrary_bytes_get_exactly_one_decision_and_never_raise(batch: list[Line]) -> None:
    decided = decide(batch, HOLDS)
    is_conserved(batch, decided)


@given(lines(almost_requests()))
@UNHURRIED
def test_almost_right_requests_get_exactly_one_decision_and_never_raise(batch: list[Line]) -> None:
    is_conserved(batch, decide(batch, HOLDS, default_region="US"))


@given(lines(almost_requests()))
@UNHURRIED
def test_a_decision_does_not_depend_on_the_batch_it_is_made_in(batch: list[Line]) -> None:
    together = decide(batch, HOLDS).decisions
    alone = [decision for line in batch for decision in decide([line], HOLDS).decisions]
    assert together == alone


@given(lines(almost_requests()))
@UNHURRIED
def test_the_same_batch_is_decided_the_same_way_again(batch: list[Line]) -> None:
    """What was decided and not committed is decided again after a crash."""
    assert decide(batch, HOLDS).written == decide(batch, HOLDS).written
