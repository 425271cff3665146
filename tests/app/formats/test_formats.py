"""Bytes and JSON: arrays in and out, NaN, ragged lists, .npz, pictures, frames."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app.formats import json as strict_json
from app.formats import npz
from app.formats.frames import frame, unpack
from app.formats.png import png
from app.limits import Limits
from app.problems import Problem

F64 = np.dtype("float64")


def read(value: object, dtype: str = "float64") -> np.ndarray:
    return strict_json.array(value, ["x"], np.dtype(dtype), rank=8, elements=1000)


def refusal(value: object, dtype: str = "float64") -> Problem:
    with pytest.raises(Problem) as caught:
        read(value, dtype)
    return caught.value


@given(
    arrays.arrays(
        np.float64,
        arrays.array_shapes(min_dims=0, max_dims=5, max_side=3),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_an_array_survives_json_to_the_last_bit(array: np.ndarray) -> None:
    back = read(json.loads(strict_json.encode({"x": array}))["x"])
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_a_large_array_is_written_in_blocks_and_reads_the_same() -> None:
    array = np.random.default_rng(1).normal(size=(3, 5, 2000)).astype(np.float32)
    array[1, 2, 3] = np.nan
    written = json.loads(strict_json.encode(array))
    assert written[1][2][3] == "NaN"
    written[1][2][3] = 0.0
    assert np.array_equal(np.float32(written), np.nan_to_num(array))


@pytest.mark.parametrize("shape", [(20_000,), (9_000, 1), (3, 5_000), (2, 3, 4_000), (0, 5)])
def test_an_array_of_any_shape_is_written_in_few_pieces(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    assert np.array_equal(np.array(strict_json.decode(strict_json.encode(array))).reshape(shape), array)
    assert sum(1 for _ in strict_json._parts(array)) < 30


def test_what_is_not_finite_is_written_in_words() -> None:
    assert json.loads(strict_json.encode({"a": np.array([np.nan, np.inf, -np.inf, 1])})) == {
        "a": ["NaN", "Infinity", "-Infinity", 1.0]
    }
    assert json.loads(strict_json.encode({"a": [float("nan"), {"b": float("-inf")}]})) == {
        "a": ["NaN", {"b": "-Infinity"}]
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([[1, 2], [3]], "lists of 1 and 2 side by side"),
        ([1, [2]], "numbers and lists"),
        ([[1], 2], "numbers and lists"),
        ([[[1], [2, 3]], [[1], [2]]], "lists of 1 and 2"),
        ([True, 1.0], "booleans"),
        (["1"], "strings"),
        ([None], "null"),
        ([{}], "objects"),
        ([10**400], "beyond the range"),
        ([1e400], "beyond the range"),
    ],
)  # fmt: skip
def test_what_is_no_array_of_numbers_is_malformed(value: object, said: str) -> None:
    problem = refusal(value)
    assert problem.status == 400
    assert said in problem.detail


def test_a_number_that_float32_cannot_hold_is_refused() -> None:
    assert read([1e300]).dtype == F64
    assert "float32" in refusal([1e300], "float32").detail


@pytest.mark.parametrize("value", [[], [[]]])
def test_an_empty_array_is_refused(value: object) -> None:
    assert refusal(value).status == 422


@pytest.mark.parametrize(
    ("value", "limit"),
    [([[[[[[[[[1]]]]]]]]], ("rank", 8)), ([0] * 1001, ("elements", 1000)), (np.zeros((1,) * 9), ("rank", 8))],
)
def test_too_deep_and_too_large_arrays_are_refused_with_the_limits_name(value: object, limit: tuple[str, int]) -> None:
    problem = refusal(value)
    assert problem.status == 413
    assert problem.extra["limit"] == {"name": limit[0], "value": limit[1]}


@pytest.mark.parametrize("content", [b"NaN", b'{"a": [Infinity]}', b"-Infinity", b"[" * 10**5, b"\xff", b"1" * 5000])
def test_json_that_cannot_be_read_is_malformed(content: bytes) -> None:
    with pytest.raises(Problem) as caught:
        strict_json.decode(content)
    assert caught.value.status == 400


@given(
    st.dictionaries(
        st.text("abcxyz/", min_size=1),
        arrays.arrays(st.sampled_from([np.float32, np.float64, np.int64]), arrays.array_shapes(min_dims=0, max_side=3)),
        max_size=4,
    )
)
def test_an_npz_survives_and_brings_its_rest(tensors: dict[str, np.ndarray]) -> None:
    tensors.pop("request", None)
    content = npz.write_npz({**tensors, "request": np.array('{"dtype": "float32"}')})
    rest, back = npz.read_npz(content, Limits())
    assert rest == {"dtype": "float32"}
    assert back.keys() == tensors.keys()
    for name, array in tensors.items():
        assert back[name].dtype == array.dtype and back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes()


def test_fortran_order_and_foreign_byte_order_are_understood() -> None:
    array = np.arange(6.0).reshape(2, 3)
    content = npz.write_npz({"f": np.asfortranarray(array), "b": array.astype(">f8")})
    _, back = npz.read_npz(content, Limits())
    assert np.array_equal(back["f"], array) and np.array_equal(back["b"], array)
    assert back["b"].dtype == F64


def test_a_mask_of_booleans_is_zeros_and_ones() -> None:
    mask = np.array([[True, False, True]])
    _, back = npz.read_npz(npz.write_npz({"mask": mask}), Limits())
    assert back["mask"].tolist() == [[1, 0, 1]] and back["mask"].dtype == np.int8
    content = npz.write_npz({"mask": np.array([1, 2], np.uint8).view(bool)})
    with pytest.raises(Problem, match="mask: expected the bytes 0 and 1"):
        npz.read_npz(content, Limits())


def test_a_zip_bomb_is_refused_by_what_it_would_unpack_to() -> None:
    content = npz.write_npz({"x": np.zeros(1000)})
    with pytest.raises(Problem) as caught:
        npz.read_npz(content, Limits(npz_bytes=2000))
    assert caught.value.extra["limit"] == {"name": "npz_bytes", "value": 2000}


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_what_numpy_never_packs_so_is_not_unpacked(packing: int) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        archive.writestr("x.npy", npz.write_npy(np.ones(3)))
    with pytest.raises(Problem, match="expected it stored or deflated"):
        npz.read_npz(stream.getvalue(), Limits())


def test_a_png_holds_the_pixels() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    content = png(pixels)
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, depth, colour = struct.unpack_from(">IIBB", content, 16)
    assert (width, height, depth, colour) == (3, 2, 8, 0)
    length = struct.unpack_from(">I", content, 33)[0]
    rows = zlib.decompress(content[41 : 41 + length])
    assert [rows[1:4], rows[5:8]] == [pixels[0].tobytes(), pixels[1].tobytes()]
    position = 8
    while position < len(content):
        size, kind = struct.unpack_from(">I4s", content, position)
        body = content[position + 4 : position + 8 + size]
        assert struct.unpack_from(">I", content, position + 8 + size)[0] == zlib.crc32(body)
        position += 12 + size
    assert kind == b"IEND"


def test_a_frame_holds_its_header_and_its_blocks() -> None:
    y, winners = np.linspace(-1, 1, 6, dtype=np.float32).reshape(1, 2, 3), np.array([3, 1, 2])
    content = frame({"step": 4, "loss": float("nan")}, [("a", "y", y), ("b", "indices", winners)])
    header, tensors = unpack(content)
    assert header["step"] == 4 and header["loss"] == "NaN"
    assert [entry["dtype"] for entry in header["tensors"]] == ["float32", "int32"]
    assert np.array_equal(tensors["a/y"], y) and np.array_equal(tensors["b/indices"], winners)


def test_every_block_of_a_frame_begins_at_a_multiple_of_four() -> None:
    content = frame({}, [("a", "y", np.ones(3, np.float32)), ("b", "y", np.ones(2, np.float32))], "uint8")
    (length,) = struct.unpack_from("<I", content)
    header, _ = unpack(content)
    assert (4 + length) % 4 == 0
    assert [entry["offset"] % 4 for entry in header["tensors"]] == [0, 0]


@given(arrays.arrays(np.float32, (7,), elements=st.floats(-1e6, 1e6, width=32)))
def test_a_coarse_block_is_off_by_half_a_scale_at_most(array: np.ndarray) -> None:
    header, tensors = unpack(frame({}, [("a", "y", array)], "uint8"))
    scale = header["tensors"][0]["scale"]
    assert np.abs(tensors["a/y"] - array).max() <= 0.51 * scale
