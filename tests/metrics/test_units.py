"""How numbers become text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import units
from metrics.histogram import Quantile


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (0.016_72, "s", "16.7 ms"),
        (0.999_4, "s", "999 ms"),
        (0.999_6, "s", "1 s"),
        (33.24, "s", "33.2 s"),
        (0.000_012, "s", "12 µs"),
        (0.0, "s", "0 s"),
        (0.961, "ratio", "96.1 %"),
        (70.3 * 2**30, "bytes", "70.3 GiB"),
        (512.0, "bytes", "512 B"),
        (1_200_000.0, "bytes/s", "1.14 MiB/s"),
        (1.98e9, "Hz", "1980 MHz"),
        (61.4, "celsius", "61 °C"),
        (508.4, "W", "508 W"),
        (9.46, "W", "9.5 W"),
        (152_000.0, "J", "152 kJ"),
        (54.0, "1", "54"),
        (1.2, "1/s", "1.2/s"),
        (40_400.0, "tokens", "40.4 k tokens"),
        (None, "s", "—"),
        (None, "1/s", "—"),
        (math.nan, "ratio", "—"),
    ],
)
def test_value(number: float | None, unit: str, text: str) -> None:
    """A value in SI base units is written with three digits and the unit that a person reads."""
    assert units.value(number, unit) == text


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (1.2, "1", "1.2/s"),
        (97.0, "tokens", "97 tokens/s"),
        (1_200_000.0, "bytes", "1.14 MiB/s"),
        (3e14, "FLOP", "300 TFLOP/s"),
        (0.0, "1", "0/s"),
        (None, "bytes", "—"),
        (math.nan, "1", "—"),
    ],
)
def test_rate(number: float | None, unit: str, text: str) -> None:
    """A rate is written per second; of bytes, in binary multiples."""
    assert units.rate(number, unit) == text


@pytest.mark.parametrize(
    ("quantile", "bounds", "estimate"),
    [
        (Quantile(33.2, 20.0, 40.0), "20-40 s", "~33.2 s"),
        (Quantile(None, 160.0, None), ">160 s", ">160 s"),
        (Quantile(0.05, 0.0, 0.1), "<100 ms", "<100 ms"),
        (Quantile(0.9, 0.8, 1.0), "800 ms-1 s", "~900 ms"),
        (Quantile(30.0, 20.0, None), ">20 s", "~30 s"),
        (None, "—", "—"),
    ],
)
def test_quantile(quantile: Quantile | None, bounds: str, estimate: str) -> None:
    """A quantile is an interval that is certain and an estimate that says it is one."""
    assert units.bounds(quantile, "s") == bounds
    assert units.estimate(quantile, "s") == estimate


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0.4 s"),
        (9.96, "10 s"),
        (41.0, "41 s"),
        (60.0, "1 min"),
        (725.0, "12 min 5 s"),
        (3_600.0, "1 h"),
        (3_601.0, "1 h"),
        (273_600.0, "3 d 4 h"),
        (-41.0, "-41 s"),
        (None, "—"),
        (math.nan, "—"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    """A length of time is written in its two largest parts."""
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (54, "54"),
        (9_999, "9999"),
        (12_345, "12.3 k"),
        (2.5e6, "2.5 M"),
        (3e9, "3 G"),
        (0.1, "0.1"),
        (None, "—"),
    ],
)
def test_count(number: float | None, text: str) -> None:
    """A count is whole while it is small, and then has three digits."""
    assert units.count(number) == text


@given(st.floats(1e-3, 1e5))
def test_digits_keep_three(number: float) -> None:
    """What is written is within half a unit of the third digit, and never in exponent form."""
    text = units.digits(number)
    assert "e" not in text
    assert float(text) == pytest.approx(number, rel=0.005_001)


def test_moments_are_utc() -> None:
    """A moment is written as RFC 3339 in UTC."""
    assert units.rfc3339(1_790_000_551.0) == "2026-09-21T14:22:31Z"


@pytest.mark.parametrize(
    ("low", "best", "text"),
    [(None, None, "—"), (97.4, None, "97 %"), (26.7, 49.1, "27-49 %"), (99.8, 100.0, "100 %"), (0.0, 0.2, "0 %")],
)
def test_a_score_is_one_number_or_the_two_it_lies_between(low: float | None, best: float | None, text: str) -> None:
    """Where buckets leave more than one answer, both ends are shown."""
    assert units.score(low, best) == text
