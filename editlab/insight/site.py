"""An edit at its layer and position: its key, and how similar and how loud any other key is. All plots of keys read this.

At the edit's lowest layer, `k_e` is the key at the subject's last token of the bare prompt, and `<a, b>` = a^T C^-1 b the
whitened product (a^T b where nobody measured C). `<k, k>` is d_ff on average over the text that made C, so a product is
only shown as a share of `<k_e, k_e>`. Notation as in Yan et al. 2025, arXiv 2410.09338, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.errors import BadRequest
from editlab.facts import EditRequest, subjects
from editlab.model import statistics
from editlab.model.tokens import Located
from editlab.patches import BARE, THRESHOLD, Dense, Form, Laid, LowRank, Patch, Pathway, View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

SLIGHT = 1e-12
"""An edit whose contribution at its own key is shorter than this changes nothing."""


@dataclass(frozen=True, eq=False)
class Site:
    """An edit (`patches`) of `request`; `edited`: the view that holds it; `robust`: the same with pathways, if any.

    All keys are those of texts in the form in which the view puts them to the model.
    """

    model: LanguageModel
    request: EditRequest
    patches: tuple[LowRank | Dense, ...]
    edited: View
    robust: View | None = None

    @classmethod
    def on(
        cls,
        model: LanguageModel,
        request: EditRequest,
        patches: Sequence[Patch],
        edited: View | None = None,
        pathways: Sequence[Pathway] = (),
        threshold: float = THRESHOLD,
    ) -> Site:
        """Return the site of an edit in a view, by default the edit alone. Raises `BadRequest` where it changes no layer."""
        own = tuple(patch for patch in patches if isinstance(patch, LowRank | Dense))
        if not own:
            raise BadRequest(
                "This edit adds nothing to a weight, so no key hears a share of it. Choose one made by ROME or MEMIT."
            )
        edited = View(own) if edited is None else edited
        robust = View((*edited.patches, *pathways), threshold) if pathways else None
        return cls(model, request, own, edited, robust)

    def with_robust(self, robust: View) -> Site:
        """Return the same site with a view that has pathways."""
        return replace(self, robust=robust)

    @property
    def layer(self) -> int:
        """The lowest layer of the edit: the first at which a key decides what is retrieved."""
        return min(patch.layer for patch in self.patches)

    @property
    def unedited(self) -> View:
        """The view without this edit: other edits stay."""
        return self.edited.without(self.patches)

    @cached_property
    def statistics(self) -> statistics.KeyStatistics | None:
        """C of the layer; None where nobody measured it, and products are plain."""
        return statistics.find(self.model, self.layer)

    @cached_property
    def key(self) -> Float[Tensor, "d_ff"]:
        """k_e: the key at the subject's last token of the bare prompt, without any pathway."""
        return self.keys([self.own])[0]

    @property
    def own(self) -> Located:
        """The edit's own prompt and its subject's last token."""
        return self.model.locate(self.request.prompt, self.request.subject, form=self.edited.form)

    def locate(self, text: str, subject: str) -> Located | None:
        """Return the last token of the last place where a text names a subject; None where it does not."""
        return locate_subject(self.model, text, subject, self.edited.form)

    def keys(self, rows: Sequence[Located], view: View | None = None) -> Float[Tensor, "rows d_ff"]:
        """Return keys at located tokens, as the edit's layer gets them under a view (by default `edited`)."""
        if not rows:
            return torch.empty(0, self.model.d_ff, device=self.model.device)
        return self.model.keys(rows, [self.layer], self.edited if view is None else view)[self.layer]

    def moved(self, keys: Float[Tensor, "n d_ff"]) -> Float[Tensor, "n d_ff"]:
        """Return keys that arrive at the layer, as its pathways leave them."""
        laid = None if self.robust is None else self.robust.laid.get(self.layer)
        return laid.moved(keys) if laid is not None and laid.pathways else keys

    def whitened(self, keys: Float[Tensor, "n d_ff"]) -> Float[Tensor, "n d_ff"]:
        """Return C^-1 k for each row; the keys themselves without statistics."""
        return keys.float() if self.statistics is None else self.statistics.whiten(keys)

    @cached_property
    def direction(self) -> Float[Tensor, "d_ff"]:
        """C^-1 k_e / <k_e, k_e>: its product with a key is the key's similarity."""
        white = self.whitened(self.key[None])[0]
        return white / (white @ self.key)

    def similarity(self, keys: Float[Tensor, "n d_ff"]) -> Float[Tensor, "n"]:
        """Return <k, k_e> / <k_e, k_e>, which is 1 at the edit's own key."""
        return keys.float() @ self.direction

    @cached_property
    def _own(self) -> Laid:
        return View(self.patches).laid[self.layer]

    @cached_property
    def delta(self) -> Float[Tensor, "d_model"]:
        """What the edit adds to the value at its own key."""
        return self._own(self.key)

    @cached_property
    def is_empty(self) -> bool:
        """Whether the edit adds nothing at its own key, as one of a fact that an earlier edit has made true already."""
        return not bool(self.delta @ self.delta > SLIGHT**2)

    def share(self, keys: Float[Tensor, "n d_ff"]) -> Float[Tensor, "n"]:
        """Return how much of the edit a key hears, signed, 1 at its own: (u.k) / (u.k_e) where the edit has rank one.

        In general what is added at the key, measured along what is added at k_e. Raises `BadRequest` where that is nothing.
        """
        if self.is_empty:
            raise BadRequest(
                "This edit adds nothing at its own key, so no share of it can be told. Look at an earlier edit of this "
                "fact, or remove this one."
            )
        return self._own(keys) @ self.delta / (self.delta @ self.delta)

    def scaled(self, factor: float) -> View:
        """Return the view with this edit made `factor` times as strong, without pathways."""
        return self.unedited.with_patches(_scaled(patch, factor) for patch in self.patches)


def _scaled(patch: LowRank | Dense, factor: float) -> LowRank | Dense:
    if isinstance(patch, Dense):
        return Dense(patch.layer, factor * patch.D)
    return LowRank(patch.layer, patch.A, factor * patch.B)


def locate_subject(model: LanguageModel, text: str, subject: str, form: Form = BARE) -> Located | None:
    """Return the last token of the last place where a text, in a form, names the subject; None where it does not.

    A longer word that holds the subject ("Nigeria", for Niger) counts only where nothing else does: shuffled letters may.
    """
    if not subject or subject not in text:
        return None
    start = max((first for first, _ in subjects.whole(subject, text)), default=text.rfind(subject))
    at = len(form.before) + start
    return model.tok.locate(form.around(text), at, at + len(subject))
