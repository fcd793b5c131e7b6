"""Whether an answer is right: one pure function for each kind of check."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from insight.quality.fault import Fault, fault
from insight.quality.json_schema import violation
from insight.quality.text import bare, fenced, letter, normalised, numbers, repeats, token_f1
from metrics.quality import Choice, Contains, Exact, Graded, Json, Number, Outcome, Regex, Stops, TokenF1

if TYPE_CHECKING:
    from metrics.quality import Item, Reply

MAX_CHECKED = 8_000
"""Characters of an answer that are looked at: no item asks for as much, and a pattern may take long on more."""

NOT_JSON = "it is not JSON"


def grade(item: Item, reply: Reply) -> Graded:
    """Say what became of an item that was answered. An answer that was cut off may still be right.

    Of one that is not right, `why` is its `Fault` where it has one.
    """
    text = reply.text[:MAX_CHECKED]
    found = _checked(item, text, reply)
    outcome, why = found.outcome, found.why
    if outcome is Outcome.WRONG:
        why = fault(text, item.prompt) or why
        outcome = Outcome.CUT if reply.finish == "length" else outcome
    return replace(
        found,
        outcome=outcome,
        why=str(why),
        digest=_digest(reply.text),
        cached_tokens=reply.cached_tokens,
        output_tokens=reply.output_tokens,
        first_logprob=reply.first_logprob,
    )


def _checked(item: Item, text: str, reply: Reply) -> Graded:
    check = item.check
    match check:
        case Exact():
            found = _exact(item, check, text)
        case Number():
            found = _number(item, check, text)
        case Choice():
            found = _choice(item, check, text)
        case Regex():
            right = re.fullmatch(check.pattern, text.strip()) is not None
            found = _graded(item, right=right, why="it has not the form that was asked for")
        case Json():
            why = _json_violation(check, text)
            found = _graded(item, right=not why, why=why)
        case TokenF1():
            found = _token_f1(item, check, text)
        case Contains():
            right = any(f" {normalised(each)} " in f" {normalised(text)} " for each in check.answers)
            found = _graded(item, right=right, why="what it should tell is not in it")
        case _:
            why = _circling(check, text, reply)
            found = _graded(item, right=not why, why=why)
    return found


def _exact(item: Item, check: Exact, text: str) -> Graded:
    said, known = bare(text), [bare(each) for each in check.answers]
    if check.ignore_case:
        said, known = said.casefold(), [each.casefold() for each in known]
    right = said in known
    return _graded(item, right=right, why="another answer than the known one", exact=right)


def _number(item: Item, check: Number, text: str) -> Graded:
    found = numbers(text)
    # A float's own rounding is no mistake of the answer: 0.1 + 0.2 within 0.
    slack = check.tolerance + 1e-9 * max(1.0, abs(check.value))
    right = bool(found) and abs(found[-1] - check.value) <= slack
    return _graded(item, right=right, why="another number" if found else "no number in it", exact=right)


def _choice(item: Item, check: Choice, text: str) -> Graded:
    said = letter(text, check.options)
    right = said == check.answer
    graded = _graded(item, right=right, why=f"{said or 'no letter'} instead of {check.answer}", exact=right)
    return replace(graded, expected=check.answer, said=said)


def _token_f1(item: Item, check: TokenF1, text: str) -> Graded:
    best = max(token_f1(text, gold) for gold in check.answers)
    exact = any(normalised(text) == normalised(gold) for gold in check.answers)
    graded = _graded(item, right=best >= check.least, why=f"F1 {best:.2f} is below {check.least:g}", exact=exact)
    return replace(graded, f1=best)


def _json_violation(check: Json, text: str) -> str:
    try:
        value: Any = msgspec.json.decode(fenced(text))
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return NOT_JSON
    return violation(value, check.schema)


def _circling(check: Stops, text: str, reply: Reply) -> str:
    if reply.finish == "length":
        return "it did not end by itself"
    if len(text.split()) < check.least_words:
        return f"it has fewer than {check.least_words} words"
    return Fault.LOOP if repeats(text) else ""


def _graded(item: Item, *, right: bool, why: str, exact: bool | None = None) -> Graded:
    outcome = Outcome.RIGHT if right else Outcome.WRONG
    return Graded(item.id, item.family, outcome, why="" if right else why, exact=exact)


def _digest(text: str) -> str:
    return blake2b(text.strip().encode("utf-8", "replace"), digest_size=8).hexdigest()
