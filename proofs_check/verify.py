"""`verify`: every claim about a compiled model, checked from its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..compiler.artifact import Artifact
from ..compiler.graph import Residual
from .approximations import approximation_claims, error_claims, lowering_claims
from .certificate import Certificate, Claim, Proved, Refuted, Unknown, Verdict
from .exact import check_exactly, depth_lower_bound, exact_degree, inconsistent
from .lower_bounds import show_degree, stated_bounds
from .residual import check_residual, state_residual
from .symbolic import prove_for_all_dimensions

if TYPE_CHECKING:
    from .bounds import Bounds
    from .newton_model import NewtonTheory


def verify_artifact(
    artifact: Artifact, bounds: Bounds | None = None, theory: NewtonTheory | None = None
) -> Certificate:
    """The certificate of a model: the identity for all dimensions, exact equality at its own, and cited bounds."""
    if problem := inconsistent(artifact.graph):
        claim = Claim("identity", "the program has a meaning at its sizes", Refuted(problem))
        return Certificate(artifact.graph.name, (claim,))
    degrees = exact_degree(artifact.graph)
    equality = check_exactly(artifact, max((d for d in degrees.values() if d), default=1))
    # a counterexample settles the identity too; looking for a proof of something false can take long
    identity = Refuted(equality.counterexample) if isinstance(equality, Refuted) else prove_for_all_dimensions(artifact)
    sizes = ", ".join(f"{name} = {size}" for name, size in artifact.graph.sizes.items())
    claims = [
        Claim("identity", "every output equals the program's polynomial, for all dimensions", identity),
        Claim("exact", f"every output equals the program's at {sizes}, without rounding", equality),
    ]
    if artifact.lowered is None:  # with functions of a token's rows the output is no polynomial
        claims.append(_degree_claim(artifact, degrees))
    claims += approximation_claims(artifact)
    # norms alone let errors grow from step to step; a theory of the iteration says better
    claims += error_claims(artifact) if theory is None else [*lowering_claims(artifact), *theory.claims(artifact)]
    for residual in artifact.graph.residuals:
        claims += _residual_claims(artifact, residual)
    if bounds is not None:
        claims += bounds.check(artifact)
    return Certificate(f"{artifact.graph.name} ({sizes})", tuple(claims))


def _residual_claims(artifact: Artifact, residual: Residual) -> list[Claim]:
    """The tolerance that an approximate solution states and, where layers start from the data, how few layers there can be."""
    graph = artifact.graph
    claims = [Claim("residual", f"{state_residual(residual)} ({residual.method})", check_residual(graph, residual))]
    for bound in stated_bounds(graph, residual):
        statement = f"{artifact.depth} layers; {bound.value} are needed for this tolerance, by whatever weights"
        gap = "the fewest possible" if artifact.depth == bound.value else f"{artifact.depth - bound.value} above the bound"
        short = Refuted(f"{artifact.depth} layers are fewer than the bound of {bound.value}")
        verdict = Proved(f"{bound.argument}; {gap}; assumes {bound.assumes}") if artifact.depth >= bound.value else short
        claims.append(Claim("fewest", statement, verdict))
    return claims


def _degree_claim(artifact: Artifact, degrees: dict[str, int | None]) -> Claim:
    depth = len(artifact.layers)
    known = [d for d in degrees.values() if d is not None]
    verdict: Verdict
    if not known:
        verdict = Unknown("the leading terms of every output may cancel: no degree is known")
        if not depth:
            verdict = Proved("there are no fewer than 0")
        return Claim("depth", f"{depth} layers", verdict)
    degree = max(known)
    bound = depth_lower_bound(degree)
    text = show_degree(degree)
    if depth < bound:
        verdict = Refuted(f"{depth} layers reach degree {3**depth}, the program has degree {text}")
    else:
        gap = "the fewest possible" if depth == bound else f"{depth - bound} above the bound"
        verdict = Proved(f"the output has degree {text}, a layer at most triples it: at least ⌈log₃ {text}⌉ = {bound}; {gap}")
    return Claim("depth", f"{depth} layers are consistent with the degree bound of {bound}", verdict)
