"""What `explain` prints about lower bounds, word for word, beside the figures of a model."""

from __future__ import annotations

import json

import headwright as hw
from headwright.proofs_check.exact import exact_degree
from headwright.proofs_check.lower_bounds import LowerBound, spectral_argument, spectral_bound
from headwright.runtime.explain import explain_json, explain_text

NEWTON = """
                    this model     paper   lower bound  these products  any layout
layers                       3         6             3               3
heads                        1         2                             1           1
rows (d_model)              12        16             4              12
parameters               1,296
  stored once              864
  nonzero                   60
paper: Giannou et al. 2024, Lemma 4.1

lower bound: for every plan
  layers ≥ 3      ⌈log₃ 15⌉: the output has that degree, and a layer at most triples a degree
                  assumes linear attention only; exact output
  rows ≥ 4        Σ min(rows, columns) of A
                  assumes every input, or stack of them, has rows of its own, as a block or its transpose
  rows ≥ 4        ⌈16 / 4⌉: 16 different entries of inputs have to be somewhere in 4 tokens
                  assumes 4 tokens; encoding places entries, one in a cell
these products: for what was chosen
  layers ≥ 3      the longest chain of products, each reading the one before
                  assumes these products
  heads ≥ 1       layer 1: in H ← (I + M(HHᵀ))H, M(ggᵀ) has rank 1, and a head adds one
                  assumes this map of a layer on all streams, whatever its products
  heads ≥ 1       layer 1: Σ W_V ⊗ W_KᵀW_Q has rank 1, and a head adds one
                  assumes these products and erasures in one layer
  rows ≥ 12       after layer 1 so many rows hold what later layers or the output still read
                  assumes these products, each in its layer; no two values in one row
any layout: optimize='balanced', 16 candidates, all that there were; no engine (only optimize='depth' and 'width' use one)
  heads ≥ 1       the fewest: layer 1: whichever equal ways are taken, Σ V ⊗ KᵀQ has rank ≥ 1, and a head adds one
                  assumes these products in these layers and rows; we factorise without cancellation, which may need more

claim    An output of degree g in the entries of the inputs needs ⌈log₃ g⌉ layers.
assumes  linear attention only (no softmax, no feed-forward part), with any fixed weights and masks and any number of
         heads, rows and tokens; H_0 affine in the inputs; the output read off affinely, and exact.
proof    A layer is H ← (I + Σ W_V G W_KᵀW_Q) H with G = HHᵀ: each entry is a cubic in the entries of H. So after L
         layers H_L = M(H_0H_0ᵀ)H_0, with M of degree ≤ (3^L − 1)/2, and every entry has degree ≤ 3^L.
"""


def newton() -> hw.Compiled:
    return hw.constructions.get("newton_inverse").compile(d=4, steps=3, alpha=1)


def arguments(model: hw.Compiled):
    return model.artifact, model.bounds, exact_degree(model.artifact.graph)


def test_the_figures_stand_beside_the_papers_and_the_lower_bounds() -> None:
    text = explain_text(*arguments(newton()))
    assert text.endswith(NEWTON.rstrip("\n"))


def test_the_same_bounds_are_in_the_json() -> None:
    data = json.loads(json.dumps(explain_json(*arguments(newton()))))
    assert data["degree"] == 15 and data["depth_lower_bound"] == 3
    found = [(b["what"], b["value"], b["any_products"]) for b in data["lower_bounds"]]
    assert found == [
        ("layers", 3, True),
        ("rows", 4, True),
        ("rows", 4, True),
        ("layers", 3, False),
        ("heads", 1, False),
        ("heads", 1, False),
        ("rows", 12, False),
    ]
    assert all(b["argument"] and b["assumes"] for b in data["lower_bounds"])


def test_a_bound_of_the_problem_joins_the_others_with_its_proof() -> None:
    """The largest bound is shown in the table: 4 layers for the spectrum, above 3 for the degree."""
    extra = [spectral_bound(1, 100, 1e-2), LowerBound("heads", 1, "there is something to do", "nothing", any_products=True)]
    text = explain_text(*arguments(newton()), extra=extra)
    assert "\nlayers                       3         6             4               3\n" in text
    assert "\nheads                        1         2             1               1           1\n" in text
    shown = [line.strip() for line in text.splitlines() if line.startswith(("  layers ≥", "  heads ≥", "  rows ≥"))]
    assert [line.split()[0] for line in shown[:5]] == ["layers", "layers", "heads", "rows", "rows"]
    assert (
        shown[1] == "layers ≥ 4      after 3 the residual is a polynomial of degree 13, at least 0.146464 somewhere in [1, 100]"
    )
    assert text.endswith(spectral_argument())
    assert len(explain_json(*arguments(newton()), extra)["lower_bounds"]) == 9


def test_where_leading_terms_may_cancel_it_says_that_no_degree_is_known() -> None:
    @hw.program
    def cancels(A: hw.Matrix["d", "d"]):
        return A @ A - A @ A + A

    model = hw.compile(cancels, dims={"d": 2})
    text = explain_text(*arguments(model))
    assert "layers: the degree is not known (leading terms may cancel)" in text
    assert explain_json(*arguments(model))["depth_lower_bound"] is None
