"""What can be applied to a frozen model, and its algebra.

The model is never changed. An edit is a patch, a view is a stack of patches, and everything shown is one view held
against another. At an edited layer `k` is the input of the MLP's output projection and `y` its output:

    k' = k + [gate(k) > threshold] (U (V k) + b)
    y  = (M . (W + B A + D)) k' + bias                "." element by element, M all ones without a mask
    y  = v_i  where k' lies nearest to a key k_i of a codebook, within its radius

A patch is defined by what it lays where, so methods to come need no change in the model. Tensors are float32 and on the
device of the model they were made for; W and patches are written `[d_model, d_ff]` whatever the module stores.
"""

from editlab.patches.codebooks import Codebook
from editlab.patches.digested import Digested
from editlab.patches.matrices import Dense, LowRank, Mask, Pathway
from editlab.patches.telling import BARE, Form, Note, Preamble, preamble_of
from editlab.patches.views import BASE, THRESHOLD, Laid, Patch, Told, View

__all__ = [
    "BARE",
    "BASE",
    "THRESHOLD",
    "Codebook",
    "Dense",
    "Digested",
    "Form",
    "Laid",
    "LowRank",
    "Mask",
    "Note",
    "Patch",
    "Pathway",
    "Preamble",
    "Told",
    "View",
    "preamble_of",
]
