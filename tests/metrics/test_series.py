from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from metrics.quantity import QUANTITIES
from metrics.series import series, split_series


@given(
    st.sampled_from(sorted(QUANTITIES)),
    st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,9}", fullmatch=True), st.text(), max_size=4),
)
def test_a_series_name_can_be_taken_apart_again(quantity: str, labels: dict[str, str]) -> None:
    """Whatever a label holds (quotes, braces, commas, backslashes), the name of the series gives it back."""
    assert split_series(series(quantity, **labels)) == (quantity, tuple(sorted(labels.items())))


def test_one_series_has_one_name() -> None:
    """The order in which labels are given does not matter."""
    assert series("x", b="1", a="2") == series("x", a="2", b="1") == 'x{a="2",b="1"}'
