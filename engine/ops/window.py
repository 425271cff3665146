"""The geometry that convolution and pooling share: padding in words, output sizes, and when a window does not fit."""

from __future__ import annotations

from dataclasses import dataclass

from engine.ops.base import Count, ShapeError


@dataclass(frozen=True)
class Span:
    """One axis of a sliding window: `size` cells, `before` and `after` cells of padding, a window of `kernel` cells
    `dilation` apart, moved by `stride`."""

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    @property
    def extent(self) -> int:
        """From the window's first cell to its last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def room(self) -> int:
        return self.size + self.before + self.after - self.extent

    def arithmetic(self) -> str:
        """(N + P - F) / S + 1, with its numbers (Rossi, "output size")."""
        pads = "".join(f" + {pad}" for pad in (self.before, self.after) if pad)
        places = f"{self.room / self.stride + 1:.2f}".removesuffix(".00")
        return f"({self.size}{pads} - {self.extent}) / {self.stride} + 1 = {places}"

    def shortage(self) -> str:
        """How many cells the windows need that hang over, and how many there are, in a sentence."""
        windows = max(0, -(-self.room // self.stride)) + 1
        needed = (windows - 1) * self.stride + self.extent
        cells = self.size + self.before + self.after
        there = f"There {'is' if cells == 1 else 'are'} {Count(cells):cells}".removesuffix(" cells").removesuffix(
            " cell"
        )
        if windows == 1:
            return f"one window spans {Count(needed):cells}. {there}."
        return (
            f"{Count(windows):windows} of {self.extent}, {Count(self.stride)} apart, need {Count(needed):cells}. "
            f"{there}."
        )

    def count(self, ceil: bool = False) -> int:
        """How many places the window has; `ceil` also keeps a cut last one, unless it starts in the far padding."""
        places = (-(-self.room // self.stride) if ceil else self.room // self.stride) + 1
        if ceil and (places - 1) * self.stride >= self.size + self.before:
            places -= 1
        if places < 1:
            raise WindowError(self, f"the window is larger than the padded input: {self.arithmetic()}")
        return places

    def check_fit(self) -> None:
        """Refuse a last window that leaves more of the input unread than lies between two windows. Padding may be left
        over: 3 cells with padding 1 and stride 2 fit into 28 as into 27."""
        unread = self.room % self.stride - self.after
        if self.room >= 0 and unread > max(0, self.stride - self.extent):
            raise WindowError(
                self,
                f'the window does not fit: {self.arithmetic()}; "rounding": "floor" leaves the last cells unread',
            )


class WindowError(ShapeError):
    """A window that hangs over its axis, `span`."""

    def __init__(self, span: Span, detail: str):
        super().__init__(detail)
        self.span = span


def reckoned(rows: Span, columns: Span) -> str:
    """The arithmetic of the rows, and of the columns where it is another."""
    return " and ".join(dict.fromkeys((rows.arithmetic(), columns.arithmetic())))


def padded(size: int, kernel: int, stride: int, dilation: int, padding: str | tuple[int, int]) -> Span:
    """The axis with its padding in cells. "same" gives ceil(size / stride) places, the odd cell at the far side."""
    extent = dilation * (kernel - 1) + 1
    if padding == "same":
        total = max(0, (-(-size // stride) - 1) * stride + extent - size)
        padding = (total // 2, total - total // 2)
    elif padding == "full":
        padding = (extent - 1, extent - 1)
    elif padding == "valid":
        padding = (0, 0)
    assert not isinstance(padding, str)
    return Span(size, kernel, stride, dilation, padding[0], padding[1])


def even(rows: Span, columns: Span) -> bool:
    """Whether the padding is alike on opposite sides, as PyTorch's layers have it."""
    return rows.before == rows.after and columns.before == columns.after


def torch_pad(x: str, rows: Span, columns: Span, fill: str = "0") -> str:
    """Any padding, in PyTorch."""
    sides = (columns.before, columns.after, rows.before, rows.after)
    return f"F.pad({x}, {sides}, value={fill})" if any(sides) else x


def sides(padding: str | tuple[int, int, int, int]) -> tuple[str | tuple[int, int], str | tuple[int, int]]:
    """The padding of the rows and that of the columns."""
    return (padding, padding) if isinstance(padding, str) else (padding[:2], padding[2:])


def spans(
    plane: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: str | tuple[int, int, int, int],
) -> tuple[Span, Span]:
    """Rows and columns."""
    rows, columns = sides(padding)
    return (
        padded(plane[0], kernel[0], stride[0], dilation[0], rows),
        padded(plane[1], kernel[1], stride[1], dilation[1], columns),
    )
