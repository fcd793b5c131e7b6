"""The GPUs in a report: which of their parts are in use, where they tell."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from insight.report import render
from tests.insight.report import canned


def shares(dram: float, tensor: float) -> dict[str, float]:
    return {"dram_utilisation": dram, "tensor_utilisation": tensor}


@pytest.mark.parametrize(
    ("gauges", "said"),
    [
        (
            [shares(0.72, 0.12), shares(0.65, 0.12)],
            "65 % to 72 % of the memory bandwidth and 12 % of the tensor cores.",
        ),
        ([shares(0.72, 0.12), {}], "72 % of the memory bandwidth and 12 % of the tensor cores."),
        ([{}, {}], None),
        ([{"dram_utilisation": 0.72}, {}], None),
    ],
)
def test_one_line_says_which_parts_are_in_use(gauges: list[dict[str, float]], said: str | None) -> None:
    """The shares of the GPUs that tell them are one sentence under the table; where none does there is no word."""
    snapshot = canned.healthy()
    gpus = tuple(replace(snapshot.gpus[0], index=index, gauges=each) for index, each in enumerate(gauges))
    text = " ".join(render(replace(snapshot, gpus=gpus), "md").decode().split())
    assert ("In use at the last poll (GPM):" in text) == (said is not None)
    assert said is None or f"In use at the last poll (GPM): {said}" in text
