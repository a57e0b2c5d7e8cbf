"""A location with one WhatsApp number and one page, as the posts of `tests/payloads/meta` name them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from gateway.dnd.keywords import KeywordProfile, classify
from gateway.dnd.model import Channel, Subject, SubjectKind
from gateway.providers.meta.webhooks import Destinations, parse
from gateway.providers.meta.whatsapp import MarketingOptOut, WhatsAppNumber
from gateway.providers.signals import Parsed
from tests.providers.calls import encoded

NUMBER_ID = "106540352242922"
PAGE_ID = "1001"
PERSON = Subject("loc1", SubjectKind.PHONE, "+16505550123")
USER_ID = Subject("loc1", SubjectKind.WA_USER, "US.13491208655302741918")
PARENT_ID = Subject("loc1", SubjectKind.WA_USER, "US.ENT.11815799212886844830")

NUMBER = WhatsAppNumber("loc1", partial(classify, profile=KeywordProfile.AS_SPECIFIED, extra_opt_out_words=["BAJA"]))


def destinations(*, pages: Collection[str] = (PAGE_ID,), whatsapp: Mapping[str, WhatsAppNumber]) -> Destinations:
    return Destinations(pages, whatsapp)


def keywords_on(*channels: Channel) -> Destinations:
    """Opt-out words count, on the channels named."""
    return destinations(whatsapp={NUMBER_ID: replace(NUMBER, opt_out_channels=frozenset(channels))})


DESTINATIONS = destinations(whatsapp={NUMBER_ID: NUMBER})
KEYWORDS_ON = keywords_on(Channel.SMS, Channel.WHATSAPP)
MARKETING_IGNORED = destinations(whatsapp={NUMBER_ID: replace(NUMBER, marketing_opt_out=MarketingOptOut.IGNORE)})


def parsed(post: Any, given: Destinations = DESTINATIONS) -> Parsed:
    return parse(encoded(post), given)
