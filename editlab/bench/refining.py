"""Robust edit pathways over a benchmark's edits: each edit is asked as it is and refined, by each recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from editlab.bench.editing import CASE_FAULTS, Edit, Pack, Rep
from editlab.methods.rep import OFF, refine
from editlab.patches import BASE, Form, Pathway, View
from editlab.probes import Ground


@dataclass(frozen=True)
class Pathways:
    """The pathways of one case, or none: how long they took, and how many bytes a layer they hold."""

    pathways: tuple[Pathway, ...] = ()
    seconds: float = 0.0
    bytes: int = 0


def refined(ground: Ground, pack: Pack, edits: Sequence[Edit | str], rep: Rep, form: Form) -> list[Pathways]:
    """Return the pathways of each edit of a pack; an edit of a subject that has one already takes it over.

    `form`: how the edits' prompts were put to the model.
    """
    made: list[Pathways] = []
    for case, edit in zip(pack, edits, strict=True):
        if rep.recipe == OFF or isinstance(edit, str):
            made.append(Pathways())
            continue
        own = [p for one in made for p in one.pathways if p.subject == case.request.subject]
        try:
            below = edit.below.with_patches(own)
            found = refine(ground.model, ground.lessons(case), edit.patches, below, rep.config, form=form)
            made.append(Pathways(found.pathways, found.seconds, int(found.health.get("bytes", 0))))
        except CASE_FAULTS:
            made.append(Pathways())  # a subject without another name or order: the edit is asked as it is
    return made


def view_of(edits: Sequence[Edit | str], made: Sequence[Pathways], rep: Rep) -> View:
    """Return everything of a pack as one view: what was edited together, and each pathway, once."""
    laid = {id(edit.patches): edit.patches for edit in edits if isinstance(edit, Edit)}
    pathways = {id(pathway): pathway for one in made for pathway in one.pathways}
    view = BASE.with_patches([patch for own in laid.values() for patch in own]).with_patches(pathways.values())
    return view if rep.fires_above is None else view.with_threshold(rep.fires_above)
