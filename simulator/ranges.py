"""Within what bounds the numbers of a scenario lie. Beyond them nothing is real, or the simulation would never end."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Seconds = Annotated[float, Meta(ge=0, le=1e7)]
"""Up to four months."""
Milliseconds = Annotated[float, Meta(ge=0, le=1e6)]
Share = Annotated[float, Meta(ge=0, le=1)]
Factor = Annotated[float, Meta(gt=0, le=1000)]
"""How many times as much."""
Times = Annotated[float, Meta(ge=0, le=1000)]
"""How many times as much, or none at all."""
Rate = Annotated[float, Meta(ge=0, le=10_000)]
"""Events per second."""
Tokens = Annotated[int, Meta(ge=1, le=100_000_000)]
SomeTokens = Annotated[int, Meta(ge=0, le=100_000_000)]
Few = Annotated[int, Meta(ge=1, le=100_000)]
"""Requests, clients, slots, GPUs: what is simulated one by one."""
Gib = Annotated[float, Meta(ge=0, le=10_000)]
Watts = Annotated[float, Meta(gt=0, le=10_000)]
Megahertz = Annotated[float, Meta(gt=0, le=10_000)]
