"""What embeddings tell of an answer: whether it speaks of the question, and whether its sentences hang together.

Both compare an answer with itself over time, never one model with another: the level depends on the embedding model,
on the length and on the kind of the question. So that a longer answer is not a more coherent one, all answers are
measured on sentences of like length and on the first few of them.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SENTENCES = 8
LEAST_WORDS, MOST_WORDS = 3, 40
"""Shorter pieces (`1.`, `Yes.`) are no sentences, and longer ones are cut: a long text resembles every other."""
_END = re.compile(r"(?<=[.!?])\s+|\n+")


def sentences(text: str) -> list[str]:
    """Split a text into its first sentences, `MAX_SENTENCES` at most, each of `LEAST_WORDS` to `MOST_WORDS` words."""
    parts = (part.split() for part in _END.split(text))
    return [" ".join(words[:MOST_WORDS]) for words in parts if len(words) >= LEAST_WORDS][:MAX_SENTENCES]


def cosine(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Cosine of the angle between two vectors of one length; None where one of them has none or is not finite."""
    scale = math.sqrt(math.fsum(x * x for x in one)) * math.sqrt(math.fsum(y * y for y in other))
    if not math.isfinite(scale) or scale == 0:
        return None
    return max(-1.0, min(1.0, math.fsum(x * y for x, y in zip(one, other, strict=True)) / scale))


def coherence(vectors: Sequence[Sequence[float]]) -> float | None:
    """Mean cosine of neighbouring sentences; None for fewer than two."""
    found = [cosine(one, other) for one, other in pairwise(vectors)]
    known = [each for each in found if each is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(found) else None
