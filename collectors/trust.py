"""Whom to trust when a server is reached by https."""

from __future__ import annotations

import ssl


def trust(ca_file: str | None) -> ssl.SSLContext | None:
    """Trust the authorities of the system and the one in `ca_file`; None for those of the system alone.

    Raises ValueError, in one line, where the file cannot be read or holds no certificate.
    """
    if ca_file is None:
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:  # ssl.SSLError is one: not a certificate
        raise ValueError(f"unusable CA file {ca_file}: {error.strerror or 'it holds no certificate'}") from None
    return context
