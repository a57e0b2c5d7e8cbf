"""The role `reconcile`: what providers know of who opted out, compared with our holds (R9, R10, R13, R16).

* `lists`: what is read, of which account, for which locations: Mailgun's suppression lists, Twilio's message log.
* `calling`: one page from an account's API, within limits.
* `pulling`: a list page by page: compared, what is missing placed, the position kept.
* `backwards`: holds on a provider's word that the provider does not have any more.
* `role`: when each account is read, and by whom.
"""

from consumers.reconcile.role import build

__all__ = ["build"]
