"""Engines as their makers write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ENGINES: Mapping[str, str] = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "sglang-router": "SGLang Model Gateway",
    "llamacpp": "llama.cpp",
    "tgi": "TGI",
    "trtllm": "TensorRT-LLM",
    "triton": "Triton",
    "lmdeploy": "LMDeploy",
    "nim": "NVIDIA NIM",
    "dynamo": "Dynamo",
    "ray": "Ray Serve LLM",
    "litellm": "LiteLLM",
    "ollama": "Ollama",
    "openai": "OpenAI-compatible",
}
"""The name of each by its id (`Target.engine`)."""
