"""`insight.verification.followed`: what counts as advice that was followed."""

from __future__ import annotations

import pytest

from insight.verification.followed import followed, other_value
from insight.verification.settings import Setting
from metrics.finding import Change, Recommendation

WORDS = {"lower", "higher", "another value", "twice as many", "a size in GiB", "lower, or removed", "lower or higher"}


def advice(flag: str, proposed: str) -> Recommendation:
    change = Change(flag, None, proposed, restart=True, exact=proposed not in WORDS)
    return Recommendation("kv_cache_capacity", "Make room", (), None, (), changes=(change,))


@pytest.mark.parametrize(
    ("flag", "proposed", "name", "before", "after", "told"),
    [
        ("--gpu-memory-utilization", "higher", "gpu_memory_utilization", "0.85", "0.9", True),
        ("--gpu-memory-utilization", "higher", "gpu_memory_utilization", "0.9", "0.7", False),
        ("--max-model-len", "lower", "flag_max_model_len", "8192", "4096", True),
        ("--max-model-len", "lower", "flag_max_model_len", "4096", "8192", False),
        ("--max-model-len", "lower", "flag_max_model_len", None, "8192", False),
        ("--kv-cache-dtype", "fp8", "cache_dtype", "auto", "FP8", True),
        ("--kv-cache-dtype", "fp8", "cache_dtype", "auto", "fp8_e4m3", True),
        ("--kv-cache-dtype", "fp8", "cache_dtype", "fp8", "bf16", False),
        ("--enable-prefix-caching", "on", "enable_prefix_caching", "False", "True", True),
        ("--enable-prefix-caching", "on", "enable_prefix_caching", "True", "False", False),
        ("--no-enable-prefix-caching", "on", "enable_prefix_caching", "True", "False", True),
        ("--no-enable-prefix-caching", "on", "enable_prefix_caching", "False", "True", False),
        ("--quantization", "removed", "flag_quantization", "fp8", None, True),
        ("--quantization", "removed", "flag_quantization", None, "fp8", False),
        ("--disable-radix-cache", "removed", "disable_radix_cache", "True", "False", True),
        ("--speculate", "lower, or removed", "flag_speculate", "4", "2", True),
        ("--speculate", "lower, or removed", "flag_speculate", "4", None, True),
        ("--speculate", "lower, or removed", "flag_speculate", "2", "4", False),
        ("--max-num-seqs", "another value", "flag_max_num_seqs", "64", "128", False),
        ("--max-num-seqs", "lower or higher", "flag_max_num_seqs", "64", "128", False),
        ("--tensor-parallel-size", "twice as many", "flag_tensor_parallel_size", "2", "1", False),
        ("--kv-offloading-size", "a size in GiB", "flag_kv_offloading_size", "8", "0", False),
        ("--max-num", "512", "flag_max_num_seqs", "256", "512", False),
        ("-c", "higher", "flag_ctx_size", "4096", "8192", True),
        ("-c", "higher", "flag_ctx_size", "8192", "4096", False),
        ("-np", "4", "flag_parallel", "1", "4", True),
        ("-np", "4", "max_running_requests", "1", "4", True),
        ("-ctk", "q8_0", "flag_cache_type_k", "f16", "q8_0", True),
        ("--dp", "2", "flag_dp_size", "1", "2", True),
        ("--tp", "4", "tp_size", "2", "4", True),
        ("--spec-tokens", "lower", "flag_num_speculative_tokens", "5", "3", True),
    ],
)
def test_a_setting_follows_where_it_became_what_was_proposed(
    flag: str, proposed: str, name: str, before: str | None, after: str | None, *, told: bool
) -> None:
    """By value and by direction, whatever the case of the letters; words that name neither take --applied."""
    one, settings = advice(flag, proposed), [Setting(name, before, after)]
    said = f"{flag} {before or 'not set'} -> {after or 'not set'}"
    assert followed(one, settings, (), "") == (said if told else "")
    assert followed(one, settings, [one.id], "") == "named by --applied"
    assert not (told and other_value(one.changes, settings))


def test_what_was_set_otherwise_refuses_what_was_named() -> None:
    """An effect that is foretold for one value or one direction says nothing of another."""
    cases = (("--kv-cache-dtype", "fp8", "cache_dtype", "bf16"), ("--gpu-memory-utilization", "higher", "", "0.7"))
    for flag, proposed, name, after in cases:
        settings = [Setting(name or "gpu_memory_utilization", "0.9", after)]
        refused = other_value(advice(flag, proposed).changes, settings)
        assert refused == f"{flag} was set to {after}, and the effect is foretold for {proposed}"
    assert other_value(advice("--max-num-seqs", "another value").changes, [Setting("max_num_seqs", "1", "2")]) == ""


@pytest.mark.parametrize(
    ("flag", "mark", "told"),
    [
        ("-c", "pre-change", False),
        ("-c", "cpu-clock back", False),
        ("-c", "now with -c 8192", True),
        ("--max-num", "--max-num-seqs", False),
        ("--max-num-seqs", "--max-num-seqs=512", True),
        ("--max-num-seqs", "--MAX-NUM-SEQS 512.", True),
        ("--max-num-seqs", "did NOT change --max-num-seqs", False),
        ("--max-num-seqs", "no --max-num-seqs", False),
        ("--max-num-seqs", "didn't set --max-num-seqs", False),
        ("--max-num-seqs", "did not restart, set --max-num-seqs", True),
        ("--no-enable-prefix-caching", "--no-enable-prefix-caching", True),
        ("--enable-prefix-caching", "--no-enable-prefix-caching", False),
        ("-c", "make room", True),
        ("-c", "kv_cache_capacity done", True),
        ("-c", "not kv_cache_capacity", False),
        ("-c", "", False),
    ],
)
def test_a_mark_names_whole_words_and_denies_none(flag: str, mark: str, *, told: bool) -> None:
    """Id, title or flag as it is typed, and no `not` before it."""
    assert followed(advice(flag, "512"), [], (), mark) == (f"the mark says {mark!r}" if told else "")


def test_advice_without_a_change_takes_its_name() -> None:
    """A flag that only stands in the words of advice sets nothing that an effect is foretold for."""
    one = Recommendation("look", "Look", ("--enable-prompt-tokens-details: tells",), None, ())
    settings = [Setting("flag_enable_prompt_tokens_details", None, "True")]
    assert followed(one, settings, (), "--enable-prompt-tokens-details on") == ""
