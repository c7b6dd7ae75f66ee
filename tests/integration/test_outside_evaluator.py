"""The formula of a layer in a few lines that use nothing of ours, against the runtime, for every construction."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

import headwright as hw
from headwright.compiler.graph import evaluate
from headwright.compiler.ops import EXACT, FLOAT64
from headwright.proofs_check import strategies as hws


def transformer(model, layers, H):
    """H ← H + s Σ W_V H M f((W_K H)ᵀ (W_Q H)), then H ← H + W_2 relu(W_1 H) where there is a feed-forward part."""
    scale, mask = Fraction(model.attention_scale).limit_denominator(1000), model.key_mask.astype(int)
    for layer in layers:
        update = 0 * H
        for head in layer.heads:
            scores = head.W_K.dot(H).T.dot(head.W_Q.dot(H))
            scores = np.maximum(scores, 0) if model.attention == "relu" else scores
            update = update + (head.W_V.dot(H) * mask).dot(scores)
        H = H + (scale if H.dtype == object else float(scale)) * update
        if layer.ffn is not None:
            H = H + layer.ffn.W_2.dot(np.maximum(layer.ffn.W_1.dot(H), 0))
    return H


def named(outputs):
    return {k: np.asarray(v) for k, v in (outputs if isinstance(outputs, dict) else {"output": outputs}).items()}


def read_exactly(model, H):
    """The outputs in an exact stream: decoding the numbers 0, 1, 2, … tells which entries are read."""
    places = named(model.decode(np.arange(H.size, dtype=float).reshape(H.shape)))
    signs = {p.name: -1 if p.negated else 1 for p in model.artifact.decoding}
    return {name: signs[name] * H.ravel()[np.abs(where).astype(int)] for name, where in places.items()}


def meaning(model, inputs, arithmetic):
    """The outputs of the graph that the layers compute: the program, with units in place of functions."""
    graph = model.artifact.graph
    flat = {
        spec.name: np.asarray(inputs[spec.name]).reshape(inputs[spec.name].shape + (1,) * (2 - len(spec.shape)))
        for spec in graph.inputs
    }
    values = evaluate(graph, flat, arithmetic)
    return {o.name: np.asarray(values[o.node]).reshape(values[o.node].shape[: len(o.shape)]) for o in graph.outputs}


def test_the_evaluator_agrees_with_the_runtime_on_floats(variant, data_for) -> None:
    model = variant.compile()
    inputs = data_for(model)
    outside = named(model.decode(transformer(model, model.layers, model.encode(**inputs))))
    exactly = [named(model(**inputs)), named(model.run(inputs, dense=True)), meaning(model, inputs, FLOAT64)]
    if model.artifact.lowered is None:
        exactly.append(named(model.reference(**inputs)))
    for inside in exactly:
        for name, value in outside.items():
            assert abs(value - inside[name]).max() <= 1e-12 * max(abs(value).max(), 1.0), name
    for name, error in ({} if model.artifact.lowered is None else model.artifact.lowered.errors).items():
        assert abs(outside[name] - named(model.reference(**inputs))[name]).max() <= error  # certified


def test_the_evaluator_agrees_exactly_on_rational_weights(variant, integers_for) -> None:
    """Power 10 in two steps makes rationals of thousands of digits: the exact check takes steps ≤ 1 there."""
    order = variant.arguments.get("order", 2)
    short = {"steps": min(variant.arguments["steps"], 1 if order > 3 else 2)} if "steps" in variant.arguments else {}
    model = variant.compile(**short)
    inputs = integers_for(model, bound=1)
    H0 = np.vectorize(Fraction, otypes=[object])(model.encode(**{n: a.astype(float) for n, a in inputs.items()}))
    outside = read_exactly(model, transformer(model, model.exact.layers, H0))
    inside, program = named(model.exact.run(**inputs)), meaning(model, inputs, EXACT)
    if model.artifact.lowered is None:
        program = named(model.reference(**inputs))
    for name, value in outside.items():
        assert (value == inside[name]).all() and (value == program[name]).all(), name


def test_every_construction_is_proved_with_every_option(variant) -> None:
    certificate = hw.verify(variant.compile())
    assert certificate.all_proved, str(certificate)
    assert isinstance(certificate["identity"], hw.Proved)


@given(hws.cases())
def test_the_evaluator_agrees_exactly_on_random_programs(case: hws.Case) -> None:
    model = hw.compile(case.program, dims=case.sizes)
    H0 = np.vectorize(Fraction, otypes=[object])(model.encode(**{n: a.astype(float) for n, a in case.inputs.items()}))
    outside = read_exactly(model, transformer(model, model.exact.layers, H0))
    want = named(case.program.reference(**case.inputs))
    assert all((outside[name] == want[name]).all() for name in want), case.source


def test_encoding_only_places_and_decoding_only_reads(variant, rng) -> None:
    """Entries of H_0 are inputs, zeros, ones or compile-time numbers, and the places do not depend on the data."""
    model = variant.compile()
    sizes = model.artifact.graph.sizes
    marks, start = {}, 1000.0
    for spec in model.artifact.graph.inputs:
        shape = tuple(d if isinstance(d, int) else sizes[d] for d in spec.shape)
        count = int(np.prod(shape))
        marks[spec.name] = (start + np.arange(count)).reshape(shape)
        start += count
    H = model.encode(**marks)
    allowed = {0.0, 1.0, *(float(x) for array in marks.values() for x in array.ravel())}
    assert set(H.ravel().tolist()) <= allowed
    doubled = model.encode(**{name: 2 * array for name, array in marks.items()})
    assert np.array_equal(doubled, np.where(H >= 1000, 2 * H, H))
    read = named(model.decode(np.arange(H.size, dtype=float).reshape(H.shape)))
    for places in read.values():
        assert np.array_equal(places, np.round(places)) and len(set(places.ravel().tolist())) == places.size
        assert places.max() <= 0 or places.min() >= 0
        assert np.abs(places).max() < H.size


def test_the_evaluator_notices_a_wrong_weight(data_for) -> None:
    model = hw.constructions.get("least_squares").compile(n=4, d=3, steps=2, alpha=0.125)
    inputs = data_for(model)
    head = model.layers[1].heads[0]
    W_V = head.W_V.copy()
    W_V[tuple(np.argwhere(W_V)[0])] *= -1

    class Wrong:
        heads, ffn = [type("Head", (), {"W_V": W_V, "W_K": head.W_K, "W_Q": head.W_Q})], None

    H = transformer(model, [model.layers[0], Wrong, *model.layers[2:]], model.encode(**inputs))
    assert abs(model.decode(H) - model(**inputs)) > 1e-6


def test_the_architecture_is_readable() -> None:
    model = hw.constructions.get("newton_inverse").compile(d=3, steps=1, alpha=0.1)
    assert model.attention == "linear" and model.attention_scale == 1.0
    assert np.array_equal(model.key_mask, np.ones(model.n_tokens))
    assert model.ffn_width == 0 and all(layer.ffn is None for layer in model.layers)


@pytest.mark.parametrize("dense", [False, True])
def test_counts_are_counted_in_the_dense_weights(variant, dense) -> None:
    model = variant.compile()
    matrices = [W for layer in model.layers for h in layer.heads for W in (h.W_V, h.W_K, h.W_Q)]
    matrices += [W for layer in model.layers if layer.ffn is not None for W in (layer.ffn.W_1, layer.ffn.W_2)]
    assert model.n_parameters == sum(W.size for W in matrices)
    assert model.nonzeros == sum(np.count_nonzero(W) for W in matrices)
    assert model.depth == len(model.layers) and model.max_heads == max([0, *(len(layer.heads) for layer in model.layers)])
    module = model.torch_module(tied=not dense)
    assert sum(p.numel() for p in module.parameters()) == (model.n_parameters if dense else model.n_unique_parameters)
