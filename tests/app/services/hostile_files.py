"""A thousand files that lie: real ones changed from a seed, and ones that are made to do harm."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from tests.app.services import model_files as files

FIXTURES = Path(__file__).parents[2] / "fixtures"


def good_files() -> dict[str, bytes]:
    """A file of each format, most of them written by the framework itself."""
    torch, keras = np.load(FIXTURES / "torch_files.npz"), np.load(FIXTURES / "keras_files.npz")
    tensors = {"a.weight": np.ones((3, 4), np.float32), "a.bias": np.ones(3, np.float32)}
    plain = io.BytesIO()
    arrays: dict[str, object] = dict(tensors)
    np.savez(plain, **arrays)  # type: ignore[arg-type]
    nodes = [
        files.onnx_node("Conv", ["x", "w"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        files.onnx_node("Relu", ["a"], ["b"]),
        files.onnx_node("Reshape", ["b", "s"], ["c"]),
        files.onnx_node("Gemm", ["c", "v"], ["d"], transB=1),
    ]
    numbers = {
        "w": np.ones((2, 1, 3, 3), np.float32),
        "s": np.array([-1, 32]),
        "v": np.ones((3, 32), np.float32),
    }
    return {
        "pt2": torch["branches/pt2"].tobytes(),
        "pth": torch["chain/pth"].tobytes(),
        "legacy": torch["chain/legacy"].tobytes(),
        "keras": keras["separable/keras"].tobytes(),
        "h5": keras["separable/h5"].tobytes(),
        "onnx": files.onnx_model(nodes, numbers, (0, 1, 4, 4), "d"),
        "safetensors": save(tensors),
        "npz": plain.getvalue(),
        "document": json.dumps(
            {"input": [4], "layers": [{"name": "fc", "op": "linear", "settings": {"out": 2}}]}
        ).encode(),
    }


def zipped(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def changed(rng: random.Random, content: bytes) -> bytes:
    """Some bytes of a file other than they were; in a zip, those of a member, so that its checksum holds."""
    if content[:4] == b"PK\3\4" and rng.random() < 0.8:
        inner = members(content)
        name = rng.choice([each for each in inner if inner[each]])
        return zipped({**inner, name: changed(rng, inner[name])})
    if content[:2] in (b'{"', b"{\n") and rng.random() < 0.7:
        return json.dumps(_bent(rng, json.loads(content))).encode()
    out = bytearray(content)
    at = rng.randrange(min(len(out), rng.choice((64, 1024, len(out)))))
    match rng.randrange(5):
        case 0:
            for _ in range(rng.randrange(1, 6)):
                out[rng.randrange(len(out))] = rng.randrange(256)
        case 1:
            del out[at:]
        case 2:
            out[at : at + rng.choice((1, 4, 8))] = rng.choice((b"\xff", b"\x7f", b"\0")) * rng.choice((1, 4, 8))
        case 3:
            out[at:at] = out[: rng.randrange(1, 200)]
        case 4:
            del out[at : at + rng.randrange(1, 40)]
    return bytes(out)


ODD: tuple[object, ...] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**70,
    1e300,
    "",
    "x" * 300,
    [],
    {},
    [[[]]],
    {"as_int": -5},
    [2**40] * 4,
    "same",
    -0.5,
)


def _bent(rng: random.Random, value: object) -> object:
    """The same document with one value in it, wherever it lies, replaced."""
    path: list[tuple[object, object]] = []
    at: object = value
    while isinstance(at, (dict, list)) and at and (not path or rng.random() < 0.93):
        key: object = rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
        path.append((at, key))
        at = at[key]  # type: ignore[call-overload, index]
    if not path:
        return value
    holder, key = path[-1]
    holder[key] = rng.choice(ODD)  # type: ignore[index]
    return value


def opcodes(*parts: bytes) -> bytes:
    """A pickle in a zip, as PyTorch's files have it."""
    return zipped({"m/data.pkl": b"\x80\x02" + b"".join(parts) + b".", "m/version": b"3"})


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


GADGETS = (
    *(
        "os system",
        "posix system",
        "nt system",
        "subprocess Popen",
        "subprocess call",
        "builtins eval",
        "builtins exec",
    ),
    *("__builtin__ eval", "builtins __import__", "builtins getattr", "builtins open", "builtins compile", "io open"),
    *("importlib import_module", "runpy run_path", "pty spawn", "shutil rmtree", "socket socket", "ctypes CDLL"),
    *("pickle loads", "_pickle loads", "marshal loads", "types FunctionType", "types CodeType", "code interact"),
    *("torch load", "torch.hub load", "torch.jit load", "torch._utils _rebuild_sparse_tensor", "numpy load"),
    *("numpy.core.multiarray _reconstruct", "numpy f2py", "operator attrgetter", "functools partial", "sys exit"),
    *("webbrowser open", "urllib.request urlopen", "tempfile mktemp", "timeit timeit", "cProfile run", "bdb Bdb"),
    *("__main__ Model", "collections defaultdict", "torch.nn.modules.linear Linear", "copyreg _reconstructor"),
)


def made_to_harm(mark: str) -> Iterator[tuple[str, bytes]]:
    for gadget in GADGETS:
        module, _, name = gadget.partition(" ")
        call = text(f"touch {mark}") + b"\x85R"
        yield f"GLOBAL {gadget}", opcodes(b"}" + text("a") + b"c" + f"{module}\n{name}\n".encode() + call + b"s")
        stacked = b"}" + text("a") + text(module) + text(name) + b"\x93" + call + b"s"
        yield f"STACK_GLOBAL {gadget}", opcodes(stacked)
        yield f"bare {gadget}", b"\x80\x04" + text(module) + text(name) + b"\x93" + call + b"."
        yield f"INST {gadget}", opcodes(b"(" + text(f"touch {mark}") + b"i" + f"{module}\n{name}\n".encode())
    laughs = b"]q\0" + b"".join(b"](h" + bytes([k]) + b"h" + bytes([k]) + b"eq" + bytes([k + 1]) for k in range(60))
    yield "a list of lists, doubled sixty times, as a name", opcodes(laughs + b"h\x3ch\x3c\x93")
    yield "a list of lists, doubled sixty times", opcodes(laughs)
    yield "a list in itself", opcodes(b"]q\0h\0a")
    yield "a dict in itself", opcodes(b"}q\0" + text("model") + b"h\0s")
    yield (
        "a number of a million digits",
        opcodes(b"}" + b"\x8b" + struct.pack("<I", 400_000) + b"\x7f" * 400_000 + b"Ns"),
    )
    yield "a long of a negative length", opcodes(b"}\x8b\xff\xff\xff\xffNs")
    yield "a text of four billion bytes", opcodes(b"}X\xff\xff\xff\xffabc")
    yield "a pickle of two hundred thousand operations", opcodes(b"]" + b"Na" * 150_000)
    yield "a pickle in memo number two billion", opcodes(b"}r\xff\xff\xff\x7f")
    one = {"a.weight": np.ones((2, 2), np.float32)}
    for offset in (-1, 0, 3, 2**40, 2**63):
        for shape in ((2, 2), (2**31, 2**31), (0, 2**62), (2**62,), (1,) * 9, (-1, 2)):
            for strides in ((2, 1), (2**60, 1), (-1, 1)):
                views = {"a.weight": (offset, shape, (strides * 5)[: len(shape)])}
                if not (offset == 0 and shape == (2, 2) and strides == (2, 1)):
                    yield f"a view {offset} {shape} {strides}", files.torch_file(one, views=views)
    inner = zipped({"data.pkl": pickle.dumps({})})
    for _ in range(20):
        inner = zipped({"inner.zip": inner})
        yield "archives in archives", inner
    yield from _graphs()
    yield from _headers()


def _graphs() -> Iterator[tuple[str, bytes]]:
    values = [files.onnx_node("Identity", ["x"], [f"v{k}"]) for k in range(100_000)]
    yield "a hundred thousand unused values", files.onnx_model(values, {}, (1, 4), "v1")
    for length in range(1, 21):
        ring = [files.onnx_node("Relu", [f"v{k}"], [f"v{(k + 1) % length}"]) for k in range(length)]
        yield f"a circle of {length}", files.onnx_model(ring, {}, (1, 4), "v0")
    for op, shape in (("ConstantOfShape", [2**31, 2**31]), ("ConstantOfShape", [-1]), ("Reshape", [2**62, 2**62])):
        nodes = [files.onnx_node(op, ["x", "s"][-1 if op != "Reshape" else 0 :], ["y"])]
        yield f"{op} {shape}", files.onnx_model(nodes, {"s": np.array(shape)}, (1, 4), "y")
    doubled = [files.onnx_node("Concat", [f"v{k}", f"v{k}"], [f"v{k + 1}"], axis=0) for k in range(40)]
    yield "numbers doubled forty times", files.onnx_model(doubled, {"v0": np.ones(1000, np.float32)}, (1, 4), "v40")
    wide = [files.onnx_node("Concat", ["x"] * 4000, ["y"], axis=1)]
    yield "one input read four thousand times", files.onnx_model(wide, {}, (1, 60000), "y")
    nested = files.field(7, b"")
    for _ in range(2000):
        nested = files.field(7, nested)
    yield "graphs in graphs", nested
    for size in (0, 2**31 - 1, 2**31, 2**63 - 1):
        yield (
            f"an input of {size}",
            files.onnx_model([files.onnx_node("Relu", ["x"], ["y"])], {}, (1, size, size, 3), "y"),
        )


def _headers() -> Iterator[tuple[str, bytes]]:
    for said in (0, 7, 10**6, 2**40, 2**63, 2**64 - 1):
        yield f"safetensors of a header of {said}", struct.pack("<Q", said) + b'{"a":{}}'
    for entry in (
        {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**62]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
        {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [0, 2**60], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        7,
    ):
        header = json.dumps({"a.weight": entry}).encode()
        yield f"safetensors {entry}", struct.pack("<Q", len(header)) + header + b"\0" * 4
    for written in (
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776)}",
        "__import__('os')",
        "{",
    ):
        head = written.encode().ljust(117) + b"\n"
        yield f"npy {written}", zipped({"a.weight.npy": b"\x93NUMPY\1\0" + struct.pack("<H", 118) + head + b"\0" * 16})
    yield "a zip bomb", _bomb(b"\0" * 100_000_000)
    yield "text that never ends", b"[" * 1_000_000
    yield "objects that never end", b'{"a":' * 200_000


def _bomb(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(3):
            archive.writestr(f"{k}.npy", content)
    return stream.getvalue()


def pictures() -> Iterator[tuple[str, bytes]]:
    """Pictures that claim a billion pixels, in the formats that are read; and a table of one line."""
    sizes = ((40_000, 30_000), (2**31 - 1, 1), (65_535, 65_535))
    for width, height in sizes:
        short = (width & 0xFFFF, height & 0xFFFF)
        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        png = (
            b"\x89PNG\r\n\x1a\n"
            + struct.pack(">I", 13)
            + b"IHDR"
            + head
            + struct.pack(">I", zlib.crc32(b"IHDR" + head))
        )
        bmp = (
            b"BM"
            + struct.pack("<IHHI", 60, 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
        )
        yield "png", zipped({"a/1.png": png + b"\0" * 40})
        yield "gif", zipped({"a/1.gif": b"GIF89a" + struct.pack("<HHBBB", *short, 0x80, 0, 0) + b"\0" * 40})
        yield "bmp", zipped({"a/1.bmp": bmp + b"\0" * 40})
        yield "ppm", zipped({"a/1.ppm": f"P6 {width} {height} 255\n".encode() + b"\0" * 40})
        yield "webp", zipped({"a/1.webp": b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + b"\x0a\0\0\0" + b"\xff" * 20})
    yield "a table of one line", b"1," * (25 << 20)


def thousand(mark: str, count: int = 1000) -> Iterator[tuple[str, bytes]]:
    """`count` files: those made to harm, and the rest real ones with something changed."""
    made = 0
    for what, content in made_to_harm(mark):
        made += 1
        yield what, content
    good = good_files()
    names = sorted(good)
    for seed in range(made, count):
        rng = random.Random(seed)
        name = names[seed % len(names)]
        yield f"{name} changed by seed {seed}", changed(rng, good[name])
