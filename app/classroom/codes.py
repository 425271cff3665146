"""The codes of rooms: four letters and digits that cannot be mistaken for one another."""

from __future__ import annotations

import secrets

from app.classroom.nicknames import is_rude

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
LENGTH = 4


def make_code() -> str:
    """A random code that spells no rude word."""
    while True:
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        if not is_rude(code):
            return code


def read_code(written: str) -> str:
    """A code as people write it, or "" where it is none: spaces, hyphens and case are forgiven."""
    code = "".join(written.split()).replace("-", "").upper()
    return code if len(code) == LENGTH and set(code) <= set(ALPHABET) else ""
