from __future__ import annotations

import pytest

from chimera_top.duration import seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("30", 30),
        ("5min", 300),
        ("5m", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("2 d", 172_800),
        ("0.25s", 0.25),
    ],
)
def test_a_length_of_time_is_read_as_people_write_it(text: str, expected: float) -> None:
    """Numbers with ms, s, min, h, d, put together or alone."""
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "s", "5 parsecs", "-5s", "1h-", "0s", "5ss", "½h", "1e3s"])
def test_what_is_no_length_of_time_is_named(text: str) -> None:
    """The text that cannot be read is quoted in the error."""
    with pytest.raises(ValueError, match="is not a length of time"):
        seconds(text)
