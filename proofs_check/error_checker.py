"""How far outputs are from the program with its functions: the second half of `checker.py`, which finds it beside itself.

The layers compute the program of program.json with sums of units (the identity), and a sum of units is near a function
(the fits). Here the two are put together. The *ideal* value of a node is what the program gives where every sum of units that
has a fit is replaced by the function of that fit. For every node the file states an interval of the ideal entries, sizes of
the ideal matrix, and sizes of the error: what the network has minus the ideal matrix. No line is taken on trust: the rule
that it names is applied to the lines of the node's arguments, in rational arithmetic, and may give no more than is stated.

Sizes are four bounds: of the entries, of the Euclidean norms of rows and of columns, and of the spectral norm. Hypotheses
about the data are part of the claim. This file imports sympy and the standard library; `checker` is the module that calls it.

    1. Sizes       what norms say about each other, about products
    2. Functions   enclosed in intervals; sums of units, and how steep they are
    3. Fits        of f(z) y in one layer, by differences of an integral of f
    4. Rules       range, sizes and error of a node, from the lines of its arguments
    5. Lines       every line of the file by its rule, and the claim
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import factorial, inf, isqrt
from types import SimpleNamespace as Line  # lo, hi: interval of ideal entries; size: of the ideal matrix; error; values
from typing import Any

import sympy

Size = tuple[Any, Any, Any, Any]  # entry, row, column, spectral norm: Fractions, or inf where nothing is known
EXACT: Size = (Fraction(0),) * 4
PIECES, CELLS = 64, 1024  # a function is enclosed on that many parts of an interval, and integrated on that many
z, y = sympy.symbols("z y", real=True)

# -- 1. Sizes --------------------------------------------------------------------------------------------------------------
def times(a: Any, b: Any) -> Any:
    """Of bounds that are not negative; nothing times anything is nothing."""
    return Fraction(0) if not a or not b else inf if inf in (a, b) else a * b
def root(x: Any) -> Any:
    """No less than the square root, and exact for squares of integers."""
    scaled = -(-x * 4**64 // 1)
    found = isqrt(scaled)
    return Fraction(found + (found * found != scaled), 2**64)
def complete(shape: tuple[int, int], entry: Any = inf, row: Any = inf, col: Any = inf, norm: Any = inf) -> Size:
    """What the bounds say about each other: ‖row‖ ≤ √columns · entry, ‖A‖ ≤ √rows · ‖row‖, and so on."""
    r, c = map(root, shape)
    for _ in range(2):
        row, col = min(row, norm, times(c, entry)), min(col, norm, times(r, entry))
        norm = min(norm, times(r, row), times(c, col))
        entry = min(entry, row, col)
    return entry, row, col, norm
def added(*sizes: Size) -> Size:
    entry, row, col, norm = (sum(parts, Fraction(0)) for parts in zip(*sizes, strict=True))
    return entry, row, col, norm
def scaled_by(size: Size, factor: Any) -> Size:
    entry, row, col, norm = (times(x, abs(factor)) for x in size)
    return entry, row, col, norm
def flipped(size: Size) -> Size:
    return size[0], size[2], size[1], size[3]
def multiplied(shape: tuple[int, int], a: Size, b: Size) -> Size:
    """|(AB)_ij| ≤ ‖row i of A‖ ‖column j of B‖; a row of AB is a row of A times B."""
    return complete(shape, times(a[1], b[2]), times(a[1], b[3]), times(a[3], b[2]), times(a[3], b[3]))
def entrywise(shape: tuple[int, int], a: Size, b: Size, diagonal: bool) -> Size:
    """Of A ∘ B, ‖A ∘ B‖ ≤ ‖row of A‖ ‖column of B‖ (Schur); `diagonal`: A is one column for all, A ∘ B = diag(A) B."""
    norm = times(a[0], b[3]) if diagonal else min(times(a[1], b[2]), times(a[2], b[1]))
    row, col = (min(times(a[0], b[k]), times(a[k], b[0])) for k in (1, 2))
    return complete(shape, times(a[0], b[0]), row, col, norm)
def widened(size: Size, shape: tuple[int, int], to: tuple[int, int]) -> Size:
    """Of one column that stands for all of them."""
    return size if shape == to else complete(to, size[0], inf, size[2])
# -- 2. Functions and sums of units ----------------------------------------------------------------------------------------
def ends(x: Any) -> tuple[Any, Any]:
    """The ends of an mpmath interval, exactly."""
    def exactly(end: Any) -> Any:
        sign, mantissa, exponent, _ = end
        if not mantissa and exponent:
            return {-456: inf, -789: -inf}[exponent]  # how mpmath writes them
        if abs(exponent) > 2**20:  # exp(exp(1000)): as a fraction it fills the memory
            raise OverflowError(f"a number of about {exponent} bits")
        return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** exponent
    low, high = x._mpi_
    return exactly(low), exactly(high)
def enclosed(checker: Any, f: Any, lo: Any, hi: Any) -> tuple[Any, Any]:
    """An interval that holds the values of f(z) for lo ≤ z ≤ hi: of every piece what f itself and f(m) + f′(·)(z − m) leave."""
    run, steep = checker.in_intervals(f), checker.in_intervals(f.diff(z))
    low, high = list[Any](), list[Any]()
    for k in range(PIECES):
        a, b = lo + (hi - lo) * k / PIECES, lo + (hi - lo) * (k + 1) / PIECES
        x, m = checker.exact(a, b), checker.exact((a + b) / 2)
        found = [ends(run(x)), ends(run(m) + steep(x) * (x - m))]
        low.append(max(end for end, _ in found))
        high.append(min(end for _, end in found))
    return min(low), max(high)
def steepest(checker: Any, f: Any, lo: Any, hi: Any) -> Any:
    """A bound of |f′| there."""
    low, high = enclosed(checker, f.diff(z), lo, hi)
    return max(abs(low), abs(high))
def slope(units: list[Any], lo: Any = -inf, hi: Any = inf) -> Any:
    """The steepest slope of Σ weight · relu(a s + b) between two points: exactly, piece by piece."""
    at = sum((w * a for a, _, w in units if a < 0), Fraction(0))  # far to the left
    turns: dict[Any, Fraction] = {}
    for a, b, w in units:
        if a:
            turns[-b / a] = turns.get(-b / a, Fraction(0)) + w * abs(a)
    largest, start = Fraction(0), Fraction(0) - inf
    for stop in (*sorted(turns), inf):
        if start <= hi and stop >= lo:
            largest = max(largest, abs(at))
        at, start = at + turns.get(stop, Fraction(0)), stop
    return largest
def slopes(units: list[Any]) -> tuple[Any, Any]:
    """How steep units of two arguments are in each: along every direction z + q y they are a function of one number."""
    along: dict[Any, list[Any]] = {}
    for p, q, b, w in units:
        direction, size = (q / p, p) if p else (inf, q)
        along.setdefault(direction, []).append((size, b, w))
    steep = {q: slope(members) for q, members in along.items()}
    in_z = sum((s for q, s in steep.items() if q != inf), Fraction(0))
    return in_z, sum((s if q == inf else s * abs(q) for q, s in steep.items()), Fraction(0))
def units_of(checker: Any, node: Any) -> list[Any]:
    """(slopes…, bias, weight) of every unit."""
    first, second = (checker.matrix(node[k], k) for k in ("W_1", "W_2"))
    none, columns, count = Fraction(0), range(len(node["args"]) + 1), first.shape[0]
    checker.need(node["kind"] == "relu" and first.shape[1] == len(columns), "no ReLU units of their arguments")
    return [(*(first.entries.get((u, j), none) for j in columns), second.entries.get((0, u), none)) for u in range(count)]
def outside(line: Line, lo: Any, hi: Any, error: Any = 0) -> Any:
    """How far values may be out of an interval, `error` included."""
    return max(Fraction(0), lo - (line.lo - error), line.hi + error - hi)
# -- 3. Fits of f(z) y -----------------------------------------------------------------------------------------------------
def factor(checker: Any, fit: Any) -> Any:
    """f, where the fit is of f(z) y."""
    checker.need(fit["function"][:2] == ["Mul", "y"] and len(fit["function"]) == 3, "not a fit of f(z) y")
    return checker.formula(fit["function"][2], {"z": z})
def integral(checker: Any, f: Any, lo: Any, hi: Any) -> tuple[Any, Any, Any]:
    """Φ, f and f′ in intervals, where Φ(lo) = 0 and Φ′ = f: a table by ∫ f = w f(m) + w³/24 f″(·) on every cell, and Taylor."""
    exact, runs = checker.exact, [checker.in_intervals(f.diff(z, k)) for k in range(3)]
    w = (hi - lo) / CELLS
    knots = [lo + w * k for k in range(CELLS + 1)]
    table = [exact(Fraction(0))]
    for a in knots[:-1]:
        table.append(table[-1] + exact(w) * runs[0](exact(a + w / 2)) + exact(w**3 / 24) * runs[2](exact(a, a + w)))
    def value(x: Any) -> Any:
        a, b = ends(x)
        k = min(max(round(((a + b) / 2 - lo) / w), 0), CELLS)
        g = knots[k]
        d, at = x - exact(g), exact(g)
        return table[k] + runs[0](at) * d + runs[1](at) * d**2 / 2 + runs[2](exact(min(a, g), max(b, g))) * d**3 / 6
    return value, runs[0], runs[1]
def left_over(checker: Any, f: Any, steps: list[Any], lo: Any, hi: Any, reach: Any, order: int) -> Any:
    """A bound of |Σ c/(2h) (Φ(z + h y) − Φ(z − h y)) − f(z) y| for |y| ≤ reach. The sum is, with M_j = Σ c h^2j,
    Σ_j M_j y^(2j+1) f^(2j)(z)/(2j+1)!, and beyond the order no more than with |c| and the largest derivative near z."""
    far, total = max(h for h, *_ in steps) * reach, Fraction(0)
    for j in range(order + 1):
        last = j == order
        moment = sum((abs(c) if last else c) * h ** (2 * j) for h, c, *_ in steps) - (j == 0 and not last)
        low, high = enclosed(checker, f.diff(z, 2 * j), lo - far * last, hi + far * last) if moment else (0, 0)
        total += times(abs(moment) * reach ** (2 * j + 1) / factorial(2 * j + 1), max(abs(low), abs(high)))
    return total
def check_scaled(checker: Any, node: Any, fit: Any) -> str:
    """Units along z ± h y, each a fit of c/(2h) Φ(s) up to a line and a constant, which cancel in the difference. A step is h,
    c, the slope m of the line (Σ m y is made by units that read y only), the constant, and the error of the fit."""
    need, f, order = checker.need, factor(checker, fit), fit["order"]
    (lo, hi), (low, high) = (map(checker.number, fit[k]) for k in ("z", "y"))
    steps = [tuple(map(checker.number, step)) for step in fit["steps"]]
    sizes = {h for h, *_ in steps}
    need(type(order) is int and 0 < order < 9 and lo < hi and low < high, "the domain is empty, or the order too high")
    need(steps and min(sizes) > 0 and len(sizes) == len(steps), "steps are different, and above 0")
    along: dict[Any, list[Any]] = {}
    for p, q, b, w in units_of(checker, node):
        along.setdefault(q / p if p else None, []).append((p or q, b, w))
    line, reach, total = along.pop(None, []), max(abs(low), abs(high)), Fraction(0)
    right, left = (sum((w * q for q, _, w in line if q * side > 0), Fraction(0)) for side in (1, -1))
    need(right == left == sum(m for _, _, m, *_ in steps) and not any(b for _, b, _ in line), "units of y are not the line")
    need(set(map(abs, along)) <= sizes, "units along another direction")
    for h, c, m, constant, error in steps:
        plus, minus = along.get(h, []), along.get(-h, [])
        need(sorted(minus) == sorted((p, b, -w) for p, b, w in plus), "units along z + h y and z - h y are no difference")
        start, stop, k = lo - h * reach, hi + h * reach, c / (2 * h)
        functions = tuple(lambda x, run=run, k=k: checker.exact(k) * run(x) for run in integral(checker, f, start, stop))
        tilted = [(s, Fraction(0), s * m / (2 * h)) for s in (Fraction(1), Fraction(-1))]
        checker.near(functions, [*plus, *tilted, (Fraction(0), Fraction(1), constant)], start, stop, error)
        total += 2 * error
    total += left_over(checker, f, steps, lo, hi, reach, order)
    need(total <= checker.number(fit["bound"]), f"the units may be {show(total)} away")
    return "differences of fits of the integral, every linear piece enclosed"
# -- 4. Rules --------------------------------------------------------------------------------------------------------------
class Node:
    """One node, with what the lines of its arguments state."""
    def __init__(self, checker: Any, model: Any, number: int, lines: list[Line]) -> None:
        self.checker, self.number = checker, number
        self.node, self.shape = model.nodes[number], model.shapes[number]
        args = self.node["args"]
        checker.need(all(type(a) is int and 0 <= a < number for a in args), f"node {number} reads a later node")
        self.args, self.shapes = [lines[a] for a in args], [model.shapes[a] for a in args]
    def need(self, condition: Any, place: str) -> None:
        self.checker.need(condition, f"node {self.number}: {place}")
    def fit(self, key: str) -> Any:
        self.need(self.node.get("fit") and key in self.node["fit"], "it has no fit of that kind")
        return self.node["fit"]
    def ends(self, key: str) -> tuple[Any, Any]:
        lo, hi = map(self.checker.number, self.node["fit"][key])
        self.need(lo <= hi, "the domain of its fit is empty")
        return lo, hi
    def function(self) -> Any:
        return self.checker.formula(self.node["fit"]["function"], {"z": z, "y": y})
    def bounded(self, *lines: Line) -> None:
        self.need(all(-inf < line.lo <= line.hi < inf for line in lines), "no bound is known of an argument")
    def values(self) -> set[Fraction]:
        """The entries of a constant."""
        entries = self.checker.matrix(self.node["value"], "a constant").entries
        return {*entries.values(), *([Fraction(0)] if len(entries) < self.shape[0] * self.shape[1] else [])}
    def full(self, k: int, what: str) -> Size:
        """Size or error of an argument, as large as the node."""
        self.need(self.shapes[k] in (self.shape, (self.shape[0], 1)), "an argument has another shape")
        return widened(getattr(self.args[k], what), self.shapes[k], self.shape)
    def moved(self, steep: Any) -> Size:
        """Of g(ẑ) − g(z), where g is nowhere steeper: entry by entry, so that the spectral norm is no guide."""
        entry, row, col, _ = scaled_by(self.full(0, "error"), steep)
        return complete(self.shape, entry, row, col)
    def entrywise(self, first: Size, second: Size) -> Size:
        """Of the product of two values of the node; one column that stands for all is diag(first) second."""
        return entrywise(self.shape, first, second, self.shapes[0] != self.shape)
    def corners(self, a: tuple[Any, Any], b: Line) -> tuple[Any, Any]:
        products = [s * t for s in a for t in (b.lo, b.hi)]
        return min(products), max(products)
Found = tuple[Any, Any, Size, Size]
ALL = (-inf, inf)
def of_constant(n: Node) -> Found:
    entries, values = n.checker.matrix(n.node["value"], "a constant").entries, n.values()
    lines = [[[abs(x) for at, x in entries.items() if at[k] == i] for i in range(n.shape[k])] for k in (0, 1)]
    row, col = (root(max(sum((x * x for x in line), Fraction(0)) for line in side)) for side in lines)
    norm = root(max(map(sum, lines[0])) * max(map(sum, lines[1])))  # ‖A‖² ≤ ‖A‖₁ ‖A‖_∞
    return min(values), max(values), complete(n.shape, max(map(abs, values)), row, col, norm), EXACT
def of_sum(n: Node) -> Found:
    lo, hi = (sum((getattr(a, end) for a in n.args), Fraction(0)) for end in ("lo", "hi"))
    return lo, hi, added(*(a.size for a in n.args)), added(*(a.error for a in n.args))
def of_multiple(n: Node) -> Found:
    (a,), c = n.args, n.checker.number(n.node["factor"])
    lo, hi = sorted((a.lo * c, a.hi * c)) if -inf < a.lo <= a.hi < inf else ALL if c else (Fraction(0), Fraction(0))
    return lo, hi, scaled_by(a.size, c), scaled_by(a.error, c)
def of_product(n: Node) -> Found:
    """ÂB̂ − AB = (Â − A) B + Â (B̂ − B)."""
    a, b = n.args
    first, second = multiplied(n.shape, a.error, b.size), multiplied(n.shape, added(a.size, a.error), b.error)
    return *ALL, multiplied(n.shape, a.size, b.size), added(first, second)
def of_stack(n: Node) -> Found:
    a, b = n.args
    pairs = (a.size, b.size), (a.error, b.error)
    size, error = ((max(s[0], t[0]), max(s[1], t[1]), s[2] + t[2], s[3] + t[3]) for s, t in pairs)
    return min(a.lo, b.lo), max(a.hi, b.hi), size, error
def of_diagonal(n: Node) -> Found:
    (a,) = n.args
    return min(a.lo, Fraction(0)), max(a.hi, Fraction(0)), (a.size[0],) * 4, (a.error[0],) * 4
def of_function(n: Node) -> Found:
    """|û(ẑ) − f(z)| ≤ |û(ẑ) − û(z)| + |û(z) − f(z)|: the slope of the units times the error of z, and the fit's bound.

    A second argument has few values and no error. Where the ideal z may be a little outside the fit's domain, units and
    function move by no more than their slopes there.
    """
    fit, f, units = n.fit("values"), n.function(), units_of(n.checker, n.node)
    a, values = n.args[0], [*map(n.checker.number, fit["values"])]
    n.bounded(a)
    (least, most), arguments = n.ends("z"), len(n.args)
    n.need(least <= a.hi and a.lo <= most, "the fit is for other arguments")
    n.need(values and arguments <= 2 and f.free_symbols <= {z, y}, "a function of other arguments")
    n.need(arguments == 2 or y not in f.free_symbols, "a function of two arguments, of one")
    if arguments == 2:
        exact, has = not any(n.full(1, "error")), n.args[1].values
        n.need(exact and has and has <= set(values), "its second argument has other values")
    lo, hi, e = a.lo, a.hi, a.error[0]
    far, found, steep, extra = outside(a, least, most), list[Any](), Fraction(0), Fraction(0)
    for v in values:
        g, along = f.subs(y, sympy.Rational(v)), [(u[0], u[-2] + v * sum(u[1:-2]), u[-1]) for u in units]
        found += enclosed(n.checker, g, lo, hi)
        steep = max(steep, slope(along, lo - e, hi + e))
        if far:
            extra = max(extra, times(far, slope(along, lo, hi) + steepest(n.checker, g, lo, hi)))
    own = complete(n.shape, n.checker.number(fit["bound"]) + extra)
    low, high = min(found), max(found)
    return low, high, complete(n.shape, max(abs(low), abs(high))), added(own, n.moved(steep))
def of_two_values(n: Node) -> Found:
    """A product by two squares: û(â, b̂) is near â b̂, and â b̂ − a b = (â − a) b + â (b̂ − b)."""
    fit, (a, b) = n.fit("split"), n.args
    n.need(n.function() == z * y and n.shapes[1] == n.shape, "two squares are of a product of two values")
    n.bounded(a, b)
    in_z, in_y = slopes(units_of(n.checker, n.node))
    far_z, far_y = outside(a, *n.ends("z"), a.error[0]), outside(b, *n.ends("y"), b.error[0])
    reach_a, reach_b = (x.size[0] + x.error[0] for x in (a, b))
    own = n.checker.number(fit["bound"]) + far_z * (in_z + reach_b) + far_y * (in_y + reach_a + far_z)
    size, error = n.full(0, "size"), n.full(0, "error")
    moved = n.entrywise(error, b.size), n.entrywise(added(size, error), b.error)
    return *n.corners((a.lo, a.hi), b), n.entrywise(size, b.size), added(complete(n.shape, own), *moved)
def of_scaled(n: Node) -> Found:
    """f(z) b: û(ẑ, b̂) is near f(ẑ) b̂, and f(ẑ) b̂ − f(z) b = (f(ẑ) − f(z)) b + f(ẑ) (b̂ − b)."""
    fit, (a, b), (least, most) = n.fit("steps"), n.args, n.ends("z")
    n.bounded(a, b)
    f, e, lo, hi = factor(n.checker, fit), a.error[0], a.lo - a.error[0], a.hi + a.error[0]
    n.need(least <= hi and lo <= most and n.shapes[1] == n.shape, "the fit is for other arguments")
    far_z, far_y = outside(a, least, most, e), outside(b, *n.ends("y"), b.error[0])
    low, high = enclosed(n.checker, f, a.lo, a.hi)
    steep = steepest(n.checker, f, lo, hi) if e or far_z else Fraction(0)
    (in_z, in_y), largest = slopes(units_of(n.checker, n.node)), max(abs(low), abs(high))
    own = n.checker.number(fit["bound"]) + times(far_y, in_y + largest + times(steep, e))
    own += times(far_z, in_z + times(steep, b.size[0] + b.error[0] + far_y))
    moved, size = n.moved(steep), complete(n.shape, largest)
    errors = n.entrywise(moved, b.size), n.entrywise(added(size, moved), b.error)
    return *n.corners((low, high), b), n.entrywise(size, b.size), added(complete(n.shape, own), *errors)
def of_units(n: Node) -> Found:
    """Units without a fit: the program means them as they are (relu, |z|)."""
    n.need(not n.node.get("fit"), "units that stand for a function")
    if not any(any(a.error) for a in n.args):
        return *ALL, (inf,) * 4, EXACT
    units = units_of(n.checker, n.node)
    n.need(len(n.args) == 1, "units of several arguments, with errors")
    return *ALL, (inf,) * 4, n.moved(slope(units))
RULES: dict[str, tuple[tuple[str, ...], Callable[[Node], Found]]] = {
    "hypothesis": (("input",), lambda n: (*ALL, (inf,) * 4, EXACT)),
    "constant": (("constant",), of_constant),
    "sum": (("add",), of_sum),
    "multiple": (("scale",), of_multiple),
    "transpose": (("transpose",), lambda n: (n.args[0].lo, n.args[0].hi, flipped(n.args[0].size), flipped(n.args[0].error))),
    "product": (("matmul",), of_product),
    "part": (("top", "bottom"), lambda n: (n.args[0].lo, n.args[0].hi, n.args[0].size, n.args[0].error)),
    "stack": (("vstack",), of_stack),
    "diagonal": (("spread",), of_diagonal),
    "function": (("units",), of_function),
    "two values": (("units",), of_two_values),
    "function times value": (("units",), of_scaled),
    "units": (("units",), of_units),
}
# -- 5. Lines --------------------------------------------------------------------------------------------------------------
KINDS = {
    "within": "entries of {name} in [{from}, {to}]",
    "signs": "entries of {name} -1 or 1",
    "rows": "rows of {name} no longer than {to}",
    "norm": "Frobenius norm of {name} at most {to}",
    "eigenvalues": "{name} symmetric, its eigenvalues in [{from}, {to}]",
}
def derived(checker: Any, model: Any, number: int, lines: list[Line], rule: str) -> Line:
    """What the rule gives, and the hypotheses about the node itself."""
    node = Node(checker, model, number, lines)
    node.need(rule in RULES and node.node["op"] in RULES[rule][0], f"{rule!r} is no rule for {node.node['op']!r}")
    lo, hi, size, error = RULES[rule][1](node)
    values = node.values() if node.node["op"] == "constant" else set()
    for given in model.program["errors"]["given"]:
        if given["node"] == number:
            low, high = checker.number(given["from"]), checker.number(given["to"])
            node.need(given["kind"] in KINDS and low <= high, "a hypothesis that nothing meets")
            largest = max(abs(low), abs(high))
            if given["kind"] in ("within", "signs"):
                node.need(given["kind"] == "within" or low == -1 == -high, "signs are -1 and 1")
                lo, hi = max(lo, low), min(hi, high)
                values = {low, high} if given["kind"] == "signs" else values
            at = {"rows": 1, "norm": 3, "eigenvalues": 3}.get(given["kind"], 0)
            known = [min(s, largest) if k == at else s for k, s in enumerate(size)]
            size = known[0], known[1], known[2], known[3]
    node.need(lo <= hi, "no value meets what is stated of it")
    size = complete(node.shape, min(size[0], max(abs(lo), abs(hi))), *size[1:])
    return Line(lo=max(lo, -size[0]), hi=min(hi, size[0]), size=size, error=complete(node.shape, *error), values=values)
def read(checker: Any, line: Any, values: set[Fraction]) -> Line:
    def bound(x: str | None, unknown: float) -> Any:
        return unknown if x is None else checker.number(x)
    (lo, hi), size, error = line["range"], *([bound(x, inf) for x in line[k]] for k in ("size", "error"))
    checker.need(len(size) == len(error) == 4, "a line has four sizes and four errors")
    return Line(lo=bound(lo, -inf), hi=bound(hi, inf), size=tuple(size), error=tuple(error), values=values)
def check_line(checker: Any, model: Any, lines: list[Line], line: Any) -> Line:
    """What a line states, where it follows from those before it."""
    found = derived(checker, model, len(lines), lines, line["rule"])
    told, where = read(checker, line, found.values), f"node {len(lines)}, by the rule {line['rule']!r}"
    checker.need(told.lo <= found.lo and found.hi <= told.hi, f"{where}: its range is [{show(found.lo)}, {show(found.hi)}]")
    for what, ours, theirs in (("size", found.size, told.size), ("error", found.error, told.error)):
        for name, a, b in zip(("entries", "rows", "columns", "norm"), ours, theirs, strict=True):
            checker.need(a <= b, f"{where}: {what} of {name} may be {show(a)}, {show(b)} is stated")
    return told
def check_errors(checker: Any, model: Any) -> str:
    """Every line follows from those of the arguments, and those of the outputs are what is claimed."""
    claim, lines = model.program["errors"], list[Line]()
    for line in claim["lines"]:
        lines.append(check_line(checker, model, lines, line))
    outputs = {o["name"]: o["node"] for o in model.program["outputs"]}
    checker.need(outputs.keys() == claim["outputs"].keys(), "errors of other outputs than there are")
    checker.need(len(lines) == len(model.nodes) and min(outputs.values()) >= 0, "not every node has a line")
    for name, bound in claim["outputs"].items():
        least = lines[outputs[name]].error[0]
        checker.need(least <= checker.number(bound), f"the error of {name} may be {show(least)}")
    return f"{len(lines)} lines, each from those of its arguments"
def show(x: Any) -> str:
    return f"{float(x):.6g}"
def claims(checker: Any, model: Any) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """(name, statement, what decides it)."""
    claim = model.program["errors"]
    plain = [str(k) for k, node in enumerate(model.nodes) if node["op"] == "units" and not node.get("fit")]
    names = [node["name"] if node["op"] == "input" else f"node {k}" for k, node in enumerate(model.nodes)]
    given = [KINDS[g["kind"]].format(name=names[g["node"]], **g) for g in claim["given"]]
    given += [f"{node['name']} symmetric" for node in model.nodes if node.get("symmetric")]
    errors = {name: f"{bound} (about {show(checker.number(bound))})" for name, bound in claim["outputs"].items()}
    text = ", ".join(f"every entry of {name} is within {error}" for name, error in errors.items())
    text += " of the program with the function of every fit in the place of its units"
    text += f" (units of nodes {', '.join(plain)} are meant as they are)" if plain else ""
    yield "errors", f"{text}, given {'; '.join(given) or 'nothing'}", lambda: check_errors(checker, model)
