"""What Textual reads from the environment while it is imported; so the package imports this before it.

Ten frames a second are plenty for numbers that change once a second. `COLUMNS` and `LINES`, where a shell exported
them, would override the real size of the terminal: an 80-column picture in a window of 170.
"""

from __future__ import annotations

import os

for _name, _value in (("TEXTUAL_FPS", "10"), ("TEXTUAL_ANIMATIONS", "none"), ("TEXTUAL_SMOOTH_SCROLL", "0")):
    os.environ.setdefault(_name, _value)
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)
