"""The guided clean-up of an email address after a bounce or a suppression (R12)."""

from gateway.cleanup.model import Cleanup, CleanupStatus, Step
from gateway.cleanup.service import (
    CleanupError,
    EmailCleanups,
    NoAccount,
    NoAddress,
    NotDeliverable,
    StepFailed,
    Unfinished,
)

__all__ = [
    "Cleanup",
    "CleanupError",
    "CleanupStatus",
    "EmailCleanups",
    "NoAccount",
    "NoAddress",
    "NotDeliverable",
    "Step",
    "StepFailed",
    "Unfinished",
]
