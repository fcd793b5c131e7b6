"""What tokens cost, over a Store with GPUs in it."""

from __future__ import annotations

import pytest

from insight.recommend.day import STEP, day_of
from insight.recommend.economy import spending
from metrics.effect import Grade
from metrics.sample import Process, Sample, Source
from metrics.store import Store
from metrics.view import SourceView, View

WALL = 1.8e9
ENGINE = Process(7, "vllm")


def server(
    store: Store, seconds: float, *, watts: float | None = 400.0, others: tuple[Process, ...] = ()
) -> SourceView:
    """A server that makes 1000 tokens a second on two GPUs."""
    for second in (0.0, seconds / 2, seconds):
        tokens = {"output_tokens_total": 1000.0 * second}
        store.add(Sample("http://a", Source.SERVER, WALL + second, second, counters=tokens, processes=(ENGINE,)))
        for index in range(2):
            joules = {} if watts is None else {"energy_joules": watts * second}
            uses = (ENGINE, *others)
            store.add(Sample(f"gpu:{index}", Source.GPU, WALL + second, second, counters=joules, processes=uses))
    return View(store, seconds, WALL + seconds, interval=seconds / 2).of("http://a")


def test_energy_and_price_of_a_token() -> None:
    """Two boards of 400 W for 1000 tokens a second are 0.8 J each; at 3 an hour a GPU a million costs 1.67."""
    energy, cost = spending(server(Store(), 60.0), 60.0, 3.0)
    assert (energy.basis, energy.grade) == ("measured", Grade.A)
    assert energy.mid == pytest.approx(0.8)
    assert cost.mid == pytest.approx(6 / 3.6)


def test_what_is_not_known_is_left_out() -> None:
    """Without a price there is none, and without the energy of its GPUs none of that; no tokens, nothing at all."""
    assert [each.quantity for each in spending(server(Store(), 60.0), 60.0, None)] == ["energy_per_output_token"]
    assert list(spending(server(Store(), 60.0, watts=None), 60.0, None)) == []
    idle = Store()
    idle.add(Sample("http://b", Source.SERVER, WALL, 0.0))
    assert list(spending(View(idle, 0.0, WALL).of("http://b"), 60.0, 3.0)) == []


def test_a_neighbour_makes_energy_a_bound() -> None:
    """What another process drew is in it, so that it is at most that."""
    energy = next(spending(server(Store(), 60.0, others=(Process(8, "train.py"),)), 60.0, None))
    assert (energy.basis, energy.lo, energy.mid) == ("bound", None, None)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((), ()),
        ((Process(8, "python3"),), ("of 2 GPUs, shared",)),  # another server's
        ((Process(9, "train.py"),), ("of 2 GPUs, shared",)),
        ((Process(9),), ("of 2 GPUs, perhaps shared",)),
    ],
)
def test_a_gpu_that_is_shared_is_one_of_the_server_s(others: tuple[Process, ...], said: tuple[str, ...]) -> None:
    """It counts in full: energy is then at most that, and the price says so."""
    store = Store()
    for second in (0.0, 30.0, 60.0):
        store.add(Sample("http://b", Source.SERVER, WALL + second, second, processes=(Process(8, "python3"),)))
    energy, cost = spending(server(store, 60.0, others=others), 60.0, 3.0)
    assert energy.hi == pytest.approx(0.8 / 0.95)
    assert energy.basis == ("bound" if said else "measured")
    assert cost.mid == pytest.approx(6 / 3.6)
    assert cost.assumptions[1:] == said


def test_a_price_says_that_its_gpu_is_a_guess() -> None:
    """A server whose GPUs are not seen has one at least."""
    store = Store()
    for second in (0.0, 30.0, 60.0):
        tokens = {"output_tokens_total": 1000.0 * second}
        store.add(Sample("http://a", Source.SERVER, WALL + second, second, counters=tokens))
    (cost,) = spending(View(store, 60.0, WALL + 60.0, interval=30.0).of("http://a"), 60.0, 3.0)
    assert cost.mid == pytest.approx(3 / 3.6)
    assert cost.assumptions[1:] == ("one GPU taken, none is seen",)


def test_a_day_is_told_once_it_was_watched() -> None:
    """144 steps of ten minutes, oldest first; before a day none, and a step without polls has no requests."""
    store = Store()
    for minute in range(0, 24 * 60 + 1, 5):
        done = 60.0 * minute + max(0.0, minute - 1430) * 120.0
        sample = Sample(
            "http://a", Source.SERVER, WALL, 60.0 * minute, counters={"requests_finished": done}, processes=(ENGINE,)
        )
        store.add(sample)
        if minute == 60:
            assert day_of(View(store, 3600.0, WALL, interval=300.0).of("http://a")) == ()
    found = day_of(View(store, 86_400.0, WALL, interval=300.0).of("http://a"))
    assert len(found) == 86_400 / STEP
    assert found[0] == pytest.approx(1.0)
    assert found[-1] == pytest.approx(3.0)
