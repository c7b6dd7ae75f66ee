"""What linear attention cannot do: the lower bounds that `headwright explain` prints, as statements of the ledger."""

from __future__ import annotations

from .degree import check_degree, check_extremal, check_gram_form, check_rotation
from .giannou_layers import OWN
from .record import Statement

STATEMENTS: tuple[Statement, ...] = (
    Statement(OWN, "degree", "degree after L layers",
        "L layers of linear attention compute polynomials of degree at most 3^L in the entries of H_0, so an output of "
        "degree g needs "
        "⌈log₃ g⌉ layers.", "computer algebra, induction", "holds", "", check_degree),
    Statement(OWN, "Gram form", "H_L = M(H_0H_0ᵀ)H_0",
        "After any number of layers H_L = M_L(H_0H_0ᵀ)H_0 with a polynomial M_L of degree at most (3^L − 1)/2.",
        "identity of blocks, all dimensions", "holds", "A mask of keys stands in the middle, H_0MH_0ᵀ.",
        check_gram_form),
    Statement(OWN, "rotations", "products by tokens need the feed-forward part",
        "Layers commute with rotations of the tokens; a product of two data rows by tokens does not.",
        "identity of blocks, exact counterexample", "holds", "With one-hot rows in the stream and a head for each token it "
        "can be done.",
        check_rotation),
    Statement(OWN, "spectral bound", "residual after L layers",
        "A polynomial r of degree m with r(0) = 1 has max|r| ≥ 1/T_m((u + l)/(u − l)) on [l, u].",
        "sign argument, interval arithmetic (m = 1, 4, 13)",
        "holds", "", check_extremal),
)  # fmt: skip
