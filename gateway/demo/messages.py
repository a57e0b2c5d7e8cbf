"""The workflows of the campaign, as data: who is written to on which channel, when, and what."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.dnd.model import Channel


@dataclass(frozen=True, slots=True)
class Workflow:
    """One row: `share` of the contacts get a message between `begin` and `end` of the campaign, channels by weight."""

    id: str
    share: float
    begin: float
    end: float
    weights: dict[Channel, int]
    text: str
    source: str = "workflow"


REMINDER = Workflow(
    "w-reminder",
    0.7,
    0.0,
    0.4,
    {Channel.SMS: 6, Channel.WHATSAPP: 3, Channel.CALL: 2},
    "Hi {name}, see you at {business} on {day} at {hour}:30. Reply STOP to opt out.",
)
OFFER = Workflow(
    "w-spring-offer",
    0.8,
    0.42,
    0.5,  # all at once, as bulk sends go
    {Channel.SMS: 5, Channel.EMAIL: 4, Channel.FB: 2, Channel.WHATSAPP: 1},
    "{name}, 20% off at {business} until {day}!",
    "bulk_actions",
)
REVIEW = Workflow(
    "w-review-request",
    0.5,
    0.5,
    0.9,
    {Channel.SMS: 4, Channel.EMAIL: 3, Channel.GMB: 3},
    "How was {business}, {name}? Two minutes of your time: https://example.com/r",
)
BY_HAND = Workflow(
    "",
    0.1,
    0.1,
    1.0,
    {Channel.SMS: 3, Channel.CALL: 2, Channel.EMAIL: 2, Channel.FB: 1},
    "Hello {name}, {business} here. Your order is ready, we close at {hour}.",
    "app",
)
FOLLOW_UP = Workflow(
    "w-follow-up",
    0.0,  # sent where a signal has just come in, see gateway.demo.campaign
    0.0,
    1.0,
    dict.fromkeys(Channel, 1),
    "{name}, one more thing from {business} ...",
)

WORKFLOWS = (REMINDER, OFFER, REVIEW, BY_HAND)

INVOICES = 60
INVOICE_TEXT = "Invoice for {name}, with thanks. {business}"
INVOICE_ID = "w-invoice"

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")

ALSO_SPELT: dict[Channel, tuple[str, ...]] = {
    Channel.SMS: ("SMS", "sms", "MMS"),
    Channel.CALL: ("Call", "Voicemail"),
    Channel.EMAIL: ("Email", "email"),
    Channel.WHATSAPP: ("WhatsApp", "whatsapp"),
    Channel.GMB: ("GMB",),
    Channel.FB: ("FB", "Messenger", "facebook"),
}
"""What senders call the channels."""
