"""The corrected theorems as functions (`hw.theory`): numbers that are proved, rounded to the safe side.

Damped Newton for the regularised logistic loss, with errors (Theorem 5.4 of Giannou et al. 2024, corrected):
    steps_needed, distance_bound, value_bound, region_radius, trajectory   what is certain after T steps, for all data
    admissible_error, closed_error, theorem_distance                       how large the errors may be, in closed form too
    step_error                                                             the error of a step made of approximate parts

Newton's iteration for the inverse (eqs. 3.3, 3.4), of every order:
    initial_residual, inversion_steps, inversion_steps_bound               from κ, ε and α

Perturbations (appendix E):
    inverse_perturbation, condition_perturbation, step_size_change, step_size_tolerance

Lower bounds for linear attention:
    layers_needed, residual_lower_bound, spectral_argument

The proofs are run by `headwright verify --ledger`.
"""

from .minimax import layers_needed, residual_lower_bound, spectral_argument
from .newton_budget import (
    Budget,
    decrement_polynomial,
    gram_error,
    solve_polynomial,
    step_error,
    weight_error,
    weighted_error,
)
from .newton_cells import State
from .newton_lemmas import StepError
from .newton_schulz import (
    condition_perturbation,
    initial_residual,
    inverse_perturbation,
    inversion_steps,
    inversion_steps_bound,
    step_size_change,
    step_size_tolerance,
)
from .newton_theory import (
    admissible_error,
    closed_error,
    distance_bound,
    region_radius,
    steps_needed,
    theorem_distance,
    trajectory,
    value_bound,
)

__all__ = [
    "Budget",
    "State",
    "StepError",
    "admissible_error",
    "closed_error",
    "condition_perturbation",
    "decrement_polynomial",
    "distance_bound",
    "gram_error",
    "initial_residual",
    "inverse_perturbation",
    "inversion_steps",
    "inversion_steps_bound",
    "layers_needed",
    "region_radius",
    "residual_lower_bound",
    "solve_polynomial",
    "spectral_argument",
    "step_error",
    "step_size_change",
    "step_size_tolerance",
    "steps_needed",
    "theorem_distance",
    "trajectory",
    "value_bound",
    "weight_error",
    "weighted_error",
]
