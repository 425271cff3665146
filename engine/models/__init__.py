"""The presets, each a complete network document."""

from __future__ import annotations

from engine.models.colour import COLOUR, network_for
from engine.models.golf import GOLF
from engine.models.great import GREAT
from engine.models.model import Document, Model
from engine.models.small import SMALL
from engine.models.sprint import SPRINT

__all__ = ["MODELS", "Document", "Model", "network_for"]

MODELS: dict[str, Model] = {model.name: model for model in (*SMALL, SPRINT, *GOLF, *COLOUR, *GREAT)}
