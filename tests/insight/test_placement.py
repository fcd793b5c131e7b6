"""Which GPUs are spoken of, in words."""

from __future__ import annotations

import pytest

from insight.rules.placement import span
from metrics.sample import Sample, Source
from metrics.store import Store
from metrics.view import View


@pytest.mark.parametrize(
    ("indexes", "said"),
    [
        (("0", "1", "2"), "GPUs 0-2"),
        (("2", "0"), "GPUs 0, 2"),
        (("0", "1"), "GPUs 0, 1"),
        (("0", "1", "18446744073709551616"), "GPUs 0, 1, 18446744073709551616"),
        (("0", "1", "²"), "3 GPUs"),
        (("", "0"), "2 GPUs"),
    ],
)
def test_several_gpus_are_named_by_their_indexes(indexes: tuple[str, ...], said: str) -> None:
    """Those that follow on each other are a range; an index from a recording that no driver gave costs nothing."""
    store = Store()
    for number, index in enumerate(indexes):
        store.add(Sample(f"gpu:{number}", Source.GPU, 1.8e9, 0.0, facts={"index": index}))
    assert span(list(View(store, 0.0, 1.8e9).all(Source.GPU))) == said
