"""Two times of a simulated server, of which it is known whether anything changed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec.structs import replace

from insight.report.text import text
from insight.verification.blocks import blocks
from insight.verification.comparison import Comparison, compare
from insight.verification.matched import match
from insight.verification.settings import Setting, changed_settings
from insight.verification.side import of_snapshot
from metrics.observed import Measure
from simulator.faults import Errors, LoadChange
from tests.compared import healthy, seen, side, side_of, throttled

SEEDS = 20
VERDICTS = {"better", "worse"}


def judged(comparison: Comparison) -> set[str]:
    return {each.id for each in comparison.figures if each.verdict in VERDICTS}


def verdict(comparison: Comparison, name: str) -> str:
    return next(each.verdict for each in comparison.figures if each.id == name)


def test_a_server_is_no_other_than_itself() -> None:
    """Of twenty comparisons of a healthy server with itself at most two show a change (here 1 in 100)."""
    found = [compare(side(one), side(other)) for one, other in pairwise(range(1, SEEDS + 2))]
    assert sum(1 for each in found if judged(each)) <= 2
    assert sum(1 for each in found if each.outcome == "no worse") >= SEEDS - 2
    assert all(each.same_load for each in found)


def test_a_hot_gpu_is_found_at_another_load() -> None:
    """ITL is worse at the same batch; what follows the load is not judged, for the load differs."""
    found = compare(side(1), throttled())
    assert found.outcome == "worse"
    assert found.same_load is False
    assert "requests" in found.load_text
    assert verdict(found, "itl_at_same_load") == "worse"
    assert verdict(found, "ttft_seconds") == "differs"
    assert judged(found) == {"itl_at_same_load"}


def test_the_other_way_round_it_is_better() -> None:
    """What is worse in one direction is better in the other, by the model of neither or of either."""
    assert compare(throttled(), side(1)).outcome in {"better", "not told"}


def test_another_load_is_no_other_engine() -> None:
    """At a seventh more requests ITL and TTFT rise, and the engine is as fast as it was."""
    found = compare(side(1, 300, 10.5), side(2))
    assert found.outcome == "no worse"
    assert verdict(found, "itl_seconds") == "differs"
    same = next(each for each in found.figures if each.id == "itl_at_same_load")
    assert same.verdict == "noise"
    assert same.change is not None
    assert abs(same.change) < 0.02


def test_a_load_that_goes_up_and_down_is_not_taken_for_the_same() -> None:
    """Twice the requests are not proven where the rate swings, and yet what follows the load is not judged."""
    ramps = [
        replace(
            healthy(), faults=(LoadChange(at=0.0, multiplier=low), LoadChange(at=10.0, multiplier=high, over=280.0))
        )
        for low, high in ((0.1, 0.7), (0.3, 1.2))
    ]
    found = compare(*(side_of(seen(each, 300, 4, every=3), every=3) for each in ramps))
    assert found.same_load is None
    assert found.load_text.startswith("it may be another load: requests +")
    assert judged(found) == set()


def test_loads_that_lie_apart_are_not_compared() -> None:
    """With no batch in common there is no verdict, and the reason names both ranges."""
    found = match(side(1, 300, 3.0), side(1, 300, 15.0))
    assert isinstance(found, str)
    assert found.startswith("the loads lie apart, ")
    assert "decoding at once before and " in found
    comparison = compare(side(1, 300, 3.0), side(1, 300, 15.0))
    assert comparison.outcome == "not told"
    assert comparison.text.startswith("cannot be told: ")


def test_without_the_prefix_cache_it_is_worse_and_the_setting_is_named() -> None:
    """The hit rate is no part of the load once the cache was changed: what that did is what is compared."""
    found = compare(side(1), side(1, caching=False))
    assert found.settings == (Setting("enable_prefix_caching", "True", "False"),)
    assert found.same_load is True
    assert found.outcome == "worse"
    assert {"ttft_seconds", "itl_seconds"} <= judged(found)
    assert verdict(found, "prefix_hit_rate") == "differs"
    assert verdict(found, "itl_at_same_load") == "noise"


def test_errors_are_a_change() -> None:
    """A share of the requests that ends in errors is worse, whatever the load."""
    faulty = replace(healthy(), faults=(Errors(at=0.0, share=0.04),))
    found = compare(side(1), side_of(seen(faulty, 300, 3)))
    assert verdict(found, "error_share") == "worse"
    assert found.outcome == "worse"


def test_a_minute_is_too_short() -> None:
    """What cannot be told from noise is not told, and why is the first thing that is said."""
    found = compare(side(1, 60), side(2))
    assert found.outcome == "not told"
    assert found.text.startswith("cannot be told: seed 1 is too short: it holds 3 spells of 15 s in which the server")
    assert "it takes 6" in found.text


def test_sums_alone_tell_no_noise() -> None:
    """Of reports means and counts are shown, and only a share of requests is judged."""
    sides = [replace(side(seed), recorded=False, spells=(), windows=()) for seed in (1, 2)]
    found = compare(*sides)
    assert found.outcome == "not told"
    assert "seed 1 is a report, and of its sums alone nobody can tell" in found.text
    itl = next(each for each in found.figures if each.id == "itl_seconds")
    assert (itl.verdict, itl.lo) == ("not told", None)
    assert found.load_text == "it may be another load: of sums alone that cannot be told"
    assert "hold together" not in text(blocks(found, (), None))
    assert itl.change is not None
    assert itl.before_count


def test_wrong_answers_are_worse() -> None:
    """Right answers to known questions are compared by their number."""
    right = {"accuracy": Measure("ratio", value=0.95, count=200.0)}
    wrong = {"accuracy": Measure("ratio", value=0.80, count=200.0)}
    found = compare(replace(side(1), quality=right), replace(side(2), quality=wrong))
    assert verdict(found, "accuracy") == "worse"
    assert verdict(compare(replace(side(1), quality=right), replace(side(2), quality=right)), "accuracy") == "noise"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"flag_max_num_seqs": "8"}, {"flag_max_num_seqs": "16"}, (Setting("flag_max_num_seqs", "8", "16"),)),
        ({"flag_dtype": "auto"}, {"flag_dtype": "auto", "flag_swap_space": "4"},
         (Setting("flag_swap_space", None, "4"),)),
        ({"flag_max_num_seqs": "8"}, {}, ()),
        ({"flag_max_num_seqs": "8", "max_running_requests": "8"},
         {"flag_max_num_seqs": "2", "max_running_requests": "2"}, (Setting("flag_max_num_seqs", "8", "2"),)),
        ({"flag_max_num_seqs": "8", "max_running_requests": "16"},
         {"flag_max_num_seqs": "4", "max_running_requests": "4"},
         (Setting("flag_max_num_seqs", "8", "4"), Setting("max_running_requests", "16", "4"))),
        ({"flag_dtype": "auto", "enable_prefix_caching": "True"},
         {"flag_dtype": "auto", "enable_prefix_caching": "False", "flag_enable_prefix_caching": "False"},
         (Setting("enable_prefix_caching", "True", "False"),)),
        ({"cache_dtype": "auto"}, {}, ()),
    ],
)  # fmt: skip
def test_what_is_not_told_has_not_changed(
    before: dict[str, str], after: dict[str, str], expected: tuple[Setting, ...]
) -> None:
    """A flag that is not on a command line that is seen is not set; where no command line is seen nobody knows."""
    one, other = (replace(side(1), settings=each) for each in (before, after))
    assert changed_settings(one, other) == expected


def test_another_version_is_said() -> None:
    """Engine, version and GPUs are settings like any other."""
    found = changed_settings(replace(side(1), version="0.32.0"), replace(side(2), version="0.33.0"))
    assert found == (Setting("engine_version", "0.32.0", "0.33.0"),)


def test_of_another_engine_no_setting_is_compared() -> None:
    """Neither its version nor its flags say anything beside those of the first."""
    found = changed_settings(replace(side(1), version="0.32.0"), replace(side(2), engine="sglang", settings={}))
    assert found == (Setting("engine", "vllm", "sglang"),)


def test_it_can_be_read() -> None:
    """Every figure stands in the text with its change, and that it is simulated."""
    written = text(blocks(compare(side(1), side(1, caching=False)), (), None))
    assert "SIMULATED" in written
    assert "Worse after enable_prefix_caching True -> False: TTFT " in " ".join(written.replace("!!", "").split())
    assert "hold together at 95 %" in written


def test_a_report_becomes_a_side_of_sums() -> None:
    """From a Snapshot the settings are known and the spells are not."""
    assert of_snapshot.__doc__
    assert side(1).settings["enable_prefix_caching"] == "True"
    assert side(1).settings["flag_max_num_seqs"] == "128"
    assert len(side(1).spells) >= 18
