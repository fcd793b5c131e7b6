from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.quality.imports import read_results
from insight.quality.statistics import wilson

LM_EVAL: dict[str, Any] = {
    "results": {
        "gsm8k": {
            "alias": "gsm8k",
            "exact_match,strict-match": 0.5,
            "exact_match_stderr,strict-match": 0.0707,
            "exact_match,flexible-extract": 0.56,
            "exact_match_stderr,flexible-extract": "N/A",
        },
        "wikitext": {"alias": "wikitext", "word_perplexity,none": 12.5, "word_perplexity_stderr,none": 0.5},
        "mmlu": {"alias": "mmlu", "acc,none": 0.6537, "acc_stderr,none": 0.01},
    },
    "n-samples": {"gsm8k": {"original": 1319, "effective": 50}, "mmlu": {"original": 57, "effective": 57}},
    "config": {"model": "local-completions"},
}
INSPECT: dict[str, Any] = {
    "version": 2,
    "status": "success",
    "eval": {"task": "inspect_evals/arc", "model": "openai/local"},
    "results": {
        "total_samples": 20,
        "completed_samples": 20,
        "scores": [
            {
                "name": "choice",
                "scorer": "choice",
                "metrics": {
                    "accuracy": {"name": "accuracy", "value": 0.9, "options": {}},
                    "stderr": {"name": "stderr", "value": 0.0688},
                },
            }
        ],
    },
}


def test_lm_eval() -> None:
    """By task, metric and filter; a share of n items has Wilson's interval, any other value its standard error's."""
    found = read_results(LM_EVAL)
    assert list(found) == [
        "gsm8k/exact_match,strict-match",
        "gsm8k/exact_match,flexible-extract",
        "wikitext/word_perplexity",
        "mmlu/acc",
    ]
    strict, expected = found["gsm8k/exact_match,strict-match"], wilson(25, 50)
    assert expected is not None
    assert (strict.value, strict.count, strict.lo, strict.hi) == (0.5, 50.0, expected.lo, expected.hi)
    assert (strict.unit, strict.source) == ("ratio", "imported")
    perplexity = found["wikitext/word_perplexity"]
    assert (perplexity.unit, perplexity.count) == ("1", None)
    assert perplexity.lo == pytest.approx(11.52, abs=0.01)
    assert perplexity.hi == pytest.approx(13.48, abs=0.01)


def test_a_weighted_share_is_no_count() -> None:
    """0.6537 of 57 is no whole number of hits: the standard error that the file gives is used."""
    mmlu = read_results(LM_EVAL)["mmlu/acc"]
    assert mmlu.lo == pytest.approx(0.6341, abs=1e-4)
    assert mmlu.hi == pytest.approx(0.6733, abs=1e-4)


def test_inspect() -> None:
    """By task, scorer and metric; the standard error is no metric of its own."""
    found = read_results(INSPECT)
    assert list(found) == ["arc/choice/accuracy"]
    accuracy = found["arc/choice/accuracy"]
    assert (accuracy.value, accuracy.count) == (0.9, 20.0)
    assert (round(accuracy.lo or 0, 3), round(accuracy.hi or 0, 3)) == (0.699, 0.972)


@pytest.mark.parametrize("other", [None, 3, [], {}, {"results": {}}, {"results": [1]}, {"results": {"a": 1}}])
def test_other_files_are_refused(other: object) -> None:
    """In one line that names both kinds that can be read."""
    with pytest.raises(ValueError, match=r"neither a result file of lm-eval .* nor a JSON log of Inspect"):
        read_results(other)


@pytest.mark.parametrize("empty", [{"results": {"a": {}}}, {"eval": {}, "results": {"scores": []}}])
def test_a_run_that_did_not_end_is_refused(empty: object) -> None:
    """No result is not an accuracy of 0."""
    with pytest.raises(ValueError, match="it holds no result"):
        read_results(empty)


@pytest.mark.parametrize("wild", [10**400, -(10**400), 1e300, float("inf"), float("nan")])
def test_a_number_that_cannot_be_is_no_result(wild: float) -> None:
    """A value or a count beyond all that is measured is left out; the rest of the file is read."""
    found = read_results(
        {
            "results": {"a": {"acc,none": 0.5, "f1,none": wild}, "b": {"acc,none": wild}},
            "n-samples": {"a": {"effective": wild}},
        }
    )
    assert {name: (each.value, each.count) for name, each in found.items()} == {"a/acc": (0.5, None)}


def test_a_name_cannot_act_on_a_terminal() -> None:
    """Tasks and metrics are named by somebody else's file: what is not printable is left out of their names."""
    names = list(read_results({"results": {"a\x1b]0;title\x07\nb": {"acc\u202e,none": 0.5, "x" * 999 + ",none": 1}}}))
    assert names[0] == "a]0;titleb/acc"
    assert len(names[1]) == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["results", "eval", "scores", "metrics", "value", "acc,none", "n-samples"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_or_refused(document: object) -> None:
    """Whatever stands in a file, it gives measures or a ValueError."""
    try:
        found = read_results(document)
    except ValueError:
        return
    assert found
    assert all(each.value is not None for each in found.values())
