"""The half of the items that is held out, another half each week: what nobody can have tuned a server to by watching.

The open half is asked on every pass, the half that is held out once a day. Where a server is right on the one and not
on the other, it was made to answer the questions that it is asked, and not to answer well. So the accuracy is told of
each half (`insight.quality.summary`); no rule reads it, for the items of the halves differ: with 47 in each, what lies
less than some 15 points apart cannot be told from chance.
"""

from __future__ import annotations

from hashlib import blake2b

_WEEK = 7 * 86_400.0
_FIRST_MONDAY = 4 * 86_400.0
"""1970-01-05, in seconds since the epoch."""


def held_out(item: str, wall: float) -> bool:
    """Tell whether an item, by its id, is held out in the week of `wall`, in seconds since the epoch.

    About half of any set is, drawn anew each Monday (UTC) and alike on every host.
    """
    week = int((wall - _FIRST_MONDAY) // _WEEK)
    return blake2b(f"{week} {item}".encode(), digest_size=1).digest()[0] % 2 == 1
