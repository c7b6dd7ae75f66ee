"""A small independent checker of saved models: `python -m headwright.proofs_check.checker DIR`, or this file copied elsewhere.

It imports numpy, sympy and the standard library, nothing of headwright, and decides from the files alone. What it proves:
at the sizes in the file, the layers computed from the exact weights equal the program as polynomials in the entries of the
inputs, every relu of a distinct argument (up to sign) standing for an indeterminate of its own. The test is a random point
modulo a random prime (Schwartz 1980; Zippel 1979); point and prime are drawn here, after the files were written, and the
error probability is printed. What it does not re-derive (all dimensions at once, errors of approximations, softmax) is
listed as UNCHECKED, and then the exit status is not 0.
"""

from __future__ import annotations

import ast
import hashlib
import json
import secrets
import struct
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import sympy

_SAFETY = 80  # bits: the chance of a wrong "holds" is below 2^-80
_LIMIT = 6000  # bits of the largest prime that is drawn

class Refused(Exception):
    """A claim that does not hold; the message names the place."""

class Unchecked(Exception):
    """A claim that this program does not re-derive."""

def need(condition: Any, place: str) -> None:
    if not condition:
        raise Refused(place)

def parse(data: bytes, name: str) -> Any:
    """JSON without repeated keys, which readers may take differently."""
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        need(len(found) == len(pairs), f"{name}: a key is repeated")
        return found
    return json.loads(data, object_pairs_hook=unique)

def read_files(folder: Path) -> dict[str, bytes]:
    """Every file, with the size and SHA-256 that the manifest gives."""
    manifest = parse((folder / "manifest.json").read_bytes(), "manifest.json")
    names = {"model.json", "README.txt", "weights.safetensors", "certificate.json"}
    need(set(manifest["files"]) == names, f"manifest.json: expected the files {sorted(names)}")
    need({p.name for p in folder.iterdir()} == {*names, "manifest.json"}, "a file that is not in the manifest")
    own = {key: manifest[key] for key in manifest if key != "sha256"}
    text = json.dumps(own, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    need(hashlib.sha256(text.encode()).hexdigest() == manifest["sha256"], "manifest.json: altered")
    files = {}
    for name, entry in manifest["files"].items():
        need(not (folder / name).is_symlink(), f"{name}: a link")
        files[name] = (folder / name).read_bytes()
        need(len(files[name]) == entry["bytes"], f"{name}: {len(files[name])} bytes, the manifest says {entry['bytes']}")
        need(hashlib.sha256(files[name]).hexdigest() == entry["sha256"], f"{name}: its SHA-256 is not the manifest's")
    return files

def number(text: Any) -> Fraction:
    """ "p/q" in decimal or hexadecimal digits."""
    need(isinstance(text, str), f"{text!r} is no rational")
    top, _, bottom = text.partition("/")
    return Fraction(int(top, 16 if "0x" in top else 10), int(bottom or "1", 16 if "0x" in bottom else 10))

def tensors(data: bytes) -> dict[str, np.ndarray]:
    """The safetensors format: 8 bytes of header length, JSON, then the numbers; float64 only, no gaps."""
    need(len(data) >= 8, "weights.safetensors: cut short")
    (length,) = struct.unpack("<Q", data[:8])
    need(length <= len(data) - 8, "weights.safetensors: the header is cut short")
    header, body, found, end = parse(data[8 : 8 + length], "weights.safetensors"), data[8 + length :], {}, 0
    header.pop("__metadata__", None)
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start, stop = entry["data_offsets"]
        shape = [int(n) for n in entry["shape"]]
        size = 8 * int(np.prod(shape, dtype=object)) if shape else 8
        fits = entry["dtype"] == "F64" and start == end and stop - start == size and stop <= len(body)
        need(fits and min(shape, default=0) >= 0, f"weights.safetensors: {name} does not fit the file")
        found[name], end = np.frombuffer(body[start:stop], "<f8").reshape(shape), stop
    need(end == len(body), "weights.safetensors: bytes that belong to no tensor")
    return found

# -- exact weights -------------------------------------------------------------------------------------------------

Entries = dict[tuple[int, int], Fraction]

def entries(matrix: Any, shape: tuple[int, int], place: str) -> Entries:
    """The nonzero entries of a sum of blocks: coefficient times I, a column of ones, or a matrix."""
    stated = tuple(matrix["d_model"] if matrix[k] is None else matrix[k] for k in ("height", "width"))
    need(stated == shape, f"{place}: shape {stated}, expected {shape}")
    out: Entries = {}
    for b in matrix["blocks"]:
        c, size = number(b["coefficient"]), b["size"]
        if b["matrix"]:
            cells = [(i, j, c * number(x)) for i, row in enumerate(b["matrix"]) for j, x in enumerate(row)]
            need(len(b["matrix"]) == size and len({len(r) for r in b["matrix"]}) == 1, f"{place}: a ragged block")
        else:
            cells = [(i, 0 if b["column"] else i, c) for i in range(size)]
        for i, j, value in cells:
            at = b["row"] + i, b["col"] + j
            need(0 <= at[0] < shape[0] and 0 <= at[1] < shape[1], f"{place}: entry {list(at)} is outside the matrix")
            out[at] = out.get(at, Fraction(0)) + value
    return {at: value for at, value in out.items() if value}

class Model:
    """model.json, read: sizes, the program's nodes, the matrices of every distinct layer."""
    def __init__(self, data: Any) -> None:
        self.data, self.artifact = data, data["artifact"]
        self.graph, self.arch = self.artifact["graph"], self.artifact["architecture"]
        self.sizes: dict[str, int] = self.graph["sizes"]
        self.rows, self.tokens = self.artifact["d_model"], self.artifact["n_tokens"]
        for what, value in {**self.sizes, "d_model": self.rows, "n_tokens": self.tokens}.items():
            need(type(value) is int and 0 <= value < 10**6, f"model.json: size {what} = {value!r}")
        need(self.arch["attention"] in ("linear", "relu", "softmax"), f"architecture: attention {self.arch['attention']!r}")
        need(self.arch["ffn"] in (None, "relu", "relu2", "gate"), f"architecture: ffn {self.arch['ffn']!r}")
        self.scale = Fraction(1) if self.arch["scale"] == "1" else Fraction(1, self.size(self.arch["scale"].removeprefix("1/")))
        self.keys = self.tokens if self.arch["key_mask"] is None else min(self.tokens, self.size(self.arch["key_mask"]))
        self.distinct = [self.layer(layer, i) for i, layer in enumerate(data["distinct_layers"])]
        self.order = data["order"]
        need(all(type(i) is int and 0 <= i < len(self.distinct) for i in self.order), "order: names a layer that is not there")
        self.layers = [self.distinct[i] for i in self.order]
    def size(self, dim: Any) -> int:
        parts = [dim] if isinstance(dim, int) else dim.split("+")
        return sum(p if isinstance(p, int) else int(p) if p.strip().isdigit() else self.sizes[p.strip()] for p in parts)
    def layer(self, data: Any, index: int) -> tuple[list[dict[str, Entries]], dict[str, Entries], int]:
        square, place = (self.rows, self.rows), f"distinct layer {index + 1}"
        heads = []
        for j, head in enumerate(data["heads"]):
            heads.append({k: entries(head[k], square, f"{place} head {j + 1} {k}") for k in ("W_V", "W_K", "W_Q")})
        ffn = data["ffn"]
        if ffn is None:
            return heads, {}, 0
        need(self.arch["ffn"] is not None, f"{place}: units, but the architecture has none")
        need((ffn["W_3"] is not None) == (self.arch["ffn"] == "gate"), f"{place}: W_3 does not fit the kind of units")
        units = ffn["W_1"]["height"]
        shapes = {"W_1": (units, self.rows), "W_2": (self.rows, units), "W_3": (units, self.rows)}
        given = {k: entries(ffn[k], shapes[k], f"{place} {k}") for k in shapes if ffn[k] is not None}
        return heads, given, units
    def matrices(self) -> Iterator[tuple[str, Entries, tuple[int, int]]]:
        for i, (heads, ffn, units) in enumerate(self.distinct):
            for j, head in enumerate(heads):
                yield from ((f"layer.{i}.head.{j}.{k}", m, (self.rows, self.rows)) for k, m in head.items())
            for k, m in ffn.items():
                yield f"layer.{i}.ffn.{k}", m, ((self.rows, units) if k == "W_2" else (units, self.rows))

def check_floats(model: Model, data: bytes) -> str:
    given, expected = tensors(data), list(model.matrices())
    need(set(given) == {name for name, _, _ in expected}, "weights.safetensors: other tensors than model.json has")
    for name, exact, shape in expected:
        need(given[name].shape == shape, f"weights.safetensors: {name} has shape {given[name].shape}, expected {shape}")
        seen = set(zip(*(axis.tolist() for axis in np.nonzero(given[name])), strict=True))
        for at in sorted(seen | exact.keys()):
            want, got = float(exact.get(at, 0)), float(given[name][at])
            need(got == want, f"weights.safetensors: {name}[{at[0]}, {at[1]}] is {got!r}, the nearest float is {want!r}")
    return "every entry is the float64 nearest to the exact one"

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
    def full(self, shape: tuple[int, int], value: int = 0) -> np.ndarray:
        return np.full(shape, value, dtype=object)
    def dot(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(a.dot(b) % self.p) if a.shape[1] else self.full((a.shape[0], b.shape[1]))
    def relu(self, a: np.ndarray) -> np.ndarray:
        half, out = pow(2, -1, self.p), np.empty_like(a)
        for at, x in np.ndenumerate(a):
            key = min(x, self.p - x) if x else 0
            if key not in self.absolute:
                self.absolute[key] = secrets.randbelow(self.p)
            out[at] = (x + self.absolute[key]) * half % self.p
        return out
    def apply(self, matrix: Entries, H: np.ndarray, rows: int) -> np.ndarray:
        out = self.full((rows, H.shape[1]))
        for (i, j), value in matrix.items():
            out[i] = (out[i] + self.of(value) * H[j]) % self.p
        return out
    def activate(self, kind: str, z: np.ndarray, gate: np.ndarray | None) -> np.ndarray:
        return z * (self.relu(z) if gate is None else gate) % self.p if kind != "relu" else self.relu(z)

def layers(model: Model, field: Field, H: np.ndarray) -> Iterator[np.ndarray]:
    """The residual stream after every layer."""
    n, kind = model.keys, model.arch["attention"]
    for heads, ffn, units in model.layers:
        total = H
        for head in heads:
            V, K, Q = (field.apply(head[k], H, model.rows) for k in ("W_V", "W_K", "W_Q"))
            scores, scale = field.dot(K[:, :n].T, Q), model.scale
            if kind == "softmax":
                if scores.any() or model.arch["causal"]:
                    raise Unchecked("softmax of scores that are not 0")
                scores, scale = field.full(scores.shape, 1), scale / n
            scores = field.relu(scores) if kind == "relu" else scores
            scores = np.triu(scores) if model.arch["causal"] else scores
            total = (total + field.of(scale) * field.dot(V[:, :n], scores)) % field.p
        if ffn:
            gate = field.apply(ffn["W_3"], total, units) if "W_3" in ffn else None
            inside = field.activate(model.arch["ffn"], field.apply(ffn["W_1"], total, units), gate)
            total = (total + field.apply(ffn["W_2"], inside, model.rows)) % field.p
        H = total
        yield H

def program(model: Model, field: Field) -> tuple[list[Any], list[int]]:
    """The value of every node at a random point (None where it has none here), and its degree."""
    values: list[Any] = []
    degrees: list[int] = []
    symmetric = {f["node"] for f in model.graph["facts"] if f["kind"] in ("symmetric", "spectrum", "interval", "interval or 0")}
    for index, node in enumerate(model.graph["nodes"]):
        op, shape = node["op"], (model.size(node["shape"][0]), model.size(node["shape"][1]))
        need(all(type(a) is int and 0 <= a < index for a in node["args"]), f"program node {index}: reads a later node")
        a, d = [values[i] for i in node["args"]], [degrees[i] for i in node["args"]]
        attr: Any = next(iter(node["attr"].values())) if node["attr"] else None
        value: Any = None
        if op == "input":
            value = np.vectorize(lambda _: secrets.randbelow(field.p), otypes=[object])(field.full(shape))
            value = np.triu(value) + np.triu(value, 1).T if index in symmetric and shape[0] == shape[1] else value
        elif op == "constant":
            numbers: list[Any] = [field.of(number(str(x))) for x in attr["entries"]]
            value = np.array(numbers, dtype=object).reshape(shape)
        elif op in ("zeros", "ones", "eye"):
            value = np.eye(shape[0], dtype=int).astype(object) if op == "eye" else field.full(shape, int(op == "ones"))
        elif all(x is not None for x in a):
            value = operation(op, a, attr, shape, field)
        need(value is None or value.shape == shape, f"program node {index} ({op}): its value is not of its shape")
        values.append(value)
        product = op in ("matmul", "hadamard", "rowscale")
        plain = sum(d) if product else max(d, default=0)
        degrees.append(1 if op == "input" else 2 * max(d) + 1 if op == "units" else plain)
    return values, degrees

def operation(op: str, a: list[Any], attr: Any, shape: tuple[int, int], field: Field) -> Any:
    simple: dict[str, Callable[[], Any]] = {
        "add": lambda: (a[0] + a[1]) % field.p,
        "scale": lambda: field.of(number(attr)) * a[0] % field.p,
        "transpose": lambda: a[0].T,
        "matmul": lambda: field.dot(a[0], a[1]),
        "spread": lambda: np.eye(shape[0], dtype=int).astype(object) * a[0][0, 0],
        "vstack": lambda: np.concatenate(a),
        "top": lambda: a[0][: shape[0]],
        "bottom": lambda: a[0][len(a[0]) - shape[0] :],
        **dict.fromkeys(("hadamard", "rowscale"), lambda: a[0] * a[1] % field.p),
        "diag": lambda: np.diag(a[0][:, 0]),
    }
    if op != "units":
        return simple[op]() if op in simple else None
    total = field.full(shape)
    for unit in attr["units"]:
        z, gate = field.full(shape, field.of(number(unit["bias"]))), field.full(shape)
        for c, x in zip(unit["coefficients"], a, strict=True):
            z = (z + field.of(number(c)) * x) % field.p
        for c, x in zip(unit["gate"], a, strict=False):
            gate = (gate + field.of(number(c)) * x) % field.p
        found = field.activate(attr["kind"], z, gate if attr["kind"] == "gate" else None)
        total = (total + field.of(number(unit["weight"])) * found) % field.p
    return total

def encode(model: Model, field: Field, values: list[Any]) -> np.ndarray:
    """H_0: leaves of the program in their rows; a value that is computed is refused."""
    H, nodes = field.full((model.rows, model.tokens)), model.graph["nodes"]
    for p in model.artifact["encoding"]:
        place, kind = f"encoding of {p['name']}", p["kind"]
        value = np.eye(p["height"], dtype=int).astype(object)
        if kind == "zeros":
            continue
        if kind != "eye":
            need(0 <= p["node"] < len(nodes), f"{place}: no such node")
            node = nodes[p["node"]]
            below = [nodes[i] for i in node["args"]]
            below += [nodes[i] for b in below if b["op"] == "transpose" for i in b["args"]]
            leaf = kind in ("input", "constant", "ones", "spread", "vstack") and node["op"] == kind
            leaf = leaf and all(b["op"] in ("input", "zeros", "transpose") for b in below)
            need(leaf, f"{place}: it is computed ({node['op']})")
            value = values[p["node"]].T if p["flipped"] else values[p["node"]]
        rows, cols = slice(p["row"], p["row"] + p["height"]), slice(0, p["width"])
        fits = p["row"] >= 0 and H[rows, cols].shape == value.shape
        need(fits, f"{place}: rows {p['row']}… are no place for a value of shape {value.shape}")
        H[rows, cols] = value
    return H

def check_identity(model: Model) -> str:
    # degree: times 3 (attention) and 2 (products of units) a layer; numbers: at most degree times the bits of all weights
    nodes, products = model.graph["nodes"], model.arch["ffn"] in ("relu2", "gate")
    degree = max(3 ** len(model.layers) * (1 + products) ** len(model.layers), *program(model, Field(61))[1])
    numbers = sum(v.numerator.bit_length() + v.denominator.bit_length() for _, m, _ in model.matrices() for v in m.values())
    texts = 4 * sum(len(json.dumps(node["attr"])) + 16 for node in nodes)
    sizes = sum(model.size(node["shape"][0]) * model.size(node["shape"][1]) for node in nodes)
    relus = model.tokens * sum(u + len(h) * model.tokens for h, _, u in model.layers) + texts * sizes
    bits = (degree * (numbers + texts + 64 * model.rows * model.tokens) * (relus + 4) ** 2).bit_length() + _SAFETY + 16
    if bits > _LIMIT:
        raise Unchecked(f"a degree of {degree.bit_length()} bits needs too large a prime")
    field = Field(bits)
    values, _ = program(model, field)
    H = [encode(model, field, values)]
    H += layers(model, field, H[0])
    outputs = {o["name"]: o["node"] for o in model.graph["outputs"]}
    placed = {p["name"]: p for p in model.artifact["decoding"]}
    need(outputs and set(outputs) == set(placed), f"decoding: reads {sorted(placed)}, the program returns {sorted(outputs)}")
    for name, node in outputs.items():
        p, want = placed[name], values[node]
        if want is None:
            raise Unchecked(f"output {name}: the program's graph has an operation that is not algebraic")
        need(min(p["row"], p["token"]) >= 0, f"output {name}: read outside the stream")
        got = H[-1][p["row"] : p["row"] + p["height"], p["token"] : p["token"] + p["width"]]
        got = (-1 if p["negated"] else 1) * (got.T if p["flipped"] else got) % field.p
        need(got.shape == want.shape, f"output {name}: shape {got.shape}, expected {want.shape}")
        for i, j in np.argwhere(got != want):
            raise Refused(f"output {name}[{i}, {j}]: the weights and the program differ")
    for hint in model.artifact["hints"]:
        if hint["node"] is not None and values[hint["node"]] is not None:
            want = values[hint["node"]].T if hint["flipped"] else values[hint["node"]]
            part = H[hint["boundary"]][hint["row"] : hint["row"] + len(want), : want.shape[1]]
            same = part.shape == want.shape and (part == want).all()
            need(same, f"layer {hint['boundary']}, rows {hint['row']}…: labelled {hint['name']}, but they hold something else")
    given = [str(f["node"]) for f in model.graph["facts"] if nodes[f["node"]]["op"] == "input"]
    at = ", ".join(f"{k} = {v}" for k, v in model.sizes.items())
    note = f"; assumes what the program states of inputs {', '.join(given)}" if given else ""
    return f"at {at}, random point modulo a random prime of {bits + 1} bits, wrong with probability below 2^-{_SAFETY}{note}"

def formula(text: str, names: dict[str, Fraction]) -> Fraction:  # nothing is executed
    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return Fraction(node.value)
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)):
            a, b = value(node.left), value(node.right)
            return a + b if isinstance(node.op, ast.Add) else a - b if isinstance(node.op, ast.Sub) else a * b
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Max":
            return max(value(arg) for arg in node.args)
        raise Unchecked(f"formula {text!r}")
    return value(ast.parse(text, mode="eval").body)

def check_sizes(model: Model) -> str:
    found = {"depth": len(model.layers), "heads": max((len(h) for h, _, _ in model.layers), default=0), "rows": model.rows}
    if (bounds := model.data["bounds"]) is None:
        return ", ".join(f"{k} {v}" for k, v in found.items())
    names = {k: Fraction(v) for k, v in model.sizes.items()}
    names |= {k: number(v) for k, v in model.data["constants"].items() if v.replace("/", "").isdigit()}
    found["width"] = max((u for _, _, u in model.layers), default=0)
    for key, text in zip(("depth", "heads", "rows", "width"), (*bounds["formulas"], bounds["width_formula"]), strict=True):
        if text is not None and bounds[key] is not None:
            want = formula(text, names)
            need(want == bounds[key], f"bound of {key}: {text} is {want}, the file says {bounds[key]}")
            need(found[key] <= bounds[key], f"{key}: {found[key]} is above {text} = {bounds[key]}")
    return ", ".join(f"{k} {v}" for k, v in found.items())

def check(folder: Path) -> list[tuple[str, str, str]]:
    """(claim, HOLDS | REFUSED | UNCHECKED, detail) for every claim of the folder."""
    out: list[tuple[str, str, str]] = []
    def attempt(name: str, run: Callable[[], Any]) -> Any:
        try:
            out.append((name, "HOLDS", found if isinstance(found := run(), str) else ""))
            return found
        except Unchecked as reason:
            out.append((name, "UNCHECKED", str(reason)))
        except Refused as reason:
            out.append((name, "REFUSED", str(reason)))
        except Exception as error:  # a hostile file can be wrong in any way; it is refused, whatever the way
            out.append((name, "REFUSED", f"the file is malformed: {type(error).__name__} {error}"))
        return None
    def rest(certificate: Any) -> str:
        derived = {"hashes", "format", "floats", "identity", "sizes"}
        need(set(certificate["claims"]) >= derived, "certificate.json: a claim is missing")
        others = set(certificate["claims"]) - derived
        if others or model.artifact["lowered"] is not None or model.graph["residuals"] or model.data["theory"] is not None:
            raise Unchecked(f"not re-derived here: {', '.join(sorted(others | {'errors'}))} (of approximations and iterations)")
        return "no others"
    files = attempt("hashes", lambda: read_files(folder))
    model: Any = attempt("format", lambda: Model(parse(files["model.json"], "model.json"))) if files else None
    if model is not None:
        attempt("floats", lambda: check_floats(model, files["weights.safetensors"]))
        attempt("identity", lambda: check_identity(model))
        attempt("sizes", lambda: check_sizes(model))
        attempt("claims", lambda: rest(parse(files["certificate.json"], "certificate.json")))
    return out

def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python checker.py DIR", file=sys.stderr)
        return 2
    results = check(Path(arguments[0]))
    for name, verdict, detail in results:
        print(f"{verdict:<9} {name:<9} {detail}")
    return 0 if results and all(verdict == "HOLDS" for _, verdict, _ in results) else 1

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
