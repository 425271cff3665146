"""A number moved a little: slopes beside the gradient, kinks with both one-sided slopes, and numbers set by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.edits import Edit
from engine.nudge import agreeing_digits, nudge
from engine.trace import Place, PlaceError, Trace, explain
from engine.train import HistoryError, Trainer
from tests.engine.tools import network, trainer


@pytest.fixture(scope="module")
def run() -> Trainer:
    made = trainer(batch_size=32)
    for _ in range(100):
        made.step_once()
    return made


def image_pass(run: Trainer, index: int = 3, edits: tuple[Edit, ...] = ()) -> Trace:
    x, target = run.dataset.splits["test"].batch(slice(index, index + 1))
    return run.trace_of(x, (target + 1) % 10, edits=edits)  # a wrong answer has a loss worth seeing


def pooled(values: list[float], gate: str = "relu") -> Trace:
    """Four pixels, a gate, a maximum, one weight of 2 and half the squared distance from 0."""
    net = network(
        {"op": gate},
        {"op": "max_pool2d", "kernel_size": 2},
        {"op": "flatten"},
        {"op": "linear", "name": "fc", "out": 1, "bias": False},
        input=(1, 2, 2),
        loss={"op": "mse_loss", "settings": {"reduction": "half_sum"}},
    )
    parameters = {"fc/w": np.array([[2.0]])}
    x = np.array(values).reshape(1, 1, 2, 2)
    forward = net.forward(parameters, x, np.zeros((1, 1)))
    net.backward(parameters, forward, training=False)
    return Trace(net, forward, parameters)


@pytest.mark.parametrize("name", ["conv1/w", "conv2/w", "linear/w", "input/y"])
def test_slopes_agree_with_the_gradient_and_then_lose_digits(run: Trainer, name: str) -> None:
    trace = image_pass(run)
    layer, tensor = name.split("/")
    gradient = trace[("conv1", "dx") if layer == "input" else (layer, f"d{tensor}")]
    largest = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
    found = nudge(trace, Place(layer, tensor, tuple(map(int, largest))))
    digits = [each.digits for each in found.differences]
    assert found.verdict == "agrees" and max(digits) >= 7
    assert digits[-1] < max(digits) and digits[0] < max(digits)  # round-off at 1e-10, truncation at 1e-1
    assert found.values[20] == found.value and found.losses[20] == found.loss
    assert found.below == pytest.approx(found.gradient, rel=1e-3)


def test_a_bend_is_no_kink() -> None:
    """Where the gate opens at 0, half the square of twice the number is flat on both sides."""
    found = nudge(pooled([0.0, -3.0, -3.0, -3.0]), Place.parse("input/y/0,0,0,0"))
    assert found.verdict != "kink" and found.gradient == 0 and len(found.kinks) > 0
    shifted = nudge(pooled([0.0, 0.5, -3.0, -3.0]), Place.parse("input/y/0,0,0,1"))
    assert shifted.verdict == "agrees" and not shifted.kinks and shifted.gradient == pytest.approx(2.0)


def test_a_tie_is_a_kink_with_two_slopes() -> None:
    found = nudge(pooled([0.5, 0.5, 0.1, -1.0]), Place.parse("input/y/0,0,0,1"))
    assert found.verdict == "kink"
    assert found.below == pytest.approx(0.0, abs=1e-9) and found.above == pytest.approx(2.0, rel=1e-5)
    assert [(str(kink.place), kink.kind) for kink in found.kinks] == [("max_pool2d2/y/0,0,0,0", "tie")]
    assert found.kinks[0].at == pytest.approx(0.5, abs=1e-7)


def test_kinks_are_found_where_gates_and_winners_change() -> None:
    """Moved down from 0.58 a pixel loses its window to 0.5; moved from 0.04 through 0 its gate closes."""
    found = nudge(pooled([0.58, 0.5, 0.1, 0.04]), Place.parse("input/y/0,0,0,0"))
    assert [(kink.kind, round(kink.at, 6)) for kink in found.kinks] == [("tie", 0.5)]
    closed = nudge(pooled([0.58, 0.5, 0.1, 0.04]), Place.parse("input/y/0,0,1,1"))
    assert [(kink.kind, round(kink.at, 6)) for kink in closed.kinks] == [("relu", 0.0)]


def test_only_pixels_and_parameters_can_be_moved(run: Trainer) -> None:
    with pytest.raises(PlaceError, match="only pixels"):
        nudge(image_pass(run), Place.parse("conv1/y/0,0,1,1"))
    with pytest.raises(PlaceError, match="no index"):
        nudge(image_pass(run), Place.parse("conv1/w/0,0,9,1"))


def test_agreeing_digits() -> None:
    assert [agreeing_digits(*pair) for pair in ((1.0, 1.0), (1.0, 1.01), (1.0, 2.0), (0.0, 1.0), (1.0, -1.0))] == [
        15, 2, 0, 0, 0,
    ]  # fmt: skip


def test_an_edited_number_explains_itself_as_set_by_hand(run: Trainer) -> None:
    plain = image_pass(run)
    place = Place.parse("conv1/w/0,0,1,1")
    trace = image_pass(run, edits=(Edit(place, by=0.25),))
    before = float(plain["conv1", "w"][place.index])
    found = explain(trace, place)
    assert found.before == before and found.value == pytest.approx(before + 0.25)
    assert "set by hand" in found.sentence
    assert explain(trace, Place.parse("conv1/w/0,0,1,2")).before is None
    parameters = {name: np.array(array) for name, array in run.parameters.items()}
    parameters["conv1/w"][place.index] += np.float32(0.25)
    values = run.network.forward(parameters, plain["input", "y"], plain["target", "y"])
    assert trace["loss", "y"] == values["loss", "y"]


def test_a_block_later_edits_and_pixels(run: Trainer) -> None:
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    edits = (
        Edit(Place("conv1", "w", (2, 0)), value=kernel),
        Edit(Place("conv1", "w", (2, 0, 1, 1)), value=np.array(5.0)),
        Edit(Place("input", "y", (0, 0, 12)), value=np.array(1.0)),
    )
    trace = image_pass(run, edits=edits)
    assert trace["conv1", "w"][2, 0].tolist() == [[-1, 0, 1], [-2, 5, 2], [-1, 0, 1]]
    assert (trace["input", "y"][0, 0, 12] == 1).all()
    assert run.parameters["conv1/w"][2, 0, 1, 1] != 5  # nothing is learned from it


def test_a_unit_set_by_hand_is_what_later_layers_read(run: Trainer) -> None:
    """A gate opened by hand: what came before it no longer decides."""
    plain = image_pass(run)
    closed = tuple(map(int, np.argwhere(plain["conv1", "y"] < 0)[0]))
    trace = image_pass(run, edits=(Edit(Place("conv1", "y", closed), value=np.array(2.0)),))
    assert trace["relu1", "y"][closed] == 2 and plain["relu1", "y"][closed] == 0
    assert explain(trace, Place("conv1", "y", closed)).before == float(plain["conv1", "y"][closed])


def test_another_cell_wins_a_window_and_takes_the_whole_delta(run: Trainer) -> None:
    plain = image_pass(run)
    place = Place("pool1", "indices", tuple(map(int, np.argwhere(plain["pool1", "y"] > 0)[0])))
    n, c, i, j = place.index
    width = plain["relu1", "y"].shape[3]
    winner, other = int(plain["pool1", "indices"][place.index]), (2 * i) * width + 2 * j
    other += winner == other
    trace = image_pass(run, edits=(Edit(place, value=np.array(float(other))),))
    planes = trace["relu1", "y"].reshape(1, plain["pool1", "y"].shape[1], -1)
    assert trace["pool1", "y"][place.index] == planes[n, c, other] != plain["pool1", "y"][place.index]
    assert (np.delete(trace["pool1", "y"].ravel(), (c * 13 + i) * 13 + j) == np.delete(
        plain["pool1", "y"].ravel(), (c * 13 + i) * 13 + j)).all()  # fmt: skip
    came = trace["pool1", "dx"].reshape(planes.shape)[n, c]
    delta = trace["conv2", "dx"][place.index]
    assert delta != 0 and came[other] == delta and came[winner] == 0
    assert explain(trace, Place("pool1", "y", place.index)).before == float(plain["pool1", "y"][place.index])
    assert explain(trace, place).before == winner
    assert explain(trace, Place("pool1", "dx", (n, c, *divmod(other, width)))).value == delta


def test_a_cell_outside_of_the_window_cannot_win_it(run: Trainer) -> None:
    with pytest.raises(PlaceError, match=r"the window sees the cells 0, 1, 26, 27, counted row by row; got 2"):
        image_pass(run, edits=(Edit(Place("pool1", "indices", (0, 0, 0, 0)), value=np.array(2.0)),))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Edit(Place("pool1", "indices", (0, 0, 0)), value=np.array(1.0)), "one window"),
        (Edit(Place("pool1", "indices", (0, 0, 0, 0)), by=1.0), "one window"),
        (Edit(Place("conv1", "dw", (0, 0, 1, 1)), by=1.0), "cannot be set by hand"),
        (Edit(Place("conv1", "w", (0, 0, 3)), by=1.0), "no block"),
        (Edit(Place("conv1", "w", (0, 0)), value=np.zeros((2, 2))), r"expected a number or the shape \[3, 3\]"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(run: Trainer, edit: Edit, words: str) -> None:
    with pytest.raises(PlaceError, match=words):
        image_pass(run, edits=(edit,))


def test_a_series_is_what_the_steps_themselves_say(run: Trainer) -> None:
    for tensor in ("w", "dw", "w_next"):
        found = run.series(("conv1", tensor), (0, 0, 1, 1), points=7)
        assert len(found.steps) <= 7 and found.steps[-1] == run.step
        for step, value in zip(found.steps, found.values, strict=True):
            assert value == float(run.trace(step)["conv1", tensor][0, 0, 1, 1])


def test_a_series_of_an_image_is_what_its_passes_say(run: Trainer) -> None:
    x, target = run.dataset.splits["test"].batch(slice(3, 4))
    found = run.series_of(x, target, ("relu1", "y"), (0, 2, 12, 12), points=5, first=100)
    assert found.steps[0] >= 100 and found.steps[-1] == run.step
    expected = [float(run.trace_of(x, target, step)["relu1", "y"][0, 2, 12, 12]) for step in found.steps]
    assert found.values == expected


def test_a_near_series_has_every_step(run: Trainer) -> None:
    found = run.series(("conv1", "w"), (0, 0, 1, 1), points=50, first=run.step - 9)
    assert found.steps == list(range(run.step - 9, run.step + 1))


def test_a_series_outside_the_history_is_refused(run: Trainer) -> None:
    with pytest.raises(HistoryError, match="outside the history"):
        run.series(("conv1", "w"), (0, 0, 1, 1), points=5, first=10_000)
