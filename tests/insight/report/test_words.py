"""What things are called, and how numbers with an interval are written."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from insight.report.words import effect_text, engine_name, opening, quantity_name, range_text, sentence, subject, titled
from metrics.effect import Effect, Grade
from metrics.quantity import QUANTITIES
from tests.insight.report import canned


@pytest.mark.parametrize(
    ("quantity", "name"),
    [
        ("ttft_seconds", "TTFT"),
        ("ttft_p95", "TTFT p95"),
        ("itl_seconds", "ITL"),
        ("prefill_seconds", "prefill"),
        ("prompt_tokens", "prompt length"),
        ("prompt_tokens_total", "prompt tokens"),
        ("requests_waiting", "requests waiting"),
        ("host_memory_used_bytes", "host memory used"),
        ("seconds_without_progress", "seconds without progress"),
    ],
)
def test_quantity_name(quantity: str, name: str) -> None:
    """A quantity has the name that the field uses for it; its unit stands at the number."""
    assert quantity_name(quantity) == name


def test_names_are_distinct() -> None:
    """No two quantities of one table share a name."""
    names = [quantity_name(quantity) for quantity in QUANTITIES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("text", "sentence_", "opened"),
    [
        ("no risk found", "no risk found.", "No risk found."),
        ("pending: x", "pending: x.", "Pending: x."),
        ("vLLM is down.", "vLLM is down.", "vLLM is down."),
        ("http://a is down", "http://a is down.", "http://a is down."),
        ("", "", ""),
    ],
)
def test_sentences(text: str, sentence_: str, opened: str) -> None:
    """A text ends as a sentence, and begins as one where it stands alone."""
    assert sentence(text) == sentence_
    assert opening(text) == opened


def test_subject() -> None:
    """A finding is about a server by its URL, a GPU by its index, or what the Snapshot calls it."""
    snapshot = canned.overloaded()
    assert subject(snapshot, canned.URL) == canned.URL
    assert subject(snapshot, "gpu:GPU-00000001") == "GPU 1"
    assert subject(snapshot, "host") == "host"
    assert subject(snapshot, None) == ""
    assert titled("Cool GPU 1", "GPU 1") == "Cool GPU 1"
    assert titled("Cool it", "GPU 1") == "Cool it (GPU 1)"


@pytest.mark.parametrize(
    ("lo", "mid", "hi", "text"),
    [
        (0.5, 0.7, 1.1, "TTFT p95 33.2 s now, ~0.70 s [0.50-1.10 s] expected, basis model, grade B"),
        (0.0, None, 1.9, "TTFT p95 33.2 s now, <1.9 s expected, basis model, grade B"),
        (None, 0.7, None, "TTFT p95 33.2 s now, ~0.7 s expected, basis model, grade B"),
        (None, None, None, "TTFT p95 33.2 s now, — expected, basis model, grade B"),
    ],
)
def test_effect(lo: float | None, mid: float | None, hi: float | None, text: str) -> None:
    """An effect is written with as much of its interval as is known, its basis and its grade."""
    effect = Effect("ttft_p95", 33.2, lo, mid, hi, "s", "model", Grade.B)
    advice = canned.overloaded().recommendations[0]
    assert effect_text(replace(advice, effect=effect)) == text
    assert effect_text(replace(advice, effect=None)) == "not estimated"


@pytest.mark.parametrize(
    ("lo", "hi", "text"),
    [(10.2, 14.0, "10.2-14/s"), (0.0, 14.0, "<14/s"), (10.2, None, ">10.2/s"), (10.2, 10.9, "10.2-10.9/s")],
)
def test_an_interval_of_a_rate(lo: float, hi: float | None, text: str) -> None:
    """A rate has `/s` behind its interval, as it has behind one number."""
    assert range_text(lo, hi, "1/s") == text
    effect = Effect("requests_finished", 9.8, lo, None, hi, "1/s", "model", Grade.B)
    advice = replace(canned.overloaded().recommendations[0], effect=effect)
    assert effect_text(advice) == f"requests finished 9.8/s now, {text} expected, basis model, grade B"


@pytest.mark.parametrize(
    ("engine", "name"),
    [("vllm", "vLLM"), ("openai", "OpenAI-compatible"), (None, "unknown engine"), ("newcomer", "newcomer")],
)
def test_engine_name(engine: str | None, name: str) -> None:
    """An engine is called as its makers write it, and one that is not known as it calls itself."""
    assert engine_name(engine) == name
