"""The way out for eyes: a Textual app, and the pure functions that draw each pane of it."""

import tui.environment as _environment  # noqa: F401 - Textual reads it while it is imported, so it comes before all else
