"""That none of the rules R1 to R22 is without a test here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parent
NUMBERS = range(1, 23)

_NUMBERED = re.compile(r"test(?:_r\d+)+_[a-z]")


def test_every_requirement_has_a_test_that_begins_with_its_number() -> None:
    names = [
        each.name
        for file in FOLDER.glob("test_*.py")
        for each in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(each, ast.FunctionDef) and _NUMBERED.match(each.name)
    ]
    proved = {int(number) for name in names for number in re.findall(r"_r(\d+)(?=_)", name)}
    assert sorted(proved) == list(NUMBERS)
