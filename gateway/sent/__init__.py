"""Messages that providers took: what was sent to whom, by the provider's own id of the message.

The role `receipts` keeps them; who is told of a message later (a status callback, a failure) finds it here. It is far
from the decision path: without this store a late failure counts from the moment it is told.
"""

from gateway.sent.finding import SentLookup
from gateway.sent.message import SentMessage, message_of
from gateway.sent.store import SentMessages, SentWriter

__all__ = ["SentLookup", "SentMessage", "SentMessages", "SentWriter", "message_of"]
