from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.objectives import DEFAULT_OBJECTIVES, QUANTITIES, BadObjectiveError, label, name, parse_objectives


def test_mlperf_names_the_objectives_of_a_class_of_models() -> None:
    """`mlperf:llama-3.1-8b` is p99 of TTFT within 2 s and of TPOT within 0.1 s; what it does not name stays default."""
    found = {name(each): each for each in parse_objectives("mlperf:llama-3.1-8b")}
    assert (found["ttft_p99"].limit, found["tpot_p99"].limit) == (2.0, 0.1)
    assert found["itl_p95"].default
    with pytest.raises(BadObjectiveError, match="none of MLPerf's"):
        parse_objectives("mlperf:gpt-2")


def test_objectives_that_contradict_are_refused() -> None:
    """Who keeps p95 within 1 s keeps p50 within 2 s: the second was meant otherwise."""
    with pytest.raises(BadObjectiveError, match="contradict"):
        parse_objectives("ttft_p50=2s,ttft_p95=1s")
    assert parse_objectives("ttft_p50=1s,ttft_p95=2s")


@pytest.mark.parametrize("text", ["ttft_p95=5s,e2e_p95=1s", "queue_p50=3s,ttft_p95=2s", "queue_p90=9s,e2e_p99=5s"])
def test_a_part_is_not_given_more_than_the_whole(text: str) -> None:
    """Whoever keeps the whole within its limit keeps the part: one of the two was meant otherwise."""
    with pytest.raises(BadObjectiveError, match="contradict"):
        parse_objectives(text)


def test_what_is_no_part_of_another_may_have_any_limit() -> None:
    """The tail of a part may be longer than the middle of the whole, and the default is not the user's word."""
    assert parse_objectives("ttft_p99=5s,e2e_p50=2s")
    assert parse_objectives("e2e_p95=1s")
    assert parse_objectives("itl_p95=2s,ttft_p95=1s")


@pytest.mark.parametrize("text", ["ttft_p95=0", "ttft_p0=1s", "ttft_p95=99999999999s", "ttft_p95=1441min"])
def test_a_limit_that_nobody_means_is_refused(text: str) -> None:
    """None of 0 s, and none beyond a day."""
    with pytest.raises(BadObjectiveError, match="above 0 and at most 86400 s"):
        parse_objectives(text)


def test_stated_objectives_replace_the_defaults_of_their_quantity() -> None:
    """Each stated limit is read in seconds and marked as stated; what was not named keeps its default."""
    ttft, itl = parse_objectives("ttft_p95=0.8s")
    assert (ttft.quantity, ttft.q, ttft.limit, ttft.default) == ("ttft_seconds", 0.95, 0.8, False)
    assert (itl.quantity, itl.default) == ("itl_seconds", True)


def test_nothing_stated_gives_the_defaults() -> None:
    """An empty text means the defaults, marked as such."""
    assert parse_objectives(" ") == DEFAULT_OBJECTIVES
    assert all(each.default for each in DEFAULT_OBJECTIVES)


def test_several_quantiles_of_one_quantity_stand_side_by_side() -> None:
    """TTFT may have a limit at p50 and another at p99."""
    found = parse_objectives("ttft_p50=250ms, ttft_p99=2s,e2e_p90=1min")
    assert [(each.q, each.limit) for each in found[:3]] == [(0.5, 0.25), (0.99, 2.0), (0.9, 60.0)]


def test_a_limit_without_a_unit_is_in_seconds() -> None:
    """As `--interval 5` is 5 s."""
    found = parse_objectives("ttft_p95=0.8")[0]
    assert (name(found), found.limit) == ("ttft_p95", 0.8)


@given(st.sampled_from(list(QUANTITIES)), st.integers(1, 99), st.integers(1, 10_000))
def test_what_is_written_is_read(quantity: str, percentile: int, limit: int) -> None:
    """Any quantity, whole percentile and limit in ms come back as they were written."""
    found = parse_objectives(f"{quantity}_p{percentile}={limit}ms")[0]
    assert found.quantity == QUANTITIES[quantity]
    assert found.q == pytest.approx(percentile / 100)
    assert found.limit == pytest.approx(limit / 1000)
    assert name(found) == f"{quantity}_p{percentile}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ttft_p95=0.8 h", "'ttft_p95=0.8 h' cannot be understood"),
        ("ttft=1s", "'ttft=1s' cannot be understood"),
        ("itl_p95=50ms,latency_p95=1s", "'latency' is none of ttft, itl"),
        ("ttft_p0=1s", "above 0"),
        ("ttft_p95=0s", "above 0"),
        ("ttft_p95=1s,ttft_p95=2s", "give it once"),
    ],
)
def test_a_wrong_objective_is_named_in_one_line(text: str, said: str) -> None:
    """What cannot be understood is quoted, with the form it should have, in one line."""
    with pytest.raises(BadObjectiveError, match=said) as caught:
        parse_objectives(text)
    assert "\n" not in str(caught.value)


def test_labels_are_those_that_people_use() -> None:
    """An objective is written `TTFT p95`."""
    assert label(DEFAULT_OBJECTIVES[0]) == "TTFT p95"
