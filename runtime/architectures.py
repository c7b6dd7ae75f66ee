"""Architectures as text: the formula of a layer, and what each can express."""

from __future__ import annotations

import difflib
from typing import Any

from ..compiler.architecture import ARCHITECTURES, Architecture
from ..compiler.errors import ArchitectureError


def slug(architecture: Architecture) -> str:
    """The name that `--arch` takes."""
    return architecture.name.replace(" ", "-")


def by_name(name: str) -> Architecture:
    """The architecture of that name. Raises ArchitectureError with the nearest names."""
    known = {slug(a): a for a in ARCHITECTURES}
    if name not in known:
        close = difflib.get_close_matches(name, known, 2)
        fix = f"did you mean {' or '.join(close)}?" if close else f"the names are {', '.join(known)}"
        raise ArchitectureError(f"no architecture is named {name!r}", fix=fix)
    return known[name]


def attention_formula(a: Architecture) -> str:
    """What the heads of a layer add, in the paper's notation."""
    masked = "H M" if a.key_mask else "H"
    scores = "(W_K H)ᵀ (W_Q H)"
    if a.attention == "relu":
        scores = f"relu({scores})"
    if a.attention == "softmax":
        scores = f"softmax({scores})"
    scale = "" if a.scale == "1" else f"{a.scale} "
    mask = f", M = diag(I_{a.key_mask}, 0)" if a.key_mask else ""
    causal = ", keys up to the token itself" if a.causal else ""
    return f"H ← H + {scale}Σ W_V {masked} {scores}{mask}{causal}"


def unit_formula(a: Architecture) -> str | None:
    """What the feed-forward part of a layer adds."""
    if a.ffn is None:
        return None
    inside = {"relu": "relu(W_1 H)", "relu2": "relu(W_1 H)²", "gate": "((W_1 H) ⊙ (W_3 H))"}[a.ffn]
    return f"H ← H + W_2 {inside}"


def expresses(a: Architecture) -> dict[str, str]:
    """What programs may contain, and how exact it comes out; "no" with the reason where they may not."""
    products = "exact, V Kᵀ Q in one head"
    if a.attention == "relu":
        products = "exact, V Kᵀ Q in two heads: relu(z) − relu(−z) = z"
    if a.key_mask:
        products += f"; sums over the first {a.key_mask} tokens only, so queries on later tokens stay out of them"
    if a.causal:
        products = "no: a sum over all tokens is complete on the last one only"
    if a.attention == "softmax":
        products = "no: outputs of softmax grow at most linearly with the data"
    functions, entries = "no: there is no feed-forward part", "no: there is no feed-forward part"
    if a.ffn == "relu":
        functions = "on an interval, within a proved bound; relu and |z| exactly"
        entries = "within a proved bound on bounded factors; exact where one is ±1 or 0/1"
    if a.ffn in ("relu2", "gate"):
        units = "one unit" if a.ffn == "gate" else "four units"
        functions, entries = "polynomials, exactly", f"exact, {units} an entry"
    copies = "by an identity, which takes a row for every token"
    if a.ffn == "relu" and not a.plain:
        copies = "by units, two a row: no identity is needed"
    elif a.key_mask:
        copies = f"in place only (r = r + …), or by an identity of {a.key_mask} tokens"
    if a.attention == "softmax" and a.ffn != "relu":
        copies = "no"
    return {"matrix products": products, "functions": functions, "entrywise products": entries, "sums of rows": copies}


def to_json(a: Architecture) -> dict[str, Any]:
    fields = {"attention": a.attention, "scale": a.scale, "key_mask": a.key_mask, "causal": a.causal, "ffn": a.ffn}
    formulas = {"attention": attention_formula(a), "feed_forward": unit_formula(a)}
    return {"name": slug(a), **fields, "formulas": formulas, "expresses": expresses(a)}


def to_text(architectures: tuple[Architecture, ...]) -> str:
    blocks = []
    for a in architectures:
        lines = [slug(a), f"  {attention_formula(a)}"]
        units = unit_formula(a)
        lines += [f"  {units}"] if units else ["  no feed-forward part"]
        lines += [f"    {what:<19}{how}" for what, how in expresses(a).items()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
