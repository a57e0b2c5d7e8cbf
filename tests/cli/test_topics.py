"""`sendguard topics`."""

from tests.cli.shell import sendguard
from tests.running import Outside


def test_check_names_what_is_missing_and_ends_with_1(bare: dict[str, str]) -> None:
    ended = sendguard(bare, "topics", "check")
    assert (ended.code, "outbound.requests: topic: expected exists, found missing" in ended.out) == (1, True)


def test_apply_creates_and_check_is_then_content(bare: dict[str, str]) -> None:
    applied = sendguard(bare, "topics", "apply", "--json")
    assert (applied.code, applied.json["differences"]) == (0, [])
    assert any(name.endswith("dnd.events") for name in applied.json["created"])
    assert sendguard(bare, "topics", "check", "--json").json == []


def test_check_shows_a_difference_as_data(environment: dict[str, str], outside: Outside) -> None:
    outside.change(outside.topics.dnd_events, cleanup_policy="compact")
    ended = sendguard(environment, "topics", "check", "--json")
    assert ended.code == 1
    assert [(each["what"], each["found"], each["severity"]) for each in ended.json] == [
        ("cleanup.policy", "compact", "refuse")
    ]
