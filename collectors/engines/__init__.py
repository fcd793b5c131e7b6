"""The servers that are understood, one dialect each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.engines.dialect import speaks
from collectors.engines.dynamo import DYNAMO
from collectors.engines.litellm import LITELLM
from collectors.engines.llamacpp import LLAMACPP
from collectors.engines.lmdeploy import LMDEPLOY
from collectors.engines.nim import NIM
from collectors.engines.ray import RAY
from collectors.engines.sglang import SGLANG
from collectors.engines.sglang_router import SGLANG_ROUTER
from collectors.engines.tgi import TGI
from collectors.engines.triton import TRITON
from collectors.engines.trtllm import TRTLLM
from collectors.engines.vllm import VLLM

if TYPE_CHECKING:
    from collectors.engines.dialect import Dialect
    from collectors.exposition import Page

DIALECTS: tuple[Dialect, ...] = (
    VLLM,
    RAY,
    SGLANG,
    SGLANG_ROUTER,
    TGI,
    TRTLLM,
    NIM,
    TRITON,
    LLAMACPP,
    LMDEPLOY,
    DYNAMO,
    LITELLM,
)
"""In the order in which a page is tried: an engine before what passes its page through."""


def identify(page: Page) -> Dialect | None:
    """Tell which kind of server a page comes from; None where it is none of those that are understood."""
    return next((dialect for dialect in DIALECTS if speaks(dialect, page)), None)
