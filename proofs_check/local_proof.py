"""The feed-forward part of a layer in the proof for all dimensions, whatever its kind."""

from __future__ import annotations

from ..compiler.algebra import Poly
from ..compiler.weights import FeedForwardWeights
from .contents import NotProved
from .entry_products import interpret_products, products_polynomial
from .feed_forward import Proof, arguments, interpret_units, units_polynomial


def interpret_local(proof: Proof, ffn: FeedForwardWeights, number: int) -> None:
    """Adds what the units of a layer compute to their targets."""
    kind = proof.artifact.architecture.ffn
    if kind == "relu":
        if ffn.W_3 is not None:
            raise NotProved(f"layer {number}: W_3 belongs to gates, and to nothing else")
        interpret_units(proof, ffn, number)
    elif kind is None:
        raise NotProved(f"layer {number}: the architecture has no feed-forward part")
    else:
        interpret_products(proof, ffn, kind, number)


def equal_apart(proof: Proof, a: Poly, b: Poly) -> bool:
    """Whether two polynomials are equal, if need be with sums of units written out: several layers may add up one sum."""

    def single(atom: int) -> Poly | None:
        return proof.relus.apart(atom) or proof.products.apart(atom)

    if proof.algebra.equal(a, b):
        return True
    if not any(single(atom) for atom in a.letters() ^ b.letters()):
        return False
    return proof.algebra.equal(*(proof.limited(proof.algebra.substitute(p, single)) for p in (a, b)))


def local_polynomial(proof: Proof, node: int) -> Poly:
    """The normal form of a node of units in the symbols proved so far."""
    args = arguments(proof, node)
    if proof.graph.nodes[node].attr.kind == "relu":
        return units_polynomial(proof, node, args)
    return products_polynomial(proof, node, args)
