"""The servers that are understood, one dialect each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.engines.dialect import speaks
from collectors.engines.llamacpp import LLAMACPP
from collectors.engines.vllm import VLLM

if TYPE_CHECKING:
    from collectors.engines.dialect import Dialect
    from collectors.exposition import Page

DIALECTS: tuple[Dialect, ...] = (VLLM, LLAMACPP)


def identify(page: Page) -> Dialect | None:
    """Tell which kind of server a page comes from; None where it is none of those that are understood."""
    return next((dialect for dialect in DIALECTS if speaks(dialect, page)), None)
