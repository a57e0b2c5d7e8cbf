"""What all of Twilio's senders share: an account's calls, its sender, and whether it works.

Calls: twilio.com/docs/usage/requests-to-twilio; a form in, JSON out, Basic auth. Creating has no idempotency key that
Twilio documents (`I-Twilio-Idempotency-Token` is on its own webhooks), so no call here is repeatable.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from gateway.providers.reading import answered_object, path_segment, text, word
from gateway.providers.sending import Answer, HttpCall, Message, Outcome
from gateway.providers.twilio.send_answers import outcome_of
from gateway.providers.twilio.webhooks import status_callback_url


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioSender:
    """An account. `public_url`: the base of our webhooks, where Twilio reports what became of a message.

    What names no sender itself is sent by the messaging service, else from the number.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    public_url: str
    from_number: str | None = None
    messaging_service_sid: str | None = None
    api_base: str = "https://api.twilio.com"

    @property
    def provider(self) -> str:
        return "twilio"

    @property
    def account(self) -> str:
        return self.account_sid

    def outcome(self, message: Message, answer: Answer) -> Outcome:
        return outcome_of(message, self.sender_of(message), answer)

    def probe(self) -> HttpCall:
        """Asks for the account itself (twilio.com/docs/iam/api/account): free, and needs what sending needs."""
        return HttpCall("GET", f"{self._url()}.json", self._headers())

    def works(self, answer: Answer) -> bool:
        """Whether this account answered, and may send: it is neither `suspended` nor `closed`."""
        found = answered_object(answer.body)
        return answer.status == 200 and text(found, "sid") == self.account_sid and word(found, "status") == "active"

    def create(self, resource: str, fields: Iterable[tuple[str, str]]) -> HttpCall:
        """Creates one of the account's `Messages` or `Calls`."""
        body = urlencode(tuple(fields), errors="replace").encode()
        headers = {**self._headers(), "Content-Type": "application/x-www-form-urlencoded"}
        return HttpCall("POST", f"{self._url()}/{resource}.json", headers, body)

    def sender_of(self, message: Message) -> Mapping[str, str]:
        """The field that names who sends it, with its value; nothing when neither message nor account does."""
        if own := (message.from_ or "").strip():
            return {"From": own}
        if self.messaging_service_sid:
            return {"MessagingServiceSid": self.messaging_service_sid}
        return {"From": self.from_number} if self.from_number else {}

    def callback(self, message: Message) -> str:
        """Where Twilio reports of the message; `twilio.parse_status` reads back what stands in it."""
        return status_callback_url(
            self.public_url, message.location_id, message.created_at, message.contact_id, message.decision_id
        )

    def _url(self) -> str:
        return f"{self.api_base.rstrip('/')}/2010-04-01/Accounts/{path_segment(self.account_sid)}"

    def _headers(self) -> Mapping[str, str]:
        credentials = b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        return {"Authorization": f"Basic {credentials}", "Accept": "application/json"}
