"""Training: repeatable bit for bit, unchanged by watching, every step of its history to be had again."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from engine import train
from engine.backends import Readable
from engine.data import from_arrays, mnist
from engine.models import MODELS
from engine.network import Network
from engine.ops.base import Array, ShapeError
from engine.optimizers import OPTIMIZERS
from engine.trace import Place, explain
from engine.train import REPLAY_STEPS, SNAPSHOTS, HistoryError, Trainer, optimizer_from
from tests.engine.tools import digits, trainer

DROPPING: dict[str, Any] = {
    "input": [1, 28, 28],
    "layers": [
        {"name": "conv", "op": "conv2d", "settings": {"out": 2, "kernel_size": 5, "stride": 2, "padding": "same"}},
        {"name": "relu", "op": "relu"},
        {"name": "drop", "op": "dropout", "settings": {"p": 0.3, "seed": 4}},
        {"name": "flatten", "op": "flatten"},
        {"name": "linear", "op": "linear", "settings": {"out": 10}},
    ],
}


def dropping(**options: Any) -> Trainer:
    return Trainer(
        Network.from_document(DROPPING),
        digits(),
        OPTIMIZERS["adam"](learning_rate=0.01),
        **{"batch_size": 10, **options},
    )


def same(a: Mapping[Any, Array], b: Mapping[Any, Array]) -> bool:
    return a.keys() == b.keys() and all(a[key].tobytes() == b[key].tobytes() for key in a)


def test_the_same_seed_gives_the_same_bits() -> None:
    runs = [dropping(seed=3), dropping(seed=3), dropping(seed=4)]
    metrics = [[run.step_once() for _ in range(25)] for run in runs]
    assert metrics[0] == metrics[1] != metrics[2]
    assert same(runs[0].parameters, runs[1].parameters)
    assert same(*(run.checkpoint().state.optimizer for run in runs[:2]))
    assert not same(runs[0].parameters, runs[2].parameters)


def test_watching_changes_nothing() -> None:
    alone, watched = dropping(), dropping(history_bytes=1, trace_bytes=1)
    test = digits(3, seed=9).splits["train"].batch(slice(0, 1))
    for step in range(1, 31):
        expected = alone.step_once()
        assert watched.step_once() == expected
        watched.trace(step)
        watched.trace(max(watched.history[0], step - 3))
        watched.trace_of(*test)
        watched.predict(test[0])
        watched.evaluate(limit=5)
    assert same(alone.parameters, watched.parameters)


def test_every_earlier_step_is_had_again_bit_for_bit() -> None:
    """The ring keeps so little that most must be replayed, over an epoch's end and a new learning rate."""
    run = dropping()
    size = run.checkpoint().state.nbytes
    tight, seen = dropping(history_bytes=5 * size, trace_bytes=1), {}
    for step in range(1, 41):
        for each in (run, tight):
            if step == 21:
                each.learning_rate = 0.003
            each.step_once()
        seen[step] = dict(run.trace(step))
    assert tight.history == (0, 40)
    for step in (1, 40, 7, 20, 21, 22, 33, 10, 11):
        assert same(dict(tight.trace(step)), seen[step]), step
    assert same({"w": tight.trace(7)["conv", "w_next"]}, {"w": tight.trace(8)["conv", "w"]})


def test_a_replay_with_another_learning_rate_would_be_noticed() -> None:
    run = dropping(trace_bytes=1)
    for _ in range(5):
        run.step_once()
    before = run.trace(3)["conv", "w_next"]
    run._optimizers = [(1, OPTIMIZERS["adam"](learning_rate=0.02))]
    run._traces.clear()
    run._snapshots = type(run._snapshots)({0: run._snapshots[0]})
    assert before.tobytes() != run.trace(3)["conv", "w_next"].tobytes()


def test_the_history_is_bounded_in_bytes_and_replays_stay_short() -> None:
    run = dropping()
    size = run._state.nbytes
    tight = dropping(history_bytes=6 * size, batch_size=96)
    for _ in range(450):
        tight.step_once()
    first, last = tight.history
    assert last == 450 and 0 < first <= 450 - 5 * 64
    assert len(tight._snapshots) * size <= 6 * size
    tight.trace(first)
    for outside in (first - 1, last + 1):
        with pytest.raises(HistoryError, match=f"step {outside} is outside the history, {first} to {last}"):
            tight.trace(outside)


def test_the_dearer_a_step_the_shorter_a_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    run = dropping()
    step = 3 * run.batch_size * run.network.work / run.backend.pace
    monkeypatch.setattr(train, "REPLAY_SECONDS", 2.5 * step)
    tight = dropping(history_bytes=1)
    for _ in range(20):
        tight.step_once()
    assert list(tight._snapshots) == [14, 16, 18, 20] and tight.history == (15, 20)


def test_however_small_they_are_not_all_snapshots_are_kept() -> None:
    run = dropping(batch_size=96)
    for _ in range(SNAPSHOTS + 1):
        run.step_once()
    assert run.history == (0, SNAPSHOTS + 1) and len(run._snapshots) <= SNAPSHOTS


def test_step_0_is_the_first_batch_without_an_update() -> None:
    run = dropping()
    start = run.trace(0)
    assert ("conv", "w_next") not in start and run.step == 0 and run.history == (0, 0)
    run.step_once()
    assert same({key: start[key] for key in start}, {key: run.trace(1)[key] for key in start})
    assert run.trace(1)["conv", "w_next"].tobytes() == run.parameters["conv/w"].tobytes()


def test_an_epoch_takes_every_image_once_and_the_last_batch_may_be_short() -> None:
    run = dropping(batch_size=7)
    assert run.steps_per_epoch == 14
    seen = np.concatenate([run.indices(step) for step in range(1, 15)])
    assert sorted(seen) == list(range(96)) and len(run.indices(14)) == 5
    assert not np.array_equal(run.indices(1), run.indices(15))
    for _ in range(15):
        run.step_once()
    assert (run.epoch, run.position) == (1, 7)


def test_metrics_are_those_of_the_minibatch_before_its_update() -> None:
    run = dropping()
    found = run.step_once()
    trace = run.trace(1)
    assert found.loss == pytest.approx(float(trace["loss", "y"]), rel=1e-6)
    assert found.accuracy == np.mean(trace["linear", "y"].argmax(1) == trace["target", "y"])


def test_a_single_image_goes_through_any_steps_parameters_and_teaches_nothing() -> None:
    run = dropping()
    for _ in range(6):
        run.step_once()
    image = digits(3, seed=8).splits["train"].batch(slice(1, 2))
    before = dict(run.parameters)
    for step in (None, 6, 3, 0):
        made = run.trace_of(*image, step=step)
        expected = (
            run.parameters
            if step in (None, 6)
            else {name: run.trace(step + 1)[name.split("/")[0], name.split("/")[1]] for name in before}
        )
        assert same({name: made[name.split("/")[0], name.split("/")[1]] for name in before}, expected)
        assert made["drop", "mask"].all() and made.batch == 1
    assert same(run.parameters, before) and run.step == 6


def test_a_forward_pass_at_rest_is_the_prediction() -> None:
    run = dropping()
    x, target = digits(3, seed=8).splits["train"].batch(slice(0, 3))
    answers, layers = run.predict(x)
    assert np.allclose(answers.sum(1), 1, atol=1e-6) and answers.shape == (3, 10)
    assert np.array_equal(answers, run.trace_of(x, target)["loss", "p"])
    assert layers["conv", "y"].shape == (3, 2, 14, 14)


def test_evaluation_is_the_mean_over_all_images() -> None:
    run = dropping()
    x, target = run.dataset.splits["test"].batch(slice(0, 96))
    answers, _ = run.predict(x)
    loss, accuracy = run.evaluate("test")
    assert loss == pytest.approx(-np.log(answers[np.arange(96), target]).mean(), rel=1e-5)
    assert accuracy == np.mean(answers.argmax(1) == target)


@pytest.mark.parametrize(
    "loss",
    [
        {"op": "cross_entropy", "settings": {"reduction": "sum"}},
        {"op": "cross_entropy", "settings": {"ignore_index": 3}},
        {"op": "cross_entropy", "settings": {}},
    ],
)
def test_evaluation_slice_by_slice_is_what_one_batch_gives(loss: dict[str, Any]) -> None:
    net = Network.from_document({**DROPPING, "loss": loss})
    run = Trainer(net, digits(), OPTIMIZERS["adam"](learning_rate=0.01))
    run.backend.slice = 7
    x, target = run.dataset.splits["test"].batch(slice(0, 96))
    whole = net.forward(run.parameters, x, target)["loss", "y"]
    assert run.evaluate("test")[0] == pytest.approx(float(whole), rel=1e-5)


def test_reading_from_other_threads_while_training_never_sees_half_a_step() -> None:
    alone, run = dropping(), dropping(trace_bytes=1)
    steps, wrong, done = 120, [], threading.Event()
    expected: dict[int, bytes] = {}
    for step in range(1, steps + 1):
        expected[step - 1] = alone.parameters["conv/w"].tobytes()
        alone.step_once()
    expected[steps] = alone.parameters["conv/w"].tobytes()

    def watch(seed: int) -> None:
        rng = np.random.default_rng(seed)
        x = digits(1).splits["train"].batch(slice(0, 1))
        while not done.is_set():
            step = int(rng.integers(run.step + 1))
            made, trace = run.trace_of(*x), run.trace(step)
            if made["conv", "w"].tobytes() != expected[made.step or 0]:
                wrong.append(("pass", made.step))
            if trace["conv", "w"].tobytes() != expected[max(0, step - 1)]:
                wrong.append(("trace", step))
            run.predict(x[0])

    threads = [threading.Thread(target=watch, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for _ in range(steps):
        run.step_once()
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong and same(run.parameters, alone.parameters)


def test_parameters_cannot_be_changed_from_outside() -> None:
    run = dropping()
    with pytest.raises(ValueError, match="read-only"):
        run.parameters["conv/w"][0] = 1


@pytest.mark.parametrize("batch", [0, 97])
def test_a_batch_larger_than_the_dataset_is_refused(batch: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 96"):
        dropping(batch_size=batch)


def test_a_dataset_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"input has shape \[1, 1, 4, 4\], expected \[N, 1, 28, 28\]"):
        trainer(dataset=from_arrays(np.zeros((3, 1, 4, 4)), np.zeros(3, int)), batch_size=1)


def test_the_loss_falls() -> None:
    run = trainer(batch_size=16)
    losses = [run.step_once().loss for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:10])


def test_classroom_reads_97_of_100_test_digits_after_one_epoch_the_same_each_time() -> None:
    defaults = MODELS["classroom"].defaults
    run = Trainer(
        Network.from_document(MODELS["classroom"].document),
        mnist(),
        optimizer_from(defaults["optimizer"]),
        defaults["batch_size"],
        defaults["seed"],
    )
    while run.epoch < 1:
        run.step_once()
    assert (run.step, run.position) == (1875, 0)
    loss, accuracy = run.evaluate("test")
    assert accuracy is not None and accuracy >= 0.97
    assert run.trace(1000)["linear", "w_next"].tobytes() == run.trace(1001)["linear", "w"].tobytes()
    assert run.evaluate("test") == (loss, accuracy)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 1, 2, 10], "digits/train: loss: target 10 at 3 is no class: expected 0 to 9"),
        ([0, -1, 2, 3], "target -1 at 1"),
        ([0, 1, 2.5, 3], "target 2.5 at 2"),
    ],
)
def test_one_target_that_is_no_class_is_refused_before_training(labels: list[float], words: str) -> None:
    images = digits(4).splits["train"].images
    with pytest.raises(ShapeError, match=words):
        trainer(dataset=from_arrays(images, np.array(labels), "digits"), batch_size=1)
    trainer(dataset=from_arrays(images, np.array([0, 1, 2, 9]), "digits"), batch_size=1)


@pytest.mark.parametrize("at", [0, 1, 17, 65])
def test_a_trainer_goes_on_from_a_checkpoint_bit_for_bit(at: int) -> None:
    unbroken = dropping(seed=3)
    for _ in range(at):
        unbroken.step_once()
    unbroken.learning_rate = 0.02
    checkpoint = unbroken.checkpoint()
    resumed = dropping(seed=3)
    resumed.restore(checkpoint)
    first, last = resumed.history
    assert (first, last) == (0 if at <= REPLAY_STEPS else at, at)  # far from its start, the history begins anew
    for step in {first, at}:
        assert same(dict(resumed.trace(step)), dict(unbroken.trace(step)))
    assert [resumed.step_once() for _ in range(12)] == [unbroken.step_once() for _ in range(12)]
    assert same(resumed.parameters, unbroken.parameters)
    assert same(dict(resumed.trace(at + 5)), dict(unbroken.trace(at + 5)))


def test_with_its_snapshots_a_trainer_has_its_whole_history_again() -> None:
    unbroken, resumed = dropping(seed=3), dropping(seed=3)
    for _ in range(150):
        unbroken.step_once()
    resumed.restore(unbroken.checkpoint(), unbroken.snapshots)
    assert resumed.history == unbroken.history == (0, 150)
    for step in (0, 1, 70, 149, 150):
        assert same(dict(resumed.trace(step)), dict(unbroken.trace(step)))
    assert [resumed.step_once() for _ in range(200)] == [unbroken.step_once() for _ in range(200)]
    assert same(dict(resumed.trace(99)), dict(unbroken.trace(99)))


def test_of_two_learning_rates_before_the_same_step_the_later_is_kept() -> None:
    training = dropping()
    for rate in (0.5, 0.25, 0.125):
        training.learning_rate = rate
    assert [optimizer.options["learning_rate"] for _, optimizer in training.checkpoint().optimizers] == [0.125]


def test_a_diverged_run_names_the_first_number_that_is_none() -> None:
    parameters = {name: array * np.float32(1e30) for name, array in trainer().parameters.items()}
    learner = trainer(parameters=parameters)
    assert not np.isfinite(learner.step_once().loss)
    found = learner.trouble()
    assert found is not None and found.kind == "diverged"
    before = learner.trace(found.step)
    order = list(before.network.layers)
    bad = [layer for layer in order if not np.isfinite(before[layer, "y"]).all()]
    assert (found.layer, found.tensor) == (bad[0], "y")
    assert found.step == 1 and found.largest == max(float(np.abs(array).max()) for array in parameters.values())


def test_a_dead_layer_is_named_and_a_healthy_run_has_no_trouble() -> None:
    healthy = trainer()
    for _ in range(3):
        healthy.step_once()
    assert healthy.trouble() is None
    parameters = {name: array.copy() for name, array in healthy.parameters.items()}
    parameters["conv1/b"][:] = -1e3  # no pixel opens a gate behind it
    dead = Trainer(healthy.network, healthy.dataset, healthy.optimizer, 8, 7, parameters)
    dead.step_once()
    found = dead.trouble()
    assert found is not None
    assert (found.kind, found.layer, found.tensor, found.step) == ("dead", "relu1", "y", 1)


def test_the_loss_after_an_update_is_that_of_the_parameters_it_leaves() -> None:
    learner = trainer()
    x, target = learner.dataset.splits["train"].batch(slice(0, 1))
    trace = learner.trace_of(x, target)
    after = learner.loss_after(trace)
    assert after is not None and after < float(trace["loss", "y"])
    moved = {name: trace[name.split("/")[0], f"{name.split('/')[1]}_next"] for name in learner.parameters}
    values = learner.network.forward(moved, x, target)
    assert after == float(values["loss", "y"])


RULED = {
    "name": "adamw",
    "amsgrad": True,
    "learning_rate": 0.01,
    "schedule": {"name": "one_cycle", "total_steps": 40},
    "max_norm": 0.5,
}


def ruled(readable: bool = False, **options: Any) -> Trainer:
    network = Network.from_document(DROPPING)
    given = {"batch_size": 20, "seed": 3, "drop_last": True, "shift": 2, **options}
    made = Trainer(network, digits(), optimizer_from(RULED), **given)
    if readable:
        made.backend = Readable(network, "for this test")
    return made


def test_a_schedule_clipping_and_shifts_give_the_same_bits_whatever_interrupts_them() -> None:
    through, cut = ruled(history_bytes=1), ruled(history_bytes=1)
    assert through.backend.name == "fast"
    for _ in range(9):
        cut.step_once()
    again = ruled(history_bytes=1)
    again.restore(cut.checkpoint())
    for step in range(1, 26):
        metrics = through.step_once()
        if step > 9:
            assert again.step_once() == metrics
    assert same(through.parameters, again.parameters)
    assert same(through.checkpoint().state.optimizer, again.checkpoint().state.optimizer)
    assert not same(through.parameters, ruled(shift=0).parameters)


@pytest.mark.parametrize("readable", [False, True])
def test_the_card_of_an_update_has_its_rate_the_norm_and_the_factor(readable: bool) -> None:
    run = ruled(readable)
    for _ in range(9):
        run.step_once()
    trace = run.trace(9)
    gradients = [np.float64(trace[layer, f"d{tensor}"]) for layer, tensor in map(split_name, run.network.learned)]
    norm = np.sqrt(sum(np.square(g).sum() for g in gradients))
    assert norm > 0.5, "clipping is put to the test"
    assert float(trace["conv", "w.factor"]) == pytest.approx(0.5 / (norm + 1e-6), rel=1e-12)
    assert float(trace["conv", "w.lr"]) == run.optimizer.numbers(9)["lr"] != 0.01
    found = explain(trace, Place.parse("conv/w.factor"))
    assert found.sentence == "factor = 1 if norm + 1e-06 <= max_norm else max_norm / (norm + 1e-06)"
    assert [each.tensor for each in found.reads] == ["conv/w.norm"]
    assert found.reads[0].value == pytest.approx(norm, rel=1e-12)
    assert explain(trace, Place.parse("linear/b.norm")).value == explain(trace, Place.parse("conv/w.norm")).value
    assert explain(trace, Place.parse("conv/w.lr")).value == float(trace["conv", "w.lr"])
    read = explain(trace, Place.parse("conv/w_next/0,0,0,0"))
    assert {"conv/w.lr", "conv/w"} <= {each.tensor for each in read.reads}
    np.testing.assert_allclose(trace["conv", "w.g"], trace["conv", "dw"] * float(trace["conv", "w.factor"]), rtol=1e-6)


def test_both_paths_agree_under_a_schedule_clipping_and_shifts() -> None:
    fast, readable = ruled(), ruled(True)
    for _ in range(5):
        assert fast.step_once().loss == pytest.approx(readable.step_once().loss, rel=1e-5)
    for name, array in fast.parameters.items():
        np.testing.assert_allclose(array, readable.parameters[name], atol=2e-5)


def split_name(name: str) -> tuple[str, str]:
    layer, _, tensor = name.partition("/")
    return layer, tensor


def test_in_a_fixed_order_without_the_last_batch_images_come_as_they_stand() -> None:
    run = dropping(batch_size=10, shuffle=False, drop_last=True)
    images = len(run.dataset.splits["train"])
    assert images % 10
    assert run.steps_per_epoch == images // 10
    seen = np.concatenate([run.indices(step) for step in range(1, 2 * run.steps_per_epoch + 1)])
    once = np.arange(images // 10 * 10)
    assert seen.tolist() == [*once.tolist(), *once.tolist()]


def test_images_are_shifted_with_zeros_coming_in() -> None:
    images = np.arange(1, 13, dtype=np.uint8).reshape(1, 1, 3, 4).repeat(3, 0)
    found = train.shifted(images, np.array([[0, 1, -2], [0, -1, 3]]))
    assert found[0].tolist() == images[0].tolist()
    assert found[1, 0].tolist() == [[0, 0, 0, 0], [2, 3, 4, 0], [6, 7, 8, 0]]
    assert found[2, 0].tolist() == [[0, 0, 0, 9], [0, 0, 0, 0], [0, 0, 0, 0]]
