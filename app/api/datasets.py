"""Data sets and their images."""

from __future__ import annotations

import secrets
from typing import Annotated, Any
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from app.api import schemas
from app.context import Ctx, token_of
from app.datasets.pictures import MOST_SIZE
from app.formats import npz
from app.formats.png import png
from app.http import responses
from app.http.request_body import JSON, read_to_file
from app.problems import Problem, conflict, invalid
from app.runs.run import hash_token
from app.site.openapi import answer

router = APIRouter(prefix="/api/datasets", tags=["data sets"], default_response_class=Response)

PNG, OCTETS = "image/png", "application/octet-stream"
EXAMPLE = {"x": [[[0, 1], [0, 1]], [[1, 1], [0, 0]]], "target": [0, 1], "classes": ["upright", "level"]}
#: Multiply-adds that take as long as reading a byte of a picture's file.
READING = 1000.0
#: Bytes of memory for each byte of a file while it is made a data set.
UNPACKED = 4
Name = Annotated[str, Path(description="a data set", examples=["mnist"])]
Split = Annotated[str, Path(description="`train` or `test`", examples=["test"])]


@router.get("", summary="The data sets that this server has", responses=answer(list[schemas.DataSet]))
async def list_datasets(request: Request, ctx: Ctx) -> Response:
    """A list of {"name", "title", "classes": [names], "splits": {split: images}, "shape": [C, H, W], "notes",
    "problem"}. MNIST is there by itself.

    A data set of your own comes as a file to POST /api/datasets; with the run, as `{"x", "target"}` in its `dataset`;
    or as a folder `datasets/NAME` in the folder that the server was started with (`--data`), with four idx files named
    as MNIST's or EMNIST's, gzipped or not: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
    `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`; and perhaps the names of the classes, a line each, in
    `classes.txt`. A folder is found without a restart. One that cannot be read says why in `problem` and
    disturbs no other.
    """
    return responses.json_response(await ctx.ask(request, ctx.datasets.describe))


@router.post(
    "",
    status_code=201,
    summary="A data set from a file",
    responses=answer(schemas.DataSet, status=201),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                OCTETS: {"schema": {"type": "string", "format": "binary", "description": "the file's bytes"}},
                JSON: {"schema": {"type": "object", "description": "images and their classes"}, "example": EXAMPLE},
            },
        }
    },
)
async def add_dataset(
    request: Request,
    ctx: Ctx,
    name: Annotated[str | None, Query(max_length=200, description="what to call it; default: data1, data2...")] = None,
    size: Annotated[
        int | None, Query(ge=4, le=MOST_SIZE, description="height and width that pictures are brought to")
    ] = None,
    seed: Annotated[int, Query(ge=0, lt=2**32, description="of the test images, where the file has none")] = 0,
) -> Response:
    """As GET /api/datasets describes it; `notes` say what was done. The body is the file as it is:

    - a .zip with a folder of pictures for each class (PNG, JPEG, GIF, BMP, WebP, PPM), perhaps below `train` and `test`
    - a .csv with a row for each picture: one column for the class, the others for its pixels
    - an .npz with `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`
    - JSON: {"x", "target", "classes"}, images of 0..1, class numbers and perhaps the names of the classes
    - a .zip of idx files, named as MNIST's are, of three or four axes, gzipped or not
    - the binary files of CIFAR-10 or CIFAR-100, one, or all in their .tar.gz or a .zip

    Pictures of different sizes are scaled to 28 x 28, or in colour to 32 x 32, unless `size` says another. Pixels are
    0..1. Without a test split one image in ten is held out, drawn by the seed. On a server started with `--shared` only
    whoever sent the same token can delete it.
    """
    name = await ctx.ask(request, ctx.datasets.free_name) if name is None else name
    await ctx.ask(request, ctx.datasets.check_new, name, ctx.limits)
    owner = hash_token(token_of(request)) if ctx.settings.shared and token_of(request) else ""
    with ctx.datasets.room(ctx.limits) as room:
        path = room / "file"
        await read_to_file(request, ctx.limits, "dataset_bytes", path)

        def add() -> dict[str, Any]:
            return ctx.datasets.add_file(path, name, ctx.limits, size=size, seed=seed, owner=owner)

        size_sent = path.stat().st_size
        await ctx.hold_body(request, min(UNPACKED * size_sent, ctx.limits.request_bytes))
        made = await ctx.ask(request, add, cost=READING * size_sent)
    where = responses.location(request, f"/api/datasets/{quote(name)}")
    return responses.json_response(made, 201, {"Location": where, "Cache-Control": "no-store"})


@router.delete("/{dataset}", status_code=204, summary="Delete a data set")
async def delete_dataset(
    request: Request, ctx: Ctx, name: Annotated[str, Path(alias="dataset", description="a data set that was added")]
) -> Response:
    """409 for MNIST and while a run uses it. On a server started with `--shared` 403 without the token that added it,
    or the lecturer's."""
    token = token_of(request)
    if ctx.settings.shared and not ctx.runs.is_admin(token):
        owner = ctx.datasets.owner_of(name)
        if not (owner and token and secrets.compare_digest(owner, hash_token(token))):
            raise Problem(403, f"the data set {name[:80]!r} belongs to whoever added it", kind="token")
    using = next((run for run in ctx.runs.all() if run.config.dataset.name == name), None)
    if using is not None:
        raise conflict(f"the run {using.id} uses the data set {name!r}; delete the run first")
    await ctx.ask(request, ctx.datasets.delete, name)
    return Response(status_code=204)


@router.get(
    "/{name}/{split}",
    summary="Which images a split has",
    responses=answer(schemas.Images, npz.NPZ, words="positions and classes, or by Accept the images too"),
)
async def list_images(
    request: Request,
    ctx: Ctx,
    name: Name,
    split: Split,
    label: Annotated[int | None, Query(description="only images of this class")] = None,
    offset: Annotated[int, Query(ge=0, le=2**53, description="how many to pass over")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many to list")] = 20,
) -> Response:
    """{"total", "indices", "labels"}: the positions in the split and the classes of the images asked for. As .npz the
    images come with them: `x` (N, C, H, W), 0..1 in float32, `target` (N) and `indices` (N)."""
    kind = responses.negotiate(request, "application/json", npz.NPZ)

    def find() -> Response:
        held = ctx.datasets.split(name, split)
        labels = held.targets
        if label is None:
            found = np.arange(len(labels))
        elif labels.ndim == 1:
            found = np.flatnonzero(labels == label)
        else:
            raise invalid(f"{name} has no classes: its targets are numbers", ["query", "label"])
        page = found[offset : offset + limit]
        if kind == npz.NPZ:
            x, target = held.batch(page)
            return Response(
                npz.write_npz({"x": x, "target": target, "indices": page}, {"total": len(found)}), media_type=kind
            )
        return responses.json_response({"total": len(found), "indices": page, "labels": labels[page]})

    return await ctx.ask(request, find)


@router.get(
    "/{name}/{split}/{index}",
    summary="One image and its label",
    responses=answer(schemas.LabelledImage, PNG, words="the image as numbers 0..1, or by Accept as a picture"),
)
async def get_image(
    request: Request,
    ctx: Ctx,
    name: Name,
    split: Split,
    index: Annotated[int, Path(description="which image of the split, from 0", examples=[464])],
) -> Response:
    """{"label", "image"}: the class and the pixels [C][H][W], byte / 255. Accept: image/png gives the picture."""
    kind = responses.negotiate(request, "application/json", PNG)

    def make() -> Response:
        pixels, label = ctx.datasets.image(name, split, index)
        tag = responses.etag(kind, name, split, index, label, pixels.tobytes().hex())
        same = responses.unchanged(request, tag, responses.CHECKED)
        if same is None and kind == PNG:
            same = Response(png(as_bytes(pixels)), media_type=PNG)
        numbers = pixels.astype(np.float64) / 255 if pixels.dtype == np.uint8 else pixels
        return responses.with_etag(
            same or responses.json_response({"label": label, "image": numbers}), tag, responses.CHECKED
        )

    return await ctx.ask(request, make)


def as_bytes(pixels: np.ndarray) -> np.ndarray:
    """(C, H, W) as bytes: three channels as a picture (H, W, 3), one as (H, W), others one below the other."""
    flat = pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels.reshape(-1, pixels.shape[-1])
    if flat.dtype == np.uint8:
        return flat
    low, high = min(0.0, float(flat.min())), max(1.0, float(flat.max()))
    return np.rint((flat - low) * (255 / (high - low))).astype(np.uint8)
