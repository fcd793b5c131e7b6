"""A metrics page as text, turned into samples.

Between two polls of one server nearly every byte left of the values is the same. So a parser, one for each endpoint,
remembers which series those bytes are: a line that it knows costs one split, one look-up and one `float`. Lines that it
does not know (new series, timestamps, exemplars, tabs, quoted names) take the careful path, which follows the text
format 0.0.4 and 1.0.0 and tolerates OpenMetrics. A line that is none of these is counted and skipped.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from collectors.clean import clean

MAX_SERIES = 50_000
"""Series that are read from one page, which is not read on beyond them; the largest seen has 2 000 (vLLM, 4 ranks)."""
MAX_LINES = 200_000
"""Lines that are read of one page: each series may have a comment, a type and a line to spare."""
MAX_BAD_LINES = 10_000
"""Lines without a sample after which a page is not read on: each costs what ten with a known one do."""
MAX_LABELS = 64
"""Labels that a series may have; the most seen are 37 (vLLM's `cache_config_info`)."""
MAX_NEW_LABELS = 500_000
"""Labels in lines of one page that are not known yet, after which it is not read on: ten for each of the series."""
MAX_LINE_BYTES = 16_384
"""Longest line that is read; the longest seen has 1 500 (vLLM's `cache_config_info`)."""
MAX_LABEL_CHARACTERS = 1_000
"""Longest label value that is kept whole; lists of LoRA adapters are the longest there are."""


class Series(Struct, frozen=True, eq=False):
    """One series of a page. A parser has one object for each, so that they compare and hash by identity."""

    name: str
    """As on the page: `vllm:time_to_first_token_seconds_bucket`."""
    labels: dict[str, str]
    """Sorted by name; unescaped and cleaned. Not to be changed."""
    group: tuple[tuple[str, str], ...]
    """The labels but for `le`: what the buckets, the sum and the count of one histogram share."""
    bound: float | None
    """`le` as a number, for a bucket of a histogram."""


class Page(Struct, frozen=True, eq=False):
    """What a page held."""

    samples: dict[Series, float]
    """Value of each series, in the order of the page; NaN and infinities as they stand there."""
    bad_lines: int = 0
    """Lines that were no samples and no comments, and were skipped."""
    first_bad: str = ""
    """The first of them, cleaned, and what is wrong with it."""
    unread: str = ""
    """Why the rest of the page was not read, where it was too long: `more than 50,000 series`."""
    duplicates: int = 0
    """Samples of a series that the page had given already. The first counts, as it does in Prometheus."""


class Parser:
    """Reads the pages of one endpoint and remembers their series.

    It holds at most twice the series of the newest page: when more have gathered, those that the page lacks are
    forgotten.
    """

    def __init__(self) -> None:
        self._by_text: dict[bytes, Series] = {}
        self._by_key: dict[tuple[str, tuple[tuple[str, str], ...]], Series] = {}

    def parse(self, body: bytes) -> Page:
        """Read a page; never raises. A body that is no metrics page gives no samples: ask `foreign_format`."""
        if body[:1] == b'"':
            body = _unquoted(body)
        samples: dict[Series, float] = {}
        known, keep, read = self._by_text.get, samples.setdefault, 0
        bad_lines, first_bad, labels, unread = 0, "", 0, ""
        lines = body.split(b"\n", MAX_LINES)
        if len(lines) > MAX_LINES:
            lines[-1], unread = b"", f"more than {MAX_LINES:,} lines"
        for line in lines:
            text, _, number = line.rpartition(b" ")
            series = known(text)
            try:
                if series is not None:
                    keep(series, float(number))
                    read += 1
                    continue
            except ValueError:
                pass  # a tab before a timestamp, or no number at all
            if line[:1] == b"#" or not line or line.isspace():
                continue
            if enough := _enough(len(samples), bad_lines, labels):
                unread = enough
                break
            try:
                series, value = self._read(line)
                keep(series, value)
                read += 1
                labels += len(series.labels)
            except ValueError as error:
                bad_lines += 1
                first_bad = first_bad or clean(f"{error}: {line[:120].decode(errors='replace')}")
        self._forget(samples)
        return Page(samples, bad_lines, first_bad, unread, read - len(samples))

    def _read(self, line: bytes) -> tuple[Series, float]:
        """Read any line with a sample, the careful way; raises ValueError with the reason where it is none."""
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"longer than {MAX_LINE_BYTES} bytes")
        match = _SAMPLE.match(line)
        if not match:
            raise ValueError("not a sample")
        text, rest = match.groups()
        fields = rest.partition(b"#")[0].split()
        if not 1 <= len(fields) <= 2:
            raise ValueError("not a value, or a value and a timestamp")
        value, *_ = map(_number, fields)
        return self._by_text.get(text) or self._learn(text), value

    def _learn(self, text: bytes) -> Series:
        name, labels = _series(text.decode(errors="replace"))
        key = name, tuple(sorted(labels.items()))
        series = self._by_key.get(key)
        if series is None:
            group = tuple(pair for pair in key[1] if pair[0] != "le")
            series = self._by_key[key] = Series(name, dict(key[1]), group, _bound(labels.get("le")))
        self._by_text[text] = series
        return series

    def _forget(self, seen: dict[Series, float]) -> None:
        if len(self._by_text) > 2 * len(seen):
            self._by_text = {text: series for text, series in self._by_text.items() if series in seen}
            self._by_key = {key: series for key, series in self._by_key.items() if series in seen}


def foreign_format(body: bytes) -> str | None:
    """Say what a body without a single sample is: `HTML`, `JSON`, `nothing`, `binary data`, else None."""
    start = body[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        return "nothing"
    if b"\x00" in start or start[:2] == b"\x1f\x8b":
        return "binary data"
    if start[:1] == b"<":
        return "HTML"
    if start[:1] in b'[{"' and _is_json(body):
        return "JSON"
    return None


def _enough(series: int, bad_lines: int, labels: int) -> str:
    """Say of what a page has more than is read; `""` where it may be read on."""
    if series >= MAX_SERIES:
        return f"more than {MAX_SERIES:,} series"
    if bad_lines >= MAX_BAD_LINES:
        return f"more than {MAX_BAD_LINES:,} bad lines"
    return f"more than {MAX_NEW_LABELS:,} new labels" if labels >= MAX_NEW_LABELS else ""


# The series of a sample, then its value with what follows. Possessive repetition: a line takes linear time, whatever
# its quotes and braces.
_SAMPLE = re.compile(
    rb"""
    [ \t]*+
    ( [^\s{}"\#]*+ (?: [ \t]*+ \{ (?: [^"{}]++ | "(?: [^"\\]++ | \\. )*+" )*+ \} )?+ )
    (.*+)
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_TERM = re.compile(
    r"""
    \s*+ (?: (?P<bare> [a-zA-Z_][a-zA-Z0-9_]* ) | "(?P<quoted> (?: [^"\\]++ | \\. )*+ )" )
    \s*+ (?: = \s*+ "(?P<value> (?: [^"\\]++ | \\. )*+ )" \s*+ )?+ (?: , | $ )
    """,
    re.VERBOSE | re.DOTALL,
)
_NO_JSON = (msgspec.DecodeError, UnicodeError, RecursionError)
_ESCAPED = re.compile(r'\\([\\n"])')


def _series(text: str) -> tuple[str, dict[str, str]]:
    """Split `name{label="value",...}` or `{"name",label="value",...}`; raises ValueError where it is neither."""
    name, brace, inside = text.partition("{")
    name = name.strip()
    if name and not _NAME.fullmatch(name):
        raise ValueError("not a metric name")
    labels: dict[str, str] = {}
    inside, at = inside[:-1].rstrip(), 0
    while at < len(inside):
        if len(labels) >= MAX_LABELS:
            raise ValueError(f"more than {MAX_LABELS} labels")
        term = _TERM.match(inside, at)
        if not term:
            raise ValueError("not a label")
        at = term.end()
        bare, quoted, value = term.group("bare", "quoted", "value")
        if value is not None:
            label = bare or _unescaped(quoted)
            if not label or label in labels:
                raise ValueError("a label twice, or without a name")
            labels[label] = _unescaped(value)
        elif quoted and not name:
            name = _unescaped(quoted)
        else:
            raise ValueError("a label without a value")
    if not name:
        raise ValueError("no metric name" if brace else "not a sample")
    return name, labels


def _unescaped(text: str) -> str:
    plain = _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else match[1], text) if "\\" in text else text
    return clean(plain, MAX_LABEL_CHARACTERS)


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("not a number") from None


def _bound(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _unquoted(body: bytes) -> bytes:
    """Undo the quotes that llama.cpp b7010 put around the whole page (its issue 17384)."""
    try:
        return msgspec.json.decode(body, type=str).encode()
    except _NO_JSON:
        return body


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except _NO_JSON:
        return False
    return True
