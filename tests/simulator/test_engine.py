from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from simulator.engine import Engine
from simulator.faults import Aborts, Burst, Clients, Errors, Freeze, LoadChange
from simulator.lengths import Choice, Lognormal
from simulator.scenario import EngineConfig, Workload

if TYPE_CHECKING:
    from simulator.counters import Counters

HANDLER = "/v1/completions"
SILENCE = Workload(requests_per_second=0.0, prompt_tokens=Choice((1,)), output_tokens=Choice((1,)), max_tokens=1)
TIGHT = EngineConfig(
    model="tight",
    max_model_len=256,
    base_ms=5.0,
    per_sequence_ms=0.5,
    per_prompt_token_ms=0.05,
    max_num_seqs=8,
    max_num_batched_tokens=64,
    num_gpu_blocks=34,
    block_size=8,
)


def _blocks_in_use(engine: Engine) -> int:
    """Count the blocks sequence by sequence, which the engine never does."""
    size = engine.config.block_size
    used = 0
    prefixes = {}
    for request in engine._running:
        shared = request.prefix_tokens // size if request.prefix is not None else 0
        if shared:
            prefixes[request.prefix] = shared
        if request.join_tick is None:
            tokens = request.prompt_tokens + request.generated
        else:
            under_way = 1 if engine._step else 0
            tokens = request.stored + engine._tick - request.join_tick + under_way
        used += -(-tokens // size) - shared
    return used + sum(prefixes.values())


def _run_dry(engine: Engine, begin: float, step: float = 0.5) -> None:
    now = begin
    while engine.requests_running or engine.requests_waiting or engine.next_step_end is not None or now == begin:
        now += step
        engine.advance(now)


@settings(max_examples=60, deadline=None)
@given(
    jobs=st.lists(st.tuples(st.floats(0, 2), st.integers(1, 180), st.integers(1, 76)), min_size=1, max_size=40).map(
        sorted
    ),
    blocks=st.integers(33, 80),
    budget=st.integers(8, 300),
)
def test_every_token_is_counted_once(jobs: list[tuple[float, int, int]], blocks: int, budget: int) -> None:
    """Whatever arrives, and preempted however often: counters add up to the requests, and all blocks return."""
    engine = Engine(replace(TIGHT, num_gpu_blocks=blocks, max_num_batched_tokens=budget), SILENCE, seed=1)
    requests = []
    for at, prompt, output in jobs:
        engine.advance(at)
        requests.append(engine.submit(at, prompt, output, HANDLER))
        assert 0 <= engine._cache.free <= blocks - 1
        assert blocks - 1 - engine._cache.free == _blocks_in_use(engine)
    _run_dry(engine, 2.0)
    counters = engine.counters
    outputs = sum(output for _, _, output in jobs)
    prompts = sum(prompt for _, prompt, _ in jobs)
    assert counters.generation_tokens == outputs
    assert counters.prompt_tokens == prompts
    assert counters.itl.count == outputs - len(jobs)
    assert counters.ttft.count == counters.e2e.count == counters.finished["length"] == len(jobs)
    assert counters.iteration_tokens.sum == outputs + prompts
    assert counters.request_preemptions.sum == counters.preemptions
    assert engine.work.prompt_tokens >= prompts
    assert [engine.generated(request) for request in requests] == [output for _, _, output in jobs]
    assert engine._cache.free == blocks - 1
    assert not any(engine._ring)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), blocks=st.integers(40, 200), share=st.sampled_from([0.0, 0.5, 1.0]))
def test_blocks_match_a_count_by_sequence(seed: int, blocks: int, share: float) -> None:
    """The block count kept by step number equals the sum over sequences, with shared prefixes and preemptions."""
    workload = Workload(
        requests_per_second=30.0,
        prompt_tokens=Lognormal(median=40, sigma=0.6, most=150),
        output_tokens=Lognormal(median=30, sigma=0.6, most=100),
        max_tokens=80,
        shared_prefixes=3,
        shared_prefix_tokens=35,
        shared_prefix_share=share,
    )
    engine = Engine(replace(TIGHT, num_gpu_blocks=blocks), workload, seed)
    for tenth in range(1, 60):
        engine.advance(tenth / 10)
        assert engine._cache.free >= 0
        assert blocks - 1 - engine._cache.free == _blocks_in_use(engine)


def _state(counters: Counters) -> tuple[object, ...]:
    return (
        *(tuple(each.counts) for each in (counters.itl, counters.ttft, counters.e2e, counters.iteration_tokens)),
        *(each.sum for each in (counters.itl, counters.ttft, counters.e2e, counters.queue)),
        counters.generation_tokens,
        counters.prompt_tokens_cached,
        counters.preemptions,
    )


@settings(max_examples=20, deadline=None)
@given(looks=st.lists(st.floats(0.001, 29.9), max_size=50).map(sorted))
def test_looking_changes_nothing(looks: list[float]) -> None:
    """However often and whenever the engine is asked, it has done the same by the same moment."""
    workload = Workload(
        requests_per_second=12.0,
        prompt_tokens=Lognormal(median=60, sigma=0.5, most=150),
        output_tokens=Lognormal(median=40, sigma=0.5, most=90),
        max_tokens=80,
    )
    faults = (LoadChange(at=5.0, multiplier=3.0, over=5.0), Freeze(at=12.0, seconds=3.0))
    config = replace(TIGHT, noise=0.1)
    once, often = Engine(config, workload, 3, 0.0, faults), Engine(config, workload, 3, 0.0, faults)
    once.advance(30.0)
    for look in looks:
        often.advance(look)
    often.advance(30.0)
    assert _state(once.counters) == _state(often.counters)
    assert once.requests_waiting == often.requests_waiting


def test_another_seed_is_another_run(config: EngineConfig, workload: Workload) -> None:
    """The seed decides what arrives."""
    first, second = Engine(config, workload, 1), Engine(config, workload, 2)
    first.advance(20.0)
    second.advance(20.0)
    assert _state(first.counters) != _state(second.counters)


def test_little_holds_in_a_stationary_run(config: EngineConfig, workload: Workload) -> None:
    """Mean number in the server = arrival rate * mean time in it, by gauges and by latency sums, within 5 %."""
    engine = Engine(config, replace(workload, requests_per_second=6.0), seed=5)
    engine.advance(100.0)
    counters = engine.counters
    before = counters.e2e.sum, counters.e2e.count, counters.itl.sum + counters.ttft.sum
    looks, inside = 20_000, 0
    for look in range(1, looks + 1):
        engine.advance(100.0 + look * 0.1)
        inside += engine.requests_running + engine.requests_waiting
    seconds = looks * 0.1
    finished = counters.e2e.count - before[1]
    by_requests = (counters.e2e.sum - before[0]) / finished * (finished / seconds)
    by_latencies = (counters.itl.sum + counters.ttft.sum - before[2]) / seconds
    assert by_latencies == pytest.approx(by_requests, rel=0.01)
    assert inside / looks == pytest.approx(by_requests, rel=0.05)


def test_the_step_cost_can_be_recovered_from_the_counters(config: EngineConfig, workload: Workload) -> None:
    """Least squares over 3 s windows of a busy engine find base, per-sequence and per-token cost within 5 %."""
    ramp = (LoadChange(at=0.0, multiplier=1.9, over=400.0),)
    engine = Engine(config, replace(workload, requests_per_second=4.5), 11, 0.0, ramp)
    counters, work = engine.counters, engine.work
    marks = []
    for window in range(140):
        engine.advance(window * 3.0)
        cells = (
            counters.iteration_tokens.count,
            counters.itl.count,
            counters.prompt_tokens - counters.prompt_tokens_cached,
        )
        marks.append((engine.now, work.busy_seconds, *cells))
    rows = []
    for old, new in pairwise(marks):
        seconds, busy, steps, decoded, prompts = (b - a for a, b in zip(old, new, strict=True))
        if busy > 0.999 * seconds:
            rows.append((1.0, decoded / steps, prompts / steps, seconds / steps * 1000))
    assert len(rows) >= 50
    base, per_sequence, per_prompt_token = _least_squares(rows)
    assert base == pytest.approx(config.base_ms, rel=0.05)
    assert per_sequence == pytest.approx(config.per_sequence_ms, rel=0.05)
    assert per_prompt_token == pytest.approx(config.per_prompt_token_ms, rel=0.05)


def _least_squares(rows: list[tuple[float, float, float, float]]) -> list[float]:
    table = [[sum(row[i] * row[j] for row in rows) for j in range(4)] for i in range(3)]
    for pivot in range(3):
        for other in range(3):
            if other != pivot:
                factor = table[other][pivot] / table[pivot][pivot]
                table[other] = [a - factor * b for a, b in zip(table[other], table[pivot], strict=True)]
    return [table[i][3] / table[i][i] for i in range(3)]


def test_one_request_takes_what_the_model_says(config: EngineConfig, silence: Workload) -> None:
    """A lone request: prefill in chunks of the token budget, then one token a step."""
    engine = Engine(config, silence, seed=1)
    request = engine.submit(1.0, 600, 11, HANDLER)
    engine.advance(10.0)
    chunks = 2 * 6.0 + 0.05 * 600
    assert request.first_token == pytest.approx(1.0 + chunks / 1000)
    assert engine.counters.e2e.sum == pytest.approx((chunks + 10 * 6.4) / 1000)
    assert engine.counters.iteration_tokens.count == 11  # the step of a partial prefill gives no token
    assert engine.work.steps == 12
    assert request.finish_reason == "length"


def test_gauges_are_those_of_the_last_step(config: EngineConfig, silence: Workload) -> None:
    """A request that arrives within a step is in no gauge before the next step ends."""
    engine = Engine(config, silence, seed=1)
    engine.submit(0.0, 10, 100, HANDLER)
    engine.advance(0.008)
    assert engine.requests_running == 1
    engine.submit(0.009, 10, 100, HANDLER)
    engine.advance(0.012)
    assert engine.requests_running == 1
    engine.advance(0.025)
    assert engine.requests_running == 2


def test_a_full_queue_refuses(config: EngineConfig, workload: Workload) -> None:
    """Beyond max_num_queued_reqs that wait and run requests are refused, counted, and answered 503."""
    limited = replace(config, max_num_queued_reqs=5)
    engine = Engine(limited, replace(workload, requests_per_second=60.0), seed=1)
    engine.advance(30.0)
    assert engine.counters.rejected > 100
    assert engine.requests_waiting + engine.requests_running <= 5
    assert engine.counters.answers["/v1/chat/completions", "POST", "5xx"] == engine.counters.rejected


def test_a_shared_prefix_is_computed_once(config: EngineConfig, silence: Workload) -> None:
    """Prompt tokens that other requests share come from the cache, in whole blocks, unless caching is off."""
    shared = replace(
        silence,
        requests_per_second=3.0,
        prompt_tokens=Choice((100,)),
        shared_prefixes=1,
        shared_prefix_tokens=200,
        shared_prefix_share=1.0,
    )
    cached, plain = Engine(config, shared, 4), Engine(replace(config, enable_prefix_caching=False), shared, 4)
    cached.advance(60.0)
    plain.advance(60.0)
    requests = cached.counters.ttft.count
    assert cached.counters.prompt_tokens == plain.counters.prompt_tokens == 300 * requests
    assert cached.counters.prompt_tokens_cached == 192 * (requests - 1)
    assert cached.counters.prefix_hits == cached.counters.prompt_tokens_cached
    assert plain.counters.prompt_tokens_cached == plain.counters.prefix_queries == 0
    assert cached.counters.ttft.sum < plain.counters.ttft.sum


def test_a_frozen_engine_stands_still(config: EngineConfig, workload: Workload) -> None:
    """While frozen no counter moves and the gauges stay; afterwards the gap is one long time between two tokens."""
    engine = Engine(config, workload, 1, 0.0, (Freeze(at=20.0, seconds=30.0),))
    engine.advance(20.0)
    frozen, running = _state(engine.counters), engine.requests_running
    assert running > 0
    engine.advance(49.9)
    assert _state(engine.counters) == frozen
    assert engine.requests_running == running
    engine.advance(51.0)
    assert engine.counters.itl.counts[-3] > 0  # between 20 and 40 s
    assert engine.requests_waiting > 50


def test_what_arrives_while_frozen_waits_for_the_thaw(config: EngineConfig, silence: Workload) -> None:
    """An idle engine that is frozen takes a request in, and its step ends as long after the thaw as it would take."""
    engine = Engine(config, silence, 1, 0.0, (Freeze(at=1.0, seconds=10.0),))
    engine.advance(4.0)
    request = engine.submit(4.0, 100, 5, HANDLER)
    engine.advance(20.0)
    assert request.first_token == pytest.approx(11.0 + (6.0 + 5.0) / 1000)


def test_the_newest_is_preempted_and_comes_back_first(silence: Workload) -> None:
    """When blocks run out the last one admitted goes, ahead of those that wait, and its tokens stay."""
    engine = Engine(replace(TIGHT, num_gpu_blocks=34), silence, seed=1)
    first, second = engine.submit(0.0, 120, 100, HANDLER), engine.submit(0.0, 120, 100, HANDLER)
    third = engine.submit(0.0, 120, 100, HANDLER)
    now = 0.0
    while not engine.counters.preemptions:
        now += 0.001
        engine.advance(now)
    assert list(engine._running) == [first]
    assert list(engine._waiting) == [second, third]
    assert second.generated > 0
    engine.advance(60.0)
    assert first.finish_reason == second.finish_reason == third.finish_reason == "length"
    assert second.last_token < (third.first_token or 0.0)
    assert (second.preemptions, first.preemptions) == (1, 0)


def test_the_phases_of_a_request_add_up(config: EngineConfig, silence: Workload) -> None:
    """Queue, prefill and decode make up its time in the engine; one that finds the slots full waits for one."""
    engine = Engine(replace(config, max_num_seqs=1), silence, seed=1)
    engine.submit(0.0, 100, 11, HANDLER)
    engine.submit(0.0, 100, 11, HANDLER)
    engine.advance(10.0)
    counters = engine.counters
    alone = (6.0 + 5.0 + 10 * 6.4) / 1000
    assert counters.queue.sum == pytest.approx(alone)
    assert counters.prefill.sum == pytest.approx(2 * 0.011)
    assert counters.decode.sum == pytest.approx(2 * 0.064)
    assert counters.inference.sum == pytest.approx(counters.prefill.sum + counters.decode.sum)
    assert counters.e2e.sum == pytest.approx(counters.queue.sum + counters.inference.sum)
    assert counters.ttft.sum == pytest.approx(counters.queue.sum + counters.prefill.sum)
    assert counters.tpot.sum == pytest.approx(2 * 0.0064)


def test_a_restart_loses_everything(config: EngineConfig, workload: Workload) -> None:
    """After a restart the counters begin at 0, requests that came meanwhile are lost, those under way have failed."""
    engine = Engine(config, workload, seed=1)
    engine.advance(10.0)
    request = engine.submit(10.0, 100, 1000, HANDLER)
    engine.advance(10.2)
    engine.restart(10.2, 5.0)
    assert request.failed
    engine.advance(15.0)
    assert engine.counters.ttft.count == 0
    engine.advance(30.0)
    arrived = engine.counters.ttft.count + engine.requests_waiting
    assert 50 <= arrived <= 100  # 5 a second since 15.2
    assert engine.counters.e2e.sum / engine.counters.e2e.count < 5.0


def test_a_cancelled_request_frees_its_place(config: EngineConfig, silence: Workload) -> None:
    """A client that goes away leaves no trace in the counters, as with vLLM, and its blocks return."""
    engine = Engine(config, silence, seed=1)
    running = engine.submit(0.0, 100, 1000, HANDLER)
    engine.advance(1.0)
    arriving = engine.submit(1.0, 100, 1000, HANDLER)
    engine.cancel(running)
    engine.cancel(arriving)
    engine.advance(2.0)
    assert engine.requests_running == 1  # nothing has told the gauge since: no step ran
    assert engine.next_step_end is None
    assert engine._cache.free == config.num_gpu_blocks - 1
    assert sum(engine.counters.finished.values()) == 0


@pytest.mark.parametrize(("prompt", "output"), [(0, 1), (1, 0), (2000, 49)])
def test_what_the_model_cannot_take_is_refused(
    config: EngineConfig, silence: Workload, prompt: int, output: int
) -> None:
    """A request with no tokens, or with more than max_model_len, is an error that says so."""
    with pytest.raises(ValueError, match="takes at most 2048 tokens"):
        Engine(config, silence, seed=1).submit(0.0, prompt, output, HANDLER)


def _arrived(engine: Engine) -> int:
    return engine.counters.request_n.count + engine.in_flight


def test_a_burst_comes_at_once_and_again() -> None:
    """Ten at 5 s and ten at 65 s; none after the end of its spell, and nothing else."""
    engine = Engine(TIGHT, SILENCE, 1, faults=[Burst(at=5.0, requests=10, every=60.0, seconds=100.0)])
    seen = []
    for now in (4.9, 5.1, 64.9, 65.1, 300.0):
        engine.advance(now)
        seen.append(_arrived(engine))
    assert seen == [0, 10, 10, 20, 20]


def test_a_burst_is_shared_by_the_engines_behind_one_address() -> None:
    """A quarter of 20 requests comes here."""
    engine = Engine(TIGHT, SILENCE, 1, faults=[Burst(at=0.0, requests=20)], share=0.25)
    engine.advance(60.0)
    assert _arrived(engine) == 5


def test_clients_in_a_closed_loop_are_never_more_than_they_are() -> None:
    """Twelve clients on eight slots: eight run and four wait; at their end nothing is left."""
    answers = Workload(requests_per_second=0.0, prompt_tokens=Choice((40,)), output_tokens=Choice((30,)), max_tokens=30)
    engine = Engine(TIGHT, answers, 1, faults=[Clients(at=10.0, count=12, seconds=60.0)])
    engine.advance(9.9)
    assert _arrived(engine) == 0
    for now in range(11, 70):
        engine.advance(float(now))
        assert engine.in_flight + len(engine._inbox) <= 12
    assert engine.counters.request_n.count > 12 * 3
    engine.advance(120.0)
    assert engine.in_flight == 0


def test_clients_that_think_send_more_seldom() -> None:
    """One client that thinks for 4 s between short answers sends about one request in 4 s."""
    engine = Engine(TIGHT, SILENCE, 3, faults=[Clients(at=0.0, count=1, think=4.0)])
    engine.advance(2000.0)
    assert engine.counters.request_n.count == pytest.approx(500, rel=0.15)


def test_clients_come_back_after_errors_refusals_and_a_restart() -> None:
    """A closed loop does not end with what went wrong: refused, failed or lost, a client tries again."""
    config = replace(TIGHT, max_num_queued_reqs=1)
    engine = Engine(
        config, SILENCE, 1, faults=[Clients(at=0.0, count=6, think=0.1), Errors(at=0.0, share=0.3, seconds=20.0)]
    )
    engine.advance(30.0)
    assert engine.counters.rejected > 0
    assert engine.counters.finished["error"] > 0
    engine.restart(30.0, 5.0)
    engine.advance(60.0)
    assert engine.counters.request_n.count > 20


def test_clients_that_go_are_answers_and_no_finished_requests() -> None:
    """As vLLM counts them: half of the requests ends unseen, each is answered with 200, and nothing stays behind."""
    answers = Workload(requests_per_second=4.0, prompt_tokens=Choice((40,)), output_tokens=Choice((90,)), max_tokens=90)
    engine = Engine(TIGHT, answers, 1, faults=[Aborts(at=0.0, share=0.5, after=0.2)])
    engine.advance(100.0)
    finished, answered = engine.counters.request_n.count, sum(engine.counters.answers.values())
    assert answered == pytest.approx(400, rel=0.15)
    assert finished == pytest.approx(200, rel=0.25)
    assert engine.in_flight < 10
    assert engine._cache.blocks - 1 - engine._cache.free == _blocks_in_use(engine)
