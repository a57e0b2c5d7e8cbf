"""The README's tables, made from the data they document. `python -m tests.readme` writes them into the README."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from gateway.contract.topics import Keep, Policy, Topics, TopicSpec
from gateway.dnd.causes import CAUSES
from gateway.dnd.model import ActorKind, Scope
from gateway.metrics import METRICS
from gateway.settings import settings_table

README = Path(__file__).parent.parent / "README.md"


def with_tables(text: str) -> str:
    """The text with what stands between `<!-- name -->` and `<!-- /name -->` made anew."""
    for name, rows in (
        ("settings", _settings()),
        ("topics", _topics()),
        ("causes", _causes()),
        ("metrics", _metrics()),
    ):
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"the README has no place for the table {name}")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{rows}\n{end}{rest.partition(end)[2]}"
    return text


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _settings() -> str:
    return _table(
        ("variable", "default", "what"),
        (
            (f"`{row.variable}`", f"`{row.default}`" if row.default else "", f"{row.what} ({row.kind})")
            for row in settings_table()
        ),
    )


def _kept(spec: TopicSpec) -> str:
    if spec.policy is Policy.COMPACT:
        return "compacted"
    return "for ever" if spec.keep is Keep.FOREVER else "request_retention_hours"


def _topics() -> str:
    return _table(
        ("topic", "key", "kept", "what"),
        ((f"`{spec.name}`", spec.key, _kept(spec), spec.what) for spec in Topics().specs),
    )


def _causes() -> str:
    def scopes(found: frozenset[Scope]) -> str:
        return "any, ALL" if found == frozenset(Scope) else ", ".join(sorted(found))

    def lifters(found: frozenset[ActorKind], *, by_appeal: bool) -> str:
        names = [kind.value for kind in ActorKind if kind in found]
        return ", ".join("support by approved appeal" if by_appeal and name == "support" else name for name in names)

    return _table(
        ("cause", "on", "kind", "may be lifted by"),
        (
            (f"`{cause}`", scopes(rule.scopes), rule.kind, lifters(rule.lifted_by, by_appeal=rule.by_appeal))
            for cause, rule in CAUSES.items()
        ),
    )


def _metrics() -> str:
    return _table(
        ("metric", "kind", "labels", "what"),
        ((f"`{spec.full_name}`", spec.kind, ", ".join(spec.labels), spec.what) for spec in METRICS),
    )


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
