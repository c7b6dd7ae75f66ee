"""Instruction selection: from the expression graph to values that are sums of ternary products V Kᵀ Q.

A node becomes a polynomial in the values chosen so far. It is given rows of its own (a value) when it is not linear
and is shared, or named by the user; linear combinations cost nothing (heads read them directly) and become forms.
Words longer than three letters are cut into parts, as few layers deep as the levels of their letters allow.
"""

from __future__ import annotations

from .algebra import Letter, Poly
from .carried import variable
from .choices import Choices
from .dims import Dim
from .errors import ArchitectureError
from .graph import Graph, Node, part_of_stack
from .ir import Leaf, Plan, Value
from .values import Values


def select(graph: Graph, choices: Choices) -> Plan:
    """Chooses the values of a plan. Raises ArchitectureError for an operation that attention alone cannot do."""
    return _Selection(graph, choices).plan()


class _Selection(Values):
    """Translates the nodes of a graph in order."""

    def plan(self) -> Plan:
        parts = {spec.node: part_of_stack(self.graph, spec.node) for spec in self.graph.outputs}
        needed = {node if part is None else self.graph.nodes[part].args[0] for node, part in parts.items()}
        for index in range(len(self.graph.nodes) - 1, -1, -1):  # parts that are outputs are only read
            if index in needed:
                needed.update(self.graph.nodes[index].args)
        for index in sorted(needed):
            self.polys[index] = self.translate(index, self.graph.nodes[index])
        outputs = []
        for spec in self.graph.outputs:
            part = parts[spec.node]
            read = spec.node if part is None else self.graph.nodes[part].args[0]
            atom, flipped = self.as_value(self.polys[read], read, spec.name)
            outputs.append((spec, atom, flipped))
        return Plan(self.graph, self.algebra, self.values, self.linear, tuple(outputs), self.ones, frozenset(self.folded))

    # -- nodes to polynomials ------------------------------------------------------------------------------

    def translate(self, index: int, node: Node) -> Poly:
        algebra = self.algebra
        args = [self.polys[arg] for arg in node.args]
        if node.op == "zeros":
            return algebra.zero(node.shape)
        if node.op == "eye":
            return algebra.identity(node.shape[0])
        if node.op in ("input", "constant", "ones", "vstack"):
            return algebra.atom(self.leaf(Leaf(node.op, index), node.shape, self.leaf_name(index), index))
        if node.op == "spread":
            return self.spread(index, node)
        if node.op == "add":
            poly = algebra.add(*args)
        elif node.op == "scale":
            poly = algebra.scale(node.attr, args[0])
        elif node.op == "transpose":
            poly = algebra.transpose(args[0])
        elif node.op == "top":
            poly = self.top(args[0], index, node)
        elif node.op == "bottom":
            raise ArchitectureError(
                f"cannot compute with {self.graph.describe(index)}",
                where=node.where,
                rule="products sum over the first tokens: only the first part of a stacked value can enter them",
                fix="return it as it is or negated, compute before it is cut out, (c * Z)[n:], or give these rows an input of "
                "their own",
            )
        elif node.op == "matmul":
            poly = self.product(node.args[0], node.args[1])
        elif node.op == "units":
            return algebra.atom(self.units(index, node))
        else:
            raise ArchitectureError(
                f"{self.graph.describe(index)} needs a feed-forward part", where=node.where, fix="choose arch=hw.LINEAR"
            )
        if (self.factors_of(poly) >= 2 and self.kept(index)) or (len(poly.terms) >= 2 and self.updated(index)):
            atom, flipped = self.as_value(poly, index, self.graph.label(index))
            poly = algebra.transpose(algebra.atom(atom)) if flipped else algebra.atom(atom)
        return poly

    def units(self, index: int, node: Node) -> int:
        """A feed-forward value: it reads what attention of its own layer writes, and what is there before."""
        args = tuple(self.readable(self.polys[arg], arg) for arg in node.args)
        level = max((self.level_of_units(poly) for poly in args), default=0)
        if node.attr.biased:
            for dim in node.shape:
                self.bias(dim)
        made = node.attr.name if node.attr.name.isidentifier() else f"[{node.attr.name.replace(' ', '')}]"
        name, where = self.graph.labels.get(index, made), node.where
        atom = self.algebra.new_atom(name, node.shape, index in self.stated)
        self.values[atom] = Value(atom, name, node.shape, max(level, 1), node=index, where=where, units=node.attr, args=args)
        return atom

    def readable(self, poly: Poly, node: int) -> Poly:
        """A linear polynomial in values: what a row of W_1 can read."""
        poly = self.algebra.substitute(poly, self.linear.get)
        return poly if poly.degree() <= 1 else self.stored(poly, node)

    def bias(self, dim: Dim) -> None:
        """The column of ones of that length, of which the transpose is the row that biases read."""
        if dim == 1 or dim in self.ones:
            return
        index = next(i for i, n in enumerate(self.graph.nodes) if n.op == "ones" and n.shape == (dim, 1))
        if index in self.polys:
            (((self.ones[dim], _),),) = self.polys[index].terms
        else:
            self.ones[dim] = self.leaf(Leaf("ones", index), (dim, 1), self.leaf_name(index), index)
            self.polys[index] = self.algebra.atom(self.ones[dim])

    def leaf_name(self, index: int) -> str:
        node = self.graph.nodes[index]
        nameless = node.op == "ones" and index not in self.graph.labels
        return f"1_{node.shape[0]}" if nameless else self.graph.label(index)

    def top(self, poly: Poly, index: int, node: Node) -> Poly:
        """The first rows of a stacked value: of the first letter of every word."""
        poly, parts = self.algebra.substitute(poly, self.linear.get), list[Poly]()
        for word, c in poly:
            if not word:
                what = f"cannot cut {self.graph.describe(index)} out of an identity"
                raise ArchitectureError(what, where=node.where, fix="make the matrix an input")
            first, shape = word[0], (node.shape[0], self.algebra.letter_shape(word[0])[1])
            if self.choices.apart and (alone := self.first_part(first, node.shape[0])) is not None:
                parts.append(self.algebra.multiply(alone, Poly((shape[1], node.shape[1]), {word[1:]: c})))
                continue
            if first not in self.views:
                name = f"{self.algebra.show_word((first,))}[:{node.shape[0]}]"
                self.views[first] = self.algebra.new_atom(name, shape)
                self.values[self.views[first]] = Value(self.views[first], name, shape, self.letter_level(first[0]), view=first)
            parts.append(Poly(node.shape, {((self.views[first], False), *word[1:]): c}))
        return self.algebra.total(node.shape, parts)

    def first_part(self, letter: Letter, rows: Dim) -> Poly | None:
        """The input that the first rows of an encoded stack are."""
        leaf = self.values[letter[0]].leaf if letter[0] in self.values else None
        if leaf is None or leaf.kind != "vstack" or letter[1] or self.graph.nodes[leaf.node].shape[1] == 1:
            return None  # of a matrix times a vector one factor has to be zero elsewhere: the matrix then
        first = self.graph.nodes[leaf.node].args[0]
        return self.polys[first] if self.graph.nodes[first].op == "input" and self.graph.nodes[first].shape[0] == rows else None

    def kept(self, index: int) -> bool:
        shared, named = self.uses[index] > 1, index in self.graph.labels
        carried = index in self.factors or variable(self.graph.label(index)) in self.carried
        return {"shared": shared, "named": named, "either": shared or named, "carried": named and carried}[self.choices.keep]

    def updated(self, index: int) -> bool:
        """Whether "carried" keeps this linear combination: the new value of a variable that a loop adds to."""
        label = self.graph.labels.get(index)
        return self.choices.keep == "carried" and label is not None and variable(label) in self.carried

    def spread(self, index: int, node: Node) -> Poly:
        scalar = node.args[0]
        if self.graph.nodes[scalar].op != "input":
            raise ArchitectureError(
                f"cannot scale a matrix by the computed scalar {self.graph.describe(scalar)}",
                where=node.where,
                rule="attention multiplies stored matrices; a computed scalar has no stored multiple of the identity",
                fix="scale a vector instead (v * s), make the scalar an input, or write it into one of the products",
            )
        return self.algebra.atom(self.leaf(Leaf("spread", index), node.shape, f"{self.graph.label(scalar)}·I", index))

    def product(self, a: int, b: int) -> Poly:
        left, right = self.factor(self.polys[a]), self.factor(self.polys[b])
        too_large = len(left.terms) * len(right.terms) > self.choices.max_terms
        too_high = self.factors_of(left) + self.factors_of(right) > self.choices.max_degree
        if too_large or too_high:
            left, right = self.stored(left, a), self.stored(right, b)
        return self.algebra.multiply(left, right)

    def factor(self, poly: Poly) -> Poly:
        """A linear combination of several letters becomes one letter, a form."""
        if not self.choices.forms or poly.degree() != 1 or len(poly.terms) < 2:
            return poly
        expanded = self.algebra.substitute(poly, self.linear.get)
        key = (expanded.shape, frozenset(expanded.terms.items()))
        if key not in self.known:
            atom = self.algebra.name_atom_after(expanded, f"({self.algebra.show(expanded)})")
            self.known[key], self.linear[atom] = atom, expanded
        return self.algebra.atom(self.known[key])

    def stored(self, poly: Poly, node: int) -> Poly:
        if poly.degree() < 2:
            return poly
        atom, flipped = self.as_value(poly, node, self.graph.label(node))
        return self.algebra.transpose(self.algebra.atom(atom)) if flipped else self.algebra.atom(atom)
