"""The files of `deploy/`, read as their programs read them. PyYAML comes with schemathesis."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"

DATA = "/var/lib/sendguard"

Document = dict[str, Any]

_VARIABLE = re.compile(r"\$\{(\w+)(:\?[^}]*)?\}")
_CONTINUED = re.compile(r"\\\n")


class Instruction(NamedTuple):
    """One of a Dockerfile."""

    word: str
    rest: str

    def exec_form(self) -> list[str]:
        """The words behind the instruction; raises when they are for a shell, which would not pass signals on."""
        words: list[str] = json.loads(self.rest.removeprefix("CMD ") if self.word == "HEALTHCHECK" else self.rest)
        return words


def stages() -> list[list[Instruction]]:
    """The Dockerfile, stage by stage."""
    text = re.sub(r"(?m)^#.*\n", "", (DEPLOY / "Dockerfile").read_text())
    found: list[list[Instruction]] = []
    for line in filter(None, _CONTINUED.sub(" ", text).splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append(Instruction(word, rest.strip()))
    return found


def image_environment() -> dict[str, str]:
    """Variables that the image sets."""
    given = [each.rest.split() for each in stages()[-1] if each.word == "ENV"]
    return dict(pair.split("=", 1) for pairs in given for pair in pairs)


def variables_of_compose() -> set[tuple[str, bool]]:
    """What the compose file takes from `.env`, and whether it says that it must be there."""
    return {(found[1], bool(found[2])) for found in _VARIABLE.finditer(_without_comments(DEPLOY / "compose.yml"))}


def compose(values: Mapping[str, str] | None = None) -> Document:
    """The compose file, with these variables; by default each is its own name in lower case."""
    text = _without_comments(DEPLOY / "compose.yml")
    document: Document = yaml.safe_load(
        _VARIABLE.sub(lambda found: found[1].lower() if values is None else values[found[1]], text)
    )
    return document


@cache
def services() -> dict[str, Document]:
    found: dict[str, Document] = compose()["services"]
    return found


def our_services() -> dict[str, Document]:
    """Those of our image."""
    return {name: service for name, service in services().items() if "build" in service}


def our_processes() -> dict[str, Document]:
    """Those that go on running."""
    return {name: service for name, service in our_services().items() if service["command"][0] == "run"}


def roles(service: Document) -> list[str]:
    return [value for option, value in pairwise(service["command"]) if option == "--role"]


def environment(service: Document) -> dict[str, str]:
    """What a container of our image gets: the image's, the file's, the service's own."""
    own = {name: str(value) for name, value in service.get("environment", {}).items()}
    return {**image_environment(), **variables(DEPLOY / service["env_file"]), **own}


def mounts(service: Document) -> dict[str, str]:
    """Where in the container, and what is there, with `:ro` if it may not be written."""
    found: dict[str, str] = {}
    for each in service.get("volumes", []):
        source, target, *mode = each.split(":")
        found[target] = ":".join([source, *mode])
    return found


def variables(path: Path) -> dict[str, str]:
    """A file of NAME=value lines."""
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


@cache
def document(path: str) -> Document:
    """A YAML or JSON file under `deploy/`."""
    text = (DEPLOY / path).read_text()
    found: Document = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    return found


def rules() -> list[Document]:
    """The alert rules."""
    return [rule for group in document("prometheus/alerts.yml")["groups"] for rule in group["rules"]]


def panels() -> list[Document]:
    """Of the dashboard, without the headlines of its rows."""
    return [panel for panel in document("grafana/dashboards/sendguard.json")["panels"] if panel["type"] != "row"]


def expressions() -> list[tuple[str, str]]:
    """Every PromQL expression, behind where it stands."""
    in_rules = [(rule["alert"], rule["expr"]) for rule in rules()]
    return in_rules + [(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]


def entry_points() -> tuple[set[str], set[str]]:
    """Commands and roles, as pyproject.toml has them: an installation may be older."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return set(project["scripts"]), set(project["entry-points"]["sendguard.roles"])


def seconds(duration: str) -> int:
    """Of a compose file."""
    return int(duration.removesuffix("s"))


def _without_comments(path: Path) -> str:
    return re.sub(r"(?m)^\s*#.*$", "", path.read_text())
