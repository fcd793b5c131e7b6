"""`insight.recommend.choose`: what is advised on a server with its flags, in which order, and what is withheld."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from collectors.command_line import flags
from insight.estimators.effects import unknown
from insight.estimators.step_time import NoStepTime
from insight.estimators.steps import Limits
from insight.recommend import choose
from insight.recommend.case import Estimate
from insight.recommend.catalogue import ADVICE, CHECK, Action
from insight.recommend.choose import recommendations, server_of
from insight.recommend.known import Known
from insight.recommend.setting import setting
from insight.rules import RULES
from insight.settings import Settings
from metrics import units
from metrics.effect import Effect, Grade
from metrics.finding import Evidence, Recommendation, Risk, RiskState, Severity, Withheld
from metrics.observed import Gpu, Measure, Target
from metrics.sample import Sample, Source, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.insight.conftest import Drive

URL = "http://127.0.0.1:8000"
OTHER = "http://127.0.0.1:8001"
UUID = "GPU-1"
EFFECT = Effect("requests_finished", 1.0, 2.0, 3.0, 4.0, "1/s", "model", Grade.B)
TITLES = {rule.id: rule.title for rule in RULES}


def server(
    engine: str | None = "vllm", facts: dict[str, str] | None = None, *, url: str = URL, gpus: tuple[int, ...] = ()
) -> Target:
    return Target(
        id=url,
        url=url,
        engine=engine,
        engine_version=None,
        model="m",
        state=State.OK,
        reason="",
        age_seconds=0.1,
        uptime_seconds=None,
        window_seconds=60.0,
        poll_seconds=0.01,
        simulated=False,
        quantities={},
        facts=facts or {},
        gpus=gpus or None,
    )


def gpu(index: int = 0, uuid: str = UUID) -> Gpu:
    return Gpu(
        index=index,
        uuid=uuid,
        name=None,
        state=State.OK,
        reason="",
        age_seconds=None,
        simulated=False,
        utilisation=None,
        memory_used_bytes=None,
        memory_total_bytes=None,
        power_watts=None,
        power_limit_watts=None,
        energy_joules=None,
        temperature_celsius=None,
        memory_temperature_celsius=None,
        sm_clock_hertz=None,
        sm_clock_max_hertz=None,
        throttle_reasons=None,
        throttled_seconds=None,
        ecc_uncorrected=None,
        xids=(),
        processes=None,
    )


def finding(name: str, place: str | None = URL, state: RiskState = RiskState.FIRING) -> Risk:
    return Risk(
        id=name,
        title=TITLES[name],
        state=state,
        severity=Severity.WARNING,
        likelihood="",
        impact="",
        description="",
        mitigation="",
        since=None,
        target=place,
        summary=f"{name} holds",
    )


def known(binding: str | None = None, rate: float | None = None, arrivals: float | None = None) -> Known:
    nothing = unknown("requests_finished", "1/s", "requests")
    capacity = nothing
    if rate is not None:
        capacity = Effect("requests_finished", None, rate, rate, rate, "1/s", "measured", Grade.A)
    return Known(
        model=NoStepTime("too few windows", "load"),
        traffic=None,
        arrivals=arrivals,
        recent=(),
        before=(),
        slowed=(),
        limits=Limits(),
        slots=None,
        kv_tokens=None,
        resident=None,
        prefix_caching=None,
        day=(),
        load=nothing,
        capacity=capacity,
        within=nothing,
        headroom=nothing,
        full_cache=nothing,
        carries=nothing,
        more_load=None,
        drain=None,
        preempted=None,
        energy=None,
        cost=None,
        binding=binding,
    )


def advised(
    *names: str, target: Target | None = None, binding: str | None = None
) -> tuple[dict[str, Recommendation], dict[str, Withheld]]:
    """What is advised and withheld for findings on one server, by id."""
    one = target or server()
    knowns = {one.id: known(binding)}
    given_, withheld = recommendations(tuple(map(finding, names)), (one,), knowns, (), Settings())
    return {each.id: each for each in given_}, {each.id: each for each in withheld}


def test_only_what_is_under_way_is_answered() -> None:
    """What was not observed, cannot be told or is over needs no advice."""
    states = (RiskState.NOT_OBSERVED, RiskState.UNKNOWN, RiskState.RESOLVING)
    risks = tuple(finding("stuck_server", state=state) for state in states)
    assert recommendations(risks, (server(),), {}, (), Settings()) == ((), ())
    pending = finding("stuck_server", state=RiskState.PENDING)
    found, _ = recommendations((pending,), (server(),), {}, (), Settings())
    assert [each.id for each in found] == ["restart_server"]


def test_the_value_in_force_stands_beside_the_flag() -> None:
    """From the command line; `not set (default)` where that is seen without the flag, nothing where it is not seen."""
    seen: list[tuple[dict[str, str], str | None]] = [
        ({"flag_max_num_seqs": "64"}, "64"),
        ({"flag_max_model_len": "4096"}, "not set (default)"),
        ({}, None),
    ]
    for facts, now in seen:
        found, _ = advised("slot_cap", target=server("vllm", facts))
        (change,) = found["raise_slots"].changes
        assert (change.flag, change.now, change.proposed, change.restart) == ("--max-num-seqs", now, "higher", True)
    found, _ = advised("slot_cap", target=server("vllm", {"flag_max_num_seqs": "64"}))
    assert found["raise_slots"].actions == ("--max-num-seqs higher (now 64; takes a restart)", CHECK)


def test_the_command_line_is_read_as_the_advice_asks_for_it(drive: Callable[[], Drive]) -> None:
    """From the arguments of the process to the words of the advice; what is not seen is said to be so."""
    driven = drive()
    facts = {"engine": "vllm", **flags("vllm", ["vllm", "serve", "m", "--max-num-seqs", "8"])}
    for mono in range(60):
        gauges = {"requests_running": 8.0, "requests_waiting": 40.0, "kv_cache_usage": 0.4}
        counters = {"requests_finished": float(mono), "output_tokens_total": 100.0 * mono, "engine_steps": 10.0 * mono}
        sample = Sample(URL, Source.SERVER, 1.0 + mono, float(mono), gauges=gauges, counters=counters, facts=facts)
        driven.poll(float(mono), sample)
    changes = [change for each in driven.snapshot().recommendations for change in each.changes]
    assert {change.flag: change.now for change in changes}["--max-num-seqs"] == "8"
    assert {change.flag: change.now for change in changes}["--max-num-queued-reqs"] == "not set (default)"


def test_a_gauge_tells_what_no_flag_does() -> None:
    """llama.cpp tells its slots itself."""
    target = server("llamacpp")
    target.quantities["max_running_requests"] = Measure("1", value=8.0)
    found, _ = advised("slot_cap", target=target)
    assert found["raise_slots"].actions[0].startswith("-np higher: the slots share the context of -c (now 8; ")


def test_what_is_in_force_already_is_not_proposed() -> None:
    """Neither what a flag says nor what is so by default; where nothing else is left that is told instead."""
    found, withheld = advised(
        "cache_saturation", target=server("vllm", {"cache_dtype": "fp8", "flag_max_num_seqs": "8"})
    )
    assert "kv_quantisation" not in found
    assert withheld["kv_quantisation"].why == "already so: --kv-cache-dtype fp8"
    found, _ = advised("ttft_slo", target=server("vllm", {"enable_prefix_caching": "True"}))
    assert not any("--enable-prefix-caching" in each for each in found["shorten_prefill"].actions)
    found, _ = advised("ttft_slo", target=server("vllm", {"flag_max_num_seqs": "8"}))  # on by default
    assert not any("--enable-prefix-caching" in each for each in found["shorten_prefill"].actions)
    found, _ = advised("ttft_slo", target=server("vllm", {"enable_prefix_caching": "False"}))
    assert any("--enable-prefix-caching" in each for each in found["shorten_prefill"].actions)


def test_a_flag_that_turns_off_is_in_force_where_that_is_off() -> None:
    """Prefix caching that runs is switched off for a test; where it is off already nobody is told to."""
    risk = (finding("cache_inconsistency", f"quality:{URL}"),)
    for cached, told in (("True", True), ("False", False)):
        target = server("vllm", {"enable_prefix_caching": cached})
        (one, *_), _ = recommendations(risk, (target,), {}, (), Settings())
        now = {change.flag: change.now for change in one.changes}
        assert now.get("--no-enable-prefix-caching") == ("False" if told else None)


def test_an_engine_hears_of_its_own_flags() -> None:
    """The same finding is answered in the words of each server, and without flags where nobody knows what it is."""
    limits = {"vllm": "--max-num-seqs", "sglang": "--max-running-requests", "tgi": "--max-batch-size"}
    limits |= {"trtllm": "--max_batch_size", "llamacpp": "-np"}
    for engine, flag in limits.items():
        found, _ = advised("slot_cap", target=server(engine))
        assert found["raise_slots"].actions[0].startswith(f"{flag} higher")
    for nobody in ("ollama", None):
        found, _ = advised("slot_cap", target=server(nobody))
        assert not found["raise_slots"].changes
        assert not found["raise_slots"].actions[0].startswith("-")


def test_what_would_make_another_finding_worse_is_withheld() -> None:
    """With a full cache no more requests are let in, and that is said."""
    found, withheld = advised("cache_saturation", "slot_cap", "model_overloading")
    assert "raise_slots" not in found
    assert withheld["raise_slots"].why == "it would make this worse: cache saturation"
    assert withheld["raise_slots"].target == URL
    assert not any("--max-num-seqs higher" in each for one in found.values() for each in one.actions)


def test_a_latency_is_answered_by_its_cause() -> None:
    """TTFT behind a queue needs the queue answered; what would help TTFT itself is withheld, and why."""
    found, withheld = advised("model_overloading", "ttft_slo")
    assert "shorten_prefill" not in found
    assert withheld["shorten_prefill"].why == "answered by what is advised against its cause: model overloading"
    assert "scale_out" not in withheld  # it is advised, against the queue
    assert found["scale_out"].risks == ("model_overloading", "ttft_slo")


def test_what_an_estimate_advises_against_is_withheld() -> None:
    """Fewer bits are not advised where nobody would see what that does to the answers."""
    found, withheld = advised("itl_slo")
    assert "quantise_weights" not in found
    assert "--quality" in withheld["quantise_weights"].why


def test_one_piece_of_advice_for_several_findings_stands_once() -> None:
    """With all that it answers, and the words of each."""
    found, _ = advised("itl_slo", "tpot_slo")
    given_, _ = recommendations((finding("itl_slo"), finding("tpot_slo")), (server(),), {}, (), Settings())
    assert len(given_) == len({each.id for each in given_})
    one = found["smaller_steps"]
    assert one.risks == ("itl_slo", "tpot_slo")
    assert {"itl_slo holds", "tpot_slo holds"} <= set(one.because)


def test_numbers_come_from_the_finding_that_has_them() -> None:
    """Where nothing could be worked out for the worse finding, value and effect are those for the other one."""
    risks = (finding("model_overloading"), finding("admission_rejections"))
    estimates = iter((Estimate(because=("not known yet",)), Estimate(effect=EFFECT, values={"replicas": "3"})))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose, "EFFECTS", {"scale_out": lambda _: next(estimates)})
        found, _ = recommendations(risks, (server(),), {}, (), Settings())
    one = next(each for each in found if each.id == "scale_out")
    assert (one.effect, one.changes[0].proposed) == (EFFECT, "3")
    assert one.risks == ("model_overloading", "admission_rejections")
    assert "not known yet" in one.because


@pytest.mark.parametrize(
    ("names", "binding", "first"),
    [
        (("model_overloading",), None, "admission_control"),
        (("model_overloading",), "measured", "admission_control"),
        (("model_overloading",), "slots", "raise_slots"),
        (("model_overloading", "slot_cap"), "objective", "raise_slots"),  # what is seen outranks what is foretold
        (("model_overloading", "cache_saturation"), "slots", "kv_cache_capacity"),
        (("model_overloading", "itl_slo"), "objective", "smaller_steps"),
        (("stuck_server", "model_overloading"), "slots", "restart_server"),
        (("replica_imbalance", "model_overloading"), "measured", "balance_load"),
    ],
)
def test_what_lifts_the_limit_reached_first_comes_first(
    names: tuple[str, ...], binding: str | None, first: str
) -> None:
    """The limit decides among what lifts limits; the order of the findings decides the rest."""
    found, _ = advised(*names, binding=binding)
    assert next(iter(found)) == first


def test_the_rest_contributes() -> None:
    """One piece of advice lifts the limit that is reached first, and the others say that they contribute."""
    found, _ = advised("model_overloading", "slot_cap", binding="slots")
    said = {name: one.because[-1] for name, one in found.items() if "reached first" in one.because[-1]}
    assert said["raise_slots"] == "lifts the limit reached first: the limit of running requests"
    assert set(said.values()) - {said["raise_slots"]} == {
        "contributes; the limit reached first: the limit of running requests"
    }
    assert list(found)[1:3] == ["admission_control", "scale_out"]


def test_a_value_that_was_worked_out_is_proposed() -> None:
    """What an estimate gives stands in the flag; for each API server and engine its share."""
    knowns = {URL: known("measured", rate=10.0, arrivals=15.0)}
    for facts, cap in (({"flag_max_num_seqs": "8"}, "10"), ({"flag_api_server_count": "2"}, "5")):
        target = server("vllm", facts)
        found, _ = recommendations((finding("model_overloading"),), (target,), knowns, (), Settings())
        changes = {one.id: {each.flag: each.proposed for each in one.changes} for one in found}
        assert changes["admission_control"] == {"--max-num-queued-reqs": cap}
        assert changes["scale_out"] == {"--data-parallel-size": "2"}
    target = server("vllm", {"flag_data_parallel_size": "2"})
    found, _ = recommendations((finding("model_overloading"),), (target,), knowns, (), Settings())
    assert {each.flag: each.proposed for one in found for each in one.changes}["--data-parallel-size"] == "4"


def test_a_value_that_is_set_already_is_not_proposed() -> None:
    """Where the cap stands at what was worked out there is nothing to do."""
    target = server("vllm", {"flag_max_num_queued_reqs": "10"})
    knowns = {URL: known("measured", rate=10.0, arrivals=15.0)}
    found, withheld = recommendations((finding("model_overloading"),), (target,), knowns, (), Settings())
    assert "admission_control" not in {each.id for each in found}
    assert "already so: --max-num-queued-reqs 10" in {each.why for each in withheld}


@pytest.mark.parametrize(
    ("slots", "proposed", "advises"), [(12_000.0, "8000", False), (12_000.0, "12000", False), (6000.0, "8000", True)]
)
def test_a_value_in_thousands_is_still_a_number(slots: float, proposed: str, *, advises: bool) -> None:
    """`12 k` is how a person reads it; it is compared as 12 000."""
    action = Action("", "--max-running-requests", "max_running_requests", "{slots}", "higher", restart=True)
    target = replace(server("sglang"), quantities={"max_running_requests": Measure("1", value=slots)})
    found = setting(action, target, {"slots": proposed})
    assert found.now == units.value(slots, "1")
    assert found.done is not advises


def test_a_change_says_whether_it_names_a_value() -> None:
    """`512` can be typed; `lower` and `a size in GiB` cannot."""
    words = {
        each.then if not each.vague else each.vague
        for advice in ADVICE
        for some in advice.actions.values()
        for each in some
        if each.flag
    }
    inexact = {word for word in words if not setting(Action("", "--x", then=word), None, {}).exact}
    assert {"lower", "higher", "twice as many", "another value", "a size in GiB"} <= inexact
    assert {"fp8", "EAGLE3", "removed", "256", "1.3", ""} <= words - inexact
    assert not [word for word in words - inexact if word.isupper() and word.isalpha()]
    found, _ = advised("slot_cap")
    assert [each.exact for each in found["raise_slots"].changes] == [False]


def test_a_flag_that_only_informs_is_no_change() -> None:
    """What only lets the cached tokens be seen stands among the actions, and is nothing that could be followed."""
    found, _ = advised("prefix_cache_collapse")
    one = found["restore_prefix_cache"]
    assert any(each.startswith("--enable-prompt-tokens-details") for each in one.actions)
    assert [each.flag for each in one.changes] == ["--enable-prefix-caching"]


def test_lost_prefix_hits_are_first_answered_by_bringing_them_back() -> None:
    """What answers the finding itself comes before what makes it cost less."""
    for engine in ("vllm", "sglang", "llamacpp", None):
        found, _ = advised("prefix_cache_collapse", target=server(engine))
        assert next(iter(found)) == "restore_prefix_cache"


def test_a_gpu_is_answered_with_the_flags_of_its_server() -> None:
    """By its processes, else because it is the only one; where it cannot be told, without flags."""
    mine, other = server("vllm", gpus=(0,)), server("sglang", url=OTHER, gpus=(1,))
    gpus = (gpu(0), gpu(1, "GPU-2"), gpu(2, "GPU-3"))
    assert server_of("gpu:GPU-2", (mine, other), gpus) == other
    assert server_of("gpu:GPU-3", (mine, other), gpus) is None
    assert server_of("gpu:GPU-3", (mine,), gpus) == mine
    assert server_of(f"quality:{OTHER}", (mine, other), gpus) == other
    assert server_of("host", (mine, other), gpus) is None
    (one,), _ = recommendations((finding("gpu_oversubscription", "gpu:GPU-2"),), (mine, other), {}, gpus, Settings())
    assert (one.target, one.changes[0].flag) == ("gpu:GPU-2", "--mem-fraction-static")


def test_each_gpu_has_its_advice() -> None:
    """Two hot GPUs of one server are two places to cool."""
    risks = (finding("thermal_throttle", "gpu:GPU-1"), finding("thermal_throttle", "gpu:GPU-2"))
    found, _ = recommendations(risks, (server(gpus=(0, 1)),), {}, (gpu(0), gpu(1, "GPU-2")), Settings())
    assert [(each.id, each.target) for each in found] == [("cool_gpu", "gpu:GPU-1"), ("cool_gpu", "gpu:GPU-2")]


def test_one_command_puts_back_what_was_lowered_on_several_gpus() -> None:
    """The command names every GPU whose limit was lowered, and stands once; another limit has a command of its own."""
    evidence = tuple(Evidence("power_limit_watts", 200.0, "W", threshold=most) for most in (700.0, 700.0, 500.0))
    risks = tuple(
        replace(finding("power_cap", f"gpu:GPU-{index}"), summary=f"GPU {index}, lowered", evidence=(each,))
        for index, each in enumerate(evidence)
    )
    gpus = tuple(gpu(index, f"GPU-{index}") for index in range(3))
    found, _ = recommendations(risks, (server(gpus=(0, 1, 2)),), {}, gpus, Settings())
    commands = [each.actions[0].rpartition(": ")[2] for each in found]
    assert commands == ["nvidia-smi -i 0,1 -pl 700", "nvidia-smi -i 2 -pl 500"]
    assert [each.target for each in found] == [None, "gpu:GPU-2"]


def test_who_is_refused_is_not_told_of_a_cap() -> None:
    """With room, a higher limit and in which state it refuses; without, capacity; never a cap, and no word for one."""
    room = replace(
        server("vllm"),
        quantities={"requests_running": Measure("1", value=37.0), "kv_cache_usage": Measure("ratio", value=0.13)},
    )
    found, withheld = advised("admission_rejections", target=room)
    first = next(iter(found.values()))
    assert first.title == "Raise the admission limit"
    assert "refused while 37 run and KV is 13 %: raise the admission limit, or add capacity" in first.because
    assert [(each.flag, each.proposed) for each in first.changes] == [("--max-num-queued-reqs", "higher")]
    assert not found["scale_out"].changes
    assert not [each for one in found.values() for each in one.actions if "a number" in each]
    full = replace(room, quantities=room.quantities | {"kv_cache_usage": Measure("ratio", value=0.97)})
    found, withheld = advised("admission_rejections", target=full)
    assert list(found) == ["scale_out"]
    assert withheld["raise_admission"].why.endswith("there is no room for more, add capacity")
    found, withheld = advised("model_overloading", "admission_rejections", target=room)
    assert "admission_control" not in found
    assert {"admission_control", "raise_admission"} <= set(withheld)


def test_a_limit_that_is_only_seen_is_said_to_be() -> None:
    """`~32 (seen)` where the most that ran is known and the flag is not; of several engines each its share."""
    action = next(each for each in ADVICE if each.id == "raise_slots").actions["vllm"][0]
    found = setting(action, server("vllm"), {"slots": "48", "slots_seen": "32"})
    assert (found.now, found.proposed) == ("~32 (seen)", "48")
    assert found.text == "--max-num-seqs 48 (now ~32 seen; takes a restart)"
    told = setting(action, server("vllm", {"flag_max_num_seqs": "32"}), {"slots": "48", "slots_seen": "31"})
    assert told.now == "32"
    assert setting(action, server("vllm"), {"slots": "48"}).now is None


def test_advice_says_what_it_costs_and_what_would_disprove_it() -> None:
    """Cost, harm and what would show that it was wrong come with the advice, and why no effect is told."""
    found, _ = advised("cache_saturation")
    one = found["kv_offload"]
    assert one.cost
    assert one.harm
    assert one.disproved_by
    assert one.effect is None
    assert len(one.because) >= 2


PLACES = {"gpu": "gpu:GPU-1", "host": "host", "driver": "nvml", "quality": f"quality:{URL}", "monitor": "monitor"}


@given(
    st.sets(st.sampled_from([rule.id for rule in RULES])),
    st.sampled_from(["vllm", "sglang", "tgi", "trtllm", "llamacpp", "lmdeploy", None]),
    st.sampled_from([None, "slots", "kv_cache", "objective", "measured"]),
    st.dictionaries(st.sampled_from(["flag_max_num_seqs", "cache_dtype", "flag_parallel"]), st.just("8")),
)
def test_every_finding_has_its_advice_or_a_reason(
    names: set[str], engine: str | None, binding: str | None, facts: dict[str, str]
) -> None:
    """Whatever is found together: each finding is answered or its advice withheld, nothing is both, and none twice."""
    risks = tuple(finding(rule.id, PLACES.get(rule.of.value, URL)) for rule in RULES if rule.id in names)
    target = server(engine, facts)
    found, withheld = recommendations(risks, (target,), {URL: known(binding)}, (gpu(),), Settings())
    keys = [(each.id, each.target) for each in found]
    assert len(set(keys)) == len(keys)
    assert not set(keys) & {(each.id, each.target) for each in withheld}
    answered = {name for each in found for name in each.risks}
    assert names <= answered or withheld
    for one in found:
        assert one.actions
        assert all(each.now is None or each.now != each.proposed for each in one.changes)
