"""R13, R14: a body that is a keyword, however it is decorated, and a sentence that only has one in it."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dnd.keywords import (
    LONGEST_BODY,
    LONGEST_WORD,
    MOST_WORDS,
    WORDS,
    KeywordProfile,
    Word,
    classify,
    normalise,
    problems_with_extra_words,
)

AS_SPECIFIED, TWILIO_ALIGNED = KeywordProfile.AS_SPECIFIED, KeywordProfile.TWILIO_ALIGNED

ZERO_WIDTH = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad\ufe0e\ufe0f\U000e0100"
SPACES = " \t\r\n\u00a0\u2003\u3000\u2028"
MARKS = ".!,\uff0e\uff01\uff0c\u2026"
QUOTES = "\"'`\u00b4\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\u300c\u300d\u300e\u300f\uff02\uff07"

DECORATIONS = st.text(ZERO_WIDTH + SPACES + MARKS + QUOTES, max_size=12)
KNOWN_WORDS = sorted({word for words in WORDS.values() for word in words.opt_out | words.opt_in})

# As the requirements have it, written down once more.
OPT_OUT = "STOP, UNSTOP, UNSUBSCRIBE, CANCEL, STOPALL, STOP ALL, END, QUIT, REVOKE, OPTOUT, OPT OUT"
OPT_OUT_WORDS = OPT_OUT.split(", ")


def spelled(word: str, full_width: bool, between: str, space: str) -> str:
    """The word as a phone may write it: in full width, with marks without width behind each letter, any space."""
    letters = (chr(ord(letter) + 0xFEE0) if full_width and letter != " " else letter for letter in word)
    return between.join(letters).replace(" ", space)


@st.composite
def decorated(draw: st.DrawFn) -> tuple[str, str]:
    word = draw(st.sampled_from(KNOWN_WORDS))
    cased = draw(st.sampled_from([word.lower(), word.upper(), word.title()]))
    between, space = draw(st.text(ZERO_WIDTH, max_size=2)), draw(st.text(SPACES, min_size=1, max_size=3))
    body = spelled(cased, draw(st.booleans()), between, space)
    return word, draw(DECORATIONS) + body + draw(DECORATIONS)


@pytest.mark.parametrize("word", OPT_OUT_WORDS)
def test_r13_each_word_of_the_list_opts_out(word: str) -> None:
    assert classify(word, AS_SPECIFIED) is Word.OPT_OUT
    assert classify(word.lower(), AS_SPECIFIED) is Word.OPT_OUT


def test_r13_the_list_has_no_other_words() -> None:
    assert WORDS[AS_SPECIFIED].opt_out == {word.lower() for word in OPT_OUT_WORDS}
    assert WORDS[AS_SPECIFIED].opt_in == {"start"}


def test_r14_unstop_opts_out_as_specified_and_in_as_at_twilio() -> None:
    assert classify("UNSTOP", AS_SPECIFIED) is Word.OPT_OUT
    assert classify("UNSTOP", TWILIO_ALIGNED) is Word.OPT_IN


def test_r14_yes_is_an_answer_as_specified_and_opts_in_as_at_twilio() -> None:
    assert classify("YES", AS_SPECIFIED) is Word.NONE
    assert classify("YES", TWILIO_ALIGNED) is Word.OPT_IN


def test_r14_the_profiles_differ_in_unstop_and_yes_alone() -> None:
    literal, aligned = WORDS[AS_SPECIFIED], WORDS[TWILIO_ALIGNED]
    assert literal.opt_out - aligned.opt_out == {"unstop"}
    assert aligned.opt_out <= literal.opt_out
    assert aligned.opt_in == literal.opt_in | {"yes", "unstop"}


@pytest.mark.parametrize("profile", KeywordProfile)
def test_no_word_opts_both_out_and_in_and_each_is_its_own_normal_form(profile: KeywordProfile) -> None:
    words = WORDS[profile]
    assert not words.opt_out & words.opt_in
    assert all(normalise(word) == word for word in words.opt_out | words.opt_in)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("stop", Word.OPT_OUT),
        (" STOP ", Word.OPT_OUT),
        ("Stop.", Word.OPT_OUT),
        ("\uff33\uff34\uff2f\uff30", Word.OPT_OUT),  # full width
        ("unsubscribe", Word.OPT_OUT),
        ("CANCEL", Word.OPT_OUT),
        ("UNSTOP", Word.OPT_OUT),
        ("Stop please", Word.NONE),
        ("cancel my 3pm", Word.NONE),
        ("stopped", Word.NONE),
        ("nonstop", Word.NONE),
        ("", Word.NONE),
        ("start", Word.OPT_IN),
        ("restart", Word.NONE),
        ("Start now", Word.NONE),
        # Beyond the table: what else is taken off the ends, and what is not.
        ("\u201cStop\u201d!", Word.OPT_OUT),
        ("\"'stop' .\"", Word.OPT_OUT),
        ("\u00b4stop\u00b4", Word.OPT_OUT),
        ("stop\u2026", Word.OPT_OUT),
        ("stop\r\n", Word.OPT_OUT),
        ("stop \u00a0 all", Word.OPT_OUT),
        ("st\u200bop\ufeff", Word.OPT_OUT),
        ("STOP\ufe0f", Word.OPT_OUT),
        ("\U0001d412\U0001d413\U0001d40e\U0001d40f", Word.OPT_OUT),  # mathematical bold
        ("stop \U0001f6d1", Word.NONE),  # a stop sign is no decoration of the list
        ("stop?", Word.NONE),
        ("s t o p", Word.NONE),
        ("\u0455top", Word.NONE),  # a Cyrillic letter: another word
        ("stop\u0301", Word.NONE),
        ("opt-out", Word.NONE),
        ("help", Word.NONE),
        ("...", Word.NONE),
        ("\ufeff", Word.NONE),
        ("\x00stop", Word.NONE),
        ("\ud800stop", Word.NONE),
    ],
)
def test_r13_the_whole_body_counts(body: str, word: Word) -> None:
    assert classify(body, AS_SPECIFIED) is word


@given(decorated(), st.sampled_from(KeywordProfile))
@settings(max_examples=200)
def test_r13_decoration_around_a_keyword_never_changes_what_it_is(
    case: tuple[str, str], profile: KeywordProfile
) -> None:
    word, body = case
    assert normalise(body) == word
    assert classify(body, profile) is classify(word, profile)


@given(decorated(), st.sampled_from(["by tomorrow", "please", "my 3pm", "it", "\U0001f642", "1"]), st.booleans())
@settings(max_examples=100)
def test_r13_a_sentence_with_a_keyword_in_it_is_none(case: tuple[str, str], rest: str, first: bool) -> None:
    """ "Stop by tomorrow" must not block."""
    _, body = case
    sentence = f"{rest} {body}" if first else f"{body} {rest}"
    assert classify(sentence, AS_SPECIFIED) is Word.NONE
    assert classify(sentence, TWILIO_ALIGNED) is Word.NONE


@given(st.text(st.characters(), max_size=60) | st.text(ZERO_WIDTH + SPACES + MARKS + QUOTES + "stop\u0301\ufdfa"))
@settings(max_examples=300)
def test_the_normal_form_is_its_own(body: str) -> None:
    assert normalise(normalise(body)) == normalise(body)


def test_every_character_settles() -> None:
    """No text may be given up on: the bound on the rounds is for what nobody thought of."""
    changed = [
        letter
        for letter in map(chr, range(sys.maxunicode + 1))
        if unicodedata.normalize("NFKC", letter).casefold() != letter
    ]
    assert [hex(ord(letter)) for letter in changed if not normalise(f"stop{letter}a")] == []


def test_a_huge_body_is_no_keyword() -> None:
    assert classify("stop" + " " * (LONGEST_BODY - 4), AS_SPECIFIED) is Word.OPT_OUT
    assert classify("stop" + " " * (LONGEST_BODY - 3), AS_SPECIFIED) is Word.NONE
    assert normalise("\ufdfa" * LONGEST_BODY) == ""  # 18 letters each


@pytest.mark.parametrize("profile", KeywordProfile)
def test_r13_a_location_may_add_words_and_takes_none_away(profile: KeywordProfile) -> None:
    added = ("BAJA", " \u201cno m\u00e1s\u201d ")
    assert classify("baja", profile) is Word.NONE
    assert classify("Baja!", profile, added) is Word.OPT_OUT
    assert classify("no ma\u0301s", profile, added) is Word.OPT_OUT
    assert classify("no ma\u200d\u0301s", profile, added) is Word.OPT_OUT  # composed in the second round only
    assert classify("SCHLUSS", profile, ("schlu\u00df",)) is Word.OPT_OUT
    for word in WORDS[profile].opt_out:
        assert classify(word, profile, added) is Word.OPT_OUT
    for word in WORDS[profile].opt_in:
        assert classify(word, profile, added) is Word.OPT_IN


@pytest.mark.parametrize(
    ("word", "profile", "problem"),
    [
        ("Start!", AS_SPECIFIED, "'Start!': opts in under the profile as_specified, so it cannot opt out"),
        ("yes", TWILIO_ALIGNED, "'yes': opts in under the profile twilio_aligned, so it cannot opt out"),
        ("UNSTOP", TWILIO_ALIGNED, "'UNSTOP': opts in under the profile twilio_aligned, so it cannot opt out"),
        (" . ", AS_SPECIFIED, "' . ': nothing is left of it once spaces, quotes and . ! , are taken off"),
        ("x" * (LONGEST_WORD + 1), AS_SPECIFIED, f"'{'x' * LONGEST_WORD}'...: longer than 64 characters"),
        ("\ufdfa" * 4, AS_SPECIFIED, f"'{chr(0xFDFA) * 4}'...: longer than 64 characters"),
    ],
)
def test_a_word_that_cannot_be_added_is_named_with_the_reason(word: str, profile: KeywordProfile, problem: str) -> None:
    assert list(problems_with_extra_words(["BAJA", word], profile)) == [problem]


def test_words_that_can_be_added_are_no_problem() -> None:
    assert list(problems_with_extra_words(["BAJA", "ARRET", "stop"], AS_SPECIFIED)) == []
    assert list(problems_with_extra_words(["YES"], AS_SPECIFIED)) == []


def test_too_many_words_are_a_problem() -> None:
    words = [f"word {number}" for number in range(MOST_WORDS + 1)]
    assert list(problems_with_extra_words(words, AS_SPECIFIED)) == ["101 words, at most 100 may be added"]
