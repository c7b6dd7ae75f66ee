"""The files that the independent checker reads: the program's normal form, the weights and the claims, as plain data.

    program.json       nodes with sizes as numbers, the kind of layers, where things stand in the stream, what is claimed of it
    weights.json       the nonzero entries of every matrix, exactly
    weights.safetensors  the same matrices in float64
    certificate.json   the claims in words: those that `proofs_check/checker.py` decides, and what else headwright states

All follow from the model; `checkpoint.load` refuses a folder where they do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from ..compiler.approximate.scalar_function import Z
from ..compiler.artifact import Artifact
from ..compiler.dims import size_of
from ..compiler.graph import SYMMETRIC, Graph, Node, Residual
from ..compiler.layout import Placed
from ..compiler.lowered import Approximation
from ..compiler.pointwise import function_from_text
from ..compiler.units import Units
from ..compiler.weights import BlockMatrix
from ..proofs_check.approximations import minus_parabola
from ..proofs_check.expressions import read_expression
from .chains import chain_of
from .codec import to_json
from .compiled import Compiled

PROGRAM, EXACT, WEIGHTS, CERTIFICATE = "program.json", "weights.json", "weights.safetensors", "certificate.json"

#: The checker's bound of a fit is that much wider than the compiler's, so that it can be proved with simple means.
_SLACK = Fraction(65, 64)

#: No fit is claimed to be better than this; exact ones are claimed within it.
_FINEST = Fraction(1, 2**30)

#: Domains without an end are claimed that far.
_FAR = 2**20



def checked_files(model: Compiled) -> dict[str, bytes]:
    """The four files, by name."""
    artifact = model.artifact
    matrices = dict(_matrices(artifact))
    program, beyond = _program(model)
    files = {
        PROGRAM: dump(program),
        EXACT: dump({name: _sparse(matrix) for name, matrix in matrices.items()}),
        WEIGHTS: _safetensors(matrices),
    }
    return {**files, CERTIFICATE: dump({"subject": artifact.graph.name, "claims": stated_claims(files), "beyond": beyond})}


def stated_claims(files: dict[str, bytes]) -> list[dict[str, str]]:
    """What the certificate has to say of the other files."""
    from ..proofs_check import checker  # not at the top: `python -m headwright.proofs_check.checker` is to load it first

    return [{"name": name, "statement": text} for name, text, _ in checker.claims(checker.Model(files), files)]


def dump(data: Any) -> bytes:
    """JSON as all files of a folder have it."""
    return (json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


# -- weights ---------------------------------------------------------------------------------------------------------------


def _matrices(artifact: Artifact) -> Iterator[tuple[str, BlockMatrix]]:
    """Every matrix of every distinct layer, by its name: `layer.0.head.1.W_V`, `layer.0.ffn.W_1`."""
    for i, layer in enumerate(artifact.unique_layers):
        for j, head in enumerate(layer.heads):
            yield from ((f"layer.{i}.head.{j}.{name}", getattr(head, name)) for name in ("W_V", "W_K", "W_Q"))
        if layer.ffn is not None:
            named = ((name, getattr(layer.ffn, name)) for name in ("W_1", "W_2", "W_3"))
            yield from ((f"layer.{i}.ffn.{name}", matrix) for name, matrix in named if matrix is not None)


def _sparse(matrix: BlockMatrix) -> dict[str, Any]:
    found: dict[tuple[int, int], Fraction] = {}
    for block in matrix.blocks:
        for i, j, value in zip(*(part.tolist() for part in block.entries()), strict=True):
            found[i, j] = found.get((i, j), Fraction(0)) + value
    entries = [[i, j, to_json(Fraction(found[i, j]))] for i, j in sorted(found) if found[i, j]]
    return {"shape": list(matrix.shape), "entries": entries}


def _safetensors(matrices: Mapping[str, BlockMatrix]) -> bytes:
    """The safetensors format, float64."""
    arrays = {name: matrix.dense() for name, matrix in matrices.items()}
    header, start = {}, 0
    for name, array in arrays.items():
        stop = start + 8 * array.size
        header[name] = {"dtype": "F64", "shape": list(array.shape), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(a.astype("<f8").tobytes() for a in arrays.values())


# -- the program -----------------------------------------------------------------------------------------------------------


def _program(model: Compiled) -> tuple[dict[str, Any], list[str]]:
    """program.json, and what headwright states beyond it."""
    artifact, graph = model.artifact, model.artifact.graph
    sizes, arch = graph.sizes, artifact.architecture
    fits = {} if artifact.lowered is None else {a.node: a for a in artifact.lowered.approximations}
    beyond = list(_beyond(model))
    symmetric = {fact.node for fact in graph.facts if fact.kind in SYMMETRIC}
    nodes = []
    for index, node in enumerate(graph.nodes):
        described = _node(node, sizes, index in symmetric)
        if node.op == "units":
            fit = _fit(node.attr, fits.get(index), described)
            described |= {} if fit is None else {"fit": fit}
            if fit is None and index in fits:
                bound = fits[index].bound
                how = f"within {float(bound):.3g} of" if bound else "exactly"
                beyond.append(f"the units of node {index} are {how} {fits[index].text}")
        nodes.append(described)
    encoding = []
    for placed in artifact.encoding:
        if placed.kind == "eye":
            nodes.append(_node(Node("eye", (), None, placed.shape), sizes, False))
            encoding.append(_place(placed) | {"node": len(nodes) - 1})
        elif placed.kind != "zeros":
            encoding.append(_place(placed))
    residuals = []
    for residual in graph.residuals:
        chain = chain_of(residual)
        written = None if chain is None else _residual(graph, residual, chain)
        if written is None:
            beyond.append(f"the residual of {graph.describe(residual.solution)} is at most {residual.tol}")
        else:
            residuals.append(written)
    figures, parameters = _figures(model)
    program = {
        "name": graph.name,
        "sizes": dict(sizes),
        "parameters": parameters,
        "rows": artifact.d_model,
        "tokens": artifact.n_tokens,
        "keys": arch.keys(sizes, artifact.n_tokens),
        "attention": arch.attention,
        "scale": str(arch.factor(sizes)),
        "causal": arch.causal,
        "units": arch.ffn,
        "layers": artifact.order,
        "nodes": nodes,
        "encoding": encoding,
        "returns": {output.name: output.node for output in graph.outputs},
        "outputs": [_place(placed) for placed in artifact.decoding],
        "labels": list(_labels(artifact)),
        "figures": figures,
        "residuals": residuals,
    }
    from .error_claims import error_claim  # it imports the checker

    program["errors"] = None if model.theory is not None else error_claim(artifact.lowered, program)
    if program["errors"]:
        beyond.append("the program with the functions of the fits is the program that was traced")
    return program, list(dict.fromkeys(beyond))


def _node(node: Node, sizes: Mapping[str, int], symmetric: bool) -> dict[str, Any]:
    """A node; zeros, ones and identities are constants."""
    found: dict[str, Any] = {"op": node.op, "args": list(node.args), "shape": list(node.shape)}
    shape = [size_of(dim, sizes) for dim in node.shape]
    if node.op == "input":
        found |= {"name": node.attr, "symmetric": symmetric}
    elif node.op in ("constant", "zeros", "ones", "eye"):
        array = np.eye(shape[0]).astype(int) if node.op == "eye" else np.full(shape, int(node.op == "ones"))
        array = node.attr.array() if node.op == "constant" else array.astype(object)
        entries = [[*at, to_json(Fraction(x))] for at, x in np.ndenumerate(array) if x]
        found |= {"op": "constant", "value": {"shape": shape, "entries": entries}}
    elif node.op == "scale":
        found["factor"] = to_json(node.attr)
    elif node.op == "units":
        found |= _units(node.attr, len(node.args))
    return found


def _units(units: Units, arguments: int) -> dict[str, Any]:
    """Units as matrices that act on the arguments and a one."""
    first = [[*unit.coefficients, unit.bias] for unit in units.units]
    gates = [[*unit.gate, Fraction(0)] for unit in units.units]
    rows = {"W_1": first, "W_2": [[unit.weight for unit in units.units]]} | ({"W_3": gates} if units.kind == "gate" else {})
    found: dict[str, Any] = {"kind": units.kind}
    for name, table in rows.items():
        entries = [[i, j, to_json(c)] for i, row in enumerate(table) for j, c in enumerate(row) if c]
        shape = [1, len(units.units)] if name == "W_2" else [len(units.units), arguments + 1]
        found[name] = {"shape": shape, "entries": entries}
    return found


def _place(placed: Placed) -> dict[str, Any]:
    return {
        "name": placed.name,
        "node": placed.node,
        "row": placed.row,
        "token": placed.token,
        "shape": [placed.height, placed.width],
        "flipped": placed.flipped,
        "negated": placed.negated,
    }


def _labels(artifact: Artifact) -> Iterator[dict[str, Any]]:
    """The rows that hold a node of the program, and since when."""
    for hint in artifact.hints:
        if hint.node is not None:
            shape = [size_of(dim, artifact.graph.sizes) for dim in (hint.rows, hint.cols)]
            placed = {"name": hint.name, "node": hint.node, "row": hint.row, "token": 0, "shape": shape}
            when = {"layer": hint.boundary, "after": "units" if hint.local else "heads"}
            yield {**placed, "flipped": hint.flipped, "negated": False, **when}


# -- claims ----------------------------------------------------------------------------------------------------------------


def _figures(model: Compiled) -> tuple[list[dict[str, Any]], dict[str, int]]:
    bounds = model.bounds
    if bounds is None:
        return [], {}
    sizes = model.artifact.graph.sizes
    numbers = {name: value for name, value in bounds.parameters.items() if name not in sizes}
    figures = []
    figured = (bounds.depth, bounds.heads, bounds.rows, bounds.width)
    for what, text, bound in zip(
        ("layers", "heads", "rows", "units"), (*bounds.formulas, bounds.width_formula), figured, strict=True
    ):
        if text is not None and bound is not None:
            symbols = {name: sympy.Symbol(name) for name in (*numbers, *sizes)}
            tree = _tree(read_expression(text, symbols))
            figures.append({"what": what, "formula": tree, "bound": bound, "source": bounds.source})
    return figures, numbers


def _tree(expression: sympy.Basic) -> Any:
    """An expression as nested lists."""
    if isinstance(expression, sympy.Rational):
        return str(expression)
    if isinstance(expression, sympy.Symbol):
        return expression.name
    return [expression.func.__name__, *map(_tree, expression.args)]


def _rational(value: Fraction) -> sympy.Rational:
    return sympy.Rational(value.numerator, value.denominator)


def _fit(units: Units, approximation: Approximation | None, node: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the checker decides of a sum of units; None where it knows no way."""
    z, y = Z, sympy.Symbol("y", real=True)
    if approximation is None:
        if units.name not in ("gate", "signed"):
            return None
        first, rest = units.units[0], sum((unit.weight for unit in units.units[2:3]), Fraction(0))
        reach = -first.bias if units.name == "gate" else first.coefficients[1]
        factor = y if units.name == "gate" else _rational(first.weight) * y + _rational(first.weight - rest)
        values = ["0", "1"] if units.name == "gate" else ["-1", "1"]
        bound = _FINEST * max(Fraction(1), reach)
        return {"function": _tree(factor * z), "z": _ends((-reach, reach)), "values": values, "bound": _decimal(bound)}
    if approximation.kind not in ("function", "product", "scaled") or units.kind != "relu":
        return None
    bound = max(approximation.bound * _SLACK, _FINEST)
    if approximation.kind == "product":
        return _product_fit(units, approximation.domain, Fraction(_decimal(bound))) if units.units else None
    if not approximation.expression:
        return None
    from ..proofs_check import checker
    from .error_claims import scaled_fit

    function = function_from_text(approximation.text, approximation.expression).expression
    lo = approximation.domain[0][0]
    if lo is not None and lo >= 0:
        function = function.replace(sympy.Abs, lambda inner: inner if inner == Z else sympy.Abs(inner))
    # a form whose enclosure is tight however far the argument goes
    function = function.replace(sympy.tanh, lambda inner: 1 - 2 / (1 + sympy.exp(2 * inner)))
    tree = _tree(function.rewrite((sympy.sinh, sympy.cosh), sympy.exp))
    if not _names(tree) <= set(checker.CALLS) - {"Max", "ceiling"}:
        return None
    if approximation.kind == "scaled":
        return scaled_fit(node, approximation, tree)
    signed = any(len(unit.coefficients) == 2 for unit in units.units)
    return {
        "function": ["Mul", "y", tree] if signed else tree,
        "z": _ends(approximation.domain[0]),
        "values": ["-1", "1"] if signed else ["0"],
        "bound": _decimal(bound),
    }


def _product_fit(units: Units, domain: Sequence[Any], bound: Fraction) -> dict[str, Any]:
    """`split`: what to add along z − c y and to take away along z + c y, so that the error is centred in the first; and how
    much of the bound is for that."""
    (a_lo, a_hi), (b_lo, b_hi) = domain
    c = min(q / p for p, q in (unit.coefficients for unit in units.units) if p)
    along = [(u.coefficients[0], u.bias, u.weight) for u in units.units if u.coefficients[1] == c * u.coefficients[0] != 0]
    level = sum((u.weight * max(u.bias, Fraction(0)) for u in units.units if not any(u.coefficients)), Fraction(0))
    low, high = minus_parabola(along, 1 / (4 * c), a_lo + c * b_hi, a_hi + c * b_lo)
    split = [-(low + high + level) / 2, min((high - low) / 2 * _SLACK, bound)]
    z, y = _ends(domain[0]), _ends(domain[1])
    return {"function": ["Mul", "y", "z"], "z": z, "y": y, "bound": str(bound), "split": [str(x) for x in split]}


def _names(tree: Any) -> set[str]:
    """The functions in a tree."""
    return {tree[0]}.union(*map(_names, tree[1:])) if isinstance(tree, list) else set()


def _ends(ends: Sequence[Fraction | None]) -> list[str]:
    """The ends of a domain; where it has none, the claim goes as far as ±2^20."""
    return [str(sign * _FAR if end is None else Fraction(end)) for end, sign in zip(ends, (-1, 1), strict=True)]


def _decimal(value: Fraction) -> str:
    """A number of four decimal digits that is not below the value."""
    unit = Fraction(10) ** (int(f"{float(value):e}".partition("e")[2]) - 3)
    return str(-(-value // unit) * unit)


def _residual(graph: Graph, claim: Residual, chain: Sequence[Sequence[Fraction]]) -> dict[str, Any] | None:
    """`given`: which node, multiplied with what, is A or S, the right-hand side B, and Q on the left. None for other forms."""
    roles = {"A": claim.roots, "S": claim.squares, "B": claim.ones[:1], "Q": claim.ones[1:]}
    shapes = {role: [size_of(d, graph.sizes) for d in graph.nodes[nodes[0]].shape] for role, nodes in roles.items() if nodes}
    few = claim.target == "inverse" and "A" in shapes and shapes["A"][0] < shapes["A"][1]
    if any(len(nodes) > 1 for nodes in roles.values()) or ("A" in shapes) == ("S" in shapes) or few:
        return None
    given = {}
    for role, (node, *_) in ((role, nodes) for role, nodes in roles.items() if nodes):
        factor = Fraction(1)
        while graph.nodes[node].op == "scale":  # the program may use c x where d x is given
            factor *= graph.nodes[node].attr
            (node,) = graph.nodes[node].args
        given[role] = [node, to_json(factor)]
    return {
        "target": claim.target,
        "solution": claim.solution,
        "given": given,
        "chain": [[to_json(c) for c in polynomial] for polynomial in chain],
        "from": str(claim.lower),
        "to": str(claim.upper),
        "tol": str(claim.tol) if claim.tol.denominator <= 10**9 else _decimal(claim.tol * (1 + Fraction(1, 2**20))),
    }


def _beyond(model: Compiled) -> Iterator[str]:
    """What headwright states of the model and the checker does not decide."""
    yield "the identity holds for all sizes of the named dimensions"
    lowered, theory = model.artifact.lowered, model.theory
    if lowered is not None and theory is None:
        yield from (f"output {name} is within {error:.3g} of the program's" for name, error in lowered.errors.items())
    if theory is not None:
        yield f"every step is within {float(theory.tol):.3g} of the exact one, the last iterate within {theory.distance:.3g}"
