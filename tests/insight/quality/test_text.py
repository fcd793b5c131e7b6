from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.quality.text import (
    bare,
    compression_ratio,
    distinct,
    fenced,
    letter,
    normalised,
    numbers,
    repeats,
    token_f1,
)

WORDS = "river stone cloud lamp paper green seven window north apple bridge cold winter baker ferry".split()  # noqa: SIM905 -- as prose is written


@pytest.mark.parametrize(
    ("answer", "gold", "f1"),
    [
        ("The cat sat.", "a cat, sat down", 0.8),
        ("Lisbon", "lisbon", 1.0),
        ("It is Lisbon", "Lisbon", 0.5),
        ("Porto", "Lisbon", 0.0),
        ("", "", 1.0),
        ("the", "", 1.0),
        ("", "Lisbon", 0.0),
        ("no no no", "no", 0.5),
    ],
)
def test_token_f1(answer: str, gold: str, f1: float) -> None:
    """Bags of words after the SQuAD normalisation, worked out by hand."""
    assert token_f1(answer, gold) == pytest.approx(f1)


@given(st.text(max_size=60), st.text(max_size=60))
def test_token_f1_is_a_share(one: str, other: str) -> None:
    """It is 0 to 1, 1 with itself, and the order does not matter."""
    assert 0 <= token_f1(one, other) == token_f1(other, one) <= 1
    assert token_f1(one, one) == 1


def test_normalised() -> None:
    """Lower case, no punctuation, no articles, single blanks; articles within words stay."""
    assert normalised("  The  Theatre, an A.N. Other's\n") == "theatre others"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("17 + 25 = 42.", [17, 25, 42]),
        ("about 1,234.5 kg", [1234.5]),
        ("1,2,3", [1, 2, 3]),
        ("\N{MINUS SIGN}7 or -7", [-7, -7]),
        ("10-5", [10, 5]),
        ("$3.50", [3.5]),
        ("1e3", [1000]),
        (".5", [0.5]),
        ("v2 and 3D", []),
        ("**42**", [42]),
        ("2024-03-07", [2024, 3, 7]),
        ("none", []),
    ],
)
def test_numbers(text: str, found: list[float]) -> None:
    """Thousands, signs, exponents and currency are read; what is part of a word is no number."""
    assert [abs(each) for each in numbers(text)] == [abs(each) for each in found]
    assert numbers(text)[:1] == found[:1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *(("B", "B"), ("B.", "B"), ("(B)", "B"), ("B) whale", "B"), ("**B**", "B"), ("b", "")),
        ("The answer is C.", "C"),
        ("Answer: (D)", "D"),
        ("I first thought the answer is A, but the correct answer is C", "C"),
        ("A whale is a mammal, so C", "C"),
        ("A whale is a mammal of the sea", ""),
        ("It is either B or C", ""),
        ("E", ""),
        ("", ""),
        ("A", "A"),
        ("A\n\nA whale is a mammal.", "A"),
        ("Because", ""),
        ("Option B", "B"),
    ],
)
def test_letter(text: str, said: str) -> None:
    """One letter, however it is wrapped; an article is no choice, and two letters are none."""
    assert letter(text, 4) == said


def test_bare_and_fenced() -> None:
    """Emphasis, quotes, a full stop and a code fence are no part of an answer."""
    assert bare(' **"Mara Quist."** ') == "Mara Quist"
    assert bare("e.g.") == "e.g"
    assert fenced('Here:\n```json\n{"a": 1}\n```\nDone.') == '{"a": 1}'
    assert fenced(' {"a": 1} ') == '{"a": 1}'


def test_loops_are_seen_and_prose_is_not() -> None:
    """A phrase over and over is a loop; words at random, and short answers, are none."""
    draw = random.Random(1)
    assert repeats("The end. " * 40)
    assert repeats("yes " * 30)
    assert repeats("." * 500)
    for words in (5, 30, 100, 400):
        assert not repeats(" ".join(draw.choice(WORDS) + str(draw.randrange(99)) for _ in range(words)))
    assert not repeats("yes yes yes")
    assert not repeats("")


def test_measures_of_repetition() -> None:
    """Both are 1 for nothing, and fall as a text repeats."""
    assert compression_ratio("") == distinct("") == 1.0
    assert distinct("a b a b a b") == pytest.approx(2 / 5)
    assert distinct("a b c", 1) == 1.0
    assert compression_ratio("lamp " * 200) < 0.05
