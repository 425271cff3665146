"""Every kernel gives what its sentence says, in float64, and checks that would miss a mistake are shown to catch it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernels import _sources
from engine.ops import OPS
from engine.ops.base import Array, ShapeError, shapes_of
from engine.ops.conv2d import Conv2d
from engine.ops.conv_transpose2d import ConvTranspose2d
from engine.ops.pool import MaxPool2d
from tests.engine.draws import calls
from tests.engine.tools import difference, disagreement, from_kernels, from_sentences

EXACT = 1e-12
RNG = np.random.default_rng(11)
CONV_SHAPES = {"x": np.zeros((1, 1, 4, 4)), "w": np.zeros((2, 1, 3, 3))}


@pytest.mark.parametrize("name", sorted(OPS))
def test_the_example_of_every_op_agrees_with_its_sentence(name: str) -> None:
    kind = OPS[name]
    assert disagreement(kind(**kind.example_settings), kind.example(RNG), RNG) < EXACT


@pytest.mark.parametrize("name", sorted(OPS))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_kernels_agree_with_their_sentences_at_any_geometry_rank_and_option(name: str, data: Any) -> None:
    op, tensors = data.draw(calls(name))
    assert disagreement(op, tensors, RNG) < EXACT


@pytest.mark.parametrize("name", sorted(name for name, kind in OPS.items() if "x" in kind.tensors))
def test_where_a_function_has_a_kink_the_kernel_takes_the_side_that_its_sentence_takes(name: str) -> None:
    """All the kinks here lie at whole numbers; -0.0 is none."""
    kind = OPS[name]
    op, tensors = kind(**kind.example_settings), kind.example(RNG)
    whole = np.resize(np.array([0.0, -3, 3, -1, 1, -0.0, 2]), tensors["x"].shape)
    assert disagreement(op, {**tensors, "x": whole}, RNG) < EXACT


def test_a_window_of_zeros_has_no_slope_and_a_cut_one_is_not_scaled_up() -> None:
    op = OPS["lp_pool2d"](kernel_size=2, ceil_mode=True)
    found = from_kernels(op, {"x": np.array([[[[0.0, 0, 3], [0, 0, 4]]]])}, np.ones((1, 1, 1, 2)))
    assert found["y"].tolist() == [[[[0, 5]]]]
    assert np.allclose(found["dx"], [[[[0, 0, 0.6], [0, 0, 0.8]]]], rtol=1e-15)


@pytest.mark.parametrize("name", ["global_avg_pool", "global_max_pool"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 1), (2, 1, 1, 7)])
def test_global_pooling_agrees_with_its_sentence_and_leaves_one_number_of_a_map(name: str, shape: Any) -> None:
    tensors = {"x": np.round(RNG.normal(size=shape))}
    assert OPS[name]().extents(shapes_of(tensors))["y"] == (*shape[:2], 1, 1)
    assert disagreement(OPS[name](), tensors, RNG) < EXACT


@pytest.mark.parametrize("name", ["cross_entropy", "mse_loss", "bce_with_logits"])
def test_a_stated_gradient_equals_the_derived_one(name: str) -> None:
    kind = OPS[name]
    op, tensors = kind(), kind.example(RNG)
    dy = np.asarray(RNG.normal())
    stated, derived = (from_sentences(op, tensors, dy, stated=each)["dx"] for each in (True, False))
    assert difference(stated, derived) < EXACT
    without = from_sentences(op, tensors)["dx"]
    assert difference(without, from_sentences(op, tensors, np.ones(()), stated=False)["dx"]) < EXACT


@pytest.mark.parametrize("name", sorted(OPS))
def test_float32_kernels_agree_with_float64_ones(name: str) -> None:
    kind = OPS[name]
    op, tensors = kind(**kind.example_settings), kind.example(RNG)
    single = {key: array.astype(np.float32) if array.dtype.kind == "f" else array for key, array in tensors.items()}
    dy = np.ones(op.extents(shapes_of(tensors))["y"])
    exact, rough = from_kernels(op, tensors, dy), from_kernels(op, single, dy.astype(np.float32))
    for key, array in rough.items():
        assert array.dtype in (np.float32, np.int32)
        assert difference(array.astype(np.float64), exact[key].astype(np.float64)) < 1e-6


def test_kernels_take_arrays_in_any_order_and_read_only_ones() -> None:
    tensors = Conv2d.example(RNG)
    turned = {name: np.asfortranarray(array) for name, array in tensors.items()}
    for array in turned.values():
        array.flags.writeable = False
    expected = from_kernels(Conv2d(), tensors, np.ones((1, 1, 2, 2)))
    found = from_kernels(Conv2d(), turned, np.ones((1, 1, 2, 2)))
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("name", "tensors", "words"),
    [
        ("softmax", {"x": np.zeros((2, 0))}, "x is empty"),
        ("linear", {"x": np.zeros((0, 2)), "w": np.zeros((1, 2))}, "is empty"),
        (
            "conv2d",
            {"x": np.zeros((1, 3, 4, 4)), "w": np.zeros((2, 8, 3, 3))},
            "input has 3 channels, the kernel expects 8",
        ),
        ("conv2d", {"x": np.zeros((1, 1, 2, 2)), "w": np.zeros((1, 1, 3, 3))}, r"\(2 - 3\) / 1 \+ 1 = 0"),
        ("conv2d", {"x": np.zeros((1, 1, 4)), "w": np.zeros((1, 1, 3, 3))}, "x has 3 axes"),
        ("conv2d", {**CONV_SHAPES, "b": np.zeros(3)}, r"b has shape \[3\], expected \[2\]"),
        (
            "conv_transpose2d",
            {"x": np.zeros((1, 3, 4, 4)), "w": np.zeros((2, 8, 3, 3))},
            "input has 3 channels, the kernels expect 2",
        ),
        (
            "conv_transpose2d",
            {**CONV_SHAPES, "b": np.zeros(3), "w": np.zeros((1, 2, 3, 3))},
            r"b has shape \[3\], expected \[2\]",
        ),
        ("mse_loss", {"x": np.zeros(3), "target": np.zeros(4)}, "expected that of x"),
        ("dropout", {"x": np.zeros(3), "mask": np.zeros(4)}, "expected that of x"),
        ("cross_entropy", {"x": np.zeros((2, 3)), "target": np.array([0, 3])}, "target 3 at 1 is no class"),
        ("cross_entropy", {"x": np.zeros((2, 3)), "target": np.array([0.5, 1])}, "is no class"),
        ("cross_entropy", {"x": np.zeros((2, 3)), "target": np.array([0, np.nan])}, "is no class"),
        ("flatten", {"x": np.zeros(3)}, "at least 2"),
        ("add", {"a": np.zeros((2, 3, 4)), "b": np.zeros((5, 4))}, r"\[2, 3, 4\] and \[5, 4\] .*: 3 and 5 are neither"),
        ("concat", {"a": np.zeros((1, 2, 3)), "b": np.zeros((1, 2, 4))}, "they may differ along axis 1 only"),
        ("concat", {"a": np.zeros((1, 2)), "c": np.zeros((1, 2))}, "b is missing; there are a, c"),
        ("concat", {"a": np.zeros(())}, "there is no axis 1"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_before_anything_is_read(
    name: str, tensors: dict[str, Array], words: str
) -> None:
    with pytest.raises(ShapeError, match=words):
        OPS[name]().forward(tensors)


def test_what_dropout_keeps_is_divided_by_the_share_that_is_kept() -> None:
    tensors = {"x": np.array([3.0, 5.0]), "mask": np.array([1.0, 0.0])}
    found = from_kernels(OPS["dropout"](p=0.25), tensors, np.array([6.0, 7.0]))
    assert found["y"].tolist() == [4, 0] and found["dx"].tolist() == [8, 0]
    nothing = from_kernels(OPS["dropout"](p=1), tensors, np.ones(2))
    assert nothing["y"].tolist() == nothing["dx"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("word", "stride", "dilation", "sides"),
    [
        ("same", 1, 1, [1, 1, 0, 1]),
        ("same", 2, 1, [0, 1, 0, 1]),
        ("same", [3, 1], [1, 4], [0, 0, 2, 2]),
        ("full", 2, 1, [2, 2, 1, 1]),
        ("full", 1, [2, 3], [4, 4, 3, 3]),
        ("valid", 1, 2, [0, 0, 0, 0]),
    ],
)
def test_padding_in_a_word_is_so_many_cells_above_below_left_and_right(
    word: str, stride: Any, dilation: Any, sides: list[int]
) -> None:
    """For a kernel of 3x2 on 6x7 cells; "same" as TensorFlow has it, the odd cell below and on the right."""
    tensors = {"x": RNG.normal(size=(1, 1, 6, 7)), "w": RNG.normal(size=(1, 1, 3, 2))}
    found, expected = (
        Conv2d(stride=stride, dilation=dilation, padding=padding).forward(tensors)["y"] for padding in (word, sides)
    )
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((1, 3), (2, 1)), ((), (2, 2)), ((3, 1), (2, 1, 4)), ((1,), ())])
def test_addition_broadcasts_as_numpy_does_and_each_cell_hears_from_wherever_it_went(shapes: Any) -> None:
    a, b = (RNG.normal(size=shape) for shape in shapes)
    dy = RNG.normal(size=(a + b).shape)
    found = from_kernels(OPS["add"](), {"a": a, "b": b}, dy)
    assert np.array_equal(found["y"], a + b)
    for name, array in (("da", a), ("db", b)):
        ones = [np.zeros(array.shape) for _ in range(array.size)]
        for number, one in enumerate(ones):
            one.reshape(-1)[number] = 1
        heard = [float(np.sum(dy * np.broadcast_to(one, dy.shape))) for one in ones]
        assert found[name].reshape(-1).tolist() == pytest.approx(heard, abs=EXACT)
    assert disagreement(OPS["add"](), {"a": a, "b": b}, RNG) < EXACT


@pytest.mark.parametrize("axis", [-3, -1, 0, 1])
@pytest.mark.parametrize("lengths", [(2,), (1, 3), (2, 1, 4, 1)])
def test_concatenation_along_any_axis_is_numpys_and_its_gradient_is_cut_again(axis: int, lengths: Any) -> None:
    tensors = {
        name: RNG.normal(size=np.insert([2, 3], axis % 3, length))
        for name, length in zip("abcd", lengths, strict=False)
    }
    op = OPS["concat"](axis=axis)
    whole = np.concatenate([*tensors.values()], axis)
    found = from_kernels(op, tensors, whole)
    assert np.array_equal(found["y"], whole)
    assert all(np.array_equal(found[f"d{name}"], array) for name, array in tensors.items())
    assert disagreement(op, tensors, RNG) < EXACT


def test_four_numbers_of_padding_are_top_bottom_left_and_right() -> None:
    sides, x, w = [1, 0, 2, 1], RNG.normal(size=(1, 2, 5, 6)), RNG.normal(size=(2, 2, 3, 3))

    def around(value: float) -> Array:
        return np.pad(x, ((0, 0), (0, 0), (1, 0), (2, 1)), constant_values=value)

    assert np.array_equal(
        Conv2d(padding=sides).forward({"x": x, "w": w})["y"], Conv2d().forward({"x": around(0), "w": w})["y"]
    )
    for name, value in (("max_pool2d", -np.inf), ("avg_pool2d", 0)):
        padded, whole = OPS[name](kernel_size=3, stride=1, padding=sides), OPS[name](kernel_size=3, stride=1)
        assert np.array_equal(padded.forward({"x": x})["y"], whole.forward({"x": around(value)})["y"]), name
    laid = ConvTranspose2d().forward({"x": x, "w": w})["y"]
    cut = ConvTranspose2d(padding=sides).forward({"x": x, "w": w})["y"]
    assert np.allclose(cut, laid[:, :, 1:, 2:-1], rtol=EXACT)


def test_a_window_that_sees_only_padding_is_refused() -> None:
    with pytest.raises(ShapeError, match="the window at row 0 sees only padding"):
        MaxPool2d(kernel_size=2, dilation=5, padding=1).extents({"x": (1, 1, 4, 4)})
    with pytest.raises(ShapeError, match="expected less than 2"):
        MaxPool2d(kernel_size=2, padding=2).extents({"x": (1, 1, 4, 4)})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"padding": 3}, r"\(2 - 1\) \* 1 \+ 3 - 3 - 3 = -2"),
        ({"output_padding": 1}, "less than the stride 1"),
        ({"groups": 2}, "cannot be split into 2 groups"),
    ],
)
def test_a_transposed_convolution_that_leaves_nothing_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        ConvTranspose2d(**settings).extents({"x": (1, 1, 2, 2), "w": (1, 1, 3, 3)})


def test_ceil_mode_keeps_a_cut_window_even_where_it_is_the_only_one() -> None:
    op = OPS["avg_pool2d"](kernel_size=3, stride=2, ceil_mode=True)
    assert op.forward({"x": np.array([[[[1.0, 2], [3, 6]]]])})["y"].tolist() == [[[[3]]]]
    with pytest.raises(ShapeError, match=r"\(2 - 4\) / 2 \+ 1 = 0"):
        OPS["avg_pool2d"](kernel_size=4, stride=2, ceil_mode=True).extents({"x": (1, 1, 2, 2)})


def test_a_delta_of_another_shape_than_its_tensor_is_refused() -> None:
    results = Conv2d().forward(CONV)
    with pytest.raises(ShapeError, match="expected that of y"):
        Conv2d().backward({**CONV, **results, "dy": np.zeros((2, 2, 9, 9))})


# Wrong rules that the comparison must catch: a change to what the kernel gives, in its name.

CONV = {"x": RNG.normal(size=(2, 2, 6, 7)), "w": RNG.normal(size=(2, 2, 3, 2)), "b": RNG.normal(size=2)}
POOL = {"x": np.array([[[[-1.0, -1, -3], [-1, -2, -3], [-5, -4, -4]]]])}


def _conv(settings: dict[str, Any], wrong: dict[str, Any], w: Callable[[Array], Array] = lambda w: w) -> float:
    """How far the kernel with wrong settings or weights is from the sentence with the right ones."""
    dy = RNG.normal(size=Conv2d(**settings).extents(shapes_of(CONV))["y"])
    sentence = from_sentences(Conv2d(**settings), CONV, dy)
    try:
        kernels = from_kernels(Conv2d(**wrong), {**CONV, "w": w(CONV["w"])}, dy)
    except ShapeError:
        return float("inf")
    return max(difference(kernels[name], sentence[name]) for name in ("y", "dx"))


@pytest.mark.parametrize(
    ("rule", "distance"),
    [
        ("the kernel is not flipped", lambda: _conv({"flip_kernel": True}, {"flip_kernel": False})),
        ("the kernel is turned about one axis only", lambda: _conv({"flip_kernel": True}, {}, lambda w: w[:, :, ::-1])),
        (
            "the axes of the stride are swapped",
            lambda: _conv({"stride": [1, 2], "padding": [0, 1, 0, 0]}, {"stride": [2, 1], "padding": [0, 1, 0, 0]}),
        ),
        ("asymmetric padding is reversed", lambda: _conv({"padding": [1, 0, 2, 0]}, {"padding": [0, 1, 0, 2]})),
        ("input and output channels are swapped", lambda: _conv({}, {}, lambda w: w.transpose(1, 0, 2, 3))),
        ("the dilation is left out", lambda: _conv({"dilation": 2, "padding": 1}, {"padding": [0, 0, 1, 0]})),
    ],
)
def test_a_wrong_convolution_would_be_caught(rule: str, distance: Callable[[], float]) -> None:
    assert distance() > 1e-3, rule


def test_a_bias_gradient_that_is_averaged_would_be_caught() -> None:
    dy = RNG.normal(size=(2, 2, 4, 6)) + 1
    db = from_kernels(Conv2d(), CONV, dy)["db"]
    assert difference(db / dy[:, 0].size, from_sentences(Conv2d(), CONV, dy)["db"]) > 1e-3


def test_a_group_whose_weights_hear_nothing_would_be_caught() -> None:
    op, tensors = Conv2d(groups=2), {"x": CONV["x"], "w": CONV["w"][:, :1]}
    dy = RNG.normal(size=op.extents(shapes_of(tensors))["y"])
    dw = from_kernels(op, tensors, dy)["dw"]
    dw[1] = 0
    assert difference(dw, from_sentences(op, tensors, dy)["dw"]) > 1e-3


def test_the_first_of_equal_values_wins_and_the_last_would_be_caught() -> None:
    op = MaxPool2d(kernel_size=2, stride=1)
    dy = np.arange(1.0, 5).reshape(1, 1, 2, 2)
    kernels, sentence = from_kernels(op, POOL, dy), from_sentences(op, POOL, dy)
    assert kernels["indices"].tolist() == [[[[0, 1], [3, 4]]]] == sentence["indices"].tolist()
    backwards = from_kernels(op, {"x": POOL["x"][:, :, ::-1, ::-1]}, dy[:, :, ::-1, ::-1])
    assert difference(backwards["dx"][:, :, ::-1, ::-1], sentence["dx"]) > 1e-3


def test_padding_never_wins_and_counted_as_zero_would_be_caught() -> None:
    op = MaxPool2d(kernel_size=2, padding=1)
    sentence = from_sentences(op, POOL)["y"]
    assert (from_kernels(op, POOL, np.ones(sentence.shape))["y"] < 0).all()
    zeros = MaxPool2d(kernel_size=2).forward({"x": np.pad(POOL["x"], ((0, 0), (0, 0), (1, 1), (1, 1)))})["y"]
    assert difference(zeros[..., :2, :2], sentence) > 1e-3


@pytest.mark.parametrize(
    ("name", "y", "dx"),
    [("relu", [np.nan, 0, 0, np.inf], [3, 0, 0, 3]), ("leaky_relu", [np.nan, -0.01, 0, np.inf], [0.03, 0.03, 0.03, 3])],
)
def test_nan_goes_through_a_gate_as_in_pytorch(name: str, y: list[float], dx: list[float]) -> None:
    x = np.array([np.nan, -1.0, 0.0, np.inf])
    op, dy = OPS[name](), np.full(4, 3.0)
    for made in (from_kernels(op, {"x": x}, dy), from_sentences(op, {"x": x}, dy)):
        assert np.array_equal(made["y"], y, equal_nan=True) and np.array_equal(made["dx"], dx)


@pytest.mark.parametrize(
    "name", ["relu", "leaky_relu", "sigmoid", "tanh", "elu", "softplus", "silu", "hardswish", "gelu"]
)
def test_no_activation_hides_nan(name: str) -> None:
    op, x = OPS[name](), np.array([np.nan])
    assert np.isnan(op.forward({"x": x})["y"]).all() and np.isnan(from_sentences(op, {"x": x}, x)["y"]).all()


def test_nan_wins_a_maximum_as_in_pytorch() -> None:
    x = np.array([[[[1.0, np.nan], [np.nan, 9.0]]]])
    result = MaxPool2d(kernel_size=2).forward({"x": x})
    assert np.isnan(result["y"]).all() and result["indices"].item() == 1


def test_rossis_sobel_example_has_its_nine_numbers() -> None:
    """A true convolution with padding 1: -13 -20 -17 / -18 -24 -18 / 13 20 17."""
    x = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    w = np.array([[[[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]]])
    expected = [[-13, -20, -17], [-18, -24, -18], [13, 20, 17]]
    y = Conv2d(padding=1, flip_kernel=True).forward({"x": x, "w": w})["y"]
    assert y[0, 0].tolist() == expected
    assert Conv2d(padding=1).forward({"x": x, "w": w})["y"][0, 0].tolist() != expected


LOOP = "from engine.kernels import part\n\n@part\ndef twice(x):\n    return 2 * x\n"
CALLS = """
import rooms.loops
from rooms import loops
from rooms.loops import twice as named

def itself(x): return named(x)
def of_a_module(x): return loops.twice(x)
def of_a_package(x): return rooms.loops.twice(x)
def made(loop):
    def enclosing(x): return loop(x)
    return enclosing
enclosing = made(named)
"""


@pytest.mark.parametrize("way", ["itself", "of_a_module", "of_a_package", "enclosing"])
def test_a_kernel_is_compiled_anew_when_a_loop_changes_however_it_is_named(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "rooms"
    room.mkdir()
    (room / "__init__.py").touch()
    (room / "loops.py").write_text(LOOP)
    (room / "calls.py").write_text(CALLS)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("rooms", "rooms.loops", "rooms.calls"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    calls = importlib.import_module("rooms.calls")
    assert _sources(getattr(calls, way), set()) == {str(room / "calls.py"), str(room / "loops.py")}
