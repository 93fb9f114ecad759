"""$top, $skip, $select, $filter and what a collection says about its pages."""
import urllib.parse

from . import names
from .wire import Denied, Json

def collection(url: str, kind: str, version: str, items: list[Json], query: dict[str, str],
               empty: str = "list") -> Json:
    items = [item for item in items if matches(item, query.get("$filter", ""))]
    head: Json = {"kind": f"{kind}collectionstate", "selfLink": names.link(url, version)}
    if "$top" in query or "$skip" in query:
        items, pages = page(url, version, items, query)
        head |= pages
    if "$select" in query:
        wanted = query["$select"].split(",")
        items = [{key: item[key] for key in wanted if key in item} for item in items]
    return head if not items and empty == "absent" else head | {"items": items}


def select(item: Json, query: dict[str, str]) -> Json:
    if "$select" not in query:
        return item
    wanted = query["$select"].split(",")
    return {key: value for key, value in item.items() if key in wanted}


def matches(item: Json, text: str) -> bool:
    """`partition eq Common` is the only form that is dependable."""
    if not text:
        return True
    words = text.split()
    if len(words) != 3 or words[1] != "eq":
        raise Denied(400, f"simulator: $filter={text} is not NAME eq VALUE")
    return str(item.get(words[0])) == words[2].strip("'\"")


def page(url: str, version: str, items: list[Json], query: dict[str, str]) -> tuple[list[Json], Json]:
    try:
        top, skip = int(query.get("$top", len(items) or 1)), int(query.get("$skip", 0))
    except ValueError:
        raise Denied(400, "simulator: $top and $skip are numbers") from None
    if top < 1 or skip < 0:
        raise Denied(400, "simulator: $top is at least 1, $skip at least 0")
    shown = items[skip:skip + top]
    pages: Json = {
        "currentItemCount": len(shown), "itemsPerPage": top, "pageIndex": skip // top + 1, "startIndex": skip + 1,
        "totalItems": len(items), "totalPages": -(-len(items) // top)}
    if skip + top < len(items):
        following = query | {"$top": str(top), "$skip": str(skip + top), "ver": version}
        pages["nextLink"] = f"{names.BASE}{url}?{urllib.parse.urlencode(following, safe='$,')}"
    return shown, pages
