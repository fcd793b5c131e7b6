from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.openai_server import Model

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def model() -> Iterator[Model]:
    """One such server."""
    server = Model()
    yield server
    server.close()


@pytest.fixture
def other() -> Iterator[Model]:
    """Another such server."""
    server = Model()
    yield server
    server.close()
