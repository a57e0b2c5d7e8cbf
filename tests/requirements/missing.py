"""What the service does not do yet. A test that needs it is written as it must be, and marked with the part's name."""

import pytest

CONTACT_HELD_LATER = pytest.mark.xfail(
    strict=False,  # it is a race: within a second the directory has done it
    reason="the role http does not give the signals ContactsOfAddresses: a contact is held or freed after the answer",
)
