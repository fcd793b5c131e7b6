"""What a server is, and is set to, that is not as before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from insight.verification.side import Side


class Setting(Struct, frozen=True):
    """Something that the server is set to, or is, that changed."""

    name: str
    before: str | None
    after: str | None


def changed_settings(before: Side, after: Side) -> tuple[Setting, ...]:
    """List what the server is, and is set to, that is not as before.

    What one of them does not tell has not changed; but a flag that does not stand on a command line that is seen is
    one that is not set.
    """
    told = (
        {"engine": side.engine, "engine_version": side.version, "model": side.model, "GPUs": ", ".join(side.gpus)}
        for side in (before, after)
    )
    one, other = ({name: text for name, text in each.items() if text} for each in told)
    one, other = one | before.settings, other | after.settings
    names = [*one, *(name for name in other if name not in one)]
    seen = all(any(name.startswith("flag_") for name in each) for each in (one, other))
    return tuple(
        Setting(name, one.get(name), other.get(name))
        for name in names
        if one.get(name) != other.get(name) and ((name in one and name in other) or (name.startswith("flag_") and seen))
    )
