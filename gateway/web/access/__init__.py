"""Who calls the contact API, and what they may: API keys and JSON web tokens, locations, and how often."""

from gateway.web.access.access import Access
from gateway.web.access.caller import Caller
from gateway.web.access.refusals import Closed, KeysUnavailable, NotAuthenticated, Refusal, TooManyCalls

__all__ = ["Access", "Caller", "Closed", "KeysUnavailable", "NotAuthenticated", "Refusal", "TooManyCalls"]
