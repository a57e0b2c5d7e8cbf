"""The account of locations that have none: its calls are verified like all others, and nobody can sign them.

So a call for a location without an account takes as long and is answered in the same way as one with a bad signature.
"""

from __future__ import annotations

from secrets import token_hex

NOBODYS_SECRETS = (token_hex(),)
NOBODYS_URL = "https://nobody.invalid"
