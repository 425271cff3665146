"""How an explanation's terms are paged: the query parameters that every explanation takes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Depends, Query

from app.context import Ctx
from app.problems import over_limit


async def _paging(
    ctx: Ctx,
    page: Annotated[int, Query(ge=0, le=2**53, description="which page, from 0")] = 0,
    per_page: Annotated[int, Query(ge=1, description="terms on a page, at most the limit terms_per_page")] = 20,
    order: Annotated[Literal["index", "largest"], Query(description="as they are numbered, or by magnitude")] = "index",
    group: Annotated[int | None, Query(ge=0, description="only the terms of this group, such as one sample")] = None,
    outside: Annotated[
        Literal["listed", "hidden"], Query(description="terms that read outside, such as padding")
    ] = "listed",
) -> dict[str, Any]:
    if per_page > (most := ctx.limits.terms_per_page):
        raise over_limit(
            "terms_per_page", most, f"per_page is {per_page}; at most {most} are listed", ["query", "per_page"]
        )
    return {
        "page": page,
        "per_page": per_page,
        "order": order,
        "group": group,
        "outside": outside == "listed",
        "most": ctx.limits.explained_elements,
    }


Paging = Annotated[dict[str, Any], Depends(_paging)]
