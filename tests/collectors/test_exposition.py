from __future__ import annotations

import gzip
import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest as written_as_text
from prometheus_client.openmetrics.exposition import generate_latest as written_as_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar, Timestamp

from collectors.clean import clean
from collectors.exposition import (
    MAX_BAD_LINES,
    MAX_LABEL_CHARACTERS,
    MAX_LABELS,
    MAX_LINE_BYTES,
    MAX_LINES,
    MAX_NEW_LABELS,
    MAX_SERIES,
    Page,
    Parser,
    foreign_format,
)

PAGES = Path(__file__).parent.parent / "fixtures" / "pages"
CAPTURED = sorted(path.name.removesuffix(".prom.gz") for path in PAGES.glob("*.prom.gz"))

Plain = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def captured(name: str) -> bytes:
    return gzip.decompress((PAGES / f"{name}.prom.gz").read_bytes())


def plain(page: Page) -> Plain:
    """Compare NaN as equal to itself by giving it one identity."""
    return {
        (series.name, tuple(series.labels.items())): math.nan if math.isnan(value) else value
        for series, value in page.samples.items()
    }


def by_oracle(body: bytes) -> Plain:
    """Read with prometheus_client, the first of equal series winning.

    Its text parser adds `_total` to the names of counters that lack it, which is taken off again.
    """
    written = set(re.findall(r"^[^\s{#]+", body.decode(), re.MULTILINE))
    samples: Plain = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            labels = {clean(name): clean(value, MAX_LABEL_CHARACTERS) for name, value in sample.labels.items()}
            value = math.nan if math.isnan(sample.value) else float(sample.value)
            added = family.type == "counter" and sample.name not in written
            name = sample.name.removesuffix("_total") if added else sample.name
            samples.setdefault((name, tuple(sorted(labels.items()))), value)
    return samples


@pytest.mark.parametrize("name", CAPTURED)
def test_captured_pages_give_the_samples_of_prometheus_client(name: str) -> None:
    """Cold and warm, a page of a real server gives exactly the samples that prometheus_client reads, in its order."""
    parser, body = Parser(), captured(name)
    for _ in range(3):
        page = parser.parse(body)
        ours = plain(page)
        expected = by_oracle(body)
        assert ours == expected
        assert list(ours) == list(expected)
        assert (page.bad_lines, page.duplicates) == (0, 0)


NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True)
LABEL_NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,5}|le", fullmatch=True)
LABEL_VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12),
    st.text(st.sampled_from('{}",=\\ #na\n\t\r'), max_size=8),
)
NUMBERS = st.one_of(
    st.floats().map(lambda value: {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, repr(value).replace("nan", "NaN"))),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["1.15891634176e+011", "8.128902e+06", "1E-007", ".5", "5.", "+3", "Nan", "-Inf", "0"]),
)
BLANKS = st.sampled_from([" ", "  ", "\t", " \t "])


def escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@st.composite
def lines(draw: st.DrawFn) -> str:
    name = draw(NAMES)
    labels = draw(st.dictionaries(LABEL_NAMES, LABEL_VALUES, max_size=4))
    inside = [f'{label}{draw(st.sampled_from(["=", " = "]))}"{escaped(value)}"' for label, value in labels.items()]
    if draw(st.booleans()) and draw(st.booleans()):
        text = "{" + ", ".join([f'"{name}"', *inside]) + "}"
    elif inside:
        text = name + draw(st.sampled_from(["", " "])) + "{" + ",".join(inside) + draw(st.sampled_from(["", ","])) + "}"
    else:
        text = name
    stamp = draw(st.sampled_from(["", "", " 1395066363000", "\t1395066363000"]))
    ending = draw(st.sampled_from(["", "", "\r", " "]))
    # prometheus_client takes a tab for a separator only where there is no space.
    blank = draw(st.sampled_from(["\t", " "]) if stamp.startswith("\t") or not stamp else BLANKS)
    if stamp.startswith("\t"):
        blank = "\t"
    return f"{text}{blank}{draw(NUMBERS)}{stamp}{ending}"


COMMENTS = st.sampled_from(["", "\r", "# HELP a b {}", "# a comment 5", "#", "# EOF", "   "])
EXPOSITIONS = st.lists(st.one_of(lines(), lines(), COMMENTS), max_size=20).map("\n".join)


@settings(deadline=None, max_examples=300)
@given(text=EXPOSITIONS)
def test_generated_pages_give_the_samples_of_prometheus_client(text: str) -> None:
    """Whatever names, labels, escapes, blanks and numbers, the samples are those of prometheus_client."""
    parser, body = Parser(), text.encode()
    expected = by_oracle(body)
    for _ in range(2):
        page = parser.parse(body)
        assert plain(page) == expected
        assert page.bad_lines == 0


class Families(CollectorRegistry):
    """What a server would have registered, to be written by prometheus_client itself."""

    def __init__(self, families: list[Metric]) -> None:
        super().__init__()
        self.families = families

    def collect(self) -> list[Metric]:
        return self.families


FINITE = st.floats(allow_nan=False, allow_infinity=False)
LABELS = st.dictionaries(LABEL_NAMES.filter(lambda name: name != "le"), LABEL_VALUES, max_size=3)
# prometheus_client cannot read an escape in the labels of an exemplar.
EXEMPLARS = st.builds(
    Exemplar,
    st.dictionaries(LABEL_NAMES, st.text(st.sampled_from("ab{},= #"), max_size=6), max_size=2),
    FINITE,
    st.none() | st.floats(0, 2e9),
)
STAMPS = st.none() | st.builds(Timestamp, st.integers(0, 2**31), st.integers(0, 999_999_999))


@st.composite
def families(draw: st.DrawFn) -> Metric:
    kind = draw(st.sampled_from(["counter", "gauge", "histogram", "summary", "info", "unknown"]))
    # A name of its own for each kind, so that no family of one page takes another's samples.
    name = f"{draw(st.sampled_from(['x', 'vllm:y', '_:', 'a_count_b']))}_{kind[0]}{draw(st.integers(0, 99))}"
    family = Metric(name, draw(st.sampled_from(["", "a", 'quoted "\\ \n help'])), kind)
    stamp = draw(STAMPS)
    for n, labels in enumerate(draw(st.lists(LABELS, min_size=1, max_size=3))):
        own = {**labels, "series": str(n)}
        exemplar = st.none() | EXEMPLARS
        if kind == "histogram":
            level = 0
            for le in [*sorted(draw(st.sets(st.sampled_from([0.005, 0.5, 1.0, 2.5, 1e6]), max_size=4))), math.inf]:
                level += draw(st.integers(0, 9))
                bound = "+Inf" if math.isinf(le) else repr(le)
                family.add_sample(f"{name}_bucket", {**own, "le": bound}, level, stamp, draw(exemplar))
            family.add_sample(f"{name}_count", own, level, stamp)
            family.add_sample(f"{name}_sum", own, draw(st.floats(0, 1e9)), stamp)
        elif kind == "summary":
            family.add_sample(name, {**own, "quantile": "0.5"}, draw(st.floats(0, 9)), stamp)
            family.add_sample(f"{name}_count", own, draw(st.integers(0, 9)), stamp)
            family.add_sample(f"{name}_sum", own, draw(st.floats(0, 9)), stamp)
        elif kind == "counter":
            family.add_sample(f"{name}_total", own, draw(st.floats(0, 1e18)), stamp, draw(exemplar))
            family.add_sample(f"{name}_created", own, draw(st.floats(0, 2e9)), stamp)
        else:
            value = 1 if kind == "info" else draw(st.floats() | st.integers(-(10**18), 10**18))
            family.add_sample(f"{name}_info" if kind == "info" else name, own, value, stamp)
    return family


def by_openmetrics_oracle(body: bytes) -> Plain:
    samples: Plain = {}
    for family in openmetrics_families(body.decode()):  # type: ignore[no-untyped-call] # it has no types
        for sample in family.samples:
            labels = {clean(name): clean(value, MAX_LABEL_CHARACTERS) for name, value in sample.labels.items()}
            value = math.nan if math.isnan(sample.value) else float(sample.value)
            samples.setdefault((sample.name, tuple(sorted(labels.items()))), value)
    return samples


PAGES_OF_FAMILIES = st.lists(families(), max_size=5, unique_by=lambda family: family.name).map(Families)


@settings(deadline=None, max_examples=200)
@given(registry=PAGES_OF_FAMILIES)
def test_openmetrics_with_exemplars_gives_the_samples_of_prometheus_client(registry: Families) -> None:
    """Families of every type, with exemplars, timestamps and `# EOF`, as the reference writes and reads them."""
    parser, body = Parser(), written_as_openmetrics(registry, "allow-utf-8")  # type: ignore[no-untyped-call] # it has no types
    expected = by_openmetrics_oracle(body)
    for _ in range(2):
        page = parser.parse(body)
        assert plain(page) == expected
        assert (page.bad_lines, page.unread) == (0, "")


@settings(deadline=None, max_examples=100)
@given(registry=PAGES_OF_FAMILIES)
def test_text_that_the_reference_writes_is_read_as_it_reads_it(registry: Families) -> None:
    """The same families in the text format, with its timestamps in milliseconds and its own escapes."""
    body = written_as_text(registry, "allow-utf-8")
    page = Parser().parse(body)
    assert plain(page) == by_oracle(body)
    assert page.bad_lines == 0


@pytest.mark.parametrize("name", CAPTURED)
def test_captured_pages_mean_the_same_in_openmetrics(name: str) -> None:
    """Asked for OpenMetrics, with an exemplar on each bucket, a real server would give the same numbers."""
    told = list(text_string_to_metric_families(captured(name).decode()))
    for family in told:
        family.samples = [
            each._replace(exemplar=Exemplar({"trace_id": 'a "b" # {c}'}, 0.5, 1.7e9))
            if each.name.endswith("_bucket")
            else each
            for each in family.samples
        ]
    body = written_as_openmetrics(Families(told), "allow-utf-8")  # type: ignore[no-untyped-call] # it has no types
    page = Parser().parse(body)
    samples: Plain = {}
    for family in told:
        for each in family.samples:
            labels = {key: clean(value, MAX_LABEL_CHARACTERS) for key, value in each.labels.items()}
            value = math.nan if math.isnan(each.value) else float(each.value)
            samples.setdefault((each.name, tuple(sorted(labels.items()))), value)
    assert plain(page) == samples
    assert page.bad_lines == 0


@settings(deadline=None, max_examples=200)
@given(pages=st.lists(EXPOSITIONS, min_size=2, max_size=4))
def test_memory_does_not_change_what_is_read(pages: list[str]) -> None:
    """A parser that has seen other pages reads a page as one that has seen none."""
    parser = Parser()
    for text in pages:
        warm, cold = parser.parse(text.encode()), Parser().parse(text.encode())
        assert plain(warm) == plain(cold)
        assert (warm.bad_lines, warm.first_bad, warm.duplicates) == (cold.bad_lines, cold.first_bad, cold.duplicates)


@settings(deadline=None, max_examples=300)
@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.text(st.sampled_from('a{}=",\\ #\n\t1e_.\x00é'), max_size=80).map(str.encode),
        st.tuples(EXPOSITIONS, st.binary(max_size=3), st.integers(0, 200)).map(
            lambda parts: parts[0].encode()[: parts[2]] + parts[1] + parts[0].encode()[parts[2] :]
        ),
    )
)
def test_nothing_that_comes_in_raises(body: bytes) -> None:
    """Any bytes give a page whose names, labels and notes are printable, the second time the same."""
    parser = Parser()
    page = parser.parse(body)
    for series in page.samples:
        assert series.name.isprintable()
        assert all(name.isprintable() and value.isprintable() for name, value in series.labels.items())
    assert page.first_bad.isprintable()
    assert bool(page.first_bad) == bool(page.bad_lines)
    assert plain(parser.parse(body)) == plain(page)
    foreign_format(body)


@pytest.mark.parametrize(
    ("line", "name", "labels", "value"),
    [
        ('a{b="}",c=",",d="{"} 1', "a", {"b": "}", "c": ",", "d": "{"}, 1.0),
        (r'a{b="x\"y\\z\nw\t"} 1', "a", {"b": r'x"y\z w\t'}, 1.0),
        ('a{z="1",b="2"} 1', "a", {"b": "2", "z": "1"}, 1.0),
        ("a 1.15891634176e+011", "a", {}, 1.15891634176e11),
        ("a +Inf", "a", {}, math.inf),
        ("a -Inf", "a", {}, -math.inf),
        ("a\t1\t1395066363000", "a", {}, 1.0),
        ("a 1\t1395066363000", "a", {}, 1.0),
        ("a 1 -5", "a", {}, 1.0),
        ("a 1 1700000000.123", "a", {}, 1.0),
        ('a_bucket{le="0.1"} 8 # {trace_id="x y"} 0.054 1700000000', "a_bucket", {"le": "0.1"}, 8.0),
        ("a_total 5 # {} 1", "a_total", {}, 5.0),
        ('{"über.metric",b="c"} 1', "über.metric", {"b": "c"}, 1.0),
        ('a{"label.mit punkt"="x"} 1', "a", {"label.mit punkt": "x"}, 1.0),
        ("a{} 1", "a", {}, 1.0),
        ('a{b="c"}1', "a", {"b": "c"}, 1.0),
        ("  a 1  \r", "a", {}, 1.0),
        ("_:a:1 1", "_:a:1", {}, 1.0),
    ],
)
def test_what_other_servers_write_is_understood(line: str, name: str, labels: dict[str, str], value: float) -> None:
    """Timestamps, exemplars, quoted names, tabs, escapes and signs are read, in the first page and in the next."""
    parser = Parser()
    for _ in range(2):
        page = parser.parse(line.encode())
        assert plain(page) == {(name, tuple(sorted(labels.items()))): value}
        assert page.bad_lines == 0


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "a ",
        "a b",
        "a 1 2 3",
        "a 1 b",
        "1a 1",
        "a-b 1",
        'a{b="c" 1',
        'a{b="c} 1',
        "a{b=c} 1",
        "a{b} 1",
        'a{"b"} 1',
        'a{b="c",b="d"} 1',
        'a{b="c"d="e"} 1',
        'a{,b="c"} 1',
        '{b="c"} 1',
        "{} 1",
        '{"a","b"} 1',
        '"a" 1',
        "<p>a</p> 1",
        '  "running": 5',
        "a 0x10",
        'a{b="c"} ',
        'a{""="c"} 1',
        "\x00 1",
    ],
)
def test_a_malformed_line_is_counted_and_skipped(line: str) -> None:
    """A line that is no sample costs itself alone, is counted, and the first is quoted; the next time as well."""
    parser = Parser()
    for _ in range(2):
        page = parser.parse(f'before 1\n{line}\nafter{{b="c"}} 2\nbad bad\n'.encode())
        assert plain(page) == {("before", ()): 1.0, ("after", (("b", "c"),)): 2.0}
        assert page.bad_lines == 2
        assert page.first_bad.endswith(clean(f": {line}"))


def test_a_known_series_without_a_number_has_no_value() -> None:
    """A series that was read before is left out, not carried over, where its value cannot be read."""
    parser = Parser()
    parser.parse(b"a 1\nb 2\n")
    page = parser.parse(b"a oops\nb 3\n")
    assert plain(page) == {("b", ()): 3.0}
    assert page.bad_lines == 1


def test_the_first_of_equal_series_counts() -> None:
    """A series given twice, labels in any order, has its first value, as in Prometheus; the rest are counted."""
    page = Parser().parse(b'a{b="1",c="2"} 1\na{c="2",b="1"} 2\na{b="1",c="2"} 3\n')
    assert plain(page) == {("a", (("b", "1"), ("c", "2"))): 1.0}
    assert page.duplicates == 2


def test_nan_is_kept_as_it_stands() -> None:
    """What NaN means is for others to say: the page holds it."""
    (value,) = Parser().parse(b"a NaN\n").samples.values()
    assert math.isnan(value)


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    """A label with broken UTF-8 keeps its series."""
    assert plain(Parser().parse(b'a{b="x\xff\xfey"} 1\n')) == {("a", (("b", "x\ufffd\ufffdy"),)): 1.0}


def test_labels_come_in_clean() -> None:
    """No escape sequence and no line break of a label value gets further than the parser, and no endless text."""
    text = f'a{{b="\x1b[31mred\\nline\u202e",c="{"x" * 2000}"}} 1\n'
    (series,) = Parser().parse(text.encode()).samples
    assert series.labels == {"b": "red line", "c": "x" * (MAX_LABEL_CHARACTERS - 1) + "…"}


def test_a_page_without_a_last_line_break_is_whole() -> None:
    """The last line counts without its line break, and lines may end in CR LF."""
    assert plain(Parser().parse(b"a 1\r\nb 2\r\nc 3")) == {("a", ()): 1.0, ("b", ()): 2.0, ("c", ()): 3.0}


def test_the_quoted_page_of_llama_cpp_is_unquoted() -> None:
    """Builds around b7010 answered with the page as one JSON string: it reads as the page itself."""
    body = captured("llamacpp")
    assert plain(Parser().parse(json.dumps(body.decode()).encode())) == plain(Parser().parse(body))


def test_buckets_know_their_bound_and_their_group() -> None:
    """`le` is read as a number, and what remains of the labels is shared by buckets, sum and count."""
    page = Parser().parse(
        b'h_bucket{m="x",le="0.5"} 1\nh_bucket{le="+Inf",m="x"} 2\nh_sum{m="x"} 3\nh_count{m="x"} 2\n'
    )
    assert [series.bound for series in page.samples] == [0.5, math.inf, None, None]
    assert {series.group for series in page.samples} == {(("m", "x"),)}


def test_one_object_for_one_series() -> None:
    """Two pages of one endpoint share their series, which is what makes them quick to compare."""
    parser = Parser()
    first, second = (parser.parse(captured(name)) for name in ("vllm-overload", "vllm-overload-next"))
    assert {id(series) for series in first.samples} == {id(series) for series in second.samples}


def test_series_that_are_gone_are_forgotten() -> None:
    """Label values that change with every page do not pile up: at most twice what the newest page held stays."""
    parser = Parser()
    for n in range(500):
        page = parser.parse("".join(f'a{{id="{n}-{i}"}} 1\n' for i in range(20)).encode() + b"b 1\n")
        assert len(page.samples) == 21
        assert len(parser._by_text) <= 42
        assert len(parser._by_key) <= 42
    parser.parse(b"<html>")
    assert not parser._by_text


def test_a_page_without_end_is_cut() -> None:
    """No page fills the memory or takes the time of the others: beyond its limits it is not read on, and says so."""
    series = "".join(f"a{n} 1\n" for n in range(MAX_SERIES)).encode()
    exact = Parser().parse(series + b"# EOF\n")
    assert (len(exact.samples), exact.bad_lines, exact.unread) == (MAX_SERIES, 0, "")
    page = Parser().parse(series + b"one_more 1\nbad\n" * 3)
    assert (len(page.samples), page.bad_lines) == (MAX_SERIES, 0)
    assert page.unread == f"more than {MAX_SERIES:,} series"
    page = Parser().parse(b'a{b="' + b"x" * MAX_LINE_BYTES + b'"} 1\nb 2\n')
    assert plain(page) == {("b", ()): 2.0}
    assert page.first_bad.startswith(f"longer than {MAX_LINE_BYTES} bytes")


def test_lines_without_end_are_cut() -> None:
    """16 MiB of line breaks, or of lines that are no samples, are not gone through to their end."""
    page = Parser().parse(b"a 1\n" + b"\n" * MAX_LINES + b"b 2\n")
    assert plain(page) == {("a", ()): 1.0}
    assert page.unread == f"more than {MAX_LINES:,} lines"
    page = Parser().parse(b"a 1\n" + b"a oops\n" * (MAX_BAD_LINES + 1) + b"b 2\n")
    assert plain(page) == {("a", ()): 1.0}
    assert (page.bad_lines, page.unread) == (MAX_BAD_LINES, f"more than {MAX_BAD_LINES:,} bad lines")


def test_labels_without_end_are_cut() -> None:
    """A series has few labels, and a page not many that were never seen; those that are known cost nothing."""

    def line(name: str, labels: int) -> str:
        return name + "{" + ",".join(f'l{n}="x"' for n in range(labels)) + "} 1\n"

    page = Parser().parse((line("a", MAX_LABELS) + line("b", MAX_LABELS + 1)).encode())
    assert [series.name for series in page.samples] == ["a"]
    assert page.first_bad.startswith(f"more than {MAX_LABELS} labels: b{{")
    fit = -(-MAX_NEW_LABELS // MAX_LABELS)
    parser, body = Parser(), "".join(line(f"a{n}", MAX_LABELS) for n in range(fit + 5)).encode()
    page = parser.parse(body)
    assert (len(page.samples), page.unread) == (fit, f"more than {MAX_NEW_LABELS:,} new labels")
    assert len(parser.parse(body).samples) == fit + 5


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "nothing"),
        (b" \r\n", "nothing"),
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "HTML"),
        (b"\n\n  <html lang=de>", "HTML"),
        (b'{"error": {"code": 501, "message": "not supported"}}', "JSON"),
        (b'[{"iter": 1}]', "JSON"),
        (b'"quoted"', "JSON"),
        (b"\x1f\x8b\x08\x00abc", "binary data"),
        (b"abc\x00def", "binary data"),
        (b"Not Found", None),
        pytest.param(b"[" * 1_000_000, None, id="deep"),
        (b'"\xff 1"', None),
        (b"{ not json", None),
    ],
)
def test_what_is_no_metrics_page_is_named(body: bytes, expected: str | None) -> None:
    """A body without samples is told by what it is, so that the reader knows where the URL led."""
    assert not Parser().parse(body).samples
    assert foreign_format(body) == expected
