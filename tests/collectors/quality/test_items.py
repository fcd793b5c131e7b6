from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.quality.items import MAX_ITEMS, MAX_LINE, interleaved, load, parse, prompt
from metrics.quality import Choice, Haystack, Item, Number

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {"id": "a", "family": "sums", "prompt": "1 + 1?", "check": {"type": "number", "value": 2}}


def line(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def test_a_line_is_an_item() -> None:
    """Blank lines, comments, a byte order mark and Windows line ends are passed over."""
    found = parse(b"\xef\xbb\xbf# mine\r\n\r\n" + line() + b"\r\n")
    assert found.bad == ()
    assert found.items == (Item("a", "sums", "1 + 1?", Number(2.0)),)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "truncated"),
        (b"17", "Expected `object`, got `int`"),
        (line(check={"type": "vibes"}), "Invalid value 'vibes' - at `$.check.type`"),
        (line(chek=1), "unknown field `chek`"),
        (line(id="no blanks here"), "`$.id`"),
        (line(id="\x1b[31m"), "`$.id`"),
        (line(prompt=""), "`$.prompt`"),
        (line(max_tokens=0), "`$.max_tokens`"),
        (line(check={"type": "regex", "pattern": "("}), "the pattern cannot be compiled"),
        (line(check={"type": "choice", "answer": "E"}), "the answer E is none of the 4 options"),
        (line(check={"type": "json", "schema": {"minimum": 3}}), "the schema keyword 'minimum' is not known"),
        (line(check={"type": "json", "schema": {"properties": {"a": {"type": "text"}}}}), "'type' has an unusable"),
        (line(check={"type": "exact", "answers": []}), "`$.check.answers`"),
        (b'{"id": "\xff"}', "UTF-8"),
        (
            line(check={"type": "json", "schema": 9}).replace(b"9}", b'{"items":' * 5000 + b"{}" + b"}" * 5001),
            "too deep",
        ),
        (b"x" * (MAX_LINE + 1), "longer than 64 KiB"),
    ],
)
def test_a_bad_line_costs_that_line_alone(bad: bytes, reason: str) -> None:
    """It is named by its number and its reason, and the lines around it are used."""
    found = parse(b"\n".join((line(), bad, line(id="b"))))
    assert [item.id for item in found.items] == ["a", "b"]
    [told] = found.bad
    assert told.number == 2
    assert reason.lower() in told.reason.lower()
    assert len(told.reason) <= 200
    assert told.reason.isprintable()


def test_an_id_is_used_once() -> None:
    """The second item of a name is refused: its answers could not be told apart from the first's."""
    found = parse(line() + b"\n" + line(prompt="2 + 0?"))
    assert [item.prompt for item in found.items] == ["1 + 1?"]
    assert "used in a line before" in found.bad[0].reason


def test_there_is_an_end() -> None:
    """A file without an end gives so many items and no more."""
    found = parse(b"\n".join(line(id=f"i{number}") for number in range(MAX_ITEMS + 3)))
    assert len(found.items) == MAX_ITEMS
    assert len(found.bad) == 3


@given(st.binary(max_size=400))
def test_no_bytes_break_it(data: bytes) -> None:
    """Whatever stands in a file, each of its lines is an item, is passed over, or is a bad line."""
    found = parse(data)
    assert len(found.items) + len(found.bad) <= data.count(b"\n") + 1


def test_a_file_that_is_of_no_use_says_why(tmp_path: Path) -> None:
    """One line with the file and the reason, for no file and for one without an item."""
    with pytest.raises(ValueError, match=r"cannot read the quality file .*none\.jsonl: No such file"):
        load(str(tmp_path / "none.jsonl"))
    (tmp_path / "bad.jsonl").write_bytes(b"\n{}\n")
    with pytest.raises(ValueError, match=r"holds no usable item: line 2: Object missing required field `id`"):
        load(str(tmp_path / "bad.jsonl"))


def test_the_own_set() -> None:
    """It holds 60 to 120 items, none of them bad, of every kind of check, and needles at 10, 50 and 90 %."""
    found = load("builtin")
    assert found.bad == ()
    assert 60 <= len(found.items) <= 120
    assert {type(item.check).__name__ for item in found.items} == {
        *("Exact", "Number", "Choice", "Regex", "Json", "TokenF1", "Contains", "Stops"),
    }
    assert {item.haystack.depth for item in found.items if item.haystack} == {0.1, 0.5, 0.9}
    letters = Counter(item.check.answer for item in found.items if isinstance(item.check, Choice))
    assert set(letters.values()) == {4}, "a model that always says B must not be right more often than by chance"
    assert sum(item.consistency for item in found.items) == 12, "50 pairs, which R41 wants, in five passes"


def test_a_needle_lies_where_it_should() -> None:
    """The haystack has the length and the depth that were asked for, the question comes last, and it never changes."""
    for depth in (0.0, 0.1, 0.5, 0.9, 1.0):
        item = Item("n", "needle", "Which code?", Number(7), haystack=Haystack("The code is 7.", depth, words=500))
        text = prompt(item)
        before = text.split("The code is 7.")[0]
        assert abs(len(before.split()) / 500 - depth) < 0.03
        assert 500 <= len(text.split()) <= 520
        assert text.endswith("\n\nWhich code?")
        assert text == prompt(item)


def test_families_take_turns() -> None:
    """A pass that is cut short has asked something of each family, and no item is lost."""
    items = load("builtin").items
    turns = interleaved(items)
    families = {item.family for item in items}
    assert {item.family for item in turns[: len(families)]} == families
    assert sorted(item.id for item in turns) == sorted(item.id for item in items)
