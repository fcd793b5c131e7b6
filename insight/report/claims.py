"""What two texts say in numbers, and which of these numbers one has and the other has not.

A number is the same if its value is, whatever the unit is called: `0.7 s` is `700 ms`, `299 s` is `4 min 59 s`. It is
the same too if it is the other rounded, as long as two digits are left: to one digit, every tenth number is rounded.
Words with a digit in them (`p95`, `H100`, `GPU 3`) and times of day are names: they have to be there as they are. A
whole number without a unit is held against those without; what it counts cannot be told. A sign that is written has to
be that of the report; what else means a number (`½`, `XXIV`, `hundreds`) has to be in it as it is.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def unknown(text: str, report: str) -> Iterator[tuple[str, str]]:
    """List what a text says in numbers that a report does not, each with the sentence that it stands in."""
    known = _Known(report)
    for sentence in re.split(r"(?<=[.!?])\s+|\n{2,}", text):
        for said in _tokens(sentence):
            if not known.holds(said):
                yield said.text, sentence


_SCALES = {
    # unit as written -> (what it measures, factor to the base unit); NFKC makes of the micro sign the Greek letter
    "ns": ("s", 1e-9), "\u03bcs": ("s", 1e-6), "us": ("s", 1e-6), "ms": ("s", 1e-3), "s": ("s", 1.0), "sec": ("s", 1.0),
    "milliseconds": ("s", 1e-3), "millisecond": ("s", 1e-3), "seconds": ("s", 1.0), "second": ("s", 1.0),
    "min": ("s", 60.0), "minute": ("s", 60.0), "minutes": ("s", 60.0), "h": ("s", 3600.0), "hour": ("s", 3600.0),
    "hours": ("s", 3600.0), "d": ("s", 86_400.0), "day": ("s", 86_400.0), "days": ("s", 86_400.0),
    "%": ("%", 1.0), "percent": ("%", 1.0),
    "B": ("B", 1.0), "KiB": ("B", 2.0**10), "MiB": ("B", 2.0**20), "GiB": ("B", 2.0**30), "TiB": ("B", 2.0**40),
    "KB": ("B", 1e3), "kB": ("B", 1e3), "MB": ("B", 1e6), "GB": ("B", 1e9), "TB": ("B", 1e12),
    "Hz": ("Hz", 1.0), "MHz": ("Hz", 1e6), "GHz": ("Hz", 1e9),
    "mW": ("W", 1e-3), "W": ("W", 1.0), "kW": ("W", 1e3), "watts": ("W", 1.0), "watt": ("W", 1.0),
    "J": ("J", 1.0), "kJ": ("J", 1e3), "MJ": ("J", 1e6), "Wh": ("J", 3600.0), "kWh": ("J", 3.6e6),
    "°C": ("°C", 1.0), "°": ("°C", 1.0), "degrees": ("°C", 1.0),
    "k": ("", 1e3), "M": ("", 1e6), "G": ("", 1e9), "million": ("", 1e6), "thousand": ("", 1e3), "billion": ("", 1e9),
    "x": ("x", 1.0), "\u00d7": ("x", 1.0), "-fold": ("x", 1.0), "times": ("x", 1.0),
}  # fmt: skip
_UNIT = "|".join(sorted(map(re.escape, _SCALES), key=len, reverse=True))
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_SIGN = r"(?P<sign>(?<![\w.)\]%°])[-\u2212+](?=[\d.]))"
"""Not the stroke of `20-40 s` or of `500 ms-1.1 s`."""
_ROMAN = r"(?=[IVXLCDM]{2,}\b)M*(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?<=[IVXLCDM])\b"
"""Of two letters or more: one may be a unit or a name, and `I` is a word. `LL` is none, and not an empty one either."""
_PER = r"(?:\s?(?:[a-z]+\s){0,2}?[a-z]*\s?(?:/\s?(?P<per>s|min|h|J)\b|per\s(?P<per_word>second|minute|hour|joule)\b))"
_TOKEN = re.compile(
    # Words that make of the number, or the letter, behind them a name: `GPU 3`, `server B`.
    r"(?P<label>\b(?i:gpu|xid|server|node|rank|engine|replica|grade)\s(?:\d+|[A-Z]{1,2})\b(?!\.\d))"
    r"|(?P<stamp>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?Z?)?|\b\d{1,2}:\d\d(?::\d\d)?\b)"
    # Words with a digit in them (p95, H100, Llama-3.1-70B), versions, flags and paths: one name each.
    r"|(?P<name>(?<![\w.])(?:-{1,2}[A-Za-z][\w-]*(?:=[\w.]+)?|\d+(?:\.\d+){2,}(?:[\w.+-]*\w)?|[A-Za-z_][\w.+/-]*\d[\w.+/-]*))"
    rf"|(?<![\w.]){_SIGN}?(?P<number>(?<![\w.])(?:{_NUMBER}))(?P<tail>{_PER}|\s?(?:{_UNIT})(?![\w/]))?"
    rf"|(?P<left>\b{_ROMAN}|\d+)"  # digits that are part of nothing above
    r"|(?P<word>(?i:orders?\sof\smagnitude\b)|[A-Za-z]+)"
)
_PER_SECONDS = {"s": "s", "second": "s", "min": "min", "minute": "min", "h": "h", "hour": "h", "J": "J", "joule": "J"}
_COUNTED = {
    # without `one`, which as a rule is a pronoun
    "zero": 0.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0,
    "nine": 9.0, "ten": 10.0, "eleven": 11.0, "twelve": 12.0, "dozen": 12.0, "thirteen": 13.0, "fourteen": 14.0,
    "fifteen": 15.0, "sixteen": 16.0, "seventeen": 17.0, "eighteen": 18.0, "nineteen": 19.0, "twenty": 20.0,
    "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0, "eighty": 80.0, "ninety": 90.0,
    "hundred": 100.0, "thousand": 1e3, "million": 1e6, "billion": 1e9,
}  # fmt: skip
_COMPUTED = frozenset(
    (
        *("half", "halve", "halved", "halves", "halving", "twice", "thrice", "quarter", "quarters", "third"),
        *("double", "doubled", "doubles", "doubling", "triple", "tripled", "triples", "tripling", "quadruple"),
        *("quadrupled", "tens", "dozens", "hundreds", "thousands", "millions", "billions"),
        *("order of magnitude", "orders of magnitude"),
    )
)
"""Words that say a number that somebody worked out: they have to stand in the report as they are."""
_FOLD = re.compile(r"(?!un|mani|scaf|blind)\w+fold")
"""`tenfold`, `fiftyfold`: the same."""
_SLACK = 1e-9


class _Said(Struct, frozen=True):
    """A number, or a name with one in it, as a text has it."""

    text: str
    kind: str
    """`value`, `name`, `moment` or `word`."""
    unit: str = ""
    value: float = 0.0
    """In the base unit."""
    signed: bool = False
    """With a plus or a minus before it."""
    rounded_to: float = 0.0
    """Half of its last digit, in the base unit; 0 where it has fewer than two digits, and has to be exact."""


def _tokens(text: str) -> Iterator[_Said]:
    # A fraction or a power would become `1/2` and `2` below, which the report may well have.
    yield from (_Said(each, "word") for each in text if each.isnumeric() and not each.isdecimal())
    text = "".join(" " if each.isnumeric() and not each.isdecimal() else each for each in text)
    text = unicodedata.normalize("NFKC", text)
    matches = [match for match in _TOKEN.finditer(text) if not (match["word"] and not _speaks(match["word"]))]
    for index, match in enumerate(matches):
        if match["label"]:
            label, number = match["label"].split()
            yield _Said(f"{label.lower()} {number}", "name")
        elif match["stamp"]:
            yield _Said(match["stamp"], "moment")
        elif match["name"]:
            yield _Said(match["name"].rstrip(".-/+"), "name")
        elif match["left"]:
            yield _Said(match["left"], "word")
        elif match["word"]:
            word = " ".join(match["word"].lower().split())
            yield _Said(word, "value", "", _COUNTED[word]) if word in _COUNTED else _Said(word, "word")
        else:
            following = matches[index + 1] if index + 1 < len(matches) else None
            yield _value(text, match, following)


def _speaks(word: str) -> bool:
    word = " ".join(word.lower().split())
    return word in _COUNTED or word in _COMPUTED or _FOLD.fullmatch(word) is not None


def _value(text: str, match: re.Match[str], following: re.Match[str] | None) -> _Said:
    """Read a number with its unit; the first of two that an interval lies between has the unit of the second."""
    tail = match
    between = text[match.end() : following.start()] if following is not None and not match["tail"] else ""
    if following is not None and following["number"] and re.fullmatch(r"\s?(?:-|\u2013|to|and)\s?~?", between):
        tail = following
    per = tail["per"] or tail["per_word"]
    if per:
        unit, factor = f"/{_PER_SECONDS[per]}", 1.0
        scale = re.match(r"\s?([kMG])\b", tail["tail"])
        factor = _SCALES[scale[1]][1] if scale else 1.0
    else:
        unit, factor = _SCALES[(tail["tail"] or "").strip()] if tail["tail"] else ("", 1.0)
    written = match["number"].replace(",", "")
    digits = len(written.replace(".", "").lstrip("0"))
    places = len(written.partition(".")[2])
    last = 0.5 * 10.0**-places if digits >= 2 else 0.0
    sign = match["sign"] or ""
    value = float(written) * factor * (-1.0 if sign in {"-", "\u2212"} else 1.0)
    shown = (sign + match["number"] + (match["tail"] or "")).strip()
    return _Said(shown, "value", unit, value, bool(sign), last * factor)


class _Known:
    """What a report says in numbers."""

    def __init__(self, report: str) -> None:
        self._names: set[str] = set()
        self._moments: set[str] = set()
        self._words: set[str] = set()
        self._values: dict[str, list[float]] = {}
        for line in report.splitlines():
            self._learn(_tokens(line))
        self._durations(report)

    def _learn(self, tokens: Iterable[_Said]) -> None:
        for said in tokens:
            if said.kind == "name":
                self._names |= {said.text, *said.text.split("/")}
            elif said.kind == "moment":
                self._moments.add(said.text)
            elif said.kind == "word":
                self._words.add(said.text)
            else:
                self._values.setdefault(said.unit, []).append(said.value)

    def _durations(self, report: str) -> None:
        """Add lengths of time of two parts as the one that they are: `4 min 59 s` is also 299 s."""
        parts = r"(\d+) (d|h|min) (\d+) (h|min|s)\b"
        for high, high_unit, low, low_unit in re.findall(parts, report):
            seconds = float(high) * _SCALES[high_unit][1] + float(low) * _SCALES[low_unit][1]
            self._values.setdefault("s", []).append(seconds)

    def holds(self, said: _Said) -> bool:
        """Tell whether the report says it too, in as many digits or more."""
        if said.kind == "name":
            return said.text in self._names
        if said.kind == "word":
            return said.text in self._words
        if said.kind == "moment":
            return any(said.text.rstrip("Z").replace(" ", "T") in each for each in self._moments)
        return any(
            abs((each if said.signed else abs(each)) - said.value) <= said.rounded_to + _SLACK * max(abs(each), 1e-9)
            for each in self._values.get(said.unit, ())
        )
