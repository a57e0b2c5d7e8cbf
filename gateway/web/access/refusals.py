"""Why a call is not let in. The texts are for the caller: they never repeat what was sent."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - an outcome
    """Not let in; nothing was done."""


class Closed(Refusal):
    """There are no API keys and no key server: nobody can be let in."""

    def __init__(self) -> None:
        super().__init__("the API is closed: the service has neither API keys nor a key server (JWKS)")


class NotAuthenticated(Refusal):
    """No credentials, or none that we know."""


class KeysUnavailable(Refusal):
    """A token that may be good, but the key server that could say so does not answer."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("the token's key is not known here, and the key server does not answer")
        self.retry_after_s = retry_after_s


class TooManyCalls(Refusal):
    """Above the rate of this caller."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("too many calls with this key")
        self.retry_after_s = retry_after_s
