"""A small independent checker of saved models: `python -m headwright.proofs_check.checker DIR`, or this file copied elsewhere.

It imports numpy, sympy (with its mpmath) and the standard library, nothing of headwright (but error_checker.py beside it, which
imports nothing of ours either, for the errors of outputs), and decides from the files alone:
program.json (the program's normal form, the kind of layers, what stands where), weights.json (exact), weights.safetensors
(float64), certificate.json (the claims in words), manifest.json (the SHA-256 of every file).

    1. Reading     files, numbers, formulas (nothing is executed), weights
    2. Running     the layers and the program, in arithmetic modulo a random prime
    3. Identity    both are equal as polynomials, rows hold what their labels say; layers, heads, rows, units against formulas
    4. Residuals   of solutions, roots and signs, for all matrices with their spectrum in an interval
    5. Fits        sums of feed-forward units against the functions that they stand for
    6. Claims      their statements are made here from the files, and have to be those in certificate.json
What is trusted, and the proof of the probability: docs/explanation/what-the-checker-trusts.md.
"""

import hashlib
import json
import secrets
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from itertools import pairwise
from math import comb, prod
from pathlib import Path
from types import SimpleNamespace as Matrix  # of a shape and the nonzero entries, {(row, column): Fraction}
from typing import Any

import numpy as np
import sympy
from mpmath import iv

FILES = ("program.json", "weights.json", "weights.safetensors", "certificate.json", "model.json", "README.txt")
class Refused(Exception):
    """A claim that does not hold; the message names the place."""
class Unchecked(Exception):
    """A claim that this program does not decide."""
def need(condition: Any, place: str) -> None:
    if not condition:
        raise Refused(place)
# -- 1. Reading ------------------------------------------------------------------------------------------------------------
def parse(data: bytes, name: str) -> Any:
    """JSON in the one form that it is written in, so that no two readers take it differently."""
    found = json.loads(data)
    need((json.dumps(found, ensure_ascii=False, indent=1) + "\n").encode() == data, f"{name}: not in the form of json.dumps")
    return found
def read_files(folder: Path) -> dict[str, bytes]:
    """Every file, with the SHA-256 that the manifest gives."""
    manifest = parse((folder / "manifest.json").read_bytes(), "manifest.json")
    need(manifest["version"] == 4, f"manifest.json: format version {manifest['version']!r}, this program reads version 4")
    files = {name: (folder / name).read_bytes() for name in FILES}
    for name, data in files.items():
        need(hashlib.sha256(data).hexdigest() == manifest["files"][name]["sha256"], f"{name}: altered, by its SHA-256")
    return files
def number(text: str) -> Fraction:
    """ "p/q", in decimal digits or, where there are thousands, hexadecimal ones."""
    need(set(text) <= set("-/0123456789abcdefx"), f"{text!r} is no rational")
    return Fraction(*(int(part, 16 if "0x" in part else 10) for part in text.split("/")))
CALLS = {name: getattr(sympy, name) for name in ("Add", "Mul", "Pow", "exp", "log", "sin", "cos", "Max", "ceiling")}
def formula(tree: Any, names: dict[str, Any]) -> Any:
    """The sympy expression of a tree such as ["Add", "1/2", ["exp", "z"]]."""
    if isinstance(tree, list):
        return CALLS[tree[0]](*(formula(part, names) for part in tree[1:]))
    return names[tree] if tree in names else sympy.Rational(number(tree))
def matrix(data: Any, place: str) -> Matrix:
    rows, columns = data["shape"]
    entries = {(i, j): number(text) for i, j, text in data["entries"]}
    inside = all(type(i) is type(j) is int and 0 <= i < rows and 0 <= j < columns for i, j in entries)
    need(inside and len(entries) == len(data["entries"]), f"{place}: an entry is outside, or given twice")
    return Matrix(shape=(rows, columns), entries=entries)
class Model:
    """program.json and weights.json, read."""
    def __init__(self, files: dict[str, bytes]) -> None:
        self.program, weights = (parse(files[name], name) for name in ("program.json", "weights.json"))
        self.nodes, self.sizes, order = (self.program[k] for k in ("nodes", "sizes", "layers"))
        self.rows, self.tokens, self.keys = (self.program[k] for k in ("rows", "tokens", "keys"))
        known = (self.program["parameters"], self.sizes, {"rows": self.rows, "tokens": self.tokens, "keys": self.keys})
        for what, size in (item for part in known for item in part.items()):
            need(type(size) is int and 0 <= size < 10**6 and what.isidentifier(), f"program.json: {what} is {size!r}")
        def size_of(k: Any) -> int:  # "n", 3 or "n+m"
            return k if type(k) is int and k >= 0 else sum(int(d) if d.isdigit() else self.sizes[d] for d in k.split("+"))
        self.shapes = [(size_of(rows), size_of(columns)) for rows, columns in (node["shape"] for node in self.nodes)]
        self.weights = {name: matrix(data, f"weights.json: {name}") for name, data in weights.items()}
        self.distinct = {i: self.layer(i) for i in order}
        self.layers = [self.distinct[i] for i in order]
        used = sum(3 * len(heads) + len(units) for heads, units in self.distinct.values())
        need(used == len(self.weights) and self.keys <= self.tokens, "a matrix that no layer has, or more keys than tokens")
        self.bits = 256 + max(3 * len(self.layers), sum(node["op"] in ("matmul", "units") for node in self.nodes))  # of primes
    def layer(self, i: int) -> tuple[list[list[Matrix]], list[Matrix]]:
        """The heads (W_V, W_K, W_Q) and the feed-forward matrices (W_1, W_2, with gates W_3) of a distinct layer."""
        w, heads, rows = self.weights, list[list[Matrix]](), self.rows
        while f"layer.{i}.head.{len(heads)}.W_V" in w:
            heads.append([w[f"layer.{i}.head.{len(heads)}.{k}"] for k in ("W_V", "W_K", "W_Q")])
        names = [f"layer.{i}.ffn.W_{k}" for k in ((1, 2, 3) if self.program["units"] == "gate" else (1, 2))]
        units = [w[name] for name in names if name in w]
        fits = type(i) is int and all(m.shape == (rows, rows) for head in heads for m in head)
        shapes = [(wide := units[0].shape[0], rows), (rows, wide), (wide, rows)][: len(names)] if units else []
        need(fits and [m.shape for m in units] == shapes, f"weights.json: layer {i} has matrices of other shapes")
        return heads, units
def check_floats(model: Model, data: bytes) -> str:
    """The safetensors format: 8 bytes of header length, the header, then the numbers."""
    first, start = 8 + int.from_bytes(data[:8], "little"), 0
    header, floats = json.loads(data[8:first]), np.frombuffer(data[first:], "<f8")
    need(json.dumps(header).encode() == data[8:first].rstrip(), "weights.safetensors: header not as of json.dumps")
    for name, m in model.weights.items():
        stop, want = start + prod(m.shape), np.zeros(m.shape)
        entry = {"dtype": "F64", "shape": list(m.shape), "data_offsets": [8 * start, 8 * stop]}
        need(header.pop(name) == entry and len(floats) >= stop, f"weights.safetensors: {name} is not described as {entry}")
        for at, value in m.entries.items():
            want[at] = float(value)
        got, start = floats[start:stop].reshape(m.shape), stop
        for i, j in np.argwhere(~(got == want)):
            raise Refused(f"weights.safetensors: {name}[{i}, {j}] is {got[i, j]!r}, the nearest float is {want[i, j]!r}")
    need(not header and len(floats) == start, "weights.safetensors: numbers that belong to no matrix")
    return ""
# -- 2. Running ------------------------------------------------------------------------------------------------------------
def full(shape: tuple[int, ...], value: int = 0) -> np.ndarray:
    return np.full(shape, value, dtype=object)
def identity(size: int) -> np.ndarray:
    return np.eye(size, dtype=int).astype(object)
def symmetric(a: np.ndarray) -> np.ndarray:
    need(a.shape[0] == a.shape[1], "a symmetric matrix is square")
    return np.asarray(np.triu(a) + np.triu(a, 1).T)
class Field:
    """Arithmetic modulo a random prime; |a| of every new argument, up to sign, is a new random number."""
    def __init__(self, bits: int) -> None:
        self.p = 4
        while not sympy.isprime(self.p):
            self.p = (1 << bits) | secrets.randbits(bits) | 1
        self.absolute: dict[int, int] = {0: 0}
    def of(self, value: Fraction) -> int:
        need(value.denominator % self.p, "a denominator is divisible by the prime: run again")
        return int(value.numerator * pow(value.denominator, -1, self.p) % self.p)
    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.array([secrets.randbelow(self.p) for _ in range(prod(shape))], dtype=object).reshape(shape)
    def apply(self, matrix: Matrix, H: np.ndarray) -> np.ndarray:
        out = full((matrix.shape[0], H.shape[1]))
        for (i, j), value in matrix.entries.items():
            out[i] = (out[i] + self.of(value) * H[j]) % self.p
        return out
    def relu(self, a: np.ndarray) -> np.ndarray:
        half, out = pow(2, -1, self.p), np.empty_like(a)
        for at, x in np.ndenumerate(a):
            out[at] = (x + self.absolute.setdefault(min(x, -x % self.p), secrets.randbelow(self.p))) * half % self.p
        return out
    def feed_forward(self, kind: str, units: list[Matrix], H: np.ndarray) -> np.ndarray:
        """W_2 g(W_1 H) with g(z) = relu(z), its square, or z times the gate W_3 H."""
        z = self.apply(units[0], H)
        factor = {"relu": 1, "relu2": z, "gate": 0}[kind]
        return self.apply(units[1], (z * self.apply(units[2], H) if kind == "gate" else self.relu(z) * factor) % self.p)
def run_layers(model: Model, field: Field, H: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """The residual stream in every layer: after its heads, H + s Σ W_V H f((W_K H)ᵀ W_Q H), and after its units."""
    n, causal, kind = model.keys, model.program["causal"], model.program["attention"]
    scale, mean = field.of(number(model.program["scale"])), field.of(Fraction(1, n))
    need(kind in ("linear", "relu", "softmax"), f"program.json: attention {kind!r}")
    for heads, units in model.layers:
        attended = H
        for W_V, W_K, W_Q in heads:
            V, K, Q = (field.apply(W, H) for W in (W_V, W_K, W_Q))
            scores = K[:, :n].T @ Q % field.p
            if kind == "softmax" and (scores.any() or causal):
                raise Unchecked("softmax of scores that are not 0")
            weights = field.relu(scores) if kind == "relu" else full(scores.shape, mean) if kind == "softmax" else scores
            attended = (attended + scale * (V[:, :n] @ (np.triu(weights) if causal else weights))) % field.p
        H = (attended + field.feed_forward(model.program["units"], units, attended)) % field.p if units else attended
        yield {"heads": attended, "units": H}
def run_program(model: Model, wanted: set[int], field: Field, given: Any = ()) -> dict[int, Any]:
    """The values of the wanted nodes, and of those that they need, at a random point beside what is given."""
    values, needed = dict(given), set(wanted)
    for i in reversed(range(len(model.nodes))):
        needed |= set(model.nodes[i]["args"]) if i in needed - set(values) else set()
    for i in sorted(needed - set(values)):
        values[i] = operation(model.nodes[i], [values[a] for a in model.nodes[i]["args"]], model.shapes[i], field)
        need(i >= 0 and values[i].shape == model.shapes[i], f"program.json: node {i} is not of its shape")
    return values
def operation(node: Any, a: list[np.ndarray], shape: tuple[int, ...], field: Field) -> np.ndarray:
    def units() -> np.ndarray:  # entry by entry: a column for each, the arguments are rows, and then a row of ones
        H = np.stack([*(np.broadcast_to(x, shape).ravel() for x in a), full((prod(shape),), 1)])
        matrices = [matrix(node[k], k) for k in ("W_1", "W_2", "W_3") if k in node]
        return field.feed_forward(node["kind"], matrices, H).reshape(shape)
    known: dict[str, Callable[[], np.ndarray]] = {
        "input": lambda: symmetric(field.random(shape)) if node["symmetric"] else field.random(shape),
        "units": units,
        "constant": lambda: field.apply(matrix(node["value"], "a constant"), identity(shape[1])),
        "add": lambda: np.stack(a).sum(axis=0) % field.p,
        "scale": lambda: field.of(number(node["factor"])) * a[0] % field.p,
        "transpose": lambda: a[0].T,
        "matmul": lambda: a[0] @ a[1] % field.p,
        "spread": lambda: identity(shape[0]) * a[0].item(),
        "vstack": lambda: np.concatenate(a),
        "top": lambda: a[0][: shape[0]],
        "bottom": lambda: a[0][len(a[0]) - shape[0] :],
    }
    return known[node["op"]]()
# -- 3. Identity -----------------------------------------------------------------------------------------------------------
def stored(place: Any, H: np.ndarray) -> np.ndarray:
    """The part of the stream that a place names, as it is read."""
    (height, width), row, token = place["shape"], place["row"], place["token"]
    part = H[row : row + height, token : token + width]
    need(min(row, token) >= 0 and part.shape == (height, width), f"{place['name']}: rows {row}… are outside the stream")
    return part.T if place["flipped"] else part
def check_identity(model: Model) -> str:
    program, field = model.program, Field(model.bits)
    outputs, labels, encoding = program["outputs"], program["labels"], program["encoding"]
    values = run_program(model, set(range(len(model.nodes))), field)
    leaves = {0, 1}.union(*(v.ravel() for i, v in values.items() if model.nodes[i]["op"] in ("input", "constant")))
    H = full((model.rows, model.tokens))
    for place in encoding:
        part, value = stored(place, H), values[place["node"]]
        need(leaves.issuperset(value.ravel()) and part.shape == value.shape, f"encoding of {place['name']}: no such input")
        part[:] = -value % field.p if place["negated"] else value
    stream = dict(enumerate([{"heads": H, "units": H}, *run_layers(model, field, H)]))
    need(sorted((o["name"], o["node"]) for o in outputs) == sorted(program["returns"].items()) != [], "outputs: others")
    for place in (*labels, *({**o, "layer": len(model.layers), "after": "units"} for o in outputs)):
        got, want = stored(place, stream[place["layer"]][place["after"]]), values[place["node"]]
        got = -got % field.p if place["negated"] else got
        where = f"layer {place['layer']}, rows {place['row']}…: {place['name']}"
        need(got.shape == want.shape, f"{where} has shape {want.shape}, there is {got.shape}")
        wrong = np.argwhere(got != want).tolist()
        need(not wrong, f"{where}{wrong[0] if wrong else ''} is not what the weights compute")
    return f"at a random point modulo a random prime of {field.p.bit_length()} bits; wrong with probability below 2^-80"
def check_figure(model: Model, what: str, value: Any, bound: int) -> str:
    widths = {"heads": [len(heads) for heads, _ in model.layers], "units": [m[0].shape[0] for _, m in model.layers if m]}
    found = {"layers": len(model.layers), "rows": model.rows, **{k: max(v, default=0) for k, v in widths.items()}}
    need(found[what] <= bound == value, f"the weights have {found[what]} {what}, the formula gives {value}")
    return f"the weights have {found[what]}"
# -- 4. Residuals ----------------------------------------------------------------------------------------------------------
TARGETS = {
    "inverse": "in {form}, ‖I − SX‖₂ ≤ {tol} for every symmetric S with its eigenvalues in [{from}, {to}]",
    "inverse_sqrt": "in {form}, ‖I − S^½ X‖₂ ≤ {tol} for every S > 0 with the roots of its eigenvalues in [{from}, {to}]",
    "sign": "{form} has eigenvalues within {tol} of their signs for every symmetric A with |eigenvalues| in [{from}, {to}]",
    "polar": "{form} has singular values within {tol} of 1 for every A with its singular values in [{from}, {to}]",
}
ROLES = {("inverse", "A"), ("inverse", "S"), ("inverse_sqrt", "S"), ("sign", "A"), ("polar", "A")}  # beside B and Q
def image(polynomial: list[Fraction], a: Fraction, b: Fraction, halvings: int = 40) -> tuple[Fraction, Fraction]:
    """Bounds of a polynomial (constant first) on [a, b]: it is between its Bernstein coefficients there."""
    n = len(polynomial) - 1
    shifted = [(b - a) ** i * sum(comb(j, i) * polynomial[j] * a ** (j - i) for j in range(i, n + 1)) for i in range(n + 1)]
    bernstein = [Fraction(sum(shifted[i] * Fraction(comb(k, i), comb(n, i)) for i in range(k + 1))) for k in range(n + 1)]
    if halvings == 0 or bernstein in (sorted(bernstein), sorted(bernstein, reverse=True)):  # monotone: the ends are exact
        return min(bernstein), max(bernstein)
    parts = [image(polynomial, *part, halvings - 1) for part in ((a, (a + b) / 2), ((a + b) / 2, b))]
    return min(part[0] for part in parts), max(part[1] for part in parts)
def check_residual(model: Model, claim: Any) -> str:
    """S X = I − r(S) as polynomials at the saved sizes, and a chain r of polynomials stays within tol.
    Random matrices take the places of nodes: S or A, right-hand sides B, G S for Q. What has to be odd acts on [0 A; Aᵀ 0]."""
    target, roles, chain = claim["target"], claim["given"], [[number(c) for c in polynomial] for polynomial in claim["chain"]]
    need((target, *(roles.keys() - {"B", "Q"})) in ROLES, f"no residual of this kind is of {', '.join(roles)}")
    field, put = Field(model.bits + sum(map(len, chain))), dict[str, np.ndarray]()
    p, fresh = field.p, {role: field.random(model.shapes[node]) for role, (node, _) in roles.items()}
    def twofold(a: np.ndarray) -> np.ndarray:
        return np.block([[full((len(a), len(a))), a], [a.T, full(a.T.shape[:1] * 2)]])
    A = put["A"] = symmetric(fresh["A"]) if target == "sign" else fresh.get("A", full((1, 1)))
    S = symmetric(fresh["S"]) if "S" in fresh else A.T @ A % p
    R = twofold(A) if target in ("sign", "polar") else S
    put |= {"S": S @ S % p if target == "inverse_sqrt" else S, "B": fresh.get("B", identity(len(R)))}
    E = A.T @ put["B"] % p if target == "inverse" and "A" in fresh else put["B"]
    r, low, high = R, number(claim["from"]), number(claim["to"])
    need(low <= high and ("S" in fresh or target != "inverse" or len(A) >= len(S)), "an empty interval, or A has few rows")
    for polynomial in chain:
        low, high = image(polynomial, low, high)
        low, high = Fraction(low * 2**200 // 1, 2**200), Fraction(-(-high * 2**200 // 1), 2**200)  # outward, with fewer digits
        x, r = r, full(R.shape)
        for c in reversed(polynomial):
            r = (r @ x + field.of(c) * identity(len(R))) % p
    expected = (E - r @ E) % p
    if "Q" in fresh:
        G = fresh["Q"] if fresh["Q"].shape[1] == len(S) else fresh["Q"].T
        put["Q"], expected = (G @ S % p).reshape(fresh["Q"].shape), G @ expected % p
    given = {node: field.of(1 / number(factor)) * put[role] % p for role, (node, factor) in roles.items()}
    found = run_program(model, {claim["solution"]}, field, given)[claim["solution"]]
    found = twofold(found) if target in ("sign", "polar") else found if "Q" in fresh else R @ found % p
    need(found.shape == expected.shape and (found == expected).all(), "the program is not what the chain of polynomials says")
    need(max(-low, high) <= number(claim["tol"]), f"the residual may be {float(max(-low, high)):.6g}")
    return f"it stays within {float(max(-low, high)):.3g}"
# -- 5. Fits ---------------------------------------------------------------------------------------------------------------
z, y = sympy.symbols("z y", real=True)
INTERVALS = {name: getattr(iv, name) for name in ("exp", "log", "sqrt", "sin", "cos", "mpf", "pi", "e")}
def exact(a: Fraction, b: Fraction | None = None) -> Any:
    """The interval from a to b, rounded outward."""
    return iv.mpf([iv.mpf(x.numerator) / x.denominator for x in (a, a if b is None else b)])
def in_intervals(f: Any) -> Callable[[Any], Any]:
    """f(z) in interval arithmetic; everything where it is not defined, or complex: there it may jump, unseen by f′."""
    need(all(call.func.__name__ in INTERVALS for call in f.atoms(sympy.core.function.Application)), f"no intervals for {f}")
    run = sympy.lambdify(z, f, [INTERVALS, "mpmath"])
    def enclose(x: Any) -> Any:
        try:
            found = iv.mpf(run(x))
        except (iv.ComplexResult, ZeroDivisionError):
            found = None
        return found if isinstance(found, iv.mpf) else iv.mpf(["-inf", "inf"])
    return enclose
def near(f: Any, units: list[Any], lo: Fraction, hi: Fraction, bound: Fraction) -> None:
    """Refuses unless |Σ weight · relu(slope z + bias) − f(z)| ≤ bound for lo ≤ z ≤ hi."""
    def fitted(x: Fraction) -> Fraction:
        return sum((w * max(a * x + b, Fraction(0)) for a, b, w in units), Fraction(0))
    need(lo < hi, "the domain is empty")
    value, slope, curve = f if isinstance(f, tuple) else (in_intervals(f.diff(z, k)) for k in range(3))
    limit, tries = exact(bound), 10**5
    knots = sorted({lo, hi, *(-b / a for a, b, _ in units if a and lo < -b / a < hi)})
    todo = [(a, b, fitted(a), (fitted(b) - fitted(a)) / (b - a)) for a, b in pairwise(knots)]
    while todo and (tries := tries - 1):
        a, b, level, steep = todo.pop()
        m, r, whole = (a + b) / 2, exact((b - a) / 2), exact(a, b)
        at, line = exact(m), exact(level + steep * (m - a))  # g = f − line is g(m) + g′(m)(z − m) + ½ g″(·)(z − m)²
        by_taylor = abs(value(at) - line) + abs(slope(at) - exact(steep)) * r + abs(curve(whole)) * r**2 / 2
        if not (by_taylor <= limit or abs(value(whole) - line - exact(-abs(steep), abs(steep)) * r) <= limit):
            need(b - a > Fraction(1, 2**70), f"not within the bound at z = {float(m):.6g}")
            todo += [(a, m, level, steep), (m, b, level + steep * (m - a), steep)]
    need(not todo, "not proved with 100,000 pieces")
def check_fit(node: Any, fit: Any) -> str:
    """Along z for each of the few values of y; or z y = (s² − s'²)/(4c) for s = z + c y and s' = z − c y."""
    forms = [fit[k] for k in ("values", "split", "steps") if k in fit]  # one: what is proved is what is stated and used
    need(node["op"] == "units" and len(forms) == 1 and forms[0] and ("y" in fit) != ("values" in fit), "not one fit of units")
    if "steps" in fit:  # f(z) y in one layer
        return str(beside().check_scaled(sys.modules[__name__], node, fit))
    f, bound, none = formula(fit["function"], {"z": z, "y": y}), number(fit["bound"]), Fraction(0)
    (lo, hi), (W_1, W_2) = map(number, fit["z"]), (matrix(node[k], k).entries for k in ("W_1", "W_2"))
    ends = range(len(node["args"]) + 1)  # a unit is its slopes, bias and weight
    units = [(*(W_1.get((u, j), none) for j in ends), W_2.get((0, u), none)) for u in range(node["W_1"]["shape"][0])]
    few = node["kind"] == "relu" and len(ends) in (3, 3 if y in f.free_symbols else 2)
    need(few and lo < hi, "no ReLU units of one or two arguments, or an empty domain")
    if "values" in fit:
        for v in map(number, fit["values"]):
            along = [(u[0], u[-2] + v * sum(u[1:-2]), u[-1]) for u in units]
            near(f.subs(y, sympy.Rational(v)), along, lo, hi, bound)
        return "every linear piece enclosed"
    directions, (shift, part) = {u[1] / u[0] for u in units if u[0]}, map(number, fit["split"])
    fits = f == z * y and len(directions) == 2 and not sum(directions) and all(u[0] or not u[1] for u in units)
    need(fits, "not a product by units along z + c y and z − c y")
    for c, constant, limit in ((min(directions), shift, part), (max(directions), -shift, bound - part)):
        along = [(u[0], u[2], u[3] if u[0] else u[3] / 2) for u in units if not u[0] or u[1] / u[0] == c]
        low, high = sorted(c * number(end) for end in fit["y"])
        near(z**2 / (4 * sympy.Rational(c)), [*along, (none, Fraction(1), constant)], lo + low, hi + high, limit)
    return "two squares, every linear piece enclosed"
# -- 6. Claims -------------------------------------------------------------------------------------------------------------
def claims(model: Model, files: dict[str, bytes]) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """(name, statement, what decides it) of all that the files claim."""
    program, sizes = model.program, {**model.program["parameters"], **model.sizes}
    at, names = ", ".join(f"{name} = {size}" for name, size in sizes.items()), ", ".join(o["name"] for o in program["outputs"])
    at += "".join(f", given {node['name']} symmetric" for node in model.nodes if node.get("symmetric"))
    yield "floats", "float64 weights are nearest to the exact ones", partial(check_floats, model, files["weights.safetensors"])
    text = f"layers of {program['attention']} attention and {program['units']} units compute {names} of {program['name']}, "
    text += f"and {len(program['labels'])} labels of rows are right, as polynomials in the inputs at {at}"
    yield "identity", text, partial(check_identity, model)
    for figure in program["figures"]:
        what, bound, source = (figure[k] for k in ("what", "bound", "source"))
        text, value = (formula(figure["formula"], names) for names in ({k: sympy.Symbol(k) for k in sizes}, sizes))
        yield what, f"at most {text} = {bound} ({source})", partial(check_figure, model, what, value, bound)
    for claim in program["residuals"]:
        parts = ("Q", "X", "Aᵀ", "B") if claim["target"] == "inverse" else ("Q", "X", "B")
        form = " ".join(k for k in parts if k == "X" or k[0] in claim["given"]) + f" (node {claim['solution']})"
        form += " for " + ", ".join(f"{role} = {factor} × node {node}" for role, (node, factor) in claim["given"].items())
        yield "residual", TARGETS[claim["target"]].format(form=form, **claim), partial(check_residual, model, claim)
    for i, node in enumerate(model.nodes):
        if fit := node.get("fit"):
            domain = {key: fit[key] for key in ("z", "y", "values") if key in fit}  # y has one of the values
            text = f"units of node {i} are within {fit['bound']} of {formula(fit['function'], {'z': z, 'y': y})} for {domain}"
            yield "fit", text, partial(check_fit, node, fit)
    if program.get("errors"):
        yield from beside().claims(sys.modules[__name__], model)
def beside() -> Any:
    """error_checker.py, from the folder of this file; it is handed this module."""
    if __package__:
        from . import error_checker
    else:
        import error_checker  # type: ignore[import-not-found, no-redef]
    return error_checker
def check(folder: Path) -> list[tuple[str, str, str]]:
    """(claim, HOLDS | REFUSED | UNCHECKED, detail) for every claim of the folder."""
    out: list[tuple[str, str, str]] = []
    def attempt(name: str, statement: str, decide: Callable[[], Any]) -> Any:
        try:
            found = decide()
            out.append((name, "HOLDS", f"{statement}: {found}" if found and isinstance(found, str) else statement))
            return found
        except (Refused, Unchecked) as reason:
            out.append((name, type(reason).__name__.upper(), f"{statement}: {reason}"))
        except Exception as error:  # a hostile file can be wrong in any way; it is refused, whatever the way
            out.append((name, "REFUSED", f"{statement}: the file is malformed: {type(error).__name__} {error}"))
    def stated() -> Any:
        found, given = list(claims(model, files)), parse(files["certificate.json"], "certificate.json")["claims"]
        ours = [{"name": name, "statement": statement} for name, statement, _ in found]
        wrong = [f"{b} instead of {a}" for a, b in zip(ours, given, strict=False) if a != b] or ["a claim is missing, or added"]
        need(ours == given, f"certificate.json: {wrong[0]}")
        return found
    files: Any = attempt("hashes", "every file has the SHA-256 in manifest.json", lambda: read_files(folder))
    model: Any = files and attempt("format", "the files describe layers", lambda: Model(files))
    for claim in (model and attempt("claims", "certificate.json says what the other files claim", stated)) or []:
        attempt(*claim)
    return out
def main(arguments: list[str]) -> int:
    results = check(Path(*arguments))
    for name, verdict, detail in results:
        print("".join(c if c.isprintable() else "?" for c in f"{verdict:<9} {name:<9} {detail}"))  # names may hold anything
    return 0 if results and all(verdict == "HOLDS" for _, verdict, _ in results) else 1
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
