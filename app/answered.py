"""What the API answers, field by field: for its description, and for the tests that hold answers against it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.bodies import TENSOR

Number = float | Literal["NaN", "Infinity", "-Infinity"]


def numbers(words: str) -> Any:
    """A field of nested lists of numbers, or of one number: NaN and infinities are words."""
    return Field(description=words, json_schema_extra=TENSOR)


def said(words: str, **more: Any) -> Any:
    return Field(description=words, **more)


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Tensors = Annotated[dict[str, Any], Field(json_schema_extra={"additionalProperties": TENSOR})]
Shape = list[int]
Counts = dict[str, int]


# operators and optimizers -------------------------------------------------------------------------------------------


class Equation(Answer):
    text: str = said("as a sentence: an indexed sum in Python's syntax")
    mathml: str = said("as MathML; symbols name their tensors in `data-tensor`")


class TensorSpec(Answer):
    description: str = said("what it is, with its shape")
    optional: bool = said("whether it may be left out")


class OpDescription(Answer):
    name: str = said("as in addresses and in network documents")
    title: str = said("as in headings")
    sentences: list[str] = said("what it computes and every gradient, for the usual rank")
    equations: dict[str, Equation] = said("the same by result or gradient")
    tensors: dict[str, TensorSpec] = said("what it is given, by name; the gradient `dy` comes on top")
    settings: dict[str, Any] = said("JSON Schema of the settings")
    layer_settings: dict[str, Any] = said("JSON Schema of the settings as a network's layer")
    results: list[str] = said("what forward answers")
    gradients: list[str] = said("what backward adds")
    loss: bool = said("whether it ends a network")


class Ops(Answer):
    ops: list[OpDescription] = said("every operator")


class OptimizerDescription(Answer):
    name: str = said("as in addresses and in runs")
    title: str = said("as in headings")
    sentences: list[str] = said("one update")
    equations: dict[str, Equation] = said("the same by result")
    settings: dict[str, Any] = said("JSON Schema of the settings")
    state: list[str] = said("what it keeps from update to update, each shaped as its parameter or a number")


class Optimizers(Answer):
    optimizers: list[OptimizerDescription] = said("every optimizer")


class Results(Answer):
    tensors: Tensors = said("every result by name, nested lists")
    shapes: dict[str, Shape] = said("the shape of each")


class Read(Answer):
    tensor: str = said("which tensor; in a network layer/tensor, and `@step` where it belongs to another step")
    index: list[int] = said("where in it; outside, where it would be")
    value: Number = said("the number there, 0 outside")
    inside: bool = said("false where nothing is: in the padding, or between two cells")
    gap: bool = said("true between two cells that a stride leaves apart; `index` is the cell before")


class Part(Answer):
    role: Literal["read", "made", "divisor", "made_divisor", "constant", "constant_divisor", "test", "winner"] = said(
        "a cell, what is computed from cells, or a constant; divided by, or not; or 1 where a test holds or a maximum "
        "is taken, else 0"
    )
    value: Number = said("the factor, or what it divides by")
    reads: list[int] = said("positions in `reads`")
    text: str = said("what stands in the sentence, without indices")


class Term(Answer):
    reads: list[int] = said("positions in `reads`, in the order of the factors")
    factors: list[Number] = said("what is multiplied")
    value: Number = said("their product")
    at: Counts = said("where the letters of the sum stand")
    family: int = said("which summand of the sentence it comes from")
    label: str = said("a word for a summand of one factor, as `bias`")
    parts: list[Part] = said("what each of the factors is")


class Group(Answer):
    letter: str = said("the letter that counts the groups, as n for images")
    at: int = said("where it stands")
    value: Number = said("subtotal of the group's terms")
    count: int = said("terms in the group")
    first: int = said("the number of its first term")


class Explanation(Answer):
    place: str = said("what is explained, as it was asked")
    value: Number = said("the stored number")
    equation: Equation = said("what made it")
    sentence: str = said("the whole sentence, with letters that count to one written out")
    reads: list[Read] = said("every cell that this page's terms read, each once")
    terms: list[Term] = said("this page's terms")
    terms_total: int = said("terms on all pages")
    page: int = said("which page, from 0")
    pages: int = said("how many")
    page_sum: Number = said("sum of this page's terms")
    remainder: Number = said("value minus the sum of the terms of all pages: rounding")
    groups: list[Group] = said("subtotals, as of each image in a weight's gradient")
    before: Number | None = said("what stood there before it was set by hand", default=None)


class Kink(Answer):
    place: str = said("tensor/index")
    kind: Literal["kink", "tie"] = said("a tie is a maximum that changes its winner")
    detail: str = said("in words")
    analytic: Number = said("the gradient there")
    below: Number = said("slope on the side below")
    above: Number = said("slope on the side above")
    low: Number = said("the least slope that is right there")
    high: Number = said("the largest slope that is right there")


class Compared(Answer):
    agrees: bool = said("whether no difference is above the tolerance")
    largest_absolute: Number = said("largest difference, kinks left out")
    largest_relative: Number = said("the same as a share of the tensor's largest gradient")
    place: str | None = said("where it is")
    elements: int = said("elements of the tensor")
    checked: int = said("how many were checked: all, or a random choice that is always the same")
    kinks: list[Kink] = said("places where the slopes to the two sides differ")
    analytic: Any = numbers("the gradient")
    numeric: Any = numbers("central differences, NaN where none was taken")


class Mistake(Answer):
    name: str = said("as in looks_like")
    sentence: str = said("what went wrong, for people")
    applies: str = said("where it can happen")


class Mistakes(Answer):
    mistakes: list[Mistake] = said("every mistake that a check names")


class Judged(Answer):
    agrees: bool = said("whether it is right")
    largest_absolute: Number | None = said("largest difference from the right one; null for another shape")
    largest_relative: Number | None = said("the same as a share of the tensor's largest gradient")
    place: str | None = said("where it is")
    given: Number | None = said("what was given there")
    expected: Number | None = said("what is right there")
    looks_like: str | None = said("the mistake that leads to it, in a word: flip, padding, sum_not_mean, ...")
    guess: str | None = said("the same in a sentence")


class Report(Answer):
    agrees: bool = said("whether everything agrees")
    tolerance: float = said("the largest relative difference that agrees")
    tensors: dict[str, Compared] = said("each gradient beside its central differences")
    gradients: dict[str, Judged] = said("each gradient that was given beside the right one", default={})


# networks -----------------------------------------------------------------------------------------------------------


class Layer(Answer):
    name: str = said("how places name it")
    op: str = said("an operator")
    settings: dict[str, Any] = said("its settings", default={})
    inputs: list[str] = said("what it reads", default=[])


class Loss(Answer):
    op: str = said("a loss")
    settings: dict[str, Any] = said("its settings", default={})


class NetworkDocument(Answer):
    input: Shape = said("[channels, height, width] of one image")
    layers: list[Layer] = said("in an order in which each comes after what it reads")
    loss: Loss | str = said("what the last layer feeds")


class Network(NetworkDocument):
    title: str = said("what it is called")
    parameters: Tensors = said("by name, `conv1/w`, float32")


class Model(NetworkDocument):
    name: str = said("what `model` calls it")
    title: str = said("what it is called")
    summary: str = said("what it is")
    defaults: dict[str, Any] = said("optimizer, batch_size, seed, steps or epochs that train it well", default={})
    parameters: Tensors = said("by name, where the model has its own", default={})
    example: dict[str, Any] = said("{x, target}, where the model has its own", default={})


class ReceptiveField(Answer):
    size: list[int] = said("rows and columns of the input that one value sees")
    stride: list[Number] = said("how far apart neighbours' are, in cells; less than one after a transposed convolution")
    start: list[int] = said("where the first one begins; negative in the padding")


class LayerShape(Answer):
    name: str = said("the layer")
    op: str = said("its operator")
    shape: Shape = said("of y for one image")
    parameters: int = said("learned numbers")
    multiply_adds: int = said("multiplications with an addition, forward, for one image")
    receptive_field: ReceptiveField = said("what of the input one of its values sees")


class Shapes(Answer):
    layers: list[LayerShape] = said("each layer, in the document's order")


class Gradients(Answer):
    loss: Number = said("of the batch")
    layers: dict[str, Tensors] = said("of each layer: y and other results, dy, dx of each input; and input/y, loss/dx")
    gradients: Tensors = said("of each parameter by name, shaped as it")
    parameters: Tensors = said("the parameters that were used")


class Axis(Answer):
    pitch: int = said("position = (offset + sum of coefficient * letter) / pitch, read only where that is whole")
    offset: int = said("see pitch")
    letters: Counts = said("coefficients by letter")


class PhaseRead(Answer):
    name: str = said("in the sentence")
    tensor: str = said("layer/tensor")
    kind: str = said("value, weight, gradient or index")
    role: str = said("how the sentence uses it")
    joint: str = said("the sign before it: +, −, × or ÷")
    axes: list[Axis | None] = said("how the read moves along each axis; null where an index says")


class Step(Answer):
    name: str = said("an intermediate")
    equation: Equation = said("what makes it")


class Phase(Answer):
    place: str = said("layer/tensor that is written")
    layer: str = said("the layer")
    tensor: str = said("its tensor")
    part: Literal["forward", "loss", "backward", "update"] = said("which part of the pass")
    label: str = said("a short name")
    head: str = said("what happens, in a sentence")
    note: str = said("more about it")
    kind: str = said("value, weight, gradient or index")
    shape: Shape = said("with the batch")
    view: bool = said("the same numbers under other indices")
    form: str = said("sum, max or another form of sentence")
    sentence: str = said("what makes it")
    equation: Equation = said("the same, letters that count to one left out")
    general: Equation = said("the same with every letter")
    free: Counts = said("how many each letter of the result counts")
    bound: Counts = said("how many each letter of the sum counts")
    divisor: float | None = said("what the sum, or each of its terms, is divided by, where it is a number")
    reads: list[PhaseRead] = said("what each cell reads, and how that moves")
    steps: list[Step] = said("intermediates on the way")


class ScoreLayer(Answer):
    name: str = said("the layer, or input, target, loss")
    op: str = said("its operator, if any")
    title: str = said("what it is called")
    inputs: list[str] = said("what it reads")
    shape: Shape = said("of y for one image")
    parameters: dict[str, Shape] = said("shapes of its parameters")
    view: bool = said("the same numbers as its input's under other indices")


class ScoreTensor(Answer):
    shape: Shape = said("with the batch")
    kind: str = said("value, weight, gradient or index")
    title: str = said("what it is, in words")
    whole: bool = said("whether its first axis counts no images")


class Score(Answer):
    layers: list[ScoreLayer] = said("input, every layer, target and loss")
    tensors: dict[str, ScoreTensor] = said("by layer/tensor")
    aliases: dict[str, str] = said("other names of the same tensors: conv2/x is pool1/y")
    phases: list[Phase] = said("in the order of time")


class ImportedLayer(Answer):
    source: str = said("what it is in the file")
    layer: str | None = said("the layer that it became; null where it became none")
    op: str | None = said("its operator")
    shape: Shape | None = said("of y for one image")
    parameters: int = said("learned numbers")
    state: Literal["as_is", "moved", "guessed", "missing"] = said(
        "as_is: the same here; moved: written in another way; guessed: see the guesses; missing: nothing like it here"
    )
    detail: str = said("why, or what is different")
    nearest: list[str] = said("what may take its place: operators, or leave_out")


class ImportGuess(Answer):
    what: str = said("what the file does not say")
    why: str = said("what it was taken from")
    value: Any = said("what was taken")
    alternatives: list[Any] = said("what else fits")


class Placed(Answer):
    placed: int = said("tensors that found their layer")
    of: int = said("tensors of weights in the file")


class ImportCheck(Answer):
    accuracy: float = said("share of test images that the network answers rightly as it is, 0..1")
    images: int = said("how many were tried")


class ImportedModel(Answer):
    id: str = said("as in addresses, and as `imported` of POST /api/runs")
    name: str = said("the file's name")
    format: str = said("onnx, safetensors, npz, pytorch or document")
    network: NetworkDocument | None = said("the network; null while a layer is missing")
    layers: list[ImportedLayer] = said("what became of everything in the file")
    guesses: list[ImportGuess] = said("what the file does not say, and what was taken")
    parameters: Placed = said("how many of the file's tensors are used")
    check: ImportCheck | None = said("how it does on test images that fit; null where none do")


# data ---------------------------------------------------------------------------------------------------------------


class DataSet(Answer):
    name: str = said("as in addresses")
    title: str = said("what it is called")
    classes: list[str] = said("the names of its classes, in the order of their numbers")
    splits: Counts = said("images in each split")
    shape: Shape = said("[channels, height, width] of an image")
    source: str = said("whom it comes from, where that is known")
    licence: str = said("on what terms, where that is known")
    notes: list[str] = said("what was done to the numbers of its files")
    problem: str = said("why it cannot be read; then nothing else is known of it")


class Images(Answer):
    total: int = said("how many there are of that class, or of all")
    indices: list[int] = said("positions in the split")
    labels: list[int] = said("their classes")


class LabelledImage(Answer):
    label: int = said("the class")
    image: Any = numbers("pixels [C][H][W], 0..1")


# runs ---------------------------------------------------------------------------------------------------------------


class Span(Answer):
    first: int = said("first step that can be had")
    last: int = said("last step that can be had")


class TrainingPath(Answer):
    name: str = said("fast, or readable: the kernels that the explanations follow")
    reason: str | None = said("why it is not the fast one")


class Trouble(Answer):
    kind: str = said("`diverged`: a number is none any more; `dead`: a layer answers zero to every image")
    layer: str = said("the first layer in which that is so")
    tensor: str = said("its tensor")
    step: int = said("the minibatch in which it was found")
    largest: Number = said("the largest parameter, by size, with which that minibatch was passed")
    words: str = said("the same in a sentence, with what to try")


class Run(Answer):
    id: str = said("as in addresses")
    model: str | None = said("the preset, if any")
    title: str = said("what it is called")
    name: str = said("as whoever made it calls it; empty where it was given none")
    owner: str | None = said("the nickname of whoever made it")
    mine: bool = said("whether the token of the call may change it; without owners anybody may")
    state: Literal["created", "running", "paused", "finished", "failed"] = said("what it is doing")
    step: int = said("finished updates")
    epoch: int = said("finished times through the training set")
    images_seen: int = said("images of the epoch under way")
    loss: Number | None = said("of the last minibatch, before its update")
    accuracy: float | None = said("of the last minibatch, 0..1")
    images_per_second: float | None = said("training speed, measurements left out")
    steps: int = said("updates it is going to make")
    steps_per_epoch: int = said("updates in an epoch")
    images_per_epoch: int = said("images of the training set")
    test_accuracy: float | None = said("of the whole test set at the last epoch's end, 0..1")
    history: Span = said("the steps that can be looked at")
    optimizer: dict[str, Any] = said("name and settings in force")
    batch_size: int = said("images in a minibatch")
    seed: int = said("of first weights, shuffling and dropout")
    dataset: str = said("what it learns from")
    classes: list[str] = said("the names of its classes; none where targets are no classes")
    splits: Counts = said("images that it learns from, and that it is tested on")
    notes: list[str] = said("what was done to the data, as what was held out for testing")
    pace: float | None = said("steps a second at most; null for as fast as it goes")
    path: TrainingPath = said("how it is trained")
    kept: bool = said("whether it is the welcome run, which nobody may change")
    owned: bool = said("whether only those with its token may change it")
    token: str = said("on a shared server, once, to whoever made it: sent as `Authorization: Bearer`", default="")
    notice: str = said("what goes otherwise than it should, as a full disk", default="")
    network: NetworkDocument = said("with every setting written out")
    error: str = said("why it failed", default="")
    trouble: Trouble | None = said("why it no longer learns, where it does not", default=None)


class Expired(Answer):
    id: str = said("the run")
    title: str = said("what it was called")
    why: str = said("why it is no longer here")
    when: float = said("when it went, in seconds since 1970")
    kept: bool = said("whether it can be brought back: POST /api/expired/{id}/restore")


class Curve(Answer):
    step: list[int] = said("finished updates")
    loss: list[Number] = said("mean over the images")
    accuracy: list[float | None] = said("0..1; null where there are no classes")


class EpochCurve(Curve):
    epoch: list[int] = said("finished epochs")


class Metrics(Curve):
    """Columns of the minibatches."""

    probe: Curve = said("of the first 1,000 test images now and then")
    test: EpochCurve = said("of the whole test set at each epoch's end")


class Prediction(Answer):
    step: int = said("whose parameters were used")
    probabilities: Any = numbers("(N, classes), or the outputs where there are no classes")
    labels: list[int] = said("the data set's classes, where the images are of one", default=[])
    layers: dict[str, Tensors] = said("y of each layer, the batch's axis first", default={})


class EditMade(Answer):
    place: str = said("a number or a block")
    value: Any = Field(description="what it was set to", default=None, json_schema_extra=TENSOR)
    by: float | None = said("or what was added", default=None)


class Pass(Answer):
    id: str = said("as in addresses")
    run: str = said("the run")
    step: int = said("whose parameters were used")
    label: int | None = said("the class it was told")
    source: dict[str, Any] = said("where the image comes from")
    loss: Number = said("of this image")
    loss_after: Number = said("of this image, through the parameters that its update would leave")
    probabilities: list[Number] = said("the network's answer")

    edits: list[EditMade] = said("the numbers set by hand", default=[])
    base: str | None = said("the pass without them", default=None)
    base_loss: Number | None = said("its loss", default=None)


class Difference(Answer):
    eps: float = said("how far the number was moved, to both sides")
    loss_plus: Number = said("the loss with eps added")
    loss_minus: Number = said("the loss with eps taken away")
    slope: Number = said("(loss_plus - loss_minus) / (2 eps)")
    digits: int = said("leading digits on which slope and gradient agree, at most 15")


class Switch(Answer):
    place: str = said("the cell whose gate or winner changes")
    kind: str = said("tie for a maximum, else the operator of the gate, as relu")
    at: Number = said("the nudged number's value there")


class NudgeCurve(Answer):
    values: list[Number] = said("of the nudged number, around its own, which is in the middle")
    losses: list[Number] = said("at each")


class Nudge(Answer):
    place: str = said("the number that is moved")
    value: Number = said("its value")
    loss: Number = said("of the pass, in float64")
    gradient: Number = said("by the backward pass, in float64")
    below: Number = said("slope to the side below")
    above: Number = said("slope to the side above")
    differences: list[Difference] = said("one for each eps")
    kinks: list[Switch] = said("where, within the curve's range, a gate or winner changes")
    verdict: Literal["agrees", "kink", "round_off", "differs"] = said(
        "kink: two slopes meet at the number itself; round_off: the gradient is too small to be seen in two losses"
    )
    curve: NudgeCurve = said("the loss over the largest eps to both sides")


class Reached(Answer):
    reachable: int = said("cells in reach, as the sentences alone say")
    active: int = said("of these, cells whose derivative is not zero in this pass")
    of: int = said("cells of the tensor")
    box: list[list[int]] = said("the first and the last index in reach")


class Reach(Answer):
    place: str = said("the number")
    direction: Literal["forward", "backward"] = said("what it can change, or what it depends on")
    tensors: dict[str, Reached] = said("each tensor with cells in reach, by layer/tensor, nearest first")
    mask: Any = Field(
        description="of the tensor asked for: 0 out of reach, 1 in reach, 2 in reach and moving now",
        default=None,
        json_schema_extra=TENSOR,
    )


class Inert(Answer):
    tensor: str = said("which tensor")
    mask: Any = numbers("1 where the loss does not depend on the number, to first order")
    reasons: Counts = said("how many: unread, relu (a closed gate), not_maximum, zero_weight (multiplied by 0)")


class NumberHistory(Answer):
    place: str = said("the number")
    steps: list[int] = said("some of the run's steps, the newest among them")
    values: list[Number] = said("the number at each")
    first: int = said("first step of the run's history")
    last: int = said("last step of the run's history")


class TensorDocument(Answer):
    layer: str = said("the layer")
    tensor: str = said("its tensor")
    step: int | None = said("the step")
    shape: Shape = said("the batch's axis first, for values")
    dtype: str = said("float32, or int64 for positions")
    values: Any = numbers("nested lists")


# the server ---------------------------------------------------------------------------------------------------------


class Health(Answer):
    status: str = said("ok, or ready")


class Compiling(Answer):
    done: int = said("kernels compiled")
    total: int = said("kernels in all")
    name: str = said("the one under way")


class Status(Answer):
    version: str = said("of this server")
    ready: bool = said("whether numbers can be asked for and the welcome run has had its steps")
    compiling: Compiling | None = said("how far the first start has come")
    welcome: str | None = said("the run that a first visit looks at")


class Limit(Answer):
    value: float = said("the limit")
    unit: str = said("what it counts")
    description: str = said("why it is there")
