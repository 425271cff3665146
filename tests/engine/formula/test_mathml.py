"""Equations for the screen: well-formed, every symbol tied to its tensor and letter, in the seeds' notation."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from engine.formula import Program
from tests.engine.formula.sentences import CASES, OPTIMIZERS, Case, update

by_name = {case.name: case for case in CASES}
UNIT = {"s": 1, "t": 1, "p": 0, "q": 0, "d": 1, "e": 1, "G": 1, "U": 3, "V": 3}


def spoken(mathml: str) -> str:
    """The characters in order, with fractions and scripts marked."""
    marks = {"mfrac": "/", "msub": "_", "msup": "^"}

    def words(element: ElementTree.Element) -> str:
        parts = [words(child) for child in element]
        text = (element.text or "").replace("\u2062", "").replace("\u2061", "")
        if element.tag in marks:
            return f"{{{marks[element.tag].join(parts)}}}"
        if element.tag == "msubsup":
            return f"{{{parts[0]}_{parts[1]}^{parts[2]}}}"
        if element.tag in ("munder", "mover"):
            return f"{parts[0]}<{parts[1]}>"
        return text + "".join(parts)

    return words(ElementTree.fromstring(mathml))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_equation_is_well_formed_and_ties_all_its_symbols(case: Case) -> None:
    tensors = case.backward()
    program = tensors.program
    for name in program.names:
        for equation in (program.equation(name), program.equation(name, tensors.numbers, tensors.sizes)):
            root = ElementTree.fromstring(equation.mathml)
            assert root.tag == "math" and root.get("display") == "block"
            tied = {e.get("data-tensor") for e in root.iter("mi")} - {None}
            right = equation.text.partition("=")[2]
            read = set(re.findall(r"[A-Za-z_]\w*(?=\[)", right)) - {"sum", "max", "argmax"}
            scalars = {n for n, axes in program.declared.items() if axes == () and re.search(rf"\b{n}\b", right)}
            assert tied == {name, *read, *scalars}
            assert {e.get("data-letter") for e in root.iter("mi")} - {None} <= program.all_letters
        general = ElementTree.fromstring(program.equation(name).mathml)
        assert {e.get("data-tensor") for e in general.iter("mi")} - {None} == {name, *program.reads(name)}


@pytest.mark.parametrize(("name", "sentences"), OPTIMIZERS, ids=[name for name, _ in OPTIMIZERS])
def test_updates_are_well_formed(name: str, sentences: str) -> None:
    program = update(sentences).program
    for tensor in program.names:
        ElementTree.fromstring(program.equation(tensor).mathml)
        ElementTree.fromstring(program.equation(tensor, update(sentences).numbers).mathml)


def gradient(name: str, tensor: str) -> str:
    case = by_name[name]
    return spoken(case.program.gradients(case.wrt).equation(tensor, UNIT, {"N": 1}).mathml)


def test_the_delta_of_the_input_reads_as_in_the_textbook() -> None:
    assert gradient("conv2d", "dx") == "{∂L/∂{x_c,h,k}}=∑<o,u,v>{δ_o,h−u,k−v}{w_o,c,u,v}"
    assert gradient("conv2d", "dw") == "{∂L/∂{w_o,c,u,v}}=∑<i,j>{δ_o,i,j}{x_c,i+u,j+v}"
    assert gradient("conv2d", "y") == "{y_o,i,j}=∑<c,u,v>{x_c,i+u,j+v}{w_o,c,u,v}+{b_o}"


def test_a_fraction_that_several_reads_have_as_index_is_written_once() -> None:
    program = Program(
        "x[n,c,h,k]",
        """y[n,c,i,j] = max[u,v](x[n,c,s*i+u,t*j+v])
        indices[n,c,i,j] = argmax[u,v](x[n,c,s*i+u,t*j+v], (s*i+u)*K + t*j+v)""",
    ).gradients(["x"])
    numbers = {"s": 2, "t": 2, "U": 2, "V": 2}
    shown = spoken(program.equation("dx", numbers, {"N": 1, "K": 26}).mathml)
    assert shown == ("{∂L/∂{x_c,h,k}}=∑<u,v>{δ_c,i,j}[{winner_c,i,j}=26h+k]where\u00a0i=(h−u)/2,j=(k−v)/2")
    assert program.equation("dx", numbers).text.count("(h-u)/2") == 2  # the text stays a sentence of the language


def test_a_choice_is_a_brace_of_cases() -> None:
    assert gradient("relu", "dx") == "{∂L/∂{x_c,i,j}}={0if\u00a0{x_c,i,j}≤0{δ_c,i,j}otherwise"


def test_an_indicator_is_an_iverson_bracket() -> None:
    assert gradient("a column", "dx") == "{∂L/∂{x_k}}=δ[k=0]"


def test_a_gradient_within_a_sentence_is_a_fraction_too() -> None:
    assert gradient("softmax", "dx").startswith("{∂L/∂{x_c,i,j}}={∂L/∂{e_c,i,j}}exp(")


def test_a_mean_is_a_fraction_before_the_sum_and_a_0_d_y_is_the_loss() -> None:
    assert spoken(by_name["mse_loss"].program.equation("y").mathml) == "L={1/NC}∑<n,c>{({x_n,c}−{target_n,c})^2}"
    assert spoken(by_name["cross_entropy of probabilities"].program.equation("y").mathml).startswith("L=−{1/N}∑<n,k>")


def test_a_gradient_over_something_stands_beside_the_fraction() -> None:
    assert gradient("log_softmax", "dz") == "{∂L/∂{z_i,j}}=−∑<c>{{δ_c,i,j}/{z_i,j}}"
    assert gradient("cross_entropy of indices", "dz") == "{∂L/∂z}=−∑<k>{1/z}{∂L/∂{log p_k}}"


def test_an_exponent_stands_above_the_index() -> None:
    assert spoken(Program("x[n]", "y[n] = x[n]**2 + (x[n] + 1)**2 + x[0]**n").equation("y").mathml) == (
        "{y_n}={x_n^2}+{({x_n}+1)^2}+{x_0^n}"
    )


def test_a_function_is_set_off_from_its_factor_and_expm1_is_spelled_out() -> None:
    assert gradient("elu", "y").endswith("α(exp({x_c,i,j})−1)otherwise")
    assert "<mspace" in Program("x[n]", "y[n] = x[n] * exp(x[n])").equation("y").mathml


def test_updates_use_primes_hats_and_greek_letters() -> None:
    program = Program(
        "w[n] dw[n] gamma xhat[n]",
        "w_next[n] = w[n] - lr*dw[n]\nmhat[n] = dw[n] / (1 - beta1**step)\n"
        "y[n] = gamma*xhat[n] + eps\nnext_v[n] = 2*w_next[n]\nsquare[n] = dw[n]**2",
    )
    assert spoken(program.equation("w_next").mathml) == "{w_n^′}={w_n}−η{∂L/∂{w_n}}"
    assert spoken(program.equation("mhat").mathml) == "{m<^>_n}={1/1−{{β_1}^step}}{∂L/∂{w_n}}"
    assert spoken(program.equation("y").mathml) == "{y_n}=γ{x<^>_n}+ε"
    assert spoken(program.equation("square").mathml) == "{square_n}={({∂L/∂{w_n}})^2}"
    assert spoken(program.equation("next_v").mathml) == "{v_n^′}=2{w_n^′}"
    assert '<mo lspace="0" rspace="0">′</mo>' in program.equation("w_next").mathml


@pytest.mark.parametrize(
    ("value", "shown"), [(1e-8, "{10^−8}"), (2.5e-5, "2.5·{10^−5}"), (-0.5, "−0.5"), (0.1 + 0.2, "0.3"), (3.0, "3")]
)
def test_numbers_are_written_as_a_person_would(value: float, shown: str) -> None:
    program = Program("x[n]", "y[n] = x[n] + eps")
    assert spoken(program.equation("y", {"eps": value}).mathml) == "{y_n}={x_n}" + ("" if value < 0 else "+") + shown


def test_a_number_after_a_factor_is_set_off_by_a_dot() -> None:
    assert spoken(Program("x[n]", "y[n] = x[n] * 2 * 3").equation("y").mathml) == "{y_n}={x_n}·2·3"


def test_nothing_in_a_name_can_break_out_of_the_markup() -> None:
    assert "<mi>a b</mi>" in Program("x[n]", "y[n] = x[n] * a_b").equation("y").mathml
