"""The facts that rules and estimates ask for are facts that a collector gives."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from collectors.command_line import flags
from collectors.engine_flags import FLAGS

ROOT = Path(__file__).parents[2]


def parsed(folder: str) -> list[ast.AST]:
    files = sorted((ROOT / folder).rglob("*.py"))
    return [node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


def read(nodes: list[ast.AST]) -> dict[str, int]:
    """Find `facts.get("name")` and `facts["name"]`: how often each name is read."""
    found: dict[str, int] = {}
    for node in nodes:
        key: ast.expr | None = None
        of: ast.expr | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            of, key = node.func.value, node.args[0] if node.args else None
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            of, key = node.value, node.slice
        name = of.attr if isinstance(of, ast.Attribute) else of.id if isinstance(of, ast.Name) else ""
        if name == "facts" and isinstance(key, ast.Constant) and isinstance(key.value, str):
            found[key.value] = found.get(key.value, 0) + 1
    return found


def given() -> set[str]:
    """List every word that collectors write, apart from those that they only read of facts themselves."""
    nodes = parsed("collectors")
    asked = read(nodes)
    words = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    words += [node.target.id for node in nodes if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    written = {word for word in words if words.count(word) > asked.get(word, 0)}
    for engine, known in FLAGS.items():
        names = [spellings.split()[0] for spellings in (*known.numbers, *known.words, *known.switches)]
        written |= flags(engine, [part for name in names for part in (name, "1")]).keys()
    return written


@pytest.fixture(scope="module")
def produced() -> set[str]:
    return given()


@pytest.mark.parametrize("name", sorted(read(parsed("insight"))))
def test_every_fact_that_is_read_is_produced(name: str, produced: set[str]) -> None:
    """A name that no collector gives would silently never be asked."""
    assert name in produced, f"no collector gives the fact {name}"
