"""`insight.verification.outcome`: what is called better, and what a price or a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.objectives import parse_objectives
from insight.verification.comparison import Comparison, compare
from insight.verification.figures import Figure
from insight.verification.matched import Matched, match
from insight.verification.outcome import outcome
from insight.verification.settings import Setting, named
from tests.compared import side, throttled

if TYPE_CHECKING:
    from insight.verification.side import Side
    from insight.verification.spells import Spell

FEW = 16
"""Slots with which the healthy load waits."""


def figure(comparison: Comparison, name: str) -> tuple[str, str]:
    found = next(each for each in comparison.figures if each.id == name)
    return found.verdict, found.why


def test_fewer_slots_than_the_load_takes_are_worse() -> None:
    """Throughput falls where a queue stands beside the lower one; that steps are shorter is said, and is no gain."""
    found = compare(side(1), side(2, slots=FEW))
    assert found.outcome == "worse"
    assert found.text.startswith("worse after --max-num-seqs 128 -> 16: output tokens 3070 tokens/s -> 1430 tokens/s (")
    assert ", TTFT 51.7 ms -> " in found.text
    assert "; better: ITL 15.8 ms -> 11.1 ms (-30 %)" in found.text
    assert figure(found, "output_tokens_total") == ("worse", "")


def test_longer_steps_within_the_objective_are_the_price_of_more() -> None:
    """The way back is better: ITL rises with the batch, keeps its objective, and more is served."""
    found = compare(side(2, slots=FEW), side(1))
    assert found.outcome == "better"
    assert found.text.startswith("better after --max-num-seqs 16 -> 128: output tokens ")
    assert found.text.endswith("at the price of ITL 11.1 ms -> 15.8 ms (+42 %), within its objective "
                               "(ITL p95 100 ms, the default)")  # fmt: skip


def test_a_price_that_misses_its_objective_is_a_loss() -> None:
    """With 10 ms promised, 16 ms are not a price that may be paid."""
    promised = replace(side(1), objectives=parse_objectives("itl_p95=10ms"))
    found = compare(side(2, slots=FEW), promised)
    assert found.outcome == "worse"
    assert "; better: output tokens " in found.text


def test_a_slower_engine_is_no_price() -> None:
    """What is slower at the same batch stays worse, whatever else got better."""
    more = Figure("output_tokens_total", "output tokens", "1", 100.0, 150.0, 0.5, 0.4, 0.6, verdict="better")
    slower = Figure("itl_at_same_load", "ITL at the same batch", "s", 0.01, 0.02, 1.0, 0.9, 1.1, verdict="worse")
    longer = replace(slower, id="itl_seconds", title="ITL")
    assert outcome((more, longer), (), side(1), side(2))[0] == "better"
    word, text = outcome((slower, more, longer), (), side(1), side(2))
    assert word == "worse"
    assert "ITL at the same batch 10 ms -> 20 ms (+100 %); better: output tokens 100 -> 150 (+50 %)" in text


def test_an_objective_of_another_load_is_no_gain() -> None:
    """A queue that went because less was asked is nothing that the change did."""
    found = compare(side(2, slots=36), throttled())
    assert found.same_load is False
    assert found.outcome == "not told"


def test_it_is_told_how_much_longer_it_would_take() -> None:
    """An interval that reaches to 48 % narrows to 25 % in four times the time."""
    wide = Figure("itl_seconds", "ITL", "s", 0.01, 0.01, -0.02, -0.36, 0.48, verdict="noise")
    assert outcome((wide,), (), side(1), side(2)) == (
        "not told",
        "cannot be told: ITL -2 % (-36 to +48), which takes recordings 4 times as long to tell from noise",
    )
    hopeless = replace(wide, change=0.24, hi=3.0)
    assert "which takes longer recordings to" in outcome((hopeless,), (), side(1), side(2))[1]


def test_what_was_asked_for_is_not_what_it_can_do() -> None:
    """More tokens at more requests are no gain while nobody waited."""
    found = compare(side(1, 300, 10.5), side(2))
    assert figure(found, "output_tokens_total")[0] == "differs"


def test_of_more_requests_than_it_can_take_the_number_makes_no_difference() -> None:
    """Two standing queues of different arrivals: throughput is what each can do, and it is the same."""
    found = compare(side(1, slots=FEW), side(2, 300, 9.0, slots=FEW))
    assert found.same_load is False
    assert figure(found, "output_tokens_total")[0] in {"noise", "slight"}


def test_a_server_at_its_limit_is_compared_at_its_own_batch() -> None:
    """Of one batch all the time no line can be drawn to another: the side that has seen more comes to it."""
    full, free = side(1, slots=48), side(2)
    found = match(full, free)
    assert isinstance(found, Matched)
    assert abs(found.after.value / found.before.value - 1) < 0.05
    assert abs(found.batch - 1 - 48) < 8


def busy(one: Side, share: float) -> Side:
    def at(spell: Spell) -> Spell:
        return replace(spell, gauges={**spell.gauges, "pressure_cpu": share, "sm_clock_hertz": 1.98e9})

    return replace(one, spells=tuple(map(at, one.spells)))


def test_what_else_was_otherwise_is_said_beside_the_outcome() -> None:
    """A host that was busier may be why; what hardly differs, and what came out alike, needs no reason."""
    found = compare(busy(side(1), 0.4), busy(side(2, slots=FEW), 0.95))
    assert found.text.endswith("; meanwhile host tasks waiting for a CPU 40 % -> 95 %")
    assert [each.id for each in found.around] == ["pressure_cpu"]
    assert compare(busy(side(1), 0.4), busy(side(2), 0.45)).around == ()
    assert "meanwhile" not in compare(busy(side(1), 0.4), busy(side(2), 0.95)).text


def test_settings_are_named_as_they_are_typed() -> None:
    """Two by name, more by number, and none is said as well."""
    slots, cache = Setting("flag_max_num_seqs", "8", None), Setting("enable_prefix_caching", "True", "False")
    assert named([slots]) == " after --max-num-seqs 8 -> not set"
    assert named([slots, cache]) == " after --max-num-seqs 8 -> not set, enable_prefix_caching True -> False"
    assert named([slots, cache, slots]) == " after 3 settings changed"
    assert named([]) == ", with nothing changed that the server tells of itself"
