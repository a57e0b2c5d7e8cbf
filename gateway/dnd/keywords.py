"""Keywords (R13, R14): whether the whole body of a message is a word that opts out or in.

Theory of operation. People decorate: ` "Stop". ` is the keyword, "Stop by tomorrow" is a sentence. So the body is
brought to one spelling, what can be decoration is taken off both ends, and what is left must *equal* a word. Nothing is
matched by its beginning or inside. The order in a round is R13's: NFKC, what has no width, spaces, case, then the marks
at the ends. A step can make work for an earlier one, so rounds repeat until nothing changes. That makes the result its
own normal form: the words that a location adds are brought to the same form and simply compared.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

LONGEST_BODY = 1_600
"""Characters, the most Twilio carries in one message. A longer body is no keyword and is not normalised."""

LONGEST_WORD = 64
"""Characters of a word a location adds, normalised: the longest of ours is "unsubscribe"."""

MOST_WORDS = 100
"""Words one location may add: each is compared with every inbound message that is no keyword of ours."""

_ROUNDS = 8
"""Rounds until nothing changes; no text is known that needs more than three. What does not settle is no keyword."""


class KeywordProfile(StrEnum):
    """Which words opt out and which opt in; a location chooses one."""

    AS_SPECIFIED = "as_specified"  # UNSTOP opts out, only START opts in
    TWILIO_ALIGNED = "twilio_aligned"  # START, YES and UNSTOP opt in, as at Twilio and on US toll-free numbers


class Word(StrEnum):
    """What a body is."""

    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a profile, normalised."""

    opt_out: frozenset[str]
    opt_in: frozenset[str]


_ALWAYS_OPT_OUT = frozenset(
    {"stop", "unsubscribe", "cancel", "stopall", "stop all", "end", "quit", "revoke", "optout", "opt out"}
)

WORDS: Mapping[KeywordProfile, Words] = MappingProxyType(
    {
        KeywordProfile.AS_SPECIFIED: Words(_ALWAYS_OPT_OUT | {"unstop"}, frozenset({"start"})),
        KeywordProfile.TWILIO_ALIGNED: Words(_ALWAYS_OPT_OUT, frozenset({"start", "yes", "unstop"})),
    }
)

# Unicode's Default_Ignorable_Code_Point: joiners, direction marks, BOM, soft hyphen, variation selectors, tags.
_NO_WIDTH = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)

# Unicode's Quotation_Mark, and what is typed in their place: back-ticks, primes, modifier letters, ornaments.
_QUOTES = (
    "\"'\u00ab\u00bb\u2018-\u201f\u2039\u203a\u2e42\u300c-\u300f\u301d-\u301f\ufe41-\ufe44\uff02\uff07\uff62\uff63"
    "`\u02b9-\u02bd\u02ee\u2032-\u2037\u275b-\u2760\U0001f676-\U0001f678"
)

# Accents that stand alone: NFKC would make each a space and a combining mark, and the mark would cling to the word.
_SPACING_ACCENTS = str.maketrans(dict.fromkeys("\u00b4\u0384\u1fbd\u1fbf\u1ffd\u1ffe", "'"))

_AT_ENDS = re.compile(rf"\A[ .!,{_QUOTES}]+|[ .!,{_QUOTES}]+\Z")


def classify(body: str, profile: KeywordProfile, extra_opt_out_words: Collection[str] = ()) -> Word:
    """What the whole body is, under the profile and the words that the location added to it."""
    text = normalise(body)
    if not text:
        return Word.NONE
    words = WORDS[profile]
    if text in words.opt_out:
        return Word.OPT_OUT
    if text in words.opt_in:
        return Word.OPT_IN
    if any(text == normalise(word) for word in extra_opt_out_words):
        return Word.OPT_OUT
    return Word.NONE


def normalise(body: str) -> str:
    """The one spelling of a body that can be a keyword; `""` for one that cannot. Its own normal form."""
    text = body
    for _ in range(_ROUNDS):
        if len(text) > LONGEST_BODY:  # one ligature can become 18 letters
            return ""
        before, text = text, _round(text)
        if text == before:
            return text
    return ""


def problems_with_extra_words(words: Collection[str], profile: KeywordProfile) -> Iterator[str]:
    """What is wrong with the words a location wants to add (R13: it may add words, and take none away)."""
    if len(words) > MOST_WORDS:
        yield f"{len(words)} words, at most {MOST_WORDS} may be added"
    for word in words:
        text = normalise(word)
        if max(len(word), len(text)) > LONGEST_WORD:
            yield f"{word[:LONGEST_WORD]!r}...: longer than {LONGEST_WORD} characters"
        elif not text:
            yield f"{word!r}: nothing is left of it once spaces, quotes and . ! , are taken off"
        elif text in WORDS[profile].opt_in:
            yield f"{word!r}: opts in under the profile {profile}, so it cannot opt out"


def _round(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text.translate(_SPACING_ACCENTS))
    spaced = " ".join(_NO_WIDTH.sub("", plain).split())
    return _AT_ENDS.sub("", spaced.casefold())
