"""Splits by shares of the samples, drawn."""

from collections.abc import Sequence

import numpy as np

from segtrain.data.split.parts import (
    Split,
    Twins,
    draw_groups,
    given_parts,
    group_expression,
    nearest_groups,
    require_shares,
    samples_for,
    say_groups,
    split_of,
    whole_groups,
)


class Ratios:
    """Draws whole groups by a seed.

    The draw depends on the seed and the names of the groups (without groups: of the samples), not on their order. Val
    and then test take the groups whose total is nearest to their share, at least one; train keeps the rest.
    """

    keeps_twins = True

    def __init__(self, val: float, test: float, seed: int = 0, group: str | None = None) -> None:
        r"""Takes the choices; nothing is drawn yet.

        Args:
            val: share of the samples that validate, 0..1.
            test: share of the samples that test, 0..1.
            seed: another seed, another draw.
            group: regular expression searched in each id; samples that agree in its first group (without one,
                in the whole match) stay together, such as '^(p\d+)_' for patients; where the data has groups of its
                own, it joins these to larger ones. None takes the data's own, and where it has none draws each sample
                by itself.

        Raises:
            UserError: shares that leave nothing to train on, or no regular expression.
        """
        require_shares(val, test)
        self._shares, self._seed, self._group = {"val": val, "test": test}, seed, group_expression(group)

    def assign(
        self,
        ids: Sequence[str],
        given: Sequence[str | None],
        groups: Sequence[str | None] | None = None,
        twins: Twins = (),
    ) -> Split:
        """Returns the split of the samples `ids`.

        Args:
            ids: unique names.
            given: what the data says of each: val and test stay so; where it names no val (or test) sample,
                that part is drawn from those given as train or left open (None). Shares count these alone.
            groups: what the data says belongs together; None: nothing.
            twins: groups of samples that show the same image: drawn into one part.

        Raises:
            UserError: a part ends empty, an id has no group, or the expression tears a group of the data's.
        """
        parts, pool = given_parts(ids, given)
        together = whole_groups(ids, groups, self._group)
        places, sizes = draw_groups(together, pool, self._seed, twins)
        free = np.arange(len(sizes))  # places of groups that no part has yet
        open_parts = [part for part in ("val", "test") if not len(parts[part])]
        for number, part in enumerate(open_parts):
            share = samples_for(self._shares[part], len(pool))
            chosen = nearest_groups(sizes[free], share, leave=len(open_parts) - number)
            parts[part] = pool[np.isin(places, free[chosen])]
            free = np.delete(free, chosen)
        parts["train"] = pool[np.isin(places, free)]
        return split_of(parts, np.empty(0, np.int64), say_groups(sizes, len(ids), twins))
