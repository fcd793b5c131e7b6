from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.quality.fault import Fault, fault, fault_of, shares
from insight.quality.grading import grade
from metrics.quality import Exact, Graded, Item, Outcome, Reply

ITEM = Item("i", "f", "What is the capital of Portugal?", Exact(("Lisbon",)))
CYRILLIC = "\N{CYRILLIC SMALL LETTER A}\N{CYRILLIC SMALL LETTER BE}\N{CYRILLIC SMALL LETTER VE}"
CHINESE = "\u91cc\u65af\u672c"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        *((" \n", Fault.EMPTY), ("", Fault.EMPTY)),
        ("I'm sorry, but I can't help with that.", Fault.REFUSAL),
        ("I\N{RIGHT SINGLE QUOTATION MARK}m sorry, no.", Fault.REFUSAL),
        ("As an AI, I have no opinion.", Fault.REFUSAL),
        ("Unfortunately I cannot assist with this request.", Fault.REFUSAL),
        ("That would violate our policy.", Fault.REFUSAL),
        ("Porto", None),
        ("I can name it: Porto.", None),
        ("The mayor said: sorry, it is closed.", None),
        ("and so on " * 60, Fault.LOOP),
        (CHINESE, Fault.SCRIPT),
        (f"It is {CYRILLIC * 4}", Fault.SCRIPT),
        (f"It is Lisbon, which others write {CYRILLIC}", None),
        ("1234 !?", None),
    ],
)
def test_what_is_the_matter(text: str, found: Fault | None) -> None:
    """Nothing, a refusal, a loop, or another script than the question's; a plain mistake is none of them."""
    assert fault(text, ITEM.prompt) is found


def test_a_question_in_that_script() -> None:
    """Who is asked in Chinese may answer so, and a question without letters asks in no script."""
    assert fault(CHINESE, f"{CHINESE}?") is None
    assert fault(CHINESE, "1 + 1 = ?") is None


@given(st.text(max_size=200), st.text(max_size=50))
def test_any_text_may_come(text: str, question: str) -> None:
    """No text breaks it."""
    assert fault(text, question) in {None, *Fault}


@pytest.mark.parametrize(
    ("reply", "outcome", "found"),
    [
        (Reply("Lisbon"), Outcome.RIGHT, None),
        (Reply("Porto"), Outcome.WRONG, None),
        (Reply(""), Outcome.WRONG, Fault.EMPTY),
        (Reply("I cannot answer that."), Outcome.WRONG, Fault.REFUSAL),
        (Reply("Porto or", finish="length"), Outcome.CUT, Fault.CUT),
        (Reply("no " * 90, finish="length"), Outcome.CUT, Fault.LOOP),
    ],
)
def test_a_grade_holds_its_fault(reply: Reply, outcome: Outcome, found: Fault | None) -> None:
    """As the reason, so that it is in every recording; what was cut off and has no other fault was cut off."""
    graded = grade(ITEM, reply)
    assert graded.outcome is outcome
    assert type(graded.why) is str
    assert fault_of(graded) is found


def test_shares() -> None:
    """Of all answers, with an interval; nothing of none."""
    found = shares([Graded("a", "f", Outcome.WRONG, why=Fault.EMPTY.value), Graded("b", "f", Outcome.RIGHT)])
    assert (found[Fault.EMPTY].value, found[Fault.LOOP].value, found[Fault.EMPTY].n) == (0.5, 0.0, 2)
    assert shares([]) == {}
