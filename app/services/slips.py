"""The bug lab's slips as documents."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from engine.slips import MEASURED, SLIPS, sentences


def listing() -> list[dict[str, Any]]:
    """Every slip: what it edits, and what came of training with it."""
    documents = []
    for slip in SLIPS.values():
        edited = sentences(slip)
        measured = MEASURED.get(slip.name)
        documents.append(
            {
                "name": slip.name,
                "title": slip.title,
                "mistake": slip.mistake,
                "tensors": list(dict.fromkeys(before.partition("[")[0].split(" ")[0] for _, before, _ in edited)),
                "first": slip.first,
                "sentences": [{"op": op, "before": before, "after": after} for op, before, after in edited],
                "measured": asdict(measured) if measured else None,
            }
        )
    return documents
