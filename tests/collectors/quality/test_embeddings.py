from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.quality.embeddings import coherence, cosine, sentences

VECTORS = st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3)


def test_cosine() -> None:
    """1 along, 0 across, -1 against; unknown for a vector without a direction."""
    assert cosine([1, 2], [2, 4]) == pytest.approx(1)
    assert cosine([1, 0], [0, 3]) == 0
    assert cosine([1, 0], [-2, 0]) == -1
    assert cosine([0, 0], [1, 0]) is None
    assert cosine([math.inf, 0], [1, 0]) is None


@given(VECTORS, VECTORS)
def test_cosine_is_bounded(one: list[float], other: list[float]) -> None:
    """It never leaves -1 to 1, and the order does not matter."""
    found = cosine(one, other)
    assert found == cosine(other, one)
    assert found is None or -1 <= found <= 1


def test_coherence() -> None:
    """The mean over neighbours; one sentence has none."""
    assert coherence([[1, 0], [1, 0], [0, 1]]) == pytest.approx(0.5)
    assert coherence([[1, 0]]) is None
    assert coherence([[1, 0], [0, 0]]) is None


def test_sentences() -> None:
    """Ends of sentences and lines divide; there are eight at most, of like length."""
    assert sentences("It rains today. Why is that?\n- Nobody really knows!") == [
        *("It rains today.", "Why is that?", "- Nobody really knows!")
    ]
    assert sentences(" ") == []
    assert sentences("1. Yes. No! It is so.") == ["It is so."], "what has no three words is no sentence"
    assert len(sentences("Yes it is. " * 50)) == 8
    assert sentences("word " * 100) == [" ".join(["word"] * 40)]
