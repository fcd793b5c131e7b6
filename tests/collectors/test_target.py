"""`collectors.target`: what a URL means, and what of it may be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.target import target


@pytest.mark.parametrize(
    ("text", "source", "page", "root"),
    [
        ("http://h:8000", "http://h:8000", "http://h:8000/metrics", "http://h:8000"),
        ("h:8000", "http://h:8000", "http://h:8000/metrics", "http://h:8000"),
        ("  localhost ", "http://localhost", "http://localhost/metrics", "http://localhost"),
        ("HTTP://H:8000/", "http://h:8000", "http://h:8000/metrics", "http://h:8000"),
        ("http://h:8000/v1", "http://h:8000", "http://h:8000/metrics", "http://h:8000"),
        ("http://h:8000/v1/", "http://h:8000", "http://h:8000/metrics", "http://h:8000"),
        ("http://h:8000/metrics", "http://h:8000", "http://h:8000/metrics", "http://h:8000"),
        ("http://h:8000/metrics/", "http://h:8000", "http://h:8000/metrics/", "http://h:8000"),
        ("https://h/llm-a", "https://h/llm-a", "https://h/llm-a/metrics", "https://h/llm-a"),
        ("http://h/v1/metrics", "http://h/v1/metrics", "http://h/v1/metrics", "http://h"),
        ("http://h/prometheus/metrics", "http://h/prometheus/metrics", "http://h/prometheus/metrics", "http://h"),
        ("http://h:8080/?model=a", "http://h:8080?model=a", "http://h:8080/metrics?model=a", "http://h:8080"),
        ("[::1]:8000", "http://[::1]:8000", "http://[::1]:8000/metrics", "http://[::1]:8000"),
        ("http://h:8000/#top", "http://h:8000", "http://h:8000/metrics", "http://h:8000"),
        ("http://h/health", "http://h/health", "http://h/health/metrics", "http://h/health"),
    ],
)
def test_url(text: str, source: str, page: str, root: str) -> None:
    """A base URL in any usual spelling, and the URL of a page, lead to the page, one identity and the root."""
    found = target(text)
    assert (found.source, found.page, found.root, found.headers) == (source, page, root, {})


def test_user_and_password() -> None:
    """User and password become a header, decoded, and are shown nowhere."""
    found = target("http://us%40er:p%3Aass@h:8000/metrics")
    assert found.headers == {"Authorization": "Basic dXNAZXI6cDphc3M="}
    assert (found.source, found.page, found.shown) == (
        "http://h:8000",
        "http://h:8000/metrics",
        "http://h:8000/metrics",
    )


def test_secret_parameter() -> None:
    """A token in the query is sent and not shown; another parameter is both."""
    found = target("http://h:8000/metrics?model=a&api_key=s3cret")
    assert found.page == "http://h:8000/metrics?model=a&api_key=s3cret"
    assert found.shown == "http://h:8000/metrics?model=a&api_key=..."
    assert found.source == "http://h:8000?model=a&api_key=..."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ftp://h/metrics", "http:// or https://, not ftp://"),
        ("prometheus+http://h:9090", "not prometheus+http://"),
        ("", "names no host"),
        ("http://", "names no host"),
        ("http://:8000", "names no host"),
        ("/var/run/server", "names no host"),
        ("http://user:s3cret@", "names no host"),
        ("http://h:0", "0 is no port"),
        ("http://h:99999", "1 to 65535"),
        ("http://h:8000x", "1 to 65535"),
        ("http://user:s3cret@h:8000x", "1 to 65535"),
        ("http://[::1", "host is malformed"),
        ("http://h h:8000", "a blank"),
        ("http://h\n:8000", "a blank"),
        ("http://s3cret\x1b[2J@h", "a blank"),
    ],
)
def test_unusable(text: str, words: str) -> None:
    """What cannot be a server is refused in one line that says why, without the password."""
    with pytest.raises(ValueError, match="unusable URL") as raised:
        target(text)
    assert words in str(raised.value)
    assert "s3cret" not in str(raised.value)
    assert str(raised.value).isprintable()


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    """Whatever a user types is a target that can be shown on one line, or a ValueError that can."""
    try:
        found = target(text)
    except ValueError as error:
        assert str(error).isprintable()  # noqa: PT017 -- most texts raise, some do not, and both are right
    else:
        assert found.source.isprintable()
        assert found.page.startswith(("http://", "https://"))
        assert not found.root.endswith("/")
