from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from insight.estimators import littles_law
from insight.estimators.step_time import NoStepTime
from insight.objectives import parse_objectives
from insight.recommend import cache_use
from insight.recommend.knowledge import REFIT_SECONDS, Knowledge
from insight.settings import Settings
from metrics import units
from metrics.sample import Source
from metrics.store import Store
from metrics.view import View

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.insight.recommend.conftest import Watched


def test_the_cost_of_a_step_is_found_from_the_page_alone(watched: Callable[..., Watched]) -> None:
    """Three minutes of a healthy server give the 9 ms, 0.06 ms and 35 us that its steps cost, within a tenth."""
    model = watched("healthy").known().fitted
    assert model is not None
    assert model.cost.alpha == pytest.approx(9e-3, rel=0.1)
    assert model.cost.beta == pytest.approx(6e-5, rel=0.1)
    assert model.cost.gamma == pytest.approx(35e-6, rel=0.1)


def test_too_few_windows_say_what_is_missing(watched: Callable[..., Watched]) -> None:
    """After a minute there is no fit, and every estimate says what would have to be measured."""
    known = watched("healthy", 60).known()
    assert isinstance(known.model, NoStepTime)
    for effect in (known.load, known.within):
        assert effect.basis == "unknown"
        assert effect.needs.startswith("traffic for ")


def test_what_does_not_count_down_says_why(watched: Callable[..., Watched]) -> None:
    """While something slows a server its windows make no fit: the time that is missing stands still until that ends."""
    needed = watched("healthy", 60).known(slow_since=20.0).load.needs
    assert needed.startswith("traffic for ")
    assert needed.endswith(" s more once nothing slows it")


def test_capacity_is_measured_where_a_queue_stands(watched: Callable[..., Watched]) -> None:
    """Under overload the 18 requests that end each second are the capacity, grade A; less than nothing is left."""
    known = watched("overload").known()
    assert known.capacity.basis == "measured"
    assert known.capacity.mid == pytest.approx(18.4, rel=0.05)
    assert known.binding == "measured"
    assert known.arrivals == pytest.approx(31.2, rel=0.1)
    assert known.headroom.hi is not None
    assert known.headroom.hi < 0


def test_what_limits_first_is_named(watched: Callable[..., Watched]) -> None:
    """With 64 slots it is the slots, with an objective of 15 ms the objective, else the cache."""
    slots = watched("healthy", facts={"flag_max_num_seqs": "64"})
    assert slots.known().slots == 64
    assert slots.known().binding == "slots"
    assert watched("healthy").known().binding == "kv_cache"
    strict = Settings(objectives=parse_objectives("itl_p95=15ms"))
    view = watched("healthy").view
    anew = Knowledge()
    anew.observe(view.of("http://a"))
    known = anew.of(view.of("http://a"), strict, None)
    assert known is not None
    assert known.binding == "objective"
    assert known.within.mid is not None
    assert known.within.mid < 16


def test_the_time_in_which_something_slows_is_left_out_of_the_fit(watched: Callable[..., Watched]) -> None:
    """Windows since then are told apart from those before."""
    server = watched("healthy")
    known = server.known(slow_since=150.0)
    assert max(each.end for each in known.before) <= 150.0
    assert min(each.end - each.seconds for each in known.slowed) >= 150.0


def test_it_is_worked_out_again_only_after_a_while(watched: Callable[..., Watched]) -> None:
    """The same answer is given for 15 s; another since-when asks anew at once."""
    server = watched("healthy")
    one = server.known()
    assert server.known() is one
    assert server.known(slow_since=160.0) is not one


def test_a_clock_that_is_read_twice_asks_for_no_new_fit(watched: Callable[..., Watched]) -> None:
    """Since when something slows the server is known to a fraction of a second: that fraction is no other time."""
    server = watched("healthy")
    one = server.known(slow_since=150.0)
    assert server.known(slow_since=150.4) is one
    assert server.known(slow_since=149.2) is one
    assert server.known(slow_since=130.0) is not one


def test_the_stalest_server_is_asked_about_first(watched: Callable[..., Watched]) -> None:
    """Nothing is pressing just after an answer; 15 s later it is, and another time of slowness at once."""
    server = watched("healthy")
    source = server.view.of("http://a")
    server.known()
    assert server.knowledge.stalest([source], {}) is None
    pressing = server.knowledge.stalest([source], {"http://a": 100.0})
    assert pressing is not None
    later = View(server.store, server.now + REFIT_SECONDS, 0.0).of("http://a")
    assert server.knowledge.stalest([later], {}) is later


def test_what_fills_the_cache_and_drains_the_queue_is_told(watched: Callable[..., Watched]) -> None:
    """Under overload the queue never drains; the rate that fills the cache lies above what is served now."""
    known = watched("overload").known()
    assert known.drain is not None
    assert "never drains" in known.drain.needs
    assert known.full_cache.mid is not None
    assert known.full_cache.mid > 18
    assert known.drain in known.estimates
    assert watched("healthy").known().drain is None


def test_a_load_that_was_not_steady_is_known_less_surely(
    watched: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Little's law does not hold within its limit, here none at all, the grade falls, and why is said."""
    server = watched("healthy")
    steady = server.known().load
    monkeypatch.setattr(littles_law, "REQUESTS_LIMIT", 0.0)
    anew = Knowledge()
    anew.observe(server.view.of("http://a"))
    known = anew.of(server.view.of("http://a"), Settings(), None)
    assert known is not None
    assert (steady.grade, known.load.grade) == ("B", "C")
    assert "rate times time in it gives" in known.load.valid_if[-1]
    assert known.load.mid == steady.mid
    assert {each.grade for each in (known.capacity, known.full_cache)} == {"C"}


def test_what_it_is_called_is_said_by_each_estimate(watched: Callable[..., Watched]) -> None:
    """Four estimates are rates: each has a name of its own, and no two the same."""
    for scenario in ("healthy", "overload"):
        names = [each.name for each in watched(scenario).known().estimates]
        assert all(names)
        assert len(set(names)) == len(names)
        assert names[:5] == [
            "load",
            "capacity",
            "rate with mean ITL at limit",
            "rate that fills the KV cache",
            "headroom",
        ]


def test_more_replicas_are_asked_for_only_where_one_does_not_do(watched: Callable[..., Watched]) -> None:
    """31 a second over 18.4, of which 85 % are planned for, are two; a healthy server needs no other."""
    found = watched("overload").known().replicas
    assert found is not None
    assert (found.mid, found.basis) == (2, "measured")
    assert found.hi in {2, 3}
    assert watched("healthy").known().replicas is None


def test_itl_is_foretold_for_more_load_where_there_is_room(watched: Callable[..., Watched]) -> None:
    """At the 12 to 13 a second that fit, ITL is what the same server does there; under overload there is no more."""
    known = watched("healthy", 300, facts={"flag_max_num_seqs": "128"}).known()
    assert known.more_load is not None
    assert known.carries.mid is not None
    assert known.arrivals is not None
    rate = min(2 * known.arrivals, known.carries.mid)
    assert known.more_load.name == f"ITL at {units.rate(rate)}"
    there = watched("healthy", 300, workload={"requests_per_second": rate}).view.of("http://a")
    itl = there.histogram("itl_seconds", 200.0)
    assert itl is not None
    assert itl.mean is not None
    assert known.more_load.lo is not None
    assert known.more_load.hi is not None
    assert known.more_load.lo <= itl.mean <= known.more_load.hi
    assert watched("overload").known().more_load is None


def test_the_rate_that_fills_the_cache_has_an_interval(watched: Callable[..., Watched]) -> None:
    """What a fit foretells is never known to the digit."""
    found = watched("healthy").known().full_cache
    assert found.lo is not None
    assert found.mid is not None
    assert found.hi is not None
    assert found.lo < found.mid < found.hi
    assert found.n == 20


def test_slots_that_cannot_fill_the_cache_are_said(watched: Callable[..., Watched]) -> None:
    """With 40 slots the cache is never full: no rate is told, but what they take of it."""
    found = watched("healthy", facts={"flag_max_num_seqs": "40"}).known().full_cache
    assert found.basis == "unknown"
    assert found.needs.startswith("more slots: with all of them taken ")


def test_uneven_engines_show_no_capacity(watched: Callable[..., Watched]) -> None:
    """One of two is full and has a queue: what is finished then is no capacity, for nobody tells the slots."""
    young, later = (watched("uneven_replicas", seconds).known() for seconds in (120, 240))
    assert young.capacity.basis == "unknown"
    assert young.headroom.basis == "unknown"
    assert later.capacity.basis != "measured"


def test_what_preemptions_cost_is_told_where_there_are_any(watched: Callable[..., Watched]) -> None:
    """With step times from before, a full cache costs a part of the time; one that preempts from the start says why."""
    full, roomy = watched("cache_pressure", 300), watched("healthy")
    known, model = full.known(), roomy.known().model
    assert known.preempted is None
    assert "without preemptions" in known.needs
    source = full.view.of("http://a")
    found = cache_use.lost(source, model, known.recent, known.resident, caching=True)
    assert found is not None
    assert found.lo is not None
    assert found.hi is not None
    assert 0 < found.lo < found.hi < 0.5
    assert found.n == sum(each.preemptions or 0.0 for each in known.recent)
    assert cache_use.lost(source, model, roomy.known().recent, known.resident, caching=True) is None


def test_tokens_that_are_worked_on_again_tell_the_loss_better(watched: Callable[..., Watched]) -> None:
    """Where the server counts them (vLLM 0.16 to 0.19) 3000 a second at 35 us each are a tenth of its time."""
    full, model = watched("cache_pressure", 300), watched("healthy").known().model
    store = Store()
    newest = full.store.sources["http://a"].newest
    for second in range(70):
        again = {"prompt_tokens_recomputed": 3000.0 * second}
        store.add(replace(newest, wall=1.8e9 + second, mono=float(second), counters={**newest.counters, **again}))
    source = View(store, 69.0, 1.8e9 + 69).of("http://a")
    found = cache_use.lost(source, model, full.known().recent, None, caching=None)
    assert found is not None
    assert found.mid == pytest.approx(0.105, rel=0.1)
    assert found.grade == "B"


def test_a_server_that_tells_nothing_does_not_keep_others_waiting(watched: Callable[..., Watched]) -> None:
    """One without latencies has no windows: it is asked about in its turn, and the one beside it in its own."""
    store = Store()
    healthy = watched("healthy").store.sources["http://a"].newest
    for second in range(20):
        for name, sample in (("http://mute", replace(healthy, histograms={})), ("http://b", healthy)):
            store.add(replace(sample, source=name, wall=1.8e9 + second, mono=float(second)))
    knowledge = Knowledge()
    asked: list[str] = []
    for moment in (20.0, 21.0, 22.0):
        sources = list(View(store, moment, 1.8e9 + moment).all(Source.SERVER))
        for each in sources:
            knowledge.observe(each)
        one = knowledge.stalest(sources, {})
        if one is not None:
            asked.append(one.id)
            knowledge.of(one, Settings(), None)
    assert sorted(asked) == ["http://b", "http://mute"]
