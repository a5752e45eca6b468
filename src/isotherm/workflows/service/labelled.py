"""The images of a site that a training learns from, and those that it is tested with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from isotherm.core.errors import DataError
from isotherm.store.tables import Category, Feedback, Image


@dataclass(frozen=True)
class LabelledImage:
    """An image and what it shows.

    Parameters
    ----------
    group
        The asset it is a picture of; pictures of one asset are never on both sides of a split. Empty where not known.
    part
        ``train`` or ``test``.
    common
        Whether it belongs to all sites.
    feedback_id
        The correction that the label comes from; empty where it is that of the image itself.
    """

    image_id: str
    digest: str
    name: str
    label: str
    part: str
    group: str = ""
    common: bool = False
    feedback_id: str = ""


@dataclass(frozen=True)
class LabelledImages:
    """The data of a training, and what a user should know about them, one sentence each."""

    train: tuple[LabelledImage, ...]
    test: tuple[LabelledImage, ...]
    notes: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise DataError unless there are two categories to learn."""
        found = Counter(image.label for image in self.train)
        if len(found) < 2:
            names = " and ".join(repr(name) for name in found) or "none"
            raise DataError(
                f"at least two categories with training images are needed; there is {names}. Sort images under another "
                "category and mark them as training images"
            )


def labelled_images(session: Session, site_id: str, *, use_feedback: bool = True) -> LabelledImages:
    """Return a site's own labelled images and the common ones, corrected by what people have said.

    Feedback makes any image one to learn from, except a test image: what a model is tested with is never learnt from.
    """
    own, common = _sorted_images(session, site_id), _sorted_images(session, None)
    test = [each for each in own if each.part == "test"]
    train = {each.image_id: each for each in own if each.part == "train"}
    notes = list[str]()
    if use_feedback:
        held = {each.image_id for each in test}
        said = _latest_feedback(session, site_id)
        train |= {each.image_id: each for each in said if each.image_id not in held}
        if spared := sum(each.image_id in held for each in said):
            notes.append(f"feedback on {spared} test images is not learnt from")
    everything = (*train.values(), *(each for each in common if each.part == "train"))
    tests = (*test, *(each for each in common if each.part == "test"))
    return LabelledImages(everything, tests, (*notes, *_empty_categories(session, site_id, everything)))


# Not whole images: there may be many, and all that was found out about them is of no use here.
_COLUMNS = (Image.id, Image.digest, Image.name, Category.name, Image.split, Image.asset_id, Image.site_id)


def _sorted_images(session: Session, site_id: str | None) -> list[LabelledImage]:
    """Return the images that have a category; those of a site only where they are in a part."""
    owner = Image.site_id.is_(None) if site_id is None else Image.site_id == site_id
    query = select(*_COLUMNS).join(Category, Category.id == Image.category_id).where(owner)
    if site_id is not None:
        query = query.where(Image.split.in_(("train", "test")))
    return [_labelled(row) for row in session.execute(query.order_by(Image.id))]


def _labelled(row: Sequence[Any]) -> LabelledImage:
    """Return the image of a row of `_COLUMNS`."""
    image_id, digest, name, label, split, asset_id, site_id = row
    return LabelledImage(image_id, digest, name, label, split or "train", asset_id or "", common=site_id is None)


def _latest_feedback(session: Session, site_id: str) -> list[LabelledImage]:
    """Return what was said last of each image."""
    query = (
        select(Feedback.id, *_COLUMNS)
        .join(Image, Image.id == Feedback.image_id)
        .join(Category, Category.id == Feedback.category_id)
        .where(Feedback.site_id == site_id)
        .order_by(Feedback.id)
    )
    found = {row[1]: row for row in session.execute(query)}
    return [replace(_labelled(row[1:]), part="train", feedback_id=row[0]) for row in found.values()]


def _empty_categories(session: Session, site_id: str, train: Sequence[LabelledImage]) -> list[str]:
    learnt = {each.label for each in train}
    names = session.scalars(select(Category.name).where(Category.site_id == site_id).order_by(Category.name))
    empty = [name for name in names if name not in learnt]
    return [f"no training images, so not learnt: {', '.join(empty)}"] if empty else []
