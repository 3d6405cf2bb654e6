"""Compares two COCO files as pycocotools reads them: compare_coco.py A B

The same pictures (file name, width, height), categories (name) and boxes (picture, category, sides to 0.01 px), in any
order and under any ids. Prints each difference and exits with 1, else prints what was compared.
"""

import contextlib
import io
import sys
from collections import Counter, defaultdict

from pycocotools.coco import COCO

TOLERANCE_PX = 0.01


def load(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(path)


def pictures(coco):
    return Counter((image["file_name"], image.get("width"), image.get("height")) for image in coco.imgs.values())


def categories(coco):
    return {category["name"] for category in coco.cats.values()}


def boxes(coco):
    """The boxes of each (file name, category)."""
    found = defaultdict(list)
    for annotation in coco.anns.values():
        image = coco.imgs[annotation["image_id"]]["file_name"]
        found[image, coco.cats[annotation["category_id"]]["name"]].append(annotation["bbox"])
    return found


def distance(a, b):
    """How far the sides of two boxes are apart at most: left, top, right, bottom."""
    sides = [(x, y, x + width, y + height) for x, y, width, height in (a, b)]
    return max(abs(one - other) for one, other in zip(*sides))


def unmatched(ours, theirs):
    """The boxes of either side that are left when those closest to each other are taken together."""
    pairs = sorted((distance(a, b), i, j) for i, a in enumerate(ours) for j, b in enumerate(theirs))
    taken, given = set(), set()
    for apart, i, j in pairs:
        if apart <= TOLERANCE_PX and i not in taken and j not in given:
            taken.add(i)
            given.add(j)
    left = [a for i, a in enumerate(ours) if i not in taken]
    right = [b for j, b in enumerate(theirs) if j not in given]
    return left, right


def differences(a, b):
    (path_a, coco_a), (path_b, coco_b) = a, b
    for noun, of in [("picture", pictures), ("category", categories)]:
        found_a, found_b = of(coco_a), of(coco_b)
        for path, more in [(path_a, found_a - found_b), (path_b, found_b - found_a)]:
            yield from (f"only in {path}: {noun} {one!r}" for one in sorted(more, key=str))
    boxes_a, boxes_b = boxes(coco_a), boxes(coco_b)
    for image, category in sorted(boxes_a.keys() | boxes_b.keys()):
        left, right = unmatched(boxes_a.get((image, category), []), boxes_b.get((image, category), []))
        for path, more in [(path_a, left), (path_b, right)]:
            yield from (f"only in {path}: {category!r} on {image!r} at {box}" for box in more)


def main(path_a, path_b):
    coco_a, coco_b = load(path_a), load(path_b)
    found = list(differences((path_a, coco_a), (path_b, coco_b)))
    if found:
        print("\n".join(found))
        return 1
    print(f"the same: {len(coco_a.imgs)} pictures, {len(categories(coco_a))} categories, {len(coco_a.anns)} boxes")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
