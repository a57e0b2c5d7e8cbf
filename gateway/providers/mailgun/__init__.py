"""Mailgun: its webhooks, what it is asked to send, and its suppression lists."""
