"""On eq. (3.1) the feed-forward part clears and copies rows where that saves heads or rows: no identity block is needed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

import headwright as hw
from headwright.proofs_check import strategies as hws


def construction(name: str, arch: hw.Architecture, optimize: str, **arguments: object) -> hw.Compiled:
    return hw.constructions.get(name).compile(arch=arch, optimize=optimize, **arguments)


def units(model: hw.Compiled) -> int:
    return max((0 if layer.ffn is None else len(layer.ffn.W_1) for layer in model.layers), default=0)


@pytest.mark.parametrize("d", [1, 4])
@pytest.mark.parametrize("goal", ["heads", "width"])
def test_newton_inversion_takes_two_blocks_of_rows_in_place_of_three(d: int, goal: str) -> None:
    sizes = {"d": d, "steps": 3, "alpha": Fraction(1, 16)}
    model, alone = (construction("newton_inverse", arch, goal, **sizes) for arch in (hw.LINEAR, hw.LINEAR_ATTENTION))
    assert (model.depth, model.max_heads, model.d_model) == (3, 1, 2 * d)
    assert (alone.depth, alone.max_heads, alone.d_model) == (3, 1, 3 * d) and units(alone) == 0
    assert hw.verify(model).all_proved
    A = np.array([[Fraction(i * j % 5 - 1, 4) for j in range(1, d + 1)] for i in range(1, d + 1)], dtype=object)
    assert (np.asarray(model.exact.run(A=A)) == np.asarray(model.reference(A=A))).all()


@pytest.mark.parametrize(("name", "sizes"), [("matrix_sign", {"d": 4}), ("polar_factor", {"n": 4, "d": 3})])
def test_polar_factor_and_sign_need_no_rows_beyond_those_of_their_input(name: str, sizes: dict[str, int]) -> None:
    data = {**sizes, "spectrum": (Fraction(1, 2), Fraction(1)), "tol": Fraction(1, 20)}
    model, alone = (construction(name, arch, "width", **data) for arch in (hw.LINEAR, hw.LINEAR_ATTENTION))
    assert (model.d_model, model.max_heads, model.depth) == (sizes["d"], 1, alone.depth)
    assert alone.d_model > model.d_model and hw.verify(model).all_proved


def test_least_squares_takes_one_head_where_attention_alone_needs_two() -> None:
    sizes = {"n": 5, "d": 3, "steps": 3, "alpha": Fraction(1, 16)}
    model, alone = (construction("least_squares", arch, "heads", **sizes) for arch in (hw.LINEAR, hw.LINEAR_ATTENTION))
    assert (model.max_heads, alone.max_heads) == (1, 2) and model.depth == alone.depth == 5
    assert model.d_model == 4 * 3 + 2 and hw.verify(model).all_proved


@pytest.mark.parametrize(("goal", "what"), [("heads", "max_heads"), ("width", "d_model")])
def test_units_never_cost_heads_or_rows_and_save_some(goal: str, what: str) -> None:
    fewer: dict[str, bool] = {}

    @settings(max_examples=12)
    @given(hws.cases(max_steps=4))
    def holds(case: hws.Case) -> None:
        model, alone = (
            hw.compile(case.program, dims=case.sizes, optimize=goal, arch=arch) for arch in (hw.LINEAR, hw.LINEAR_ATTENTION)
        )
        assert getattr(model, what) <= getattr(alone, what) and units(alone) == 0
        assert hw.verify(model).all_proved, case.source
        got, want = model.exact.run(**case.inputs), case.program.reference(**case.inputs)
        assert all((np.asarray(got[name]) == np.asarray(want[name])).all() for name in want)
        fewer[case.source] = getattr(model, what) < getattr(alone, what)

    holds()
    assert any(fewer.values())


@pytest.mark.parametrize("goal", ["balanced", "depth"])
def test_other_goals_leave_polynomials_to_attention(goal: str) -> None:
    assert units(construction("newton_inverse", hw.LINEAR, goal, d=3, steps=2, alpha=Fraction(1, 16))) == 0
