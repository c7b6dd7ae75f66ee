"""The torch side: torch in and out, gradients, batches, dtypes, modules that train, and torch.compile."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import headwright as hw


@pytest.fixture
def model() -> hw.Compiled:
    return hw.constructions.get("least_squares").compile(n=6, d=3, steps=3, alpha=0.5, init="identity")


@pytest.fixture
def data(model, data_for):
    return data_for(model)


def tensors(data, dtype=torch.float64):
    return {name: torch.tensor(array, dtype=dtype) for name, array in data.items()}


def test_numpy_in_gives_numpy_out_and_torch_in_gives_torch_out(model, data) -> None:
    assert isinstance(model(**data), np.floating)
    out = model(**tensors(data))
    assert isinstance(out, torch.Tensor) and out.dtype == torch.float64 and out.shape == ()
    assert float(out) == float(model(**data))


@pytest.mark.parametrize(("dtype", "kind"), [(torch.float32, np.float32), (torch.float64, np.float64)])
def test_the_dtype_of_the_inputs_is_kept(dtype, kind, model, data) -> None:
    assert model(**tensors(data, dtype)).dtype == dtype
    assert model(**{n: a.astype(kind) for n, a in data.items()}).dtype == kind
    assert model.encode(**{n: a.astype(kind) for n, a in data.items()}).dtype == kind


def test_float32_agrees_with_float64_to_its_own_precision(model, data) -> None:
    """The outputs are sums of products bounded by ‖q‖‖X‖‖A‖‖y‖ with ‖X‖ ≤ 4; each of the L layers sums ≤ D + N terms."""
    single = model(**{n: a.astype(np.float32) for n, a in data.items()})
    unit = np.finfo(np.float32).eps
    bound = 4 * np.linalg.norm(data["q"]) * np.linalg.norm(data["y"]) * model.depth * (model.d_model + model.n_tokens) * unit
    assert 0 < abs(float(single) - model(**data)) <= bound or float(single) == pytest.approx(float(model(**data)), abs=bound)


def test_gradients_agree_with_finite_differences(model, data) -> None:
    inputs = {n: t.requires_grad_() for n, t in tensors(data).items()}
    names = list(inputs)
    assert torch.autograd.gradcheck(lambda *values: model(**dict(zip(names, values, strict=True))), tuple(inputs.values()))


def test_gradients_reach_every_input_through_batches(model, data) -> None:
    inputs = tensors(data)
    inputs["A"] = inputs["A"].expand(4, -1, -1).clone().requires_grad_()
    inputs["q"] = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    model(**inputs).sum().backward()
    assert inputs["A"].grad.shape == (4, 6, 3) and inputs["A"].grad.abs().max() > 0
    assert inputs["q"].grad.shape == (4, 3)


@pytest.mark.parametrize("batches", [((), (5,), ()), ((2, 1), (3,), (2, 3)), ((4,), (4,), (4,)), ((1,), (), (7,))])
def test_leading_batch_dimensions_broadcast(batches, model, rng) -> None:
    shapes = {"A": (6, 3), "y": (6,), "q": (3,)}
    inputs = {
        name: 0.3 * rng.normal(size=(*batch, *shape)) for batch, (name, shape) in zip(batches, shapes.items(), strict=True)
    }
    batch = np.broadcast_shapes(*batches)
    out = model(**inputs)
    assert out.shape == batch
    full = {name: np.broadcast_to(a, (*batch, *shapes[name])) for name, a in inputs.items()}
    scale = abs(out).max()
    for index in np.ndindex(*batch):
        one = model(**{name: array[index] for name, array in full.items()})
        assert abs(out[index] - one) <= 1e-12 * scale
    assert model.run(inputs, dense=True).shape == batch
    assert abs(model.reference(**inputs) - out).max() <= 1e-12 * scale


def test_batches_that_do_not_broadcast_are_named(model) -> None:
    with pytest.raises(hw.InputError, match="A") as caught:
        model(A=np.zeros((2, 6, 3)), y=np.zeros((3, 6)), q=np.zeros(3))
    assert "broadcast" in caught.value.what and caught.value.fix


def test_the_torch_module_is_the_definition(model, data) -> None:
    module = model.torch_module()
    H = torch.tensor(model.encode(**data))
    out = model.decode(module(H).detach())
    assert abs(float(out) - model(**data)) <= 1e-12 * max(1.0, abs(model(**data)))
    assert torch.equal(module(H.expand(2, -1, -1))[1], module(H.expand(2, -1, -1))[0])


def test_the_state_dict_holds_the_weight_matrices_and_round_trips(model, data, tmp_path) -> None:
    module = model.torch_module()
    state = module.state_dict()
    assert {name.rsplit(".", 1)[1] for name in state} == {"W_V", "W_K", "W_Q"}
    assert all(value.shape == (model.d_model, model.d_model) for value in state.values())
    torch.save(state, tmp_path / "weights.pt")
    other = model.torch_module()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    H = torch.tensor(model.encode(**data))
    assert torch.equal(module(H), other(H))


@pytest.mark.parametrize("tied", [True, False])
def test_a_training_step_changes_the_parameters_and_lowers_the_loss(tied, model, data) -> None:
    module = model.torch_module(tied=tied)
    before = [p.detach().clone() for p in module.parameters()]
    H = torch.tensor(model.encode(**data))
    target = model.decode(module(H)).detach() + 1.0
    optimiser = torch.optim.SGD(module.parameters(), lr=1e-4)

    def loss() -> torch.Tensor:
        return (model.decode(module(H)) - target) ** 2

    first = loss()
    first.backward()
    optimiser.step()
    assert any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert float(loss().detach()) < float(first.detach())


def test_tied_layers_share_their_parameters_and_untied_ones_do_not() -> None:
    model = hw.constructions.get("newton_inverse").compile(d=2, steps=4, start="input")
    tied, untied = model.torch_module(), model.torch_module(tied=False)
    assert len(tied.layers) == 1 and len(untied.layers) == 4
    H = torch.tensor(model.encode(A=np.array([[2.0, 1.0], [0.0, 1.0]]), X0=0.3 * np.eye(2)))
    assert torch.equal(tied(H), untied(H))
    with torch.no_grad():
        untied.layers[0].heads[0].W_V.zero_()
        tied.layers[0].heads[0].W_V.zero_()
    assert not torch.equal(tied(H), untied(H))


def test_the_structured_module_agrees_with_the_dense_one_on_the_whole_stream(variant, data_for) -> None:
    model = variant.compile()
    H = torch.tensor(model.encode(**data_for(model)))
    dense, structured = model.torch_module()(H).detach(), model.structured(H)
    assert structured.shape == dense.shape
    assert float((dense - structured).abs().max()) <= 1e-12 * max(1.0, float(dense.abs().max()))


@pytest.mark.parametrize("fullgraph", [False, True], ids=["with graph breaks", "one graph"])
@pytest.mark.parametrize("part", ["structured", "dense"])
def test_the_modules_compile(part, fullgraph, model, data) -> None:
    """The "aot_eager" backend traces the forward and backward graphs without a C++ compiler."""
    module = model.structured if part == "structured" else model.torch_module()
    torch._dynamo.reset()
    try:
        compiled = torch.compile(module, backend="aot_eager", fullgraph=fullgraph)
        H = torch.tensor(model.encode(**data), requires_grad=True)
        out = compiled(H)
        assert torch.equal(out, module(H))
        out.sum().backward()
        assert float(H.grad.abs().max()) > 0
    finally:
        torch._dynamo.reset()


def test_a_wide_model_runs_without_dense_matrices() -> None:
    """At d = 256 the dense weights of the 11 layers are 3 · 2 · 11 · 1027² · 8 bytes = 0.5 GB; the blocks are a few KB."""
    model = hw.constructions.get("least_squares").compile(n=300, d=256, steps=8, alpha=0.5, init="identity")
    rng = np.random.default_rng(0)
    A = rng.normal(size=(300, 256)) / 40
    out = model(A=A, y=rng.normal(size=300), q=rng.normal(size=256))
    assert np.isfinite(out)
    assert "_dense" not in model.__dict__ and "layers" not in model.__dict__


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_device_follows_the_inputs(model, data) -> None:
    on_gpu = {n: t.cuda() for n, t in tensors(data).items()}
    out = model(**on_gpu)
    assert out.device.type == "cuda"
    assert abs(float(out) - model(**data)) <= 1e-12 * max(1.0, abs(model(**data)))


def test_meta_device_inputs_are_refused_or_kept(model, data) -> None:
    mixed = tensors(data)
    mixed["q"] = mixed["q"].to("meta")
    with pytest.raises(hw.InputError, match="different devices"):
        model(**mixed)
