from __future__ import annotations

from collectors.quality.cost import cost
from collectors.quality.examiner import Plan
from collectors.quality.items import Items
from metrics.quality import Graded, Item, Outcome, Reply


def grade(item: Item, _reply: Reply) -> Graded:
    return Graded(item.id, item.family, Outcome.RIGHT)


PLAN = Plan(Items((), ()), grade, 60_000.0)
PRICED = Plan(Items((), ()), grade, 60_000.0, price=2.0)


def test_tokens_and_dollars() -> None:
    """So far, and an hour once an hour is over: a pass is asked at once, and then nothing until the next."""
    assert cost(PLAN, 12_345, 600.0, estimated=False) == "12,345 tokens so far; never more than 60,000 an hour"
    assert (
        cost(PRICED, 12_000, 7200.0, estimated=False)
        == "12,000 tokens so far ($0.0240), 6,000 an hour ($0.0120); never more than 60,000 an hour"
    )


def test_what_is_known_from_above_says_so() -> None:
    """A server that does not tell its usage is charged the most, and it reads so; embedding elsewhere stands apart."""
    found = cost(PLAN, 300, 1.0, estimated=True, embedded=1200)
    assert found == ("at most 300 tokens so far; never more than 60,000 an hour; 1,200 tokens were embedded elsewhere")
