"""`insight.verification.load`: whether the same was asked of a server, also where clients wait for their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.verification.comparison import compare
from insight.verification.metric import IN_SERVER
from tests.compared import side

if TYPE_CHECKING:
    from insight.verification.side import Side


def with_clients(one: Side, running: float, waiting: float, sway: float = 0.0) -> Side:
    """Put as many requests into the server all the time, or now more and now fewer."""
    spells = tuple(
        replace(each, gauges={**each.gauges, "requests_running": running * (1 + sway * (-1) ** index),
                              "requests_waiting": waiting})
        for index, each in enumerate(one.spells)
    )  # fmt: skip
    return replace(one, spells=spells)


def without_histograms(one: Side, seconds: float) -> Side:
    """Take a server that counts tokens and seconds alone, as llama.cpp does."""
    kept = ("prompt_tokens_total", "output_tokens_total")
    spells = tuple(
        replace(
            each,
            histograms={},
            arrived=None,
            counters={name: each.counters[name] for name in kept}
            | {"output_seconds_total": each.counters["output_tokens_total"] * seconds},
        )
        for each in one.spells
    )
    return replace(one, spells=spells, windows=(), quantities={})


def test_clients_that_wait_for_their_answers_are_the_same_load() -> None:
    """More requests a second are what the server made of as many in it, and what follows the load is judged."""
    found = compare(with_clients(side(1, 300, 10.5), 60, 0), with_clients(side(2), 62, 0))
    assert found.same_load is True
    assert found.load_text.startswith("the same load: as many requests in the server all the time")
    assert found.load[0].id == IN_SERVER.id
    throughput = next(each for each in found.figures if each.id == "output_tokens_total")
    assert throughput.verdict == "better"


def test_a_number_that_sways_or_is_another_is_no_such_load() -> None:
    """What comes and goes by itself is told by how much comes."""
    for one in (with_clients(side(1, 300, 10.5), 60, 0, 0.3), with_clients(side(1, 300, 10.5), 50, 0)):
        found = compare(one, with_clients(side(2), 62, 0))
        assert found.same_load is not True
        assert found.load[0].id == "requests_arrived"


def test_a_server_that_refuses_is_as_full_under_any_load() -> None:
    """Its number of requests is its own limit and not what was asked of it."""
    full = [with_clients(each, 60, 4) for each in (side(1, 300, 9.0), side(2))]
    spells = tuple(replace(each, counters={**each.counters, "requests_rejected": 5.0}) for each in full[1].spells)
    assert compare(*full).same_load is True
    assert compare(full[0], replace(full[1], spells=spells)).same_load is False


def test_tokens_tell_the_load_where_no_requests_are_counted() -> None:
    """How many prompt tokens come and how many follow on one; TPOT is seconds for tokens."""
    found = compare(without_histograms(side(1), 0.010), without_histograms(side(2), 0.015))
    assert [each.id for each in found.load] == ["prompt_tokens_total", "mix"]
    assert found.same_load is True
    assert found.outcome == "worse"
    assert found.text.startswith(
        "worse, with nothing changed that the server tells of itself: TPOT 10 ms -> 15 ms (+50 %)"
    )


def test_fewer_that_wait_are_a_gain_where_no_latency_of_waiting_is_told() -> None:
    """With TTFT unknown, a queue that went is what was gained, and longer steps are its price."""
    before = with_clients(without_histograms(side(1), 0.010), 1, 2)
    after = with_clients(without_histograms(side(2), 0.015), 3, 0)
    found = compare(before, replace(after, objectives=side(2).objectives))
    assert found.outcome == "better"
    assert "requests waiting 2 -> 0; at the price of TPOT 10 ms -> 15 ms (+50 %), on average within" in found.text
    assert compare(after, before).outcome == "worse"


def test_a_server_that_tells_no_latency_says_so() -> None:
    """Tokens alone tell nothing of how fast it is."""
    bare = [replace(each, spells=tuple(replace(one, counters={}, gauges={}) for one in each.spells))
            for each in (without_histograms(side(1), 0.01), without_histograms(side(2), 0.01))]  # fmt: skip
    found = compare(*bare)
    assert found.outcome == "not told"
    assert "seed 1 tells no ITL" in found.text


def test_what_may_be_another_load_is_said_so() -> None:
    """Where it is not certain, the figure that may differ is named with its interval."""
    unsure = with_clients(side(1), 60, 0, 0.3)
    spells = tuple(
        replace(each, arrived=(each.arrived or 0.0) * (0.2 if index % 2 else 1.4))
        for index, each in enumerate(unsure.spells)
    )
    found = compare(replace(unsure, spells=spells), side(2))
    assert found.same_load is None
    assert found.load_text.startswith("it may be another load: requests +")
