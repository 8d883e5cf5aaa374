"""Splits by k-fold cross-validation, a fold a run."""

import heapq
from collections.abc import Sequence

import numpy as np

from segtrain.data.split.parts import (
    Indices,
    Split,
    Twins,
    draw_groups,
    given_parts,
    group_expression,
    nearest_groups,
    samples_for,
    say_groups,
    split_of,
    whole_groups,
)
from segtrain.errors import UserError


class Folds:
    """Deals whole groups to folds, as even in samples as greed makes them: one tests, one validates, others train.

    Largest groups come first, each to the fold with the fewest samples, so folds differ by at most the largest group.
    Among groups of one size a hash of seed and name decides: the same folds whatever the order of samples, and for
    every value of `fold`, so that k runs test each sample once.
    """

    keeps_twins = True

    def __init__(
        self, k: int, fold: int = 0, val: float | None = None, seed: int = 0, group: str | None = None
    ) -> None:
        """Takes the choices; nothing is dealt yet.

        Args:
            k: number of folds, from 3; from 2 with a share `val`.
            fold: the one that tests, 0..k-1; an axis for a sweep.
            val: share of all samples that validate, drawn from the other folds; None: the fold after `fold`.
            seed: another seed, other folds.
            group: as for `Ratios`.

        Raises:
            UserError: too few folds, no such fold, a share that leaves nothing to train on, or no regular expression.
        """
        least = 3 if val is None else 2
        if type(k) is not int or k < least:
            raise UserError(f"dataset.split.k is {k!r}; expected a whole number of folds from {least}, such as 5")
        if type(fold) is not int or not 0 <= fold < k:
            raise UserError(
                f"dataset.split.fold is {fold!r}; expected a whole number 0..{k - 1}, as there are {k} folds"
            )
        if val is not None and not 0 < val < 1 - 1 / k:
            raise UserError(
                f"dataset.split.val is {val!r}; expected a share above 0 and below {1 - 1 / k:.3g}, what the fold that "
                "tests leaves; or null: the next fold validates"
            )
        self._k, self._fold, self._val, self._seed = k, fold, val, seed
        self._group = group_expression(group)

    def assign(
        self,
        ids: Sequence[str],
        given: Sequence[str | None],
        groups: Sequence[str | None] | None = None,
        twins: Twins = (),
    ) -> Split:
        """Returns the split of the samples `ids`; `groups` (the data's), the expression's and `twins` stay whole.

        Raises:
            UserError: the data itself says which samples validate or test, there are fewer groups than folds, an id
                has no group.
        """
        parts, pool = given_parts(ids, given)
        if len(pool) < len(ids):
            raise UserError(
                f"the data itself says of {len(ids) - len(pool)} of {len(ids)} samples that they validate or test, and "
                "folds would deal them out anew; expected train or nothing; take split=given or split=ratios, or leave "
                "the data's split out (a manifest: dataset.columns.split=null)"
            )
        places, sizes = draw_groups(whole_groups(ids, groups, self._group), pool, self._seed, twins)
        if len(sizes) < self._k:
            raise UserError(
                f"there {'is' if len(sizes) == 1 else 'are'} {say_groups(sizes, len(ids), twins)} for {self._k} "
                "folds; expected one a fold; lower dataset.split.k"
            )
        folds = _dealt(sizes, self._k)
        tests, validates = folds == self._fold, folds == (self._fold + 1) % self._k
        if self._val is not None:
            free = np.flatnonzero(~tests)
            validates = np.zeros_like(tests)
            validates[free[nearest_groups(sizes[free], samples_for(self._val, len(ids)), leave=1)]] = True
        sided = {"train": ~tests & ~validates, "val": validates, "test": tests}
        parts = {part: pool[mask[places]] for part, mask in sided.items()}
        return split_of(parts, np.empty(0, np.int64), say_groups(sizes, len(ids), twins))


def _dealt(sizes: Indices, k: int) -> Indices:
    """Returns the fold of each group."""
    folds = np.empty(len(sizes), np.int64)
    totals = [(0, fold) for fold in range(k)]
    for place in np.argsort(-sizes, kind="stable").tolist():
        total, fold = totals[0]
        folds[place] = fold
        heapq.heapreplace(totals, (total + int(sizes[place]), fold))
    return folds
