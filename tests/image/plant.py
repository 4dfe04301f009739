"""What the image's tests share: the images, one box with a life, others that
are made of its parts, and what was measured on the way."""

import os

from lab import Box, copy_sparse

from by_key import Program
from harness import expect, run, terms


class Plant:
    """One box from its first start on, its workstation, what they remember:
    the tests below are its life."""

    def __init__(self):
        self.images = None
        self.measured = {}
        self.world = None
        self.glass = None
        self.others = []


plant = Plant()


def borrowing():
    document = terms(commit=400, overage=100, ttl_s=600, grace_s=3600)
    document["terms"]["borrow_classes"] = ["vtpm"]
    return document


def another(name, **parts):
    """A box of its own, or with parts of the plant's (copied)."""
    kept = {}
    os.makedirs(plant.world.path(name + ".parts"))
    for part, source in parts.items():
        kept[part] = plant.world.path(name + ".parts", part)
        if os.path.isdir(source):
            run("cp", "-a", source, kept[part])
        else:
            copy_sparse(source, kept[part])
    plant.others.append(Box(plant.world, plant.images, name, **kept))
    return plant.others[-1]


def everything(box):
    """All leases, page by page."""
    with Program(box, box.key) as admin:
        found, path = [], "/api/v1/leases"
        while path:
            answer = admin.ask("GET", path)
            expect(answer.status == 200, answer)
            found += answer.body["items"]
            more = answer.body.get("next")
            path = more and "/api/v1/leases?cursor=" + more
    return found
