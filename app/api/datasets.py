"""Data sets and their images."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from app.api import schemas
from app.context import Ctx
from app.formats import npz
from app.formats.png import png
from app.http import responses
from app.site.openapi import answer

router = APIRouter(prefix="/api/datasets", tags=["data sets"], default_response_class=Response)

PNG = "image/png"
Name = Annotated[str, Path(description="a data set", examples=["mnist"])]
Split = Annotated[str, Path(description="`train` or `test`", examples=["test"])]


@router.get("", summary="The data sets that this server has", responses=answer(list[schemas.DataSet]))
async def list_datasets(request: Request, ctx: Ctx) -> Response:
    """A list of {"name", "title", "classes": [names], "splits": {split: images}, "shape": [C, H, W], "notes",
    "problem"}. MNIST is there by itself.

    A data set of your own comes with the run, as `{"x", "target"}` in its `dataset`; or, for everybody, as a folder
    `datasets/NAME` in the folder that the server was started with (`--data`), with four idx files named as MNIST's or
    EMNIST's, gzipped or not: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`,
    `t10k-labels-idx1-ubyte`; and perhaps the names of the classes, a line each, in `classes.txt`. A folder is found
    without a restart. One that cannot be read says why in `problem` and disturbs no other.
    """
    return responses.json_response(await ctx.ask(request, ctx.datasets.describe))


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
        found = np.arange(len(labels)) if label is None else np.flatnonzero(labels == label)
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
    """(C, H, W) as one grey plane (H, W) of bytes, channels one below the other."""
    flat = pixels.reshape(-1, pixels.shape[-1])
    if flat.dtype == np.uint8:
        return flat
    low, high = float(flat.min()), float(flat.max())
    return np.rint((flat - low) * (255 / ((high - low) or 1))).astype(np.uint8)
