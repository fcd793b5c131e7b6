"""`insight.recommend.catalogue`: every finding is answered, in flags that exist, in words that fit."""

from __future__ import annotations

import re
import string

import pytest

from collectors.engine_flags import FLAGS
from insight.recommend.catalogue import ADVICE, ANY, KINDS, OTHERS, Action, Advice
from insight.recommend.effects import EFFECTS
from insight.rules import RULES
from metrics.finding import Evidence, Risk, RiskState, Severity
from metrics.quantity import QUANTITIES

RULE_IDS = {rule.id for rule in RULES}
ENGINES = ("vllm", "sglang", "tgi", "trtllm", "llamacpp")
WIDTH = 68
"""What an 80-column screen leaves for a line of advice, behind its label."""
READ_NOWHERE = {
    # Objects and paths on a command line are not kept, so these are not in `collectors.engine_flags`.
    "vllm": {"--speculative-config"},  # vllm/engine/arg_utils.py, 0.32
    "sglang": {"--warmups"},  # docs.sglang.io, server arguments
    "llamacpp": {"-md"},  # tools/server/README.md
    # Keys of the file behind --extra_llm_api_options: LlmArgs and KvCacheConfig of the LLM API.
    "trtllm": {
        "kv_cache_config.enable_block_reuse",
        "kv_cache_config.host_cache_size",
        "speculative_config",
    },
}
FACTS = {
    # What these servers tell of themselves: `collectors.engines.*_facts`, `tgi`.
    "vllm": {"cache_dtype", "enable_prefix_caching", "gpu_memory_utilization", "max_num_batched_tokens"},
    "sglang": {
        *("chunked_prefill_size", "disable_radix_cache", "dp_size", "kv_cache_dtype", "mem_fraction_static"),
        *("quantization", "schedule_policy", "speculative_algorithm", "tp_size"),
    },
    "tgi": {"max_concurrent_requests"},
}
WORKED_OUT = {"in_flight", "queue", "replicas", "slots", "budget"}
"""What estimates give for the proposed values (`insight.recommend.effects`)."""


def spellings(engine: str) -> dict[str, str]:
    """Every name of a flag of an engine that is read, with the fact that tells its value."""
    known = FLAGS[engine]
    found: dict[str, str] = {}
    for names in (*known.numbers, *known.words, *known.switches):
        first, *others = names.split()
        fact = "flag_" + first.removeprefix("--").replace("-", "_")
        found |= {each.removeprefix("!"): fact for each in (first, *others)}
        if names in known.switches:
            found["--no-" + first.removeprefix("--")] = fact
    return found


def actions() -> list[tuple[Advice, str, Action]]:
    return [(advice, engine, each) for advice in ADVICE for engine, some in advice.actions.items() for each in some]


@pytest.mark.parametrize("engine", [*ENGINES, "another", None])
def test_every_finding_is_answered(engine: str | None) -> None:
    """Whatever is found on whatever server, there is something to do about it."""
    answered = {rule for advice in ADVICE for rule in advice.rules if advice.offered(engine)}
    assert answered == RULE_IDS


def test_every_class_of_advice_is_there() -> None:
    """Each of the classes has advice, and no advice is of another one."""
    assert {advice.kind for advice in ADVICE} == set(KINDS)


def test_advice_has_one_name() -> None:
    """No two pieces of advice have one id or one title, and every estimate belongs to one of them."""
    assert len({advice.id for advice in ADVICE}) == len(ADVICE) == len({advice.title for advice in ADVICE})
    assert set(EFFECTS) <= {advice.id for advice in ADVICE}


def test_every_flag_exists() -> None:
    """A flag that is named for an engine is one of its flags, as it is typed there."""
    for advice, engine, action in actions():
        if action.flag:
            assert engine in ENGINES, f"{advice.id}: {action.flag} for no engine"
            dashed = (
                action.flag.replace("_", "-") if action.flag.startswith("--") and engine == "trtllm" else action.flag
            )
            assert dashed in spellings(engine) or action.flag in READ_NOWHERE.get(engine, set()), action.flag


def test_what_is_in_force_is_asked_of_what_is_read() -> None:
    """The value in force comes from a flag that is kept, a fact that the server tells, or a gauge; of the same flag."""
    for _, engine, action in actions():
        if not action.now:
            continue
        for name in (*action.now.split(), *action.shared_by.split(), *action.times.split()):
            known = {*spellings(engine).values(), *FACTS.get(engine, set()), *QUANTITIES}
            assert name in known, (engine, name)
        flags = [each for each in action.now.split() if each.startswith("flag_")]
        spelt = spellings(engine).get(action.flag.replace("_", "-") if engine == "trtllm" else action.flag)
        assert not flags or spelt is None or spelt in flags, (engine, action.flag)


def test_a_flag_takes_a_restart_and_says_what_is_set() -> None:
    """No flag is changed on a running server, and each that is read stands beside its value now."""
    for advice, engine, action in actions():
        if action.flag:
            assert action.restart, (advice.id, action.flag)
            assert action.now or action.flag in READ_NOWHERE[engine], (advice.id, action.flag)


def test_what_an_estimate_fills_in_has_words_where_there_is_none() -> None:
    """A value that is to be worked out is one that some estimate gives, with a word for where it cannot."""
    for advice, _, action in actions():
        named = {name for _, name, _, _ in string.Formatter().parse(action.then) if name}
        assert named <= WORKED_OUT, advice.id
        assert action.to_be_worked_out is bool(named)
        assert not named or advice.id in EFFECTS, advice.id


def test_what_makes_another_finding_worse_is_a_finding() -> None:
    """`not_with` names a rule."""
    assert {action.not_with for _, _, action in actions()} - {""} <= RULE_IDS


def test_the_words_fit() -> None:
    """Title and flag stand on one line of 80 columns; no sentence is longer than two of them."""
    for advice in ADVICE:
        assert len(advice.title) <= 40, advice.title
        for text in (advice.cost, advice.harm, advice.disproved_by, advice.because):
            assert len(text) <= 2 * WIDTH, text
        assert advice.disproved_by, advice.id
        assert advice.because, advice.id
    for advice, _, action in actions():
        if action.flag:
            now = "now 123456, " if action.now else ""
            assert len(f"{action.flag} {action.vague or action.then} ({now}restart)") <= WIDTH, action.flag
        assert len(action.text) <= 2 * WIDTH, action.text
        assert action.text or action.flag, advice.id


def test_flags_of_one_engine_are_named_for_no_other() -> None:
    """What holds for any server names no flag of an engine, in no word of it."""
    own = re.compile(r"--(max-num|enable-|tensor|kv-|gpu-|ctx|chunked|mem-)")
    for advice in ADVICE:
        for key in (ANY, OTHERS):
            assert not [each for each in advice.actions.get(key, ()) if each.flag or own.search(each.text)], advice.id


def of_finding(advice_id: str, rule: str, *evidence: Evidence, summary: str = "GPU 3, ...") -> list[str]:
    """What is offered on vLLM for a finding with these numbers."""
    risk = Risk(
        id=rule,
        title=rule,
        state=RiskState.FIRING,
        severity=Severity.WARNING,
        likelihood="",
        impact="",
        description="",
        mitigation="",
        since=None,
        target=None,
        summary=summary,
        evidence=evidence,
    )
    advice = next(each for each in ADVICE if each.id == advice_id)
    return [each.text for each in advice.offered("vllm", risk)]


def test_an_xid_is_answered_by_what_it_asks_for_alone() -> None:
    """XID 94 asks for a restart of the application, and no other XID is spoken of."""
    told = of_finding("xid_action", "xid", Evidence("xid", 94.0, "1"))
    assert told[1:] == ["XID 94, restart the application that was hit"]
    assert "nvidia-bug-report" in told[0]


def test_each_hardware_fault_has_its_own_advice() -> None:
    """A pending row waits for the maintenance, and no fault is told what is for another one."""
    pending, failed = (Evidence(f"remapped_rows_{each}", 1.0, "1") for each in ("pending", "failed"))
    waits = of_finding("remap_at_maintenance", "row_remap", pending)
    assert waits == ["in the next maintenance window, drain it and reset it: then the row is remapped"]
    assert not of_finding("replace_memory", "row_remap", pending)
    assert not of_finding("remap_at_maintenance", "row_remap", failed)
    assert of_finding("replace_memory", "row_remap", failed)[-1].startswith("have the board replaced")
    brake = Evidence("throttle", 1.0, "1", text="hardware power brake for 40 s")
    slowdown = Evidence("throttle", 1.0, "1", text="hardware slowdown for 40 s")
    assert "redundancy of the power supply" in of_finding("power_supply", "hw_slowdown", brake)[0]
    assert not of_finding("hardware_check", "hw_slowdown", brake)
    assert not of_finding("power_supply", "hw_slowdown", slowdown)
    assert of_finding("hardware_check", "hw_slowdown", slowdown)
    for rule in ("pcie_degraded", "nvlink_degraded", "gpu_lost", "ecc_uncorrected"):
        (advice,) = (each for each in ADVICE if rule in each.rules)
        assert advice.rules == (rule,)
    told = " ".join(of_finding("pcie_link", "pcie_degraded"))
    assert not re.search("drain|power brake|NVLink, reset", told)


def test_a_limit_that_was_lowered_is_put_back() -> None:
    """With the command that does it; where it was not lowered, it is measured first."""
    lowered = Evidence("power_limit_watts", 200.0, "W", threshold=700.0)
    assert of_finding("power_limit", "power_cap", lowered) == ["put it back: nvidia-smi -i 3 -pl 700"]
    assert any("measure" in each for each in of_finding("power_limit", "power_cap"))


def test_a_neighbour_is_named_before_any_flag() -> None:
    """Who is to go comes first; the server's share of the GPU is for where both have to stay."""
    train = Evidence("processes", 0.1, "ratio", text="python train.py (4242) holds 6 GiB of its memory")
    told = of_finding("exclusive_gpu", "gpu_oversubscription", train)
    assert told[0] == "move what is not the server's away: python train.py (4242)"
    assert told[-1] == "its share, where both have to stay"


@pytest.mark.parametrize("engine", [*ENGINES, "another", None])
def test_cores_come_before_the_flags_that_use_fewer_of_them(engine: str | None) -> None:
    """On every kind of server the first thing is that it gets its cores, and the second that neighbours leave them."""
    advice = next(each for each in ADVICE if each.id == "host_cpu")
    first, second, *flags = advice.offered(engine)
    assert first.text.startswith("two physical cores")
    assert second.text.startswith("move neighbours")
    assert all(each.flag for each in flags)


def test_a_warm_server_is_not_warmed_up() -> None:
    """A cache that collapsed was warm before: a warm-up answers a cold start alone."""
    assert next(each for each in ADVICE if each.id == "warm_up").rules == ("cold_start",)
