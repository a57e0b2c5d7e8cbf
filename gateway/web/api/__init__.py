"""The contact DND API."""

from gateway.web.api.api import ContactApi

__all__ = ["ContactApi"]
