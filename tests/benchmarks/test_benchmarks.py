from __future__ import annotations

import importlib

import pytest

from tests.benchmarks.__main__ import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_that_is_named_can_be_run(name: str) -> None:
    """The table that the README points to can be made: each part of it is there. What it measures is no test."""
    assert callable(importlib.import_module(f"tests.benchmarks.{name}").measure)
