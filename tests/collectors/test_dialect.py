"""Reading with a dialect of the test's own: what rules, parts and bad values come to."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from collectors.engines import DIALECTS, identify
from collectors.engines.dialect import Dialect, Endpoint, Reading, read, speaks
from collectors.engines.rule import Fold, Info, Rule
from collectors.exposition import Parser
from metrics.histogram import Histogram
from metrics.quantity import QUANTITIES
from metrics.sample import Missing

SMALL = Dialect(
    engine="small",
    title="Small",
    prefix="small:",
    checked="never",
    rank_label="rank",
    model_label="model_name",
    rules=(
        Rule(quantity="requests_finished", names=("small:new_total", "small:old_total"), split={"why": "reason"}),
        Rule(quantity="prompt_tokens_total", names=("small:computed",), plus="small:cached", consequence="no rate"),
        Rule(quantity="preemptions", names=("small:events",), where={"kind": ("preempt", "evict")}, optional=True),
        Rule(quantity="kv_cache_usage", names=("small:usage",), fold=Fold.MAX, why="Small 1 has none"),
        Rule(quantity="ttft_seconds", names=("small:ttft", "small:first"), consequence="TTFT is not known"),
    ),
    infos=(
        Info(
            name="small:config_info",
            facts={"dtype": "cache_dtype"},
            gauges={"kv_cache_capacity_tokens": lambda labels: float(labels["tokens"]) if "tokens" in labels else None},
            consequence="no capacity",
        ),
    ),
    absent=(Missing("itl_seconds", "Small has none"),),
)

WHOLE = """
small:new_total{model_name="m",rank="0",why="stop"} 3
small:new_total{model_name="m",rank="0",why="length"} 4
small:old_total{model_name="m",rank="0"} 99
small:computed 5
small:cached 2
small:usage{model_name="m",rank="0",pid="1"} 0.25
small:usage{model_name="m",rank="0",pid="2"} 0.5
small:ttft_bucket{model_name="m",rank="0",le="0.1"} 2
small:ttft_bucket{model_name="m",rank="0",le="0.5"} 5
small:ttft_bucket{model_name="m",rank="0",le="+Inf"} 6
small:ttft_sum{model_name="m",rank="0"} 3.5
small:ttft_count{model_name="m",rank="0"} 6
small:config_info{rank="0",tokens="640",dtype="fp8"} 1
"""


def reading(text: str, dialect: Dialect = SMALL) -> Reading:
    return read(dialect, Parser().parse(text.encode()))


def missing(result: Reading) -> dict[str, tuple[str, str]]:
    return {each.what: (each.why, each.consequence) for each in result.missing}


def test_a_whole_page_is_read_whole() -> None:
    """Names, sums, splits, histograms and info labels come out as canonical quantities; one rank needs no label."""
    assert reading(WHOLE) == Reading(
        counters={
            'requests_finished{reason="stop"}': 3.0,
            'requests_finished{reason="length"}': 4.0,
            "prompt_tokens_total": 7.0,
        },
        gauges={"kv_cache_usage": 0.5, "kv_cache_capacity_tokens": 640.0},
        histograms={"ttft_seconds": Histogram((0.1, 0.5), (2.0, 3.0, 1.0), 3.5)},
        facts={"engine": "small", "model": "m", "cache_dtype": "fp8"},
        missing=SMALL.absent,
    )


def test_the_first_name_that_exists_is_taken_alone() -> None:
    """An older name is read only where the newer is absent; the two are never added."""
    assert reading('small:old_total{model_name="m"} 9\n').counters == {"requests_finished": 9.0}


def test_samples_are_chosen_by_label() -> None:
    """`where` takes samples whose label has one of its values, and adds them up."""
    page = "\n".join(f'small:events{{kind="{kind}"}} {n}' for n, kind in enumerate(("swap", "preempt", "evict"), 1))
    assert reading(page).counters == {"preemptions": 5.0}
    assert "preemptions" not in missing(reading('small:events{kind="swap"} 1'))


def test_what_is_absent_is_missing_with_its_reason() -> None:
    """Absent is not 0: it is left out and named, an optional one is left out alone, a half sum is no sum."""
    result = reading("small:computed 5\n")
    assert (result.counters, result.gauges, result.histograms) == ({}, {}, {})
    assert missing(result) == {
        "requests_finished": ("looks like Small, but `small:new_total` is missing", ""),
        "prompt_tokens_total": ("looks like Small, but `small:cached` is missing", "no rate"),
        "kv_cache_usage": ("Small 1 has none", ""),
        "ttft_seconds": ("looks like Small, but `small:ttft` is missing", "TTFT is not known"),
        "kv_cache_capacity_tokens": ("looks like Small, but `small:config_info` is missing", "no capacity"),
        "itl_seconds": ("Small has none", ""),
    }


def test_several_ranks_and_models_are_kept_apart() -> None:
    """With two ranks and two models every part says which it is of, and nothing is added up or taken for the other."""
    second = WHOLE.replace('rank="0"', 'rank="1"').replace('name="m"', 'name="n"').replace("tokens=", 'x="",tokens=')
    lines = [line for line in second.splitlines() if "{" in line]
    result = reading(WHOLE + "\n".join(lines) + "\n")
    zero, one = 'engine="0",model="m"', 'engine="1",model="n"'
    assert result.gauges == {
        f"kv_cache_usage{{{zero}}}": 0.5,
        f"kv_cache_usage{{{one}}}": 0.5,
        'kv_cache_capacity_tokens{engine="0"}': 640.0,
        'kv_cache_capacity_tokens{engine="1"}': 640.0,
    }
    assert result.counters[f'requests_finished{{{one},reason="stop"}}'] == 3.0
    assert result.counters["prompt_tokens_total"] == 7.0
    assert set(result.histograms) == {f"ttft_seconds{{{zero}}}", f"ttft_seconds{{{one}}}"}
    assert result.facts["model"] == "m, n"


def test_histograms_of_one_part_are_added_by_bucket() -> None:
    """A label that nobody keeps splits no histogram; different bounds cannot be added, and that is said."""
    rows = [
        'small:ttft_bucket{pid="PID",le="1"} 2\nsmall:ttft_bucket{pid="PID",le="+Inf"} 3\nsmall:ttft_sum{pid="PID"} 4',
    ]
    twice = "\n".join(rows[0].replace("PID", pid) for pid in "12")
    assert reading(twice).histograms == {"ttft_seconds": Histogram((1.0,), (4.0, 2.0), 8.0)}
    apart = reading(twice.replace('pid="2",le="1"', 'pid="2",le="2"'))
    assert apart.histograms == {}
    assert missing(apart)["ttft_seconds"] == ("`small:ttft` is no whole histogram", "TTFT is not known")
    half = reading(twice.replace('small:ttft_sum{pid="2"} 4', 'small:ttft_sum{pid="2"} NaN'))
    assert half.histograms == {}
    assert missing(half)["ttft_seconds"] == ("`small:ttft` is no whole histogram", "TTFT is not known")


@pytest.mark.parametrize(
    ("bad", "why"), [("-3.5", "is below 0, which cannot be"), ("1e300", "is larger than anything that is measured")]
)
def test_numbers_that_cannot_be_are_not_known(bad: str, why: str) -> None:
    """A queue of -3.5 is no number to show, nor to be hidden in a sum; neither is a histogram with such a bound."""
    page = WHOLE.replace('why="stop"} 3', f'why="stop"}} {bad}').replace('pid="2"} 0.5', f'pid="2"}} {bad}')
    result = reading(page.replace('le="0.1"', f'le="{bad}"').replace('tokens="640"', f'tokens="{bad}"'))
    assert result.counters == {'requests_finished{reason="length"}': 4.0, "prompt_tokens_total": 7.0}
    assert result.gauges == {}
    assert result.histograms == {}
    assert missing(result)["requests_finished"] == (f"`small:new_total` {why}", "")
    assert missing(result)["kv_cache_usage"] == (f"`small:usage` {why}", "")
    assert {"ttft_seconds", "kv_cache_capacity_tokens"} <= set(missing(result))


@pytest.mark.parametrize("bad", ["NaN", "+Inf", "-Inf"])
def test_numbers_that_are_none_are_not_known(bad: str) -> None:
    """A NaN or an infinity is left out and named; the other parts stay."""
    result = reading(WHOLE.replace('why="stop"} 3', f'why="stop"}} {bad}').replace("} 0.25", f"}} {bad}"))
    assert result.counters == {'requests_finished{reason="length"}': 4.0, "prompt_tokens_total": 7.0}
    assert "kv_cache_usage" not in result.gauges
    assert missing(result)["requests_finished"] == ("`small:new_total` is not a finite number", "")
    assert missing(result)["kv_cache_usage"] == ("`small:usage` is not a finite number", "")


def test_numbers_too_large_to_add_are_not_known() -> None:
    """Finite numbers whose sum is not finite raise nothing."""
    big = "small:computed 1e308\nsmall:cached 1e308\n" + "".join(
        f'small:ttft_bucket{{pid="{pid}",le="1"}} 1\nsmall:ttft_sum{{pid="{pid}"}} 1.7e308\n' for pid in "12"
    )
    result = reading(big)
    assert (result.counters, result.histograms) == ({}, {})
    assert {"prompt_tokens_total", "ttft_seconds"} <= set(missing(result))


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("b{le='1'} 4 b{le='2'} 3 b{le='+Inf'} 5 sum 6 count 5", Histogram((1.0, 2.0), (4.0, 0.0, 1.0), 6.0)),
        ("b{le='1'} 4 sum 6 count 5", Histogram((1.0,), (4.0, 1.0), 6.0)),
        ("b{le='1'} 4 sum 6", Histogram((1.0,), (4.0, 0.0), 6.0)),
        ("b{le='1'} 4 b{le='+Inf'} 3 sum 6 count 9", Histogram((1.0,), (4.0, 0.0), 6.0)),
        ("b{le='+Inf'} 3 sum 6", Histogram((), (3.0,), 6.0)),
        ("sum 6 b{le='10'} 2 b{le='+Inf'} 2 b{le='9.5'} 1", Histogram((9.5, 10.0), (1.0, 1.0, 0.0), 6.0)),
        ("b{le='1'} -1 b{le='+Inf'} 3 sum 6", Histogram((1.0,), (0.0, 3.0), 6.0)),
        ("b{le='1'} 4 count 5", None),
        ("b{le='1'} 4 sum NaN count 5", None),
        ("b{le='1'} NaN b{le='+Inf'} 5 sum 6", None),
        ("b{le='much'} 4 sum 6 count 5", None),
        ("b 4 sum 6 count 5", None),
    ],
)
def test_cumulative_buckets_become_counts(page: str, expected: Histogram | None) -> None:
    """Bounds are read from the page in any order, falling counts are levelled, and half a histogram is none."""
    words = page.replace("'", '"').split()
    names = ["small:ttft_" + ("bucket" + word[1:] if word[0] == "b" else word) for word in words[::2]]
    result = reading("\n".join(map(" ".join, zip(names, words[1::2], strict=True))))
    assert result.histograms == ({} if expected is None else {"ttft_seconds": expected})
    assert ("ttft_seconds" in missing(result)) == (expected is None)


@settings(deadline=None)
@given(
    values=st.dictionaries(
        st.floats(allow_nan=True).map(repr) | st.just("+Inf"), st.floats(allow_nan=True), min_size=1, max_size=8
    ),
    total=st.floats(),
)
def test_no_buckets_make_an_impossible_histogram(values: dict[str, float], total: float) -> None:
    """Whatever the buckets, counts are finite and not negative, bounds ascend, and there is one count more."""
    rows = [f'small:ttft_bucket{{le="{le}"}} {value!r}' for le, value in values.items()]
    result = reading("\n".join([*rows, f"small:ttft_sum {total!r}"]))
    for each in result.histograms.values():
        assert len(each.counts) == len(each.bounds) + 1
        assert list(each.bounds) == sorted(set(each.bounds))
        assert all(math.isfinite(count) and count >= 0 for count in each.counts)
    assert bool(result.histograms) != ("ttft_seconds" in missing(result))


def test_the_newest_info_counts() -> None:
    """Of info series that pile up the highest value is the newest; `None` and nothing at all are no facts."""
    page = 'small:config_info{dtype="old",tokens="1"} 1\nsmall:config_info{dtype="new",tokens="2"} 5\n'
    result = reading(page + 'small:config_info{dtype="odd",tokens="3"} NaN\n')
    assert result.facts["cache_dtype"] == "new"
    assert result.gauges == {"kv_cache_capacity_tokens": 2.0}
    assert "cache_dtype" not in reading('small:config_info{dtype="None"} 1').facts
    assert missing(reading("small:config_info 1"))["kv_cache_capacity_tokens"] == (
        "`small:config_info` does not tell it",
        "no capacity",
    )


def test_escaped_names_are_the_same_names() -> None:
    """OpenMetrics escaping writes `_` for `:` in names; the page reads as if it did not."""
    assert reading(WHOLE.replace("small:", "small_")) == reading(WHOLE)


def test_a_page_is_known_by_prefix_and_model() -> None:
    """A page with the prefix but without the label that names the model is another's; so is any other page."""
    for text, expected in (
        (WHOLE, True),
        (WHOLE.replace("small:", "small_"), True),
        ('small:usage{server="http://x"} 1', False),
        ('other:usage{model_name="m"} 1', False),
        ("", False),
    ):
        assert speaks(SMALL, Parser().parse(text.encode())) is expected


def test_a_page_of_an_unknown_server_is_nobodys() -> None:
    """A page that no dialect knows is named by none."""
    assert identify(Parser().parse(b"node_load1 0.5\n")) is None


class _Name(Struct):
    name: str


def test_an_endpoint_never_raises() -> None:
    """An answer that is no JSON, or another JSON, is named; text in it comes in clean."""
    endpoint = Endpoint("/name", _Name, lambda answer: Reading(facts={"engine_version": answer.name}))
    assert endpoint.read(b'{"name": "v1\\u001b[31m", "more": [1]}').facts == {"engine_version": "v1"}
    for body in (
        b"",
        b"<html>",
        b"[]",
        b'{"name": 1}',
        b'{"other": "x"}',
        b"\xff\x00",
        b'"\xff"',
        b'{"x":' + b"[" * 10**6,
    ):
        result = endpoint.read(body)
        (only,) = result.missing
        assert result == Reading(missing=(only,))
        assert only.what == "facts from /name"
        assert only.why.startswith("the answer cannot be understood: ")


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.engine)
def test_dialects_are_sound(dialect: Dialect) -> None:
    """Every rule names a known quantity, and what may be missing says what follows from that."""
    first = {rule.quantity: rule for rule in reversed(dialect.rules) if not rule.detail}
    named = [*first, *(name for info in dialect.infos for name in info.gauges)]
    assert len(set(named)) == len(named)
    assert {rule.quantity for rule in dialect.rules} <= set(first)
    assert set(named) <= set(QUANTITIES)
    assert all(rule.names for rule in dialect.rules)
    assert all(rule.consequence for rule in first.values() if not rule.optional)
    assert all(rule.split or rule.label for rule in dialect.rules if rule.detail)
    assert all(info.consequence for info in dialect.infos if info.gauges)
    assert all(each.why and each.consequence for each in dialect.absent)
    assert not {each.what for each in dialect.absent} & set(named)
