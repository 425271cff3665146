"""What the API answers, field by field: for its description, and for the tests that hold answers against it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.http.request_body import TENSOR
from app.services.inventory import Inventory as Inventory  # a file's own schema is what is answered
from app.services.lessons import Lesson as Lesson

Number = float | Literal["NaN", "Infinity", "-Infinity"]


def numbers(words: str) -> Any:
    """A field of nested lists of numbers, or of one number: NaN and infinities are words."""
    return Field(description=words, json_schema_extra=TENSOR)


def doc(words: str, **more: Any) -> Any:
    return Field(description=words, **more)


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Tensors = Annotated[dict[str, Any], Field(json_schema_extra={"additionalProperties": TENSOR})]
Shape = list[int]
Counts = dict[str, int]


# operators and optimizers -------------------------------------------------------------------------------------------


class Equation(Answer):
    text: str = doc("as a sentence: an indexed sum in Python's syntax")
    mathml: str = doc("as MathML; symbols name their tensors in `data-tensor`")


class TensorSpec(Answer):
    description: str = doc("what it is, with its shape")
    optional: bool = doc("whether it may be left out")


class InputCounts(Answer):
    least: int = doc("at least")
    most: int = doc("at most")


class OpDescription(Answer):
    name: str = doc("as in addresses and in network documents")
    title: str = doc("as in headings")
    sentences: list[str] = doc("what it computes and every gradient, for the usual rank")
    equations: dict[str, Equation] = doc("the same by result or gradient")
    tensors: dict[str, TensorSpec] = doc("what it is given, by name; the gradient `dy` comes on top")
    settings: dict[str, Any] = doc("JSON Schema of the settings")
    layer_settings: dict[str, Any] = doc("JSON Schema of the settings as a network's layer")
    results: list[str] = doc("what forward answers")
    gradients: list[str] = doc("what backward adds")
    loss: bool = doc("whether it ends a network")
    inputs: InputCounts | None = doc("how many others a network's layer of it may read; null for a loss")


class Ops(Answer):
    ops: list[OpDescription] = doc("every operator")


class OptimizerDescription(Answer):
    name: str = doc("as in addresses and in runs")
    title: str = doc("as in headings")
    sentences: list[str] = doc("one update")
    equations: dict[str, Equation] = doc("the same by result")
    settings: dict[str, Any] = doc("JSON Schema of the settings")
    state: list[str] = doc("what it keeps from update to update, each shaped as its parameter or a number")


class ScheduleDescription(Answer):
    name: str = doc("as in runs")
    title: str = doc("as in headings")
    sentences: list[str] = doc("the rate `lr` of an update, from the optimizer's own, `base`; none where they are one")
    equations: dict[str, Equation] = doc("the same by result")
    settings: dict[str, Any] = doc("JSON Schema of the settings")


class Optimizers(Answer):
    optimizers: list[OptimizerDescription] = doc("every optimizer")
    schedules: list[ScheduleDescription] = doc("every schedule of the learning rate that a run may have")


class Results(Answer):
    tensors: Tensors = doc("every result by name, nested lists")
    shapes: dict[str, Shape] = doc("the shape of each")


class Read(Answer):
    tensor: str = doc("which tensor; in a network layer/tensor, and `@step` where it belongs to another step")
    index: list[int] = doc("where in it; outside, where it would be")
    value: Number = doc("the number there, 0 outside")
    inside: bool = doc("false where nothing is: in the padding, or between two cells")
    gap: bool = doc("true between two cells that a stride leaves apart; `index` is the cell before")


class Part(Answer):
    role: Literal["read", "made", "divisor", "made_divisor", "constant", "constant_divisor", "test", "winner"] = doc(
        "a cell, what is computed from cells, or a constant; divided by, or not; or 1 where a test holds or a maximum "
        "is taken, else 0"
    )
    value: Number = doc("the factor, or what it divides by")
    reads: list[int] = doc("positions in `reads`")
    text: str = doc("what stands in the sentence, without indices")


class Term(Answer):
    reads: list[int] = doc("positions in `reads`, in the order of the factors")
    factors: list[Number] = doc("what is multiplied")
    value: Number = doc("their product")
    at: Counts = doc("where the letters of the sum stand")
    family: int = doc("which summand of the sentence it comes from")
    label: str = doc("a word for a summand of one factor, as `bias`")
    parts: list[Part] = doc("what each of the factors is")


class Group(Answer):
    letter: str = doc("the letter that counts the groups, as n for images")
    at: int = doc("where it stands")
    value: Number = doc("subtotal of the group's terms")
    count: int = doc("terms in the group")
    first: int = doc("the number of its first term")


class Explanation(Answer):
    place: str = doc("what is explained, as it was asked")
    value: Number = doc("the stored number")
    equation: Equation = doc("what made it")
    sentence: str = doc("the whole sentence, with letters that count to one written out")
    reads: list[Read] = doc("every cell that this page's terms read, each once")
    terms: list[Term] = doc("this page's terms")
    terms_total: int = doc("terms on all pages")
    page: int = doc("which page, from 0")
    pages: int = doc("how many")
    page_sum: Number = doc("sum of this page's terms")
    remainder: Number = doc("value minus the sum of the terms of all pages: rounding")
    groups: list[Group] = doc("subtotals, as of each image in a weight's gradient")
    largest: bool = doc(
        "whether the value is the largest of the terms' candidates, as in a max-pool, and not their sum"
    )
    before: Number | None = doc("what stood there before it was set by hand", default=None)


class Kink(Answer):
    place: str = doc("tensor/index")
    kind: Literal["kink", "tie"] = doc("a tie is a maximum that changes its winner")
    detail: str = doc("in words")
    analytic: Number = doc("the gradient there")
    below: Number = doc("slope on the side below")
    above: Number = doc("slope on the side above")
    low: Number = doc("the least slope that is right there")
    high: Number = doc("the largest slope that is right there")


class Compared(Answer):
    agrees: bool = doc("whether no difference is above the tolerance")
    largest_absolute: Number = doc("largest difference, kinks left out")
    largest_relative: Number = doc("the same as a share of the tensor's largest gradient")
    place: str | None = doc("where it is")
    elements: int = doc("elements of the tensor")
    checked: int = doc("how many were checked: all, or a random choice that is always the same")
    kinks: list[Kink] = doc("places where the slopes to the two sides differ")
    analytic: Any = numbers("the gradient")
    numeric: Any = numbers("central differences, NaN where none was taken")


class Mistake(Answer):
    name: str = doc("as in looks_like")
    sentence: str = doc("what went wrong, for people")
    applies: str = doc("where it can happen")
    feedback: str = doc("a question that helps whoever made it, and does not give the answer")


class Mistakes(Answer):
    mistakes: list[Mistake] = doc("every mistake that a check names")


class Parting(Answer):
    place: str = doc("tensor/index")
    given: Number | None = doc("what was given there")
    expected: Number | None = doc("what is right there")


class Judged(Answer):
    agrees: bool = doc("whether it is right")
    largest_absolute: Number | None = doc("largest difference from the right one; null for another shape")
    largest_relative: Number | None = doc("the same as a share of the tensor's largest gradient")
    place: str | None = doc("where it is")
    given: Number | None = doc("what was given there")
    expected: Number | None = doc("what is right there")
    first: Parting | None = doc("where it is wrong first, in reading order; null where it is right or of another shape")
    looks_like: str | None = doc("the mistake that leads to it, in a word: flip, padding, sum_not_mean, ...")
    guess: str | None = doc("the same in a sentence")


class Report(Answer):
    agrees: bool = doc("whether everything agrees")
    tolerance: float = doc("the largest relative difference that agrees")
    tensors: dict[str, Compared] = doc("each gradient beside its central differences")
    gradients: dict[str, Judged] = doc("each gradient that was given beside the right one", default={})
    given: Tensors = doc("with `echo`, the call's own tensors in NCHW", default={})


# networks -----------------------------------------------------------------------------------------------------------


class Layer(Answer):
    name: str = doc("how places name it")
    op: str = doc("an operator")
    settings: dict[str, Any] = doc("its settings", default={})
    inputs: list[str] = doc("what it reads", default=[])


class Loss(Answer):
    op: str = doc("a loss")
    settings: dict[str, Any] = doc("its settings", default={})


class NetworkDocument(Answer):
    input: Shape = doc("[channels, height, width] of one image")
    layers: list[Layer] = doc("in an order in which each comes after what it reads")
    loss: Loss | str = doc("what the last layer feeds")


class Network(NetworkDocument):
    title: str = doc("what it is called")
    parameters: Tensors = doc("by name, `conv1/w`, float32")


class Model(NetworkDocument):
    name: str = doc("what `model` calls it")
    title: str = doc("what it is called")
    summary: str = doc("what it is")
    button: str = doc("words of a button that trains it at once, where it is made for that", default="")
    defaults: dict[str, Any] = doc("optimizer, batch_size, seed, steps or epochs that train it well", default={})
    parameters: Tensors = doc("by name, where the model has its own", default={})
    example: dict[str, Any] = doc("{x, target}, where the model has its own", default={})


class ReceptiveField(Answer):
    size: list[int] = doc("rows and columns of the input that one value sees")
    stride: list[Number] = doc("how far apart neighbours' are, in cells; less than one after a transposed convolution")
    start: list[int] = doc("where the first one begins; negative in the padding")


class LayerShape(Answer):
    name: str = doc("the layer")
    op: str = doc("its operator")
    shape: Shape = doc("of y for one image")
    parameters: int = doc("learned numbers")
    multiply_adds: int = doc("multiplications with an addition, forward, for one image")
    receptive_field: ReceptiveField = doc("what of the input one of its values sees")


class Shapes(Answer):
    layers: list[LayerShape] = doc("each layer, in the document's order")


class WindowSpan(Answer):
    size: int = doc("cells of the axis")
    before: int = doc("cells of padding in front")
    after: int = doc("cells of padding behind")
    kernel: int = doc("cells of the window")
    dilation: int = doc("how far apart they are")
    stride: int = doc("cells the window moves at a time")


class Fix(Answer):
    words: str = doc("what is changed")
    setting: str | None = doc("the setting of the layer that is changed; null where layers are")
    arithmetic: str = doc("how its output's size then comes about")
    shape: Shape = doc("of its y for one image then; [] where nothing is said")
    network: dict[str, Any] = doc("the whole document with the change")


class Misfit(Answer):
    detail: str = doc("what was expected and what was got")
    sentence: str = doc("the same for people, to stand after the layer's name and a colon")
    loc: list[str | int] = doc("from the layer to what is at fault in it")
    span: WindowSpan | None = doc("the axis over which a window hangs; null where it is nothing of the kind")
    fixes: list[Fix] = doc("changes that make it fit, smallest first, at most four")


class Arithmetic(Answer):
    """Each with its numbers, "" where there is nothing to reckon."""

    output: str = doc("rows and columns of y, as (28 - 3) / 1 + 1 = 26")
    parameters: str = doc("learned numbers")
    sees: str = doc("rows of the receptive field")
    products: str = doc("multiplications of one image")


class DraftLayer(Answer):
    name: str = doc("the layer")
    op: str = doc("its operator")
    inputs: list[str] = doc("what it reads")
    state: str = doc("fits, misfit or waits")
    figures: LayerShape | None = doc("as POST /api/networks/shapes has them; null unless it fits")
    kernel: str = doc('its kernels or window: "8 of 3×3", "2×2"')
    window: ReceptiveField | None = doc("what of its input one value reads; null where there are no maps")
    arithmetic: Arithmetic = doc("how its figures come about")
    misfit: Misfit | None = doc("why it does not fit")
    waits_for: str | None = doc("the layer that must fit first")


class Draft(Answer):
    whole: bool = doc("whether every layer and the loss fit, so that it can be trained")
    layers: list[DraftLayer] = doc("each layer, in the document's order")
    loss: Misfit | None = doc("why the loss does not fit the last layer")
    parameters: int = doc("learned numbers of the layers that fit")
    multiply_adds: int = doc("multiplications of one image in the layers that fit")


class Gradients(Answer):
    loss: Number = doc("of the batch")
    layers: dict[str, Tensors] = doc("of each layer: y and other results, dy, dx of each input; and input/y, loss/dx")
    gradients: Tensors = doc("of each parameter by name, shaped as it")
    parameters: Tensors = doc("the parameters that were used")


class Axis(Answer):
    pitch: int = doc("position = (offset + sum of coefficient * letter) / pitch, read only where that is whole")
    offset: int = doc("see pitch")
    letters: Counts = doc("coefficients by letter")


class PhaseScatter(Answer):
    free: Counts = doc("how many each letter of the cell that is read counts")
    bound: Counts = doc("how many each letter of what it adds to counts")
    axes: list[Axis] = doc("which cell it is")
    target: list[Axis] = doc("the cells of the written tensor that it adds to")
    factor: str = doc("what it is multiplied by, in the sentence")
    stamp: list[Axis] = doc("which cell of the factor")


class PhaseRead(Answer):
    name: str = doc("in the sentence")
    tensor: str = doc("layer/tensor")
    kind: str = doc("value, weight, gradient or index")
    role: str = doc("how the sentence uses it")
    joint: str = doc("the sign before it: +, −, × or ÷")
    axes: list[Axis | None] = doc("how the read moves along each axis; null where an index says")
    scatter: PhaseScatter | None = doc("a sum of products from the side of one cell that is read; null for others")


class Step(Answer):
    name: str = doc("an intermediate")
    equation: Equation = doc("what makes it")


class Phase(Answer):
    place: str = doc("layer/tensor that is written")
    layer: str = doc("the layer")
    tensor: str = doc("its tensor")
    part: Literal["forward", "loss", "backward", "update"] = doc("which part of the pass")
    label: str = doc("a short name")
    head: str = doc("what happens, in a sentence")
    note: str = doc("more about it")
    kind: str = doc("value, weight, gradient or index")
    shape: Shape = doc("with the batch")
    view: bool = doc("the same numbers under other indices")
    form: str = doc("sum, max or another form of sentence")
    sentence: str = doc("what makes it")
    equation: Equation = doc("the same, letters that count to one left out")
    general: Equation = doc("the same with every letter")
    free: Counts = doc("how many each letter of the result counts")
    bound: Counts = doc("how many each letter of the sum counts")
    divisor: float | None = doc("what the sum, or each of its terms, is divided by, where it is a number")
    reads: list[PhaseRead] = doc("what each cell reads, and how that moves")
    steps: list[Step] = doc("intermediates on the way")


class ScoreLayer(Answer):
    name: str = doc("the layer, or input, target, loss")
    op: str = doc("its operator, if any")
    title: str = doc("what it is called")
    inputs: list[str] = doc("what it reads")
    shape: Shape = doc("of y for one image")
    parameters: dict[str, Shape] = doc("shapes of its parameters")
    view: bool = doc("the same numbers as its input's under other indices")


class ScoreTensor(Answer):
    shape: Shape = doc("with the batch")
    kind: str = doc("value, weight, gradient or index")
    title: str = doc("what it is, in words")
    whole: bool = doc("whether its first axis counts no images")


class Score(Answer):
    layers: list[ScoreLayer] = doc("input, every layer, target and loss")
    tensors: dict[str, ScoreTensor] = doc("by layer/tensor")
    aliases: dict[str, str] = doc("other names of the same tensors: conv2/x is pool1/y")
    phases: list[Phase] = doc("in the order of time")


class ListedLesson(Answer):
    name: str = doc("as in addresses")
    number: int = doc("its place in the order")
    title: str = doc("what it is about")
    question: str = doc("what it answers")
    minutes: int = doc("about how long it takes")
    part: Literal["forward", "loss", "backward"] = doc("where in a pass it stands")
    language: str = doc("of its sentences")
    picture: list[dict[str, Any]] = doc("on its card: coloured cells and signs")
    steps: list[str] = doc("the names of its steps")
    exercises: list[str] = doc("families of GET /api/exercises")


class LessonProblem(Answer):
    file: str = doc("a file that cannot be played")
    detail: str = doc("the line, the field, and what was expected there")


class Lessons(Answer):
    lessons: list[ListedLesson] = doc("in their order")
    problems: list[LessonProblem] = doc("files that do not fit")


class ImportedLayer(Answer):
    source: str = doc("what it is in the file")
    layer: str | None = doc("the layer that it became; null where it became none")
    op: str | None = doc("its operator")
    shape: Shape | None = doc("of y for one image")
    parameters: int = doc("learned numbers")
    state: Literal["as_is", "moved", "guessed", "missing"] = doc(
        "as_is: the same here; moved: written in another way; guessed: see the guesses; missing: nothing like it here"
    )
    detail: str = doc("why, or what is different")
    nearest: list[str] = doc("what may take its place: operators, or leave_out")


class ImportGuess(Answer):
    what: str = doc("what the file does not say")
    why: str = doc("what it was taken from")
    value: Any = doc("what was taken")
    alternatives: list[Any] = doc("what else fits")


class Placed(Answer):
    placed: int = doc("tensors that found their layer")
    of: int = doc("tensors of weights in the file")


class ImportCheck(Answer):
    accuracy: float = doc("share of test images that the network answers rightly as it is, 0..1")
    images: int = doc("how many were tried")


class ImportedModel(Answer):
    id: str = doc("as in addresses, and as `imported` of POST /api/runs")
    name: str = doc("the file's name")
    format: str = doc("onnx, safetensors, npz, pytorch or document")
    network: NetworkDocument | None = doc("the network; null while a layer is missing")
    layers: list[ImportedLayer] = doc("what became of everything in the file")
    guesses: list[ImportGuess] = doc("what the file does not say, and what was taken")
    parameters: Placed = doc("how many of the file's tensors are used")
    check: ImportCheck | None = doc("how it does on test images that fit; null where none do")


# data ---------------------------------------------------------------------------------------------------------------


class DataSet(Answer):
    name: str = doc("as in addresses")
    title: str = doc("what it is called")
    classes: list[str] = doc("the names of its classes, in the order of their numbers")
    splits: Counts = doc("images in each split")
    shape: Shape = doc("[channels, height, width] of an image")
    source: str = doc("whom it comes from, where that is known")
    licence: str = doc("on what terms, where that is known")
    notes: list[str] = doc("what was done to the numbers of its files")
    network: NetworkDocument | None = doc("a small network that takes its images")
    problem: str = doc("why it cannot be read; then nothing else is known of it")


class Images(Answer):
    total: int = doc("how many there are of that class, or of all")
    indices: list[int] = doc("positions in the split")
    labels: list[Any] = doc("their classes, or the numbers that are to be predicted")


class LabelledImage(Answer):
    label: Any = doc("the class, or the numbers that are to be predicted")
    image: Any = numbers("pixels [C][H][W], 0..1")


# runs ---------------------------------------------------------------------------------------------------------------


class Span(Answer):
    first: int = doc("first step that can be had")
    last: int = doc("last step that can be had")


class TrainingPath(Answer):
    name: str = doc("fast, or readable: the kernels that the explanations follow")
    reason: str | None = doc("why it is not the fast one")


class Trouble(Answer):
    kind: str = doc("`diverged`: a number is none any more; `dead`: a layer answers zero to every image")
    layer: str = doc("the first layer in which that is so")
    tensor: str = doc("its tensor")
    step: int = doc("the minibatch in which it was found")
    largest: Number = doc("the largest parameter, by size, with which that minibatch was passed")
    words: str = doc("the same in a sentence, with what to try")


class Run(Answer):
    id: str = doc("as in addresses")
    model: str | None = doc("the preset, if any")
    title: str = doc("what it is called")
    name: str = doc("as whoever made it calls it; empty where it was given none")
    owner: str | None = doc("the nickname of whoever made it")
    mine: bool = doc("whether the token of the call may change it; without owners anybody may")
    state: Literal["created", "running", "paused", "finished", "failed"] = doc("what it is doing")
    step: int = doc("finished updates")
    epoch: int = doc("finished times through the training set")
    images_seen: int = doc("images of the epoch under way")
    loss: Number | None = doc("of the last minibatch, before its update")
    accuracy: float | None = doc("of the last minibatch, 0..1")
    images_per_second: float | None = doc("training speed, measurements left out")
    steps: int = doc("updates it is going to make")
    steps_per_epoch: int = doc("updates in an epoch")
    images_per_epoch: int = doc("images of the training set")
    test_accuracy: float | None = doc("of the whole test set at the last epoch's end, 0..1")
    history: Span = doc("the steps that can be looked at")
    optimizer: dict[str, Any] = doc("name and settings in force")
    schedule: dict[str, Any] = doc("of the learning rate: name and settings")
    max_norm: float | None = doc("the largest norm of all gradients together; null where they are not clipped")
    batch_size: int = doc("images in a minibatch")
    shuffle: bool = doc("whether every epoch has an order of its own")
    drop_last: bool = doc("whether an epoch's last minibatch is left out where it is smaller")
    shift: int = doc("pixels by which each training image is moved at most")
    seed: int = doc("of first weights, shuffling and dropout")
    dataset: str = doc("what it learns from")
    classes: list[str] = doc("the names of its classes; none where targets are no classes")
    splits: Counts = doc("images that it learns from, and that it is tested on")
    notes: list[str] = doc("what was done to the data, as what was held out for testing")
    pace: float | None = doc("steps a second at most; null for as fast as it goes")
    slip: str | None = doc("the slip of GET /api/slips that it is trained with, if any")
    path: TrainingPath = doc("how it is trained")
    kept: bool = doc("whether it is the welcome run, which nobody may change")
    owned: bool = doc("whether only those with its token may change it")
    token: str = doc("on a shared server, once, to whoever made it: sent as `Authorization: Bearer`", default="")
    notice: str = doc("what goes otherwise than it should, as a full disk", default="")
    network: NetworkDocument = doc("with every setting written out")
    error: str = doc("why it failed", default="")
    trouble: Trouble | None = doc("why it no longer learns, where it does not", default=None)


class Expired(Answer):
    id: str = doc("the run")
    title: str = doc("what it was called")
    why: str = doc("why it is no longer here")
    when: float = doc("when it went, in seconds since 1970")
    kept: bool = doc("whether it can be brought back: POST /api/expired/{id}/restore")


class Curve(Answer):
    step: list[int] = doc("finished updates")
    loss: list[Number] = doc("mean over the images")
    accuracy: list[float | None] = doc("0..1; null where there are no classes")


class EpochCurve(Curve):
    epoch: list[int] = doc("finished epochs")


class Metrics(Curve):
    """Columns of the minibatches."""

    probe: Curve = doc("of the first 1,000 test images now and then")
    test: EpochCurve = doc("of the whole test set at each epoch's end")


class Prediction(Answer):
    step: int = doc("whose parameters were used")
    probabilities: Any = numbers("(N, classes), or the outputs where there are no classes")
    labels: list[int] = doc("the data set's classes, where the images are of one", default=[])
    layers: dict[str, Tensors] = doc("y of each layer, the batch's axis first", default={})


class EditMade(Answer):
    place: str = doc("a number or a block")
    value: Any = Field(description="what it was set to", default=None, json_schema_extra=TENSOR)
    by: float | None = doc("or what was added", default=None)


class Pass(Answer):
    id: str = doc("as in addresses")
    run: str = doc("the run")
    step: int = doc("whose parameters were used")
    label: int | None = doc("the class it was told")
    source: dict[str, Any] = doc("where the image comes from")
    loss: Number = doc("of this image")
    loss_after: Number = doc("of this image, through the parameters that its update would leave")
    probabilities: list[Number] = doc("the network's answer")

    edits: list[EditMade] = doc("the numbers set by hand", default=[])
    base: str | None = doc("the pass without them", default=None)
    base_loss: Number | None = doc("its loss", default=None)


class Difference(Answer):
    eps: float = doc("how far the number was moved, to both sides")
    loss_plus: Number = doc("the loss with eps added")
    loss_minus: Number = doc("the loss with eps taken away")
    slope: Number = doc("(loss_plus - loss_minus) / (2 eps)")
    digits: int = doc("leading digits on which slope and gradient agree, at most 15")


class Switch(Answer):
    place: str = doc("the cell whose gate or winner changes")
    kind: str = doc("tie for a maximum, else the operator of the gate, as relu")
    at: Number = doc("the nudged number's value there")


class NudgeCurve(Answer):
    values: list[Number] = doc("of the nudged number, around its own, which is in the middle")
    losses: list[Number] = doc("at each")


class Nudge(Answer):
    place: str = doc("the number that is moved")
    value: Number = doc("its value")
    loss: Number = doc("of the pass, in float64")
    gradient: Number = doc("by the backward pass, in float64")
    below: Number = doc("slope to the side below")
    above: Number = doc("slope to the side above")
    differences: list[Difference] = doc("one for each eps")
    kinks: list[Switch] = doc("where, within the curve's range, a gate or winner changes")
    verdict: Literal["agrees", "kink", "round_off", "differs"] = doc(
        "kink: two slopes meet at the number itself; round_off: the gradient is too small to be seen in two losses"
    )
    curve: NudgeCurve = doc("the loss over the largest eps to both sides")


class Reached(Answer):
    reachable: int = doc("cells in reach, as the sentences alone say")
    active: int = doc("of these, cells whose derivative is not zero in this pass")
    of: int = doc("cells of the tensor")
    box: list[list[int]] = doc("the first and the last index in reach")


class Reach(Answer):
    place: str = doc("the number")
    direction: Literal["forward", "backward"] = doc("what it can change, or what it depends on")
    tensors: dict[str, Reached] = doc("each tensor with cells in reach, by layer/tensor, nearest first")
    mask: Any = Field(
        description="of the tensor asked for: 0 out of reach, 1 in reach, 2 in reach and moving now",
        default=None,
        json_schema_extra=TENSOR,
    )


class Inert(Answer):
    tensor: str = doc("which tensor")
    mask: Any = numbers("1 where the loss does not depend on the number, to first order")
    reasons: Counts = doc("how many: unread, relu (a closed gate), not_maximum, zero_weight (multiplied by 0)")


class NumberHistory(Answer):
    place: str = doc("the number")
    steps: list[int] = doc("some of the run's steps, the newest among them")
    values: list[Number] = doc("the number at each")
    first: int = doc("first step of the run's history")
    last: int = doc("last step of the run's history")


class TensorDocument(Answer):
    layer: str = doc("the layer")
    tensor: str = doc("its tensor")
    step: int | None = doc("the step")
    shape: Shape = doc("the batch's axis first, for values")
    dtype: str = doc("float32, or int64 for positions")
    values: Any = numbers("nested lists")


# the server ---------------------------------------------------------------------------------------------------------


class Health(Answer):
    status: str = doc("ok, or ready")


class Compiling(Answer):
    done: int = doc("kernels compiled")
    total: int = doc("kernels in all")
    name: str = doc("the one under way")
    seconds_left: int | None = doc("an estimate of the time that is left; null while there is too little to go by")


class Status(Answer):
    version: str = doc("of this server")
    ready: bool = doc("whether numbers can be asked for and the welcome run has had its steps")
    compiling: Compiling | None = doc("how far the first start has come")
    welcome: str | None = doc("the run that a first visit looks at")
    embed: list[str] = doc("the origins whose pages may show a step in a frame")


class Limit(Answer):
    value: float = doc("the limit")
    unit: str = doc("what it counts")
    description: str = doc("why it is there")


# exercises ----------------------------------------------------------------------------------------------------------

AnswerKind = Literal["number", "cell", "grid", "choice", "order"]


class ExerciseEntry(Answer):
    name: str = doc("as in addresses")
    title: str = doc("as in headings")
    kind: AnswerKind = doc("what an answer is")
    lesson: int = doc("the lesson that teaches it")
    source: str = doc("the same in words")


class ExerciseGiven(Answer):
    tensors: Tensors = doc("the numbers that the question is about, by name")
    settings: dict[str, Any] = doc("the operator's settings")
    decimals: int | None = doc("to how many decimals the answer is asked; null where it is exact")
    op: str | None = doc("the operator whose call it is", default=None)
    place: str | None = doc("tensor/index of the number that is asked for", default=None)
    sentence: str | None = doc("the sentence that says it", default=None)


class ExerciseChoice(Answer):
    name: str = doc("the answer")
    text: str = doc("what it says")
    tensor: Any = Field(default=None, description="what is drawn beside it", json_schema_extra=TENSOR)


class ExerciseTerm(Answer):
    reads: list[str] = doc("the places that it reads")
    factors: list[Number] | None = doc("what is multiplied; null where it is left to the learner")
    value: Number | None = doc("the product; null where it is left to the learner")


class Exercise(Answer):
    name: str = doc("the exercise")
    seed: int = doc("which item of it")
    title: str = doc("as in headings")
    question: str = doc("what is asked")
    kind: AnswerKind = doc("what an answer is")
    given: ExerciseGiven = doc("what the learner is given")
    hints: int = doc("how many hints there are")
    shape: Shape | None = doc("rows and columns of a grid, or the shape in which a cell lies", default=None)
    choices: list[ExerciseChoice] | None = doc("what there is to choose from, or to put in order", default=None)
    terms: list[ExerciseTerm] | None = doc("the terms of a worked example", default=None)


class ExerciseMistake(Answer):
    name: str = doc("one of GET /api/mistakes")
    feedback: str = doc("a question that helps, and does not give the answer")
    explanation: Explanation | None = doc("the arithmetic that leads to the wrong answer")


class ExerciseHint(Answer):
    text: str = doc("what it says")
    places: list[str] = doc("the cells that it lights")


class Verdict(Answer):
    right: bool | None = doc("null where no answer was given")
    mistake: ExerciseMistake | None = doc("the one mistake that leads to the answer; null where none is known")
    hints: int = doc("how many hints are left after the one that was asked for")
    cells: list[list[int]] | None = doc("of a grid, 1 where a number is right", default=None)
    hint: ExerciseHint | None = doc("the hint that was asked for", default=None)
    value: Any = doc("the right answer, where it was asked to be revealed", default=None)
    solution: str | None = doc("why it is right, in words", default=None)
    explanation: Explanation | None = doc("why it is right, term by term", default=None)


# rooms --------------------------------------------------------------------------------------------------------------


class Room(Answer):
    code: str = doc("four letters and digits")
    address: str = doc("host and port that phones type")
    link: str = doc("the address with the code, as in the QR code")
    reachable: bool = doc("whether other machines reach this server there")
    students: int = doc("how many have joined")


class OpenedRoom(Room):
    projector: str = doc("a token that follows the room, and sees no bars before the reveal")


class Joined(Answer):
    student: int = doc("the student's number in the room, from 1")
    nickname: str = doc("as it was taken; empty for none")
    token: str = doc("the only key to the number")


class RoomTold(BaseModel):
    """A message to who is in a room: `state`, `view`, `ask`, `reveal`... as on the socket."""

    model_config = ConfigDict(extra="allow")

    n: int = doc("the number of the newest event that it tells of", default=0)


class Acknowledged(Answer):
    ack: str = doc("the answer_id that is stored")
    question: int = doc("which question")
    counted: bool = doc("false where it came too late")
    n: int = doc("the number of the event in the room's log")


# the bug lab --------------------------------------------------------------------------------------------------------


class SlipSentence(Answer):
    op: str = doc("an operator, or an optimizer, whose sentence it edits")
    before: str = doc("the sentence as it is")
    after: str = doc("the sentence with the slip")


class SlipMeasured(Answer):
    network: str = doc("which network, in words")
    steps: int = doc("steps of training")
    images: int = doc("test images")
    accuracy: Number = doc("the share of them that is told right after training with the slip")
    right: Number = doc("the same without it")


class SlipEntry(Answer):
    name: str = doc("as in POST /api/runs")
    title: str = doc("what goes wrong")
    mistake: str = doc("the mistake of GET /api/mistakes that it is an example of")
    tensors: list[str] = doc("whose sentences it edits")
    first: bool = doc("whether it edits the first layer that learns only")
    sentences: list[SlipSentence] = doc("what it edits, and what becomes of it")
    network: dict[str, Any] = doc("a network in which it shows, as in POST /api/runs")
    optimizer: dict[str, Any] = doc("the optimizer to train that with")
    measured: SlipMeasured = doc("what came of training that with it")


# courses ------------------------------------------------------------------------------------------------------------


class Course(Answer):
    name: str = doc("as in addresses")
    title: str = doc("what it is called")
    asks: str = doc("what is asked for")
    layout: Literal["NCHW", "NHWC"] = doc("of its images")
    checks: str = doc("how its public test checks")
    accepted: int | None = doc("wrong gradients that it took for right; null where none was tried")
    tried: int | None = doc("of how many")
    lets_through: str = doc("which ones, and why")
    inputs: list[str] = doc("inputs of its tests that are here")


class CourseCall(Answer):
    op: str = doc("the operator")
    settings: dict[str, Any] = doc("its settings")
    layout: Literal["NCHW", "NHWC"] = doc("of the tensors")
    tensors: Tensors = doc("with dy")
