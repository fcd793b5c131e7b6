"""What more, denser or better used KV cache would bring."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.estimators import capacity, kv_capacity, prefix_cache
from insight.estimators.forecast import itl_at
from insight.recommend.case import Estimate
from insight.recommend.effects.batch import served, served_at_most
from metrics import units

if TYPE_CHECKING:
    from insight.recommend.case import Case
    from insight.recommend.known import Known

ROOM = 1.25
"""More room as `--gpu-memory-utilization` gives it: from 0.9 to 0.95 of 80 GB are 4 GB, on 16 of cache. An example that
the text names; what is possible depends on what else is in the memory."""
MOST_FROM_PREEMPTIONS = 1.3
"""The proxy of `insight.estimators.preemption` said 1.26 to 1.28 on a real vLLM that preempted twice a second, where
1.1 to 1.2 was true: no more than that."""
DENSER = 2.0
"""fp8 in place of 16 bits: twice the tokens in the same bytes."""


def more_room(case: Case) -> Estimate:
    """Tell what is finished with a quarter more cache."""
    return _roomier(case, ROOM, "a quarter more KV cache")


def half_the_bytes(case: Case) -> Estimate:
    """Tell what is finished with half the bytes a token."""
    return _roomier(case, DENSER, "twice the tokens in the KV cache")


def _roomier(case: Case, growth: float, what: str) -> Estimate:
    known = case.known
    if known is None or not known.resident or not known.kv_tokens or known.batch <= 0:
        return Estimate(because=("what it brings follows from step times and the length of sequences", *case.needs))
    if known.fitted is None or known.traffic is None:
        # Without preemptions the engine has more time besides: 1 / (1 - phi), phi up to 0.26 on a real vLLM.
        effect = served_at_most(case, growth * MOST_FROM_PREEMPTIONS, what)
        return Estimate(effect, ("how much of it comes true follows from the step times", *case.needs))
    holds = known.kv_tokens * growth / known.resident
    slots = holds if known.slots is None else min(holds, known.slots)
    then = capacity.slot_capacity(known.fitted, known.traffic, slots)
    because = [
        (
            f"{what} hold {units.count(math.floor(holds))} sequences of {units.count(round(known.resident))} tokens, "
            f"now {units.count(round(known.kv_tokens / known.resident))}"
        )
    ]
    lost = _preemption_loss(known)
    if lost:
        because.append(lost)
    return Estimate(
        served(known.arrivals, known.rate, then, assumed=(what,)), tuple(because), {"kv_tokens": str(round(holds))}
    )


def offload(case: Case) -> Estimate:
    """Say what would have to be known for an offload to be worth it."""
    known = case.known
    if known is None or known.fitted is None:
        return Estimate(because=("whether it pays depends on the link to host memory", *case.needs))
    gamma = known.fitted.cost.gamma
    return Estimate(
        because=(
            (
                f"a token read back must take less than the {units.value(gamma, 's')} that computing it takes: to be "
                "measured: the bytes of a token and the speed of the link"
            ),
        )
    )


def lower_max_num_seqs(case: Case) -> Estimate:
    """Tell what is finished without preemptions, at the batch that the cache holds."""
    known = case.known
    if known is None or known.fitted is None or known.traffic is None or not known.resident or not known.kv_tokens:
        return Estimate(because=("what preemptions cost follows from the step times", *case.needs))
    holds = math.floor(0.9 * known.kv_tokens / known.resident)
    if known.batch < 0.7 * holds:
        return Estimate(withheld=f"only {units.count(round(known.batch))} run, and the cache holds {holds}")
    lost = _preemption_loss(known)
    because = (f"nine tenths of the cache hold {holds} sequences of {units.count(round(known.resident))} tokens",)
    then = capacity.slot_capacity(known.fitted, known.traffic, float(holds))
    return Estimate(
        served(known.arrivals, known.rate, then), (*because, lost) if lost else because, {"slots": str(holds)}
    )


def _preemption_loss(known: Known) -> str:
    """Say what share of the engine's time preemptions cost."""
    lost = known.preempted
    if lost is None or lost.lo is None or lost.hi is None or not lost.n or not lost.window_seconds:
        return ""
    share = f"{units.value(lost.lo, 'ratio')} to {units.value(lost.hi, 'ratio')} of the engine's time"
    return f"preemptions cost {share} ({units.rate(lost.n / lost.window_seconds)}; {lost.assumptions[0]})"


def enable_prefix_cache(case: Case) -> Estimate:
    """Tell what 10, 30 and 60 % hits would bring, for nobody knows what the prompts share: so there is no effect."""
    load, known = _load(case), case.known
    forecasts = None if known is None else _forecasts(known)
    if load is None or known is None or known.itl is None or forecasts is None:
        return Estimate(because=("what hits bring follows from the step times", *case.needs))
    rows = prefix_cache.scenarios(known.itl, load, *forecasts)
    table = [f"{row.hit_rate * 100:.0f} % hits: {said}" for row in rows if (said := _scenario(row))]
    if not table:
        return Estimate(because=case.needs)
    now = f"now ITL {units.value(known.itl, 's')}"
    if known.capacity.mid is not None:
        now += f", {units.rate(known.capacity.mid)} at most"
    return Estimate(
        because=(f"{'; '.join(table)}; {now}", "what prompts share is not known: so this is a table and no prediction")
    )


def _scenario(row: prefix_cache.Scenario) -> str:
    itl = "" if row.itl.mid is None else f"ITL {units.value(row.itl.mid, 's')}"
    most = "" if row.capacity.mid is None else f"{units.rate(row.capacity.mid)} at most"
    return ", ".join(filter(None, (itl, most)))


def restore_prefix_cache(case: Case) -> Estimate:
    """Tell what ITL would be with the hit rate of before; where a queue stands, how much would be finished."""
    known, share = case.known, case.evidence("prompt_tokens_cached")
    load = _load(case)
    if known is None or known.itl is None or load is None or share is None or not share.threshold:
        return Estimate(because=("what the hits brought follows from the step times", *case.needs))
    usual = min(0.99, 2 * share.threshold)
    expected = prefix_cache.HitRate(max(0.0, usual - prefix_cache.UNCERTAIN_HITS), usual, "the hit rate of before")
    forecasts = _forecasts(known)
    if forecasts is None or known.fitted is None:
        return Estimate(because=case.needs)
    itl_at, capacity_at = forecasts
    effect = prefix_cache.itl(known.itl, load, expected, itl_at)
    if known.capacity.basis == "measured":
        more = prefix_cache.capacity(known.capacity.mid, load, expected, capacity_at)
        effect = served(known.arrivals, known.rate, more) or effect
    because = [f"before, {units.value(usual, 'ratio')} of prompt tokens came from the cache"]
    ttft = case.target.quantities.get("ttft_seconds") if case.target else None
    if ttft is not None and ttft.mean:
        least = prefix_cache.ttft(ttft.mean, load, expected, known.fitted.cost.gamma)
        saved = ttft.mean - (least.hi or 0.0)
        because.append(
            f"of a mean TTFT of {units.value(ttft.mean, 's')} at least {units.value(saved, 's')} goes with it, by the "
            "prompt tokens that need not be worked on; more, where requests wait"
        )
    return Estimate(None if effect.basis == "unknown" else effect, tuple(because))


def _load(case: Case) -> prefix_cache.Load | None:
    """Describe what the server did over the window."""
    target = case.target
    if target is None or case.known is None:
        return None
    prompts = target.quantities.get("prompt_tokens_total")
    cached = target.quantities.get("prompt_tokens_cached")
    finished = target.quantities.get("requests_finished")
    if prompts is None or not prompts.increase or finished is None or not finished.increase:
        return None
    recent = case.known.recent
    computed = math.fsum(each.computed for each in recent)
    begun = math.fsum(each.ttft_count for each in recent)
    hit = (cached.increase or 0.0) / prompts.increase if cached is not None else 0.0
    if not begun:
        return None
    prompt = computed / begun / max(0.01, 1 - hit)
    return prefix_cache.Load(prompt, hit, begun, math.fsum(each.seconds for each in recent))


def _forecasts(known: Known) -> tuple[prefix_cache.Forecast, prefix_cache.Forecast] | None:
    """Foretell ITL and capacity by the prompt tokens worked on for a request, at the traffic of now."""
    model, traffic = known.fitted, known.traffic
    if model is None or traffic is None or not model.tells_apart:
        return None
    batch = kv_capacity.largest_batch(known.slots, known.kv_tokens, known.resident)
    return (
        lambda prompt: itl_at(model, traffic.rate, prompt, traffic.output),
        lambda prompt: None if batch is None else model.cost.capacity(prompt, traffic.output, batch),
    )
