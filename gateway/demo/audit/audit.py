"""The audit: whether what the topics say adds up, and whether a provider was called for somebody who was on hold.

Theory of operation. It is given everything that was committed to the topics and every call the providers saw, and
nothing else: no counter of the service or of the sender. It checks
1 that every request has one decision, and every decision a request;
2 that a request stands on its channel's topic once if its decision says `forwarded`, else nowhere, and unchanged but
  for the recipients the decision names as removed;
3 that the dead letters are the requests decided `invalid`;
4 that no decision was stale, nobody was kept back who was not held, and nothing forwarded to somebody who was;
5 that every forwarded record has one final receipt, and every receipt a forwarded record;
6 that a provider took a message for each receipt `sent`, by the same id, once, and none for any other;
7 that no call reached anybody who was held, and nobody was dropped at dispatch who was not.
For 4 it folds `dnd.events` again, for each decision up to where the log stood when the request was appended: every
event that a reader of the log had seen before the broker dated the request, and every event the decision says it knew
of (its `state`). An event of the first sort beyond the second is a stale decision, whatever came of it: a hold
acknowledged before the request was missed. For 7 it folds up to where the log stood when the call may have been checked
last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from gateway.demo.audit.decided import dead, decided, forwarded, fresh
from gateway.demo.audit.faults import Fault, Finding, Report
from gateway.demo.audit.held import HoldLog, Sightings
from gateway.demo.audit.history import Case, History, cases_of
from gateway.demo.audit.occasions import occasions
from gateway.demo.audit.sent import called, in_time, receipted, rightly_stopped
from gateway.guard.reading import DefaultRegion


def audit(history: History, default_region: DefaultRegion) -> Report:
    """Check the history. ValueError for a decision or a receipt that cannot be read."""
    cases = cases_of(history)
    log, seen = HoldLog(history.events, default_region), Sightings(history.seen)
    decisions = [decision for case in cases.values() for decision in case.decisions]
    return Report(
        requests=len(history.requests),
        decisions=len(history.decisions),
        outcomes=Counter(decision.outcome for decision in decisions),
        forwarded=sum(map(len, history.outputs.values())),
        dead=len(history.dead),
        receipts=Counter(receipt.outcome for case in cases.values() for receipt in case.receipts),
        calls=len(history.calls),
        taken=sum(bool(call.message_id) and not call.repeated for call in history.calls),
        removed=sum(len(decision.removed) for decision in decisions),
        events=len(history.events),
        occasions=occasions(history.events),
        findings=[Finding(fault, name) for name, case in cases.items() for fault in _faults(case, log, seen)],
    )


def _faults(case: Case, log: HoldLog, seen: Sightings) -> Iterator[Fault]:
    """Checks 1 to 7 for one request."""
    yield from decided(case)
    yield from forwarded(case)
    yield from dead(case)
    yield from fresh(case, log, seen)
    yield from receipted(case)
    yield from called(case)
    yield from in_time(case, log)
    yield from rightly_stopped(case, log)
