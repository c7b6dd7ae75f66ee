"""`headwright similarity`: how alike Newton, gradient descent, Chebyshev, online descent and least squares are on a prompt.

The experiment of Fu et al. 2023 without its trained transformer. A prompt has n + 1 points (x_t, y_t), y = ⟨w*, x⟩; after t of
them an algorithm has weights ŵ_t and predicts the next label with the residual ⟨ŵ_t, x_{t+1}⟩ − y_{t+1}, t = 0 … n.

- SimE(P, Q): the cosine of the two vectors of n + 1 residuals, averaged over prompts (t = 0 included).
- SimW(P, Q): the cosine of ŵ_t of P and of Q, averaged over t = 1 … n and prompts; with a zero vector it is 0.

The algorithms here are plain batched numpy. Newton's iteration runs step by step in float32 as in the paper's experiments (the
last figures depend on it); the first-order ones are evaluated as polynomials of S = Σ_{j≤t} x_j x_jᵀ in float64, which is
what their steps give. `similarity_compiled` compares them with compiled transformers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..compiler.errors import InputError
from .progress import track

D, N, BATCH, SEED, KAPPAS = 20, 40, 2560, 0, (1.0, 100.0)

NEWTON = tuple(range(1, 25))
DESCENT = tuple(2**j for j in range(13))
CHEBYSHEV = tuple(2**j for j in range(11))
ONLINE = (0.1, 0.2, 0.5, 1.0)  # parts of the largest rate that is stable on average, 1/E‖x‖²

#: Rates of gradient descent w ← w − η(Sw − Xᵀy). κ = 1: the paper's; κ = 100: not printed, this one fits its figures.
RATES: Mapping[float, float] = {1.0: 0.01, 100.0: 0.002}

_CHUNK = 64  # prompts at a time: what is in work stays in the cache


@dataclass(frozen=True)
class Subject:
    """An algorithm and how far it is run. family: one of FAMILIES; steps: iterations, None for those without."""

    family: str
    steps: int | None = None
    rate: float | None = None

    @property
    def title(self) -> str:
        if self.rate is not None and self.steps is None:
            return f"{self.family}, rate {self.rate:g}/E‖x‖²"
        return self.family if self.steps is None else f"{self.family}, step {self.steps}"


FAMILIES = ("zero", "least squares", "Newton", "gradient descent", "Chebyshev", "online gradient descent")
EXACT_NEWTON = "Newton in float64"


def subjects() -> tuple[Subject, ...]:
    """Everything that is compared."""
    steps = {"Newton": NEWTON, EXACT_NEWTON: NEWTON, "gradient descent": DESCENT, "Chebyshev": CHEBYSHEV}
    iterations = [Subject(family, step) for family, many in steps.items() for step in many]
    online = [Subject("online gradient descent", rate=rate) for rate in ONLINE]
    return (Subject("zero"), Subject("least squares"), *iterations, *online)


@dataclass(frozen=True)
class Similarities:
    """SimE and SimW of every pair, for one κ. error, weights: (subjects, subjects). spread: standard error of SimE."""

    kappa: float
    rate: float
    subjects: tuple[Subject, ...]
    error: np.ndarray
    weights: np.ndarray
    spread: np.ndarray

    def at(self, p: Subject, q: Subject, measure: str = "error") -> float:
        """One figure. measure: "error" (SimE) or "weights" (SimW)."""
        return float(getattr(self, measure)[self.subjects.index(p), self.subjects.index(q)])

    def family(self, name: str) -> list[Subject]:
        return [s for s in self.subjects if s.family == name]

    def best(self, reference: Subject, family: str, measure: str = "error") -> Subject:
        """The subject of that family that is most like the reference; the one with fewer steps where several are."""
        return max(self.family(family), key=lambda s: self.at(reference, s, measure))

    def table(self, rows: str, columns: str, measure: str = "error") -> np.ndarray:
        """(members of rows, members of columns)."""
        found: np.ndarray = np.array([[self.at(p, q, measure) for q in self.family(columns)] for p in self.family(rows)])
        return found


@dataclass(frozen=True)
class Study:
    """What `headwright similarity` computes: one `Similarities` for each κ."""

    d: int
    n: int
    batch: int
    seed: int
    found: tuple[Similarities, ...]

    @property
    def paper_size(self) -> bool:
        """Whether the printed figures are for these sizes."""
        return (self.d, self.n) == (D, N)

    def for_kappa(self, kappa: float) -> Similarities | None:
        return next((s for s in self.found if s.kappa == kappa), None)


# -- data --------------------------------------------------------------------------------------------------------------


def scales(kappa: float, d: int) -> np.ndarray:
    """Square roots of the eigenvalues of the covariance (d,): one half √κ, the other 1, scaled to the sum d.

    So the released code has it for κ = 100, in one eigenbasis a batch (printed: eigenvalues 100 and 1, a basis a prompt). The
    basis does not matter: w* has no preferred direction, and no algorithm here has one.
    """
    root = np.where(np.arange(d) < d // 2, math.sqrt(kappa), 1.0)
    scaled: np.ndarray = root * d / root.sum()
    return scaled


def draw(rng: np.random.Generator, kappa: float, batch: int, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """X (batch, n + 1, d) from N(0, Σ) and y (batch, n + 1) = X w*, w* from N(0, I)."""
    X = rng.normal(size=(batch, n + 1, d)) * scales(kappa, d)
    w = rng.normal(size=(batch, d, 1))
    return X, (X @ w)[..., 0]


def descent_rate(kappa: float, n: int, d: int) -> float:
    """RATES at the paper's sizes; else 1/(λ_max(Σ)(√n + √d)²), about the largest eigenvalue of S, so that nothing diverges."""
    if kappa in RATES and (n, d) == (N, D):
        return RATES[kappa]
    return float(1 / (scales(kappa, d).max() ** 2 * (math.sqrt(n) + math.sqrt(d)) ** 2))


# -- algorithms --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moments:
    """S_t = Σ_{j≤t} x_j x_jᵀ (batch, n + 1, d, d), b_t = Σ_{j≤t} x_j y_j (batch, n + 1, d), t = 0 … n; S = V diag(λ) Vᵀ."""

    S: np.ndarray
    b: np.ndarray
    eigenvalues: np.ndarray
    vectors: np.ndarray

    @staticmethod
    def of(X: np.ndarray, y: np.ndarray) -> Moments:
        S: np.ndarray = np.zeros((*X.shape, X.shape[-1]))
        b: np.ndarray = np.zeros(X.shape)
        S[:, 1:] = np.cumsum(X[:, :-1, :, None] * X[:, :-1, None, :], axis=1)
        b[:, 1:] = np.cumsum(X[:, :-1] * y[:, :-1, None], axis=1)
        values, vectors = np.linalg.eigh(S)
        rank = np.minimum(np.arange(X.shape[1]), X.shape[-1])  # of S_t: t generic examples
        kept = np.arange(X.shape[-1]) >= X.shape[-1] - rank[:, None]  # eigenvalues ascend
        return Moments(S, b, np.where(kept, values, 0.0), vectors)

    def apply(self, factor: np.ndarray) -> np.ndarray:
        """V diag(factor) Vᵀ b, factor 0 where λ is 0."""
        turned = np.swapaxes(self.vectors, -1, -2) @ self.b[..., None]
        found: np.ndarray = (self.vectors @ (np.where(self.eigenvalues > 0, factor, 0.0)[..., None] * turned))[..., 0]
        return found

    @property
    def inverses(self) -> np.ndarray:
        found: np.ndarray = 1 / np.where(self.eigenvalues > 0, self.eigenvalues, np.inf)
        return found


def least_squares(moments: Moments) -> np.ndarray:
    """The shortest minimiser S⁺ b, shape (batch, n + 1, d)."""
    return moments.apply(moments.inverses)


def gradient_descent(moments: Moments, steps: int, rate: float) -> np.ndarray:
    """`steps` steps w ← w − rate (Sw − b) from 0."""
    return moments.apply((1 - (1 - rate * moments.eigenvalues) ** steps) * moments.inverses)


def chebyshev(moments: Moments, steps: int) -> np.ndarray:
    """`steps` steps with the rates that are best for the eigenvalues of S that are not 0: residual T_m(z(λ))/T_m(z(0))."""
    values = moments.eigenvalues
    high, low = values.max(-1, keepdims=True), np.where(values > 0, values, np.inf).min(-1, keepdims=True)
    low, wide = np.minimum(low, high), np.maximum(high - np.minimum(low, high), 0.0)
    one = wide <= 1e-12 * high  # a single eigenvalue: one step is exact
    safe = np.where(one, 1.0, wide)
    inside = np.clip((high + low - 2 * values) / safe, -1, 1)
    at_zero = np.cosh(np.minimum(steps * np.arccosh(np.maximum((high + low) / safe, 1.0)), 700.0))
    residual = np.where(one, 0.0, np.cos(steps * np.arccos(inside)) / at_zero)
    return moments.apply((1 - residual) * moments.inverses)


def newton(moments: Moments, steps: Sequence[int], dtype: type = np.float32) -> list[np.ndarray]:
    """ŵ = M_k b after each number of steps k: M_0 = αS, M ← 2M − MSM, α = 2/‖SSᵀ‖_F, in that precision.

    With the spectral norm, as printed, the top eigenvalue has αλ² = 2 and the iteration stalls.
    """
    S: np.ndarray = moments.S.astype(dtype)
    b: np.ndarray = moments.b.astype(dtype)[..., None]
    norms = np.sqrt(((S @ np.swapaxes(S, -1, -2)) ** 2).sum((-1, -2), keepdims=True))
    M = dtype(2) / np.where(norms > 0, norms, np.inf).astype(dtype) * S
    found = {}
    for k in range(1, max(steps) + 1):
        M = dtype(2) * M - M @ S @ M
        found[k] = (M @ b)[..., 0].astype(np.float64)
    return [found[k] for k in steps]


def online_descent(X: np.ndarray, y: np.ndarray, rate: float) -> np.ndarray:
    """A step w ← w − rate (⟨w, x_t⟩ − y_t) x_t for every example as it comes; shape (batch, n + 1, d)."""
    found = np.zeros(X.shape)
    for t in range(X.shape[1] - 1):
        w, x = found[:, t], X[:, t]
        found[:, t + 1] = w - rate * ((w * x).sum(-1) - y[:, t])[:, None] * x
    return found


def weights_of_all(X: np.ndarray, y: np.ndarray, kappa: float) -> np.ndarray:
    """ŵ_t of every subject, shape (subjects, batch, n + 1, d), in the order of `subjects()`."""
    n, d = X.shape[1] - 1, X.shape[2]
    moments, rate, energy = Moments.of(X, y), descent_rate(kappa, n, d), float((scales(kappa, d) ** 2).sum())
    found = [np.zeros(X.shape), least_squares(moments), *newton(moments, NEWTON), *newton(moments, NEWTON, np.float64)]
    found += [gradient_descent(moments, k, rate) for k in DESCENT]
    found += [chebyshev(moments, k) for k in CHEBYSHEV]
    found += [online_descent(X, y, part / energy) for part in ONLINE]
    stacked: np.ndarray = np.stack(found)
    return stacked


# -- similarity --------------------------------------------------------------------------------------------------------


def cosines(E: np.ndarray) -> np.ndarray:
    """Cosine of the last axis for every pair: E (subjects, m, k) to (m, subjects, subjects); 0 with a zero vector."""
    norms = np.linalg.norm(E, axis=-1, keepdims=True)
    unit = np.swapaxes(E / np.where(norms > 0, norms, np.inf), 0, 1)
    found: np.ndarray = unit @ np.swapaxes(unit, -1, -2)
    return found


def compute(
    kappas: Sequence[float] = KAPPAS, batch: int = BATCH, d: int = D, n: int = N, seed: int = SEED, quiet: bool = False
) -> Study:
    """Draws the prompts and compares all pairs. Same arguments, same figures but for the last digits of the BLAS.

    Raises InputError for a size below 2, or κ below 1.
    """
    for name, value, least in (("batch", batch, 2), ("d", d, 2), ("n", n, 2), *(("kappa", k, 1) for k in kappas)):
        if value < least:
            raise InputError(f"similarity: {name} is {value}: expected at least {least}", fix=f"--{name} {least} or more")
    kappas = tuple(sorted(set(map(float, kappas))))
    jobs = [(kappa, first) for kappa in kappas for first in range(0, batch, _CHUNK)]
    sums: dict[float, list[Any]] = {kappa: [0.0, 0.0, 0.0] for kappa in kappas}
    for kappa, first in jobs if quiet else track(jobs, "similarity", unit="chunk"):
        rng = np.random.default_rng([seed, round(kappa * 1000), first])
        X, y = draw(rng, kappa, min(_CHUNK, batch - first), n, d)
        W = weights_of_all(X, y, kappa)
        errors = cosines(np.einsum("sbtd,btd->sbt", W, X) - y)
        alike = cosines(W[:, :, 1:].reshape(len(W), -1, d))
        for total, part in zip(range(3), (errors.sum(0), (errors**2).sum(0), alike.sum(0) / n), strict=True):
            sums[kappa][total] = sums[kappa][total] + part
    return Study(d, n, batch, seed, tuple(_similarities(kappa, sums[kappa], batch, n, d) for kappa in kappas))


def _similarities(kappa: float, sums: Sequence[np.ndarray], batch: int, n: int, d: int) -> Similarities:
    mean, squares, weights = (total / batch for total in sums)
    spread = np.sqrt(np.maximum(squares - mean**2, 0) / (batch - 1))
    return Similarities(kappa, descent_rate(kappa, n, d), subjects(), mean, weights, spread)
