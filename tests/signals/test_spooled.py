"""Signals as bytes on disk and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.forgiving import EVIDENCE_LIMIT_BYTES
from gateway.dnd.model import Actor, ActorKind, Cause, Scope, Subject, SubjectKind
from gateway.providers.signals import OptIn, OptOut, Signal
from gateway.signals.spooled import VERSION, UnreadableRowError, decode_signal, encode_signal
from tests.signals.people import start, stop

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SUBJECTS = st.builds(Subject, TEXT, st.sampled_from(SubjectKind), TEXT)
ACTORS = st.builds(Actor, st.sampled_from([None, *ActorKind]), TEXT)
EVIDENCE = st.dictionaries(
    TEXT, TEXT | st.integers(-(2**53), 2**53) | st.none() | st.lists(TEXT, max_size=3), max_size=3
)
SCOPES = st.lists(st.sampled_from(Scope), min_size=1).map(tuple)
MOMENTS = st.none() | st.integers(-(2**63), 2**63 - 1)
SIGNALS: st.SearchStrategy[Signal] = st.one_of(
    st.builds(OptOut, TEXT, SUBJECTS, SCOPES, st.sampled_from(Cause), MOMENTS, ACTORS, EVIDENCE),
    st.builds(
        OptIn,
        TEXT,
        SUBJECTS,
        SCOPES,
        st.lists(st.sampled_from(Cause), min_size=1).map(tuple),
        ACTORS,
        st.none() | TEXT,
        EVIDENCE,
        MOMENTS,
    ),
)


@given(SIGNALS)
def test_a_signal_comes_back_as_it_was(signal: Signal) -> None:
    assert decode_signal(VERSION, encode_signal(signal)) == signal


def test_evidence_is_bounded_as_in_events() -> None:
    """So that a spool of a given size holds a known number of signals."""
    signal = replace(stop("s"), evidence={"text": "x" * EVIDENCE_LIMIT_BYTES})
    assert len(encode_signal(signal)) < 1_000
    assert decode_signal(VERSION, encode_signal(signal)).evidence.keys() == {"left_out_bytes"}


@pytest.mark.parametrize(
    "value", [b"", b"\xff", b"{}", b"[" * 100_000, encode_signal(start("s"))[:-9], b'{"type":"x"}']
)
def test_bytes_that_are_no_signal_are_unreadable_and_nothing_worse(value: bytes) -> None:
    with pytest.raises(UnreadableRowError):
        decode_signal(VERSION, value)


def test_a_row_of_a_later_release_is_not_guessed_at() -> None:
    with pytest.raises(UnreadableRowError, match="version 2"):
        decode_signal(VERSION + 1, encode_signal(stop("s")))
