"""Twilio: its webhooks, what it is asked to send, and its message log."""
