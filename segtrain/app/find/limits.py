"""Says how far an arm may be behind another before that is more than chance.

    limit_ij = c · sqrt(v_ij / n),    v_ij = (PRIOR · 2 s² + (n - 1) · max(V_ij, w_i + w_j)) / (PRIOR + n - 1)

n is the number of seeds that both arms have, V_ij the variance of the n paired differences, w_i the residual variance
of arm i alone (beside what seed and arm bring), s² that variance pooled over all arms, and c the quantile of Student's
t, at the degrees of freedom of v_ij, whose tail is that of the boundary's normal score. What a seed brings to all arms
cancels.

Why not s² alone: where the best arm is three times as noisy as eleven others, a boundary on s² drops it in more than a
quarter of races. Why not V_ij alone: with three seeds it has two degrees of freedom, and the race takes a third more
runs where one arm is clearly best. w_i sees a noisy arm by its differences to all arms, V_ij sees that arms of one
policy move together; with the larger of the two the race takes fewer runs than with either, at equal error. Other
weights of s² than two (1, 4, 8, or by how much the V_ij differ) take about as many runs at equal error in the worst
world, but four and more are far from the error that was asked for in all others.

Source: Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3:3 (variances moderated towards a pooled
one); Grubbs 1948, JASA 43:243 (w_i).
"""

import numpy as np
from scipy import special, stats

PRIOR = 2.0  # degrees of freedom with which the pooled variance enters that of a pair


def pair_limits(
    table: np.ndarray,
    there: np.ndarray,
    seeds: np.ndarray,
    variance: np.ndarray,
    freedom: np.ndarray,
    scores: np.ndarray,
) -> np.ndarray:
    """Returns by how much an arm may be behind another, (B, K, K); it says something of the arms that are there only.

    Args:
        table: (B, K, S) scores; what is beyond an arm's seeds is not looked at.
        there: (B, K) bool, the arms that have so many seeds and are left.
        seeds: (B,) at which is looked.
        variance: (B,) residual variance of a run, pooled; its degrees of freedom are `freedom`.
        scores: (B,) the boundary's, in standard deviations of a normal distribution.
    """
    known = there[:, :, None] & (np.arange(table.shape[2]) < seeds[:, None])[:, None]
    rest = np.where(known, table, 0.0)
    rest = np.where(known, rest - (rest.sum(2) / seeds[:, None])[:, :, None], 0.0)
    arms = there.sum(1)
    rest = np.where(known, rest - (rest.sum(1) / arms[:, None])[:, None], 0.0)
    products = rest @ rest.transpose(0, 2, 1)
    own = np.einsum("bii->bi", products)
    of_pair = own[:, :, None] + own[:, None, :] - 2 * products
    of_arm = _arm_squares(own, arms[:, None])
    squares = np.maximum(of_pair, of_arm[:, :, None] + of_arm[:, None, :])
    more = PRIOR + seeds - 1
    squares += (PRIOR * 2 * variance)[:, None, None]
    quantile = student_score(scores, np.minimum(freedom, more))
    return np.asarray(np.sqrt(squares) * (quantile / np.sqrt(more * seeds))[:, None, None])


def _arm_squares(own: np.ndarray, arms: np.ndarray) -> np.ndarray:
    """Returns (n - 1) w, (B, K), from sums of squared residuals: in expectation these hold a part of all arms' noise.

    Two arms alone cannot tell whose noise it is, nor can one that is left because the others failed: 0.
    """
    apart = (arms * own - own.sum(1, keepdims=True) / np.maximum(arms - 1, 1)) / np.maximum(arms - 2, 1)
    return np.where(arms > 2, np.maximum(apart, 0.0), 0.0)


def student_score(scores: float | np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Returns Student's quantiles, as many as degrees of freedom, whose tails are those of normal scores."""
    pairs, which = np.unique(np.stack(np.broadcast_arrays(scores, freedom)), axis=1, return_inverse=True)
    return np.asarray(stats.t.isf(special.ndtr(-pairs[0]), pairs[1]))[which.reshape(np.shape(freedom))]
