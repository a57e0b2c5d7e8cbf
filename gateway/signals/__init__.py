"""From what providers and people tell us to acknowledged events of `dnd.events`, with nothing lost on the way.

`resolve` dates and bounds the events, `publish` writes them, `spool` keeps what Kafka cannot take now, `drain` writes
that later, and `door` puts them together for webhooks.
"""
