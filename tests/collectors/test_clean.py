from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.clean import clean

HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "\x00\x07\x1b\x9b\x9d\x9c\\]P[;m0123456789\n\r\t\x7f\u202e\u2066\u200b\ufeff\ud800\ue000\u0301e"
        ),
    ),
    max_size=300,
)


@settings(deadline=None)
@given(text=HOSTILE, limit=st.integers(1, 250))
def test_result_is_printable_short_and_final(text: str, limit: int) -> None:
    """Only printable characters come out, no more than allowed, and cleaning again changes nothing."""
    result = clean(text, limit)
    assert result.isprintable()
    assert len(result) <= limit
    assert clean(result, limit) == result


@settings(deadline=None)
@given(text=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=200))
def test_plain_text_stays_as_it_is(text: str) -> None:
    """Printable ASCII within the limit is not touched."""
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;new title\x07name", "name"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jgone", "gone"),
        ("\x9d52;c;cGFzdGU=\x9cclip", "clip"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x1b]0;no end", "0;no end"),
        ("\x1b(Bcharset\x1bc", "charset"),
        ("\x1b\x1b[31m[31mtwice", "[31mtwice"),
        ("a\x00b\x08c\x7fd\x85e", "abcd e"),
        ("one\ntwo\r\nthree\tfour\u2028five", "one two  three four five"),
        ("user\u202egnp.exe\u2066\u2069", "usergnp.exe"),
        ("ze\u200bro\ufeffwidth\u00ad", "zerowidth"),
        ("\ud800lone\udfff", "lone"),
        ("\ue000private\U0010fffd", "private"),
        ("e" + "\u0301" * 50, "e\u0301\u0301"),
        ("模型 · Größe ✓", "模型 · Größe ✓"),
    ],
)
def test_harmful_text_becomes_harmless(text: str, expected: str) -> None:
    """Escape sequences, controls, overrides, invisible and private characters go; white space becomes a space."""
    assert clean(text) == expected


def test_long_text_ends_in_an_ellipsis() -> None:
    """Text over the limit is cut to exactly the limit, and says so; text at the limit is whole."""
    assert clean("x" * 201) == "x" * 199 + "…"
    assert clean("x" * 200) == "x" * 200
    assert clean("ä" * 11, 10) == "ä" * 9 + "…"


def test_what_is_dropped_does_not_count() -> None:
    """The limit counts what is left, not what came in."""
    assert clean("\x00" * 10_000 + "name", 4) == "name"


def test_no_format_or_control_character_of_unicode_passes() -> None:
    """No code point of the categories C* and Z*, but for the plain space, comes out."""
    text = "".join(map(chr, range(0x110000)))
    kept = {unicodedata.category(character) for character in clean(text, len(text)) if character != " "}
    assert not {category for category in kept if category[0] in "CZ"}
