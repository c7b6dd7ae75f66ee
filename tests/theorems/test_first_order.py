"""Chebyshev's first-order iteration: one head and d + 1 rows a step, however many steps; 2d + 1 without a key mask."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import headwright as hw
from headwright.compiler.graph import live_nodes
from headwright.compiler.pipeline import LONG
from headwright.proofs_check.minimax import chebyshev


@pytest.mark.parametrize("steps", [1, 5, 80])
@pytest.mark.parametrize(("arch", "rows"), [(None, 3 + 1), (hw.LINEAR, 2 * 3 + 1)])
def test_chebyshev_keeps_one_head_and_its_rows(steps: int, arch: hw.Architecture | None, rows: int) -> None:
    """Also where the program is so long that few plans are tried."""
    model = hw.constructions.get("chebyshev").compile(n=6, d=3, m=2, spectrum=(0.01, 1.0), steps=steps, arch=arch)
    assert (model.depth, model.max_heads, model.d_model) == (steps, 1, rows)
    assert steps < 80 or len(live_nodes(model.artifact.graph)) > LONG
    assert hw.verify(model).all_proved


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_chebyshev_leaves_the_minimax_residual(steps: int) -> None:
    """On one feature: the prediction for q = 1, w = 1 is 1 − T_m(φ(λ))/T_m(t), with |T_m(φ)| = 1 at both ends."""
    model = hw.constructions.get("chebyshev").compile(n=1, d=1, m=1, spectrum=(0.25, 1.0), steps=steps)
    for root in (0.5, 1.0):
        A = np.array([[root]])
        residual = 1 - model(A=A, y=A[:, 0], Q=np.eye(1))["prediction"][0]
        assert abs(residual) == pytest.approx(float(1 / chebyshev(steps, Fraction(5, 3))), rel=1e-12)


def test_a_large_program_that_few_ways_cannot_lay_out_gets_the_others() -> None:
    model = hw.constructions.get("neumann").compile(n=4, d=2, m=1, steps=48, alpha=0.1)
    assert model.depth == 47 and model.d_model == 2 * 2 + 3
