"""The table of the 72 faults is whole: each is shown by a test of this folder."""

import ast
from collections.abc import Iterator
from pathlib import Path

FAULTS = frozenset(range(1, 73))
FOLDER = Path(__file__).parent


def marked(path: Path) -> Iterator[int]:
    """The faults that the tests of a module say they show, whether or not they run on this machine."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fault":
            yield from (each.value for each in node.args if isinstance(each, ast.Constant))


def test_each_of_the_72_faults_is_shown_by_a_test() -> None:
    shown = {number for path in FOLDER.glob("test_*.py") for number in marked(path)}
    assert sorted(FAULTS - shown) == []
    assert sorted(shown - FAULTS) == []
