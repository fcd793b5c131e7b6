from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.quality.grading import grade
from metrics.quality import (
    Check,
    Choice,
    Contains,
    Exact,
    Item,
    Json,
    Number,
    Outcome,
    Regex,
    Reply,
    Stops,
    TokenF1,
)

CHECKS: tuple[Check, ...] = (
    Exact(("Mara Quist",)),
    Number(42.0),
    Choice("B"),
    Regex(r"\d{4}"),
    Json({"type": "object", "required": ["a"]}),
    TokenF1(("Atlantic Ocean", "Atlantic")),
    Contains(("4471",)),
    Stops(2),
)


def graded(check: Check, text: str, finish: str = "stop") -> Outcome:
    return grade(Item("i", "f", "?", check), Reply(text, finish)).outcome


@pytest.mark.parametrize(
    ("check", "text", "right"),
    [
        (Exact(("Mara Quist",)), '"mara quist."', True),
        (Exact(("Mara Quist",), ignore_case=False), "mara quist", False),
        (Exact(("5512", "Order 5512")), "order 5512", True),
        (Exact(("Mara Quist",)), "The order was placed by Mara Quist", False),
        (Number(42.0), "17 + 25 = 42", True),
        (Number(42.0), "42 apples, and not 43", False),
        (Number(42.0), "forty-two", False),
        (Number(0.3), str(0.1 + 0.2), True),
        (Number(3.14159, 0.01), "3.14", True),
        (Number(3.14159, 0.001), "3.14", False),
        (Number(1e300), "1e999", False),
        (Choice("B"), "B) sparrow", True),
        (Choice("B"), "C", False),
        (Choice("B"), "", False),
        (Regex(r"\d{4}-\d\d"), " 2024-03\n", True),
        (Regex(r"\d{4}-\d\d"), "It is 2024-03", False),
        (Json({"type": "array"}), "```json\n[1]\n```", True),
        (Json({"type": "array"}), "[1", False),
        (Json({"type": "array"}), '{"a": 1}', False),
        (Json({"type": "array"}), "[" * 5000, False),
        (TokenF1(("Atlantic Ocean", "Atlantic")), "the atlantic", True),
        (TokenF1(("Atlantic",), 0.9), "It is the Atlantic", False),
        (Contains(("4471",)), "It is 4471!", True),
        (Contains(("4471",)), "It is 44712", False),
        (Contains(("pear tree",)), "Under the Pear Tree, of course.", True),
        (Stops(2), "Good morning.", True),
        (Stops(2), "Morning.", False),
        (Stops(2), "The end. " * 40, False),
    ],
)
def test_right_and_wrong(check: Check, text: str, right: bool) -> None:
    """Each check accepts what says the same in other dress, and nothing that says something else."""
    assert graded(check, text) is (Outcome.RIGHT if right else Outcome.WRONG)


def test_cut_off() -> None:
    """Cut off and not right is an outcome of its own; cut off after the right answer is right, but never a stop."""
    assert graded(Number(42.0), "Let me think: 17", "length") is Outcome.CUT
    assert graded(Number(42.0), "42", "length") is Outcome.RIGHT
    assert graded(Stops(), "And so it went, and", "length") is Outcome.CUT


def test_what_else_is_noted() -> None:
    """F1 and exact match where there are words, letters of a choice, the reason, and a digest to compare answers by."""
    item = Item("i", "f", "?", TokenF1(("Atlantic Ocean",)))
    half, same = grade(item, Reply("It was the ocean")), grade(item, Reply(" It was the ocean\n"))
    assert half.f1 == pytest.approx(0.4)
    assert (half.exact, half.why) == (False, "F1 0.40 is below 0.5")
    assert half.digest == same.digest != grade(item, Reply("ocean")).digest
    choice = grade(Item("i", "f", "?", Choice("B")), Reply("C", cached_tokens=7))
    assert (choice.expected, choice.said, choice.why, choice.cached_tokens) == ("B", "C", "C instead of B", 7)
    assert grade(Item("i", "f", "?", Number(1.0)), Reply("1")).why == ""


@given(st.sampled_from(CHECKS), st.text(max_size=300), st.sampled_from(["stop", "length", ""]))
def test_any_answer_is_graded(check: Check, text: str, finish: str) -> None:
    """Whatever a server says, it is right, wrong or cut off, the same each time, and no exception."""
    item, reply = Item("i", "f", "?", check), Reply(text, finish)
    found = grade(item, reply)
    assert found == grade(item, reply)
    assert found.outcome in {Outcome.RIGHT, Outcome.WRONG, Outcome.CUT}
    assert (found.why == "") == (found.outcome is Outcome.RIGHT)
