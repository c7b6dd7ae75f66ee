"""Proofs: verdicts, the symbolic interpreter, exact evaluation, and strategies for random programs."""
