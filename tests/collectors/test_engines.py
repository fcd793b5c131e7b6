"""What holds for every dialect and every page."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from collectors.engines import DIALECTS, identify
from collectors.engines.dialect import read
from collectors.exposition import Parser
from metrics.quantity import QUANTITIES, Kind
from metrics.series import split_series
from tests.pages import NAMES, text

ENGINES = {
    "dynamo": "dynamo",
    "dynamo-worker": "dynamo",
    "litellm": "litellm",
    "llamacpp": "llamacpp",
    "lmdeploy": "lmdeploy",
    "nim": "nim",
    "production-stack": None,
    "ray": "ray",
    "ray-colon": "ray",
    "sgl-router": "sglang-router",
    "sglang": "sglang",
    "sglang-busy": "sglang",
    "sglang-dp2": "sglang",
    "sglang-router": "sglang-router",
    "tgi": "tgi",
    "triton": "triton",
    "triton-vllm": "triton",
    "trtllm": "trtllm",
    "trtllm-bare": "trtllm",
    "vllm-dp2": "vllm",
    "vllm-idle": "vllm",
    "vllm-lora": "vllm",
    "vllm-overload": "vllm",
    "vllm-overload-next": "vllm",
    "vllm-restarted": "vllm",
    "vllm-v0": "vllm",
}


def test_every_page_has_its_server() -> None:
    """No page lies there that nobody said the server of."""
    assert set(NAMES) == set(ENGINES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_taken_for_what_it_is(name: str) -> None:
    """Each page is recognised as that of its server, and a router that borrows names as nobody's."""
    found = identify(Parser().parse(text(name).encode()))
    assert (found and found.engine) == ENGINES[name]


@pytest.mark.parametrize("name", NAMES)
def test_no_page_of_today_has_an_unknown_name(name: str) -> None:
    """Every name of a server's prefix is read, or known and left aside."""
    page = Parser().parse(text(name).encode())
    dialect = identify(page)
    if dialect:
        assert not [each for each in read(dialect, page).missing if each.what == "some names of the metrics page"]


@pytest.mark.parametrize("name", NAMES)
def test_a_page_gives_known_quantities_of_their_kind(name: str) -> None:
    """What is read is in the catalogue, counters as counters, gauges as gauges, and all of it is finite."""
    page = Parser().parse(text(name).encode())
    for dialect in DIALECTS:  # the wrong ones as well: none may raise or invent
        result = read(dialect, page)
        for kind, values in (
            (Kind.COUNTER, result.counters),
            (Kind.GAUGE, result.gauges),
            (Kind.HISTOGRAM, result.histograms),
        ):
            assert {QUANTITIES[split_series(series)[0]].kind for series in values} <= {kind}
        assert all(map(math.isfinite, (*result.counters.values(), *result.gauges.values())))
        assert all(usage <= 1.0 for series, usage in result.gauges.items() if series.startswith("kv_cache_usage"))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_parsed_as_prometheus_does(name: str) -> None:
    """The same series with the same values as prometheus_client finds, where no type makes it rename them."""
    page = text(name)
    expected = {
        (sample.name, tuple(sorted(sample.labels.items()))): repr(float(sample.value))
        for family in text_string_to_metric_families(re.sub("(?m)^#.*\n", "", page))
        for sample in family.samples
    }
    found = Parser().parse(page.encode())
    assert found.bad_lines == 0
    assert {(each.name, tuple(each.labels.items())): repr(value) for each, value in found.samples.items()} == expected


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(NAMES), data=st.data())
def test_a_torn_page_raises_nothing(name: str, data: st.DataObject) -> None:
    """Lines that are missing, doubled, cut short or full of other numbers are read as far as they go."""
    lines = text(name).splitlines()
    kept = data.draw(st.lists(st.sampled_from(lines), max_size=40))
    numbers = st.sampled_from(["NaN", "+Inf", "-Inf", "-1", "1e400", "", "x", "0"])
    torn = [line if data.draw(st.booleans()) else f"{line.rpartition(' ')[0]} {data.draw(numbers)}" for line in kept]
    torn += [line[: data.draw(st.integers(0, len(line)))] for line in kept[:5]]
    page = Parser().parse("\n".join(torn).encode())
    for dialect in DIALECTS:
        result = read(dialect, page)
        assert all(map(math.isfinite, (*result.counters.values(), *result.gauges.values())))
    identify(page)


@pytest.mark.parametrize("name", ["vllm-overload", "sglang-busy", "sglang-dp2", "lmdeploy", "llamacpp"])
def test_an_escaped_page_reads_as_the_plain_one(name: str) -> None:
    """Asked for OpenMetrics, a server writes `_` for the `:` of its names: nothing else changes."""
    plain = Parser().parse(text(name).encode())
    dialect = identify(plain)
    assert dialect is not None
    escaped = Parser().parse(text(name).replace(dialect.prefix, dialect.prefix.replace(":", "_")).encode())
    assert identify(escaped) is dialect
    assert read(dialect, escaped) == read(dialect, plain)


@pytest.mark.parametrize(("name", "line"), [("vllm-overload", "vllm:"), ("sglang-busy", "sglang:")])
def test_names_of_a_newer_server_are_spoken_of_in_one_line(name: str, line: str) -> None:
    """Four names that nobody knows are one entry, which names three of them and counts the rest."""
    more = "".join(f'{line}brand_new_{n}_bucket{{model_name="m",le="1"}} 1\n' for n in "abcd")
    page = Parser().parse((text(name) + more).encode())
    dialect = identify(page)
    assert dialect is not None
    (entry,) = [each for each in read(dialect, page).missing if each.what == "some names of the metrics page"]
    assert entry.why == (
        f"looks like a {dialect.title} that is newer than this program: "
        f"`{line}brand_new_a`, `{line}brand_new_b`, `{line}brand_new_c` and 1 more unknown"
    )


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.engine)
def test_a_dialect_says_what_it_was_held_against(dialect: object) -> None:
    """Each names the versions, and whether its pages came from a real server."""
    said = getattr(dialect, "checked", "")
    assert "captured from a real" in said or "written after" in said or "published" in said
