"""What an answer says, taken out of the words around it; and whether it goes round in circles."""

from __future__ import annotations

import re
import string
import zlib
from collections import Counter

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_MINUS = "\N{MINUS SIGN}"
_NUMBER = re.compile(
    rf"(?<![\w.])[-+{_MINUS}]?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)"
    r"|(?<![\w.])[-+]?\.\d+"
)
_FENCE = re.compile(r"```[a-zA-Z0-9_-]*\s*\n?(.*?)```", re.DOTALL)
_QUOTES = "\u201c\u201d\u2018\u2019"  # curly ones, double and single
_DECORATION = " \t\r\n*_`\"'" + _QUOTES

LONG_ENOUGH = 200
"""Characters below which zlib's own overhead says more than the text."""
MOST_COMPRESSIBLE = 0.20
"""Prose compresses to 0.4 to 0.7 of its size at these lengths, a loop of any phrase to less than 0.2."""
ENOUGH_PAIRS = 20
LEAST_DISTINCT = 0.30
"""Prose of 20 to 500 words has 0.8 or more distinct pairs of words; a sentence said five times over has 0.2."""


def normalised(text: str) -> str:
    """Write as the SQuAD evaluation does: lower case, no punctuation, no articles, single blanks (Rajpurkar 2016)."""
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def token_f1(answer: str, gold: str) -> float:
    """Share of words in common, 0 to 1: 2PR/(P+R) over bags of normalised words; two empty texts agree wholly."""
    said, known = normalised(answer).split(), normalised(gold).split()
    if not said or not known:
        return float(said == known)
    common = sum((Counter(said) & Counter(known)).values())
    return 2 * common / (len(said) + len(known))


def bare(text: str) -> str:
    """Take off what stands around an answer: white space, emphasis, quotes, a final full stop."""
    inner = text.strip(_DECORATION)
    return inner.removesuffix(".").strip(_DECORATION)


def numbers(text: str) -> list[float]:
    """List the numbers in a text; `1,234.5` is one."""
    return [float(each.replace(",", "").replace(_MINUS, "-")) for each in _NUMBER.findall(text)]


def letter(text: str, options: int) -> str:
    """Find the letter that was chosen among the first `options`; '' where none, or more than one, was.

    In this order: it stands alone or at the beginning (`B`, `(B)`, `B) Paris`); it is named (`the answer is B`); it is
    the only one that stands alone anywhere. An `A` at the beginning of a sentence is an article and no choice.
    """
    letters = "ABCDEFGHIJ"[:options]
    inner = text.strip(_DECORATION)
    first = re.match(rf"\(?([{letters}])(?:[).:,*]|\s*$|\s*\n)", inner)
    if first:
        return first[1]
    named = re.findall(rf"(?i:answer|choice|option)(?i:\s+is)?\s*[:=]?\s*[*(\"']*([{letters}])\b", inner)
    if named:
        return str(named[-1])
    alone = set(re.findall(rf"(?<![\w'])([{letters}])(?![\w'])", inner)) - ({"A"} if len(inner.split()) > 3 else set())
    return alone.pop() if len(alone) == 1 else ""


def fenced(text: str) -> str:
    """Return what stands in the first code fence, or the whole text where there is none."""
    found = _FENCE.search(text)
    return (found[1] if found else text).strip()


def compression_ratio(text: str) -> float:
    """Size after zlib (level 9) as a share of the size before; 1 for an empty text."""
    raw = text.encode("utf-8", "replace")
    return len(zlib.compress(raw, 9)) / len(raw) if raw else 1.0


def distinct(text: str, n: int = 2) -> float:
    """Share of distinct runs of `n` words among all of them (distinct-n, Li 2016); 1 where there is none."""
    words = text.lower().split()
    runs = list(zip(*(words[start:] for start in range(n)), strict=False))
    return len(set(runs)) / len(runs) if runs else 1.0


def repeats(text: str) -> bool:
    """Tell whether a text goes round in circles, as far as its length lets that be told."""
    long_enough = len(text.encode("utf-8", "replace")) >= LONG_ENOUGH
    if long_enough and compression_ratio(text) < MOST_COMPRESSIBLE:
        return True
    return len(text.split()) > ENOUGH_PAIRS and distinct(text) < LEAST_DISTINCT
