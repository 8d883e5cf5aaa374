"""Takes the split that comes with the data, and draws nothing."""

from collections.abc import Sequence

import numpy as np

from segtrain.counted import counted
from segtrain.data.files.columns import as_codes
from segtrain.data.split.parts import Split, given_parts, group_expression, split_of, whole_groups
from segtrain.errors import UserError


class Given:
    """Takes what the data itself says of each sample: folders train, val and test, a list, a column."""

    def __init__(self, group: str | None = None) -> None:
        """Takes the expression; nothing is asked yet.

        Args:
            group: as for `Ratios`: samples that belong together, so that none of their groups may lie on two sides.

        Raises:
            UserError: no regular expression.
        """
        self._group = group_expression(group)

    def assign(
        self, ids: Sequence[str], given: Sequence[str | None], groups: Sequence[str | None] | None = None
    ) -> Split:
        """Returns the split of the samples `ids` as `given`; whether it tears groups is for `refuse_torn` to say.

        Raises:
            UserError: a sample is left open (None), a part is empty, or an id has no group.
        """
        whole_groups(ids, groups, self._group)
        parts, pool = given_parts(ids, given)
        left = np.flatnonzero(as_codes(given).codes < 0)
        if len(left):
            raise UserError(
                f"the data does not say the split of {len(left)} of {len(ids)} samples; expected train, val or test "
                f"for each; got none for '{ids[int(left[0])]}'; say it, or have the rest drawn by split=ratios"
            )
        parts["train"] = pool
        return split_of(parts, np.empty(0, np.int64), f"{counted(len(ids), 'sample')}, none of them given as such")
