"""Elements of HTML and SVG, written so that they are well-formed XML as well."""

from __future__ import annotations

_ESCAPES = str.maketrans(
    # Beside what is markup: two characters that XML has none of.
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\ufffe": "\ufffd", "\uffff": "\ufffd"}
)


def escape(text: str) -> str:
    """Write a text so that it is text, within an element and within an attribute."""
    return text.translate(_ESCAPES)


def element(name: str, inside: str, **attributes: str | float) -> str:
    """Write an element around what is markup already; `_` in the name of an attribute stands for `-`."""
    written = "".join(f' {key.replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items())
    return f"<{name}{written}>{inside}</{name}>"
