"""The bug lab's slips as documents."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from engine.bug_lab import bed_of, outcome
from engine.slips import SLIPS, sentences


def listing() -> list[dict[str, Any]]:
    """Every slip: what it edits, and what came of training with it."""
    documents = []
    for slip in SLIPS.values():
        edited = sentences(slip)
        bed = bed_of(slip.name)
        documents.append(
            {
                "name": slip.name,
                "title": slip.title,
                "mistake": slip.mistake,
                "tensors": list(dict.fromkeys(before.partition("[")[0].split(" ")[0] for _, before, _ in edited)),
                "first": slip.first,
                "sentences": [{"op": op, "before": before, "after": after} for op, before, after in edited],
                "network": bed.network,
                "optimizer": bed.optimizer,
                "measured": asdict(outcome(slip.name)),
            }
        )
    return documents
