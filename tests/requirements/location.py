"""One location of a running service, driven from outside: signed calls of providers, the API, records of topics."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.providers.calls import payload
from tests.providers.twilio.calls import form
from tests.requirements.accounts import PUBLIC_URL, TWILIO_TOKEN, Kind, number_ids, secret_of
from tests.requirements.outside import Decided, Hold, Outside, coded
from tests.requirements.people import Person, somebody
from tests.requirements.process import Answer, until
from tests.requirements.reader import CHANGES, EVENTS
from tests.web.webhooks.calling import mailgun_call, mailgun_event, meta_call, twilio_call

CHANNELS = ("Call", "Email", "SMS", "WhatsApp", "GMB", "FB")
ALL = "ALL"
AUTOMATED = ("workflow", "campaign", "bulk_actions", "api")
MANUAL = "app"
FORWARDED, DROPPED, UNAVAILABLE, INVALID = "forwarded", "dropped", "unavailable", "invalid"

_NUMBER_IDS = number_ids()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Location:
    """Webhooks and records go in; decisions, events, changes and answers come out."""

    id: str
    outside: Outside
    _updated: list[int] = field(default_factory=lambda: [now_ms() - 60_000])

    # What comes in from providers.

    def texts(self, person: Person, said: str, **fields: str) -> None:
        """The person writes an SMS to the location."""
        fields = {"Body": said, "From": person.phone, "MessageSid": f"SM{uuid.uuid4().hex}"} | fields
        self._twilio("inbound", form("inbound_text", **fields))

    def undelivered(
        self, person: Person, code: str, *, status: str = "undelivered", created_at: int | None = None
    ) -> None:
        """A message to the person could not be delivered."""
        changed = {
            "ErrorCode": code,
            "To": person.phone,
            "MessageSid": f"SM{uuid.uuid4().hex}",
            "MessageStatus": status,
        }
        fields = form("status_undelivered_30003", **changed, SmsStatus=status)
        self._twilio("status" if created_at is None else f"status?created_at={created_at}", fields)

    def emailed(self, person: Person, event: str, **changed: Any) -> None:
        """Mailgun tells of an email to the person; `event` as in `tests/payloads/mailgun`."""
        self._told(f"/webhooks/mailgun/{self.id}", *mailgun_call(mailgun_event(event, person.email, **changed)))

    def whatsapp_preference(self, person: Person, said: str, at: int) -> None:
        """`said`: stop or resume; `at` in seconds."""
        post = payload("meta", f"preference_{said}")
        value = self._of_whatsapp(post, person)
        value["user_preferences"][0] |= {"wa_id": person.phone[1:], "timestamp": at}
        self._told("/webhooks/meta", *meta_call(json.dumps(post).encode()))

    def whatsapp_failed(self, person: Person) -> None:
        """131050: the person has stopped marketing messages."""
        post = payload("meta", "status_failed_131050")
        value = self._of_whatsapp(post, person)
        value["statuses"][0] |= {"recipient_id": person.phone[1:], "id": f"wamid.{uuid.uuid4().hex}"}
        self._told("/webhooks/meta", *meta_call(json.dumps(post).encode()))

    def _of_whatsapp(self, post: dict[str, Any], person: Person) -> dict[str, Any]:
        value: dict[str, Any] = post["entry"][0]["changes"][0]["value"]
        value["metadata"]["phone_number_id"] = _NUMBER_IDS[self.id]
        for contact in value.get("contacts", ()):
            contact["wa_id"] = person.phone[1:]
        return value

    def _twilio(self, path: str, fields: Mapping[str, str]) -> None:
        path = f"/webhooks/twilio/{self.id}/{path}"
        self._told(path, *twilio_call(path, fields, key=TWILIO_TOKEN, signed_as=PUBLIC_URL))

    def _told(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        answer = self.outside.service.call("POST", path, body, headers)
        assert answer.status == 200, answer

    # What comes in over topics.

    def integration(self, channel: str, status: str) -> None:
        """Returns when it counts."""
        value = {
            "location_id": self.id,
            "channel": channel,
            "status": status,
            "provider": "test",
            "updated_at": now_ms(),
        }
        self.outside.produce("integrations", [self.id, channel], value)
        shown, expected = somebody(), status == "connected"
        until(f"{channel} is {status}", lambda: (channel in self.dnd(shown)["enlisted"]) is expected)

    def snapshot(self, person: Person, **fields: object) -> None:
        """The CRM's snapshot of the contact, each newer than the one before."""
        self._updated[0] += 1
        value = {
            "location_id": self.id,
            "contact_id": person.contact,
            "phone": person.phone,
            "email": person.email,
            "updated_at": self._updated[0],
        }
        self.outside.produce("contacts", [self.id, person.contact], value | fields)

    def known(self, *people: Person) -> None:
        """Snapshots, and until they have been taken in: those of one partition are taken in in their order."""
        for person in people:
            self.snapshot(person)
        self.taken_in()

    def taken_in(self) -> None:
        """Until all snapshots so far are."""
        last = somebody()
        self.snapshot(last, dnd=True)
        self.event(last, type="place")

    def deleted(self, person: Person) -> None:
        self.outside.produce("contacts", [self.id, person.contact], None)

    def command(self, person: Person, action: str, *channels: str, **fields: object) -> str:
        """A workflow's "Set contact DND"; its id."""
        command_id = f"w1-{uuid.uuid4().hex}"
        value = {
            "command_id": command_id,
            "location_id": self.id,
            "contact_id": person.contact,
            "action": action,
            "channels": list(channels),
            "workflow_id": "w1",
            "requested_at": now_ms(),
        }
        self.outside.produce("dnd.commands", person.contact, value | fields)
        return command_id

    def commanded(self, person: Person, action: str, *channels: str) -> Any:
        """The same; returns the first event that comes of it, once it is acknowledged."""
        command_id = self.command(person, action, *channels)
        return self.event(person, evidence=lambda told: told.get("command_id") == command_id)

    # The API.

    def call(self, method: str, path: str, body: object = None, *, key: str | None = "user") -> Answer:
        """`path` below the location; `key`: its id."""
        data = None if body is None else json.dumps(body).encode()
        headers = {} if key is None else {"Authorization": f"Bearer {secret_of(key)}"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        return self.outside.service.call(method, f"/v1/locations/{self.id}/{path}", data, headers)

    def dnd(self, person: Person) -> Any:
        """The contact's record, as it is shown."""
        return self._good(self.call("GET", f"contacts/{quote(person.contact)}/dnd"))

    def switch(
        self,
        person: Person,
        channels: Mapping[str, bool] | None = None,
        *,
        key: str = "user",
        dnd: bool | None = None,
        **named: bool,
    ) -> Any:
        """DND on or off, for all channels (`dnd`) or some; the answer."""
        return self._good(self.asked_to_switch(person, {**(channels or {}), **named}, key=key, dnd=dnd))

    def asked_to_switch(
        self, person: Person, channels: Mapping[str, bool], *, key: str = "user", dnd: bool | None = None
    ) -> Answer:
        settings = {name: {"status": "active" if on else "inactive"} for name, on in channels.items()}
        body = ({} if dnd is None else {"dnd": dnd}) | ({"dndSettings": settings} if settings else {})
        return self.call("PUT", f"contacts/{quote(person.contact)}/dnd", body, key=key)

    def clear(self, person: Person, *, key: str = "user") -> Any:
        return self._good(self.call("POST", f"contacts/{quote(person.contact)}/dnd/clear", key=key))

    def appeal(self, person: Person, channel: str, *, key: str = "agency") -> str:
        """Filed, with its proof; the id."""
        evidence = {
            "relationship_numbers": ["+14155550100"],
            "contact": f"{person.contact}, who called us",
            "recording_url": "https://recordings.example.com/1",
        }
        path = f"contacts/{quote(person.contact)}/appeals"
        answer = self.call("POST", path, {"channel": channel, "evidence": evidence}, key=key)
        assert answer.status == 201, answer
        return str(answer.json["id"])

    def decide_appeal(self, appeal: str, how: str, *, key: str = "support") -> Answer:
        """`how`: approve or reject."""
        return self.call("POST", f"appeals/{appeal}/{how}", key=key)

    def clean_up(self, person: Person, *, key: str = "user", **fields: object) -> Answer:
        return self.call("POST", f"contacts/{quote(person.contact)}/email-cleanup", fields, key=key)

    def _good(self, answer: Answer) -> Any:
        assert answer.status == 200, answer
        return answer.json

    # What comes out.

    def sends(self, person: Person, channel: str = "SMS", **changed: object) -> Decided:
        """The decision on a request made now. What is forwarded is the original, in the channel's topic."""
        return self.decided(self.requests(person, channel, **changed))

    def requests(self, person: Person, channel: str = "SMS", **changed: object) -> bytes:
        """One request, acknowledged; its bytes."""
        value = {
            "request_id": uuid.uuid4().hex,
            "location_id": self.id,
            "contact_id": person.contact,
            "channel": channel,
            "to": person.address(channel),
            "body": "Hi",
            "source": "workflow",
        }
        sent = coded(value | changed)
        self.outside.produce("outbound.requests", person.contact, sent)
        return sent

    def decided(self, sent: bytes) -> Decided:
        reader = self.outside.reader
        decision = reader.decision(json.loads(sent)["request_id"])
        if decision["outcome"] == FORWARDED:
            _, record = reader.forwarded(decision["decision_id"])
            assert record.value == sent
        return Decided(decision, sent)

    def ends_as(self, person: Person, expected: Mapping[str, str]) -> None:
        """Waits until messages end so, by channel. For commands: one is several events, and none when it changes
        nothing, so there is no record to wait for."""
        until(f"messages end as {expected}", lambda: self.outcomes(person) == expected)

    def outcome(self, person: Person, channel: str = "SMS", **changed: object) -> str:
        return self.sends(person, channel, **changed).outcome

    def outcomes(self, person: Person) -> dict[str, str]:
        """By channel, what becomes of a message to the contact."""
        sent = {channel: self.requests(person, channel) for channel in CHANNELS}
        return {channel: self.decided(each).outcome for channel, each in sent.items()}

    def dropped_for(self, person: Person, channel: str = "SMS", **changed: object) -> set[Hold]:
        """Why a message is dropped; nothing = it is forwarded."""
        found = self.sends(person, channel, **changed)
        assert found.outcome == (DROPPED if found.holds else FORWARDED)
        return found.holds

    def all_dropped_for(self, *people: Person, channel: str = "SMS") -> list[set[Hold]]:
        """Why a message to each is dropped, sent one right after the other."""
        sent = [self.requests(person, channel) for person in people]
        return [self.decided(each).holds for each in sent]

    def event(self, person: Person, **wanted: Any) -> Any:
        """The first event on the contact with such fields (a function tells of a field), once it is there."""

        def fits(event: Any) -> bool:
            return event["subject"][:1] + event["subject"][2:] == [self.id, person.contact] and _has(event, wanted)

        return self.outside.reader.first(EVENTS, fits)

    def events_of(self, *subject: str) -> list[Any]:
        """All there are, of a contact or an address: its kind and id."""
        return self.outside.reader.all(EVENTS, lambda event: event["subject"] == [self.id, *subject])

    def changes(self, person: Person, through: str) -> list[Any]:
        """All there are of the contact, once there is one of which `through` is the cause of the event."""

        def of_person(change: Any) -> bool:
            return [change["locationId"], change["id"]] == [self.id, person.contact]

        reader = self.outside.reader
        reader.first(CHANGES, lambda change: of_person(change) and change["changes"][0]["cause"] == through)
        return reader.all(CHANGES, of_person)


NewLocation = Callable[[Kind], Location]
"""One that nobody has used."""


def _has(event: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(
        each(event.get(name, {})) if callable(each) else event.get(name) == each for name, each in wanted.items()
    )
