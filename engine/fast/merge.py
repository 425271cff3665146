"""Where ways through a network part and meet. A tensor that several layers read is copied for each of them; `add` and
`concat` are copies too, one for each operand, that end in the same plane: added up there, or side by side."""

from __future__ import annotations

from typing import Any

from engine.fast.pointwise import cell_add, cell_load, cell_store
from engine.fast.simd import add, load, store
from engine.kernels import part


def _copy(load: Any, store: Any, add: Any) -> Any:
    @part
    def move(source, source_plane, target, target_plane, onto, size, arena):  # type: ignore[no-untyped-def]
        for c in range(size[0]):
            for h in range(size[1]):
                for k in range(size[2]):
                    value = load(arena, source + c * source_plane[0] + h * source_plane[1] + k * source_plane[2])
                    at = target + c * target_plane[0] + h * target_plane[1] + k * target_plane[2]
                    store(arena, at, add(load(arena, at), value) if onto else value)

    @part
    def forward(row, arena):  # type: ignore[no-untyped-def]
        """y = x; y += x where y_onto."""
        x, y, size = (row.x_c, row.x_h, row.x_w), (row.y_c, row.y_h, row.y_w), (row.C, row.H, row.W)
        move(row.x_at, x, row.y_at, y, row.y_onto, size, arena)

    @part
    def backward(row, arena):  # type: ignore[no-untyped-def]
        """dx = dy; dx += dy where dx_onto, as a layer hears from all its readers."""
        dx, dy, size = (row.dx_c, row.dx_h, row.dx_w), (row.dy_c, row.dy_h, row.dy_w), (row.C, row.H, row.W)
        move(row.dy_at, dy, row.dx_at, dx, row.dx_onto, size, arena)

    return forward, backward


copy_forward, copy_backward = _copy(load, store, add)
single_copy_forward, single_copy_backward = _copy(cell_load, cell_store, cell_add)
