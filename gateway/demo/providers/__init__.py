"""Sandbox providers: Twilio, Mailgun, Meta and a generic hook as they speak HTTP, on one loopback port.

What the service sends is answered as the provider would answer it and written to a request log; what people and
carriers do is told back by webhooks, signed as the provider signs them. Nobody is reached.
"""
