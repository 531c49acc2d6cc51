"""Images: found, changed, and where they are served."""

from typing import Any

from demo.stash.belongings import age
from demo.stash.database import RefusedError
from demo.stash.finding import find, find_one, need, read_ids
from demo.stash.hook_inputs import sent, whole
from demo.stash.registry import field, mutation, query
from demo.stash.state import Call
from demo.stash.things import Thing, thing_by_id, things_by_ids
from demo.stash.writing import Input, update, without_null_lists

FIRST_FILE = """(SELECT {} FROM images_files JOIN files ON files.id = file_id
  WHERE image_id = images.id ORDER BY file_id LIMIT 1)"""


@query
def findImage(  # noqa: N802
    call: Call,
    id: str | None = None,  # noqa: A002
    checksum: str | None = None,
) -> Thing | None:
    if id is not None:
        return find_one(call.database, "image", id)
    sql = "SELECT image_id FROM images_files JOIN fingerprints USING (file_id) WHERE value = ?"
    number = call.database.value(sql, checksum)
    return None if number is None else thing_by_id(call.database, "image", number)


@query
def findImages(  # noqa: N802
    call: Call,
    image_filter: Input | None = None,
    image_ids: list[int] | None = None,
    ids: list[str] | None = None,
    filter: Input | None = None,  # noqa: A002
) -> dict[str, Any]:
    found = find(call.database, "image", image_filter, filter, ids or image_ids)
    return {
        "count": found.count,
        "megapixels": 0,
        "filesize": lambda: found.total(FIRST_FILE.format("size")),
        "images": found.page,
    }


@field("Image")
def paths(image: Thing, call: Call) -> dict[str, str]:
    place = f"{call.base_url}/image/{image.id}"
    return {
        "thumbnail": f"{place}/thumbnail?t={age(image)}",
        "preview": "",
        "image": f"{place}/image?t={age(image)}",
    }


field("Image", "o_counter")(lambda image, call: 0)


@mutation
def imageUpdate(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    return _update_all(call, [input], many=False)[0]


@mutation
def imagesUpdate(call: Call, input: list[Input]) -> list[Thing]:  # noqa: A002, N802
    return _update_all(call, input, many=True)


def _update_all(call: Call, inputs: list[Input], *, many: bool) -> list[Thing]:
    with call.database.transaction():
        numbers = [need(call.database, "image", values["id"]).id for values in inputs]
        for number, values in zip(numbers, inputs, strict=True):
            update(call.database, "image", number, values)
    shown = [whole("ImageUpdateInput", values) for values in inputs]
    for number, values in zip(numbers, inputs, strict=True):
        input_shown = shown if many else shown[0]
        call.fire("Image.Update.Post", number, input_shown, list(values))
    return things_by_ids(call.database, "image", numbers)


@mutation
def bulkImageUpdate(call: Call, input: Input) -> list[Thing] | None:  # noqa: A002, N802
    numbers = read_ids(input.get("ids"))
    values = without_null_lists(input)
    with call.database.transaction():
        for number in numbers:
            if thing_by_id(call.database, "image", number) is None:
                raise RefusedError(f"image with id {number} not found")
            update(call.database, "image", number, values)
    for number in numbers:
        call.fire("Image.Update.Post", number, sent(input), list(input))
    return things_by_ids(call.database, "image", numbers) or None
