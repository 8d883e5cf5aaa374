"""Lets OpenMP's threads spin only briefly while they wait for each other in commands of ours, then sleep."""

import os

# A sixth of libgomp's own 300000, which burn cores that others need. Fewer cost more than 3 % alone in the convolution
# of `bench.py busy`; its figures differ much from machine to machine.
SPINS = 50_000
OF_THE_USER = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def spin_briefly() -> None:
    """Sets GOMP_SPINCOUNT for this process and those that it starts, unless the user has set how to wait.

    libgomp reads it once, when it is loaded, which torch does: to be called before that is imported. Results stay the
    same bits, since only the waiting changes. Measured by `python scripts/bench.py busy`.
    Source: https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html
    """
    if not any(name in os.environ for name in OF_THE_USER):
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)
