"""Says which of the processes of one command this is, by what torchrun, Slurm or the user put into the environment."""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from segtrain.errors import UserError

HAND = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torch calls env://; torchrun sets them too
FIRST_PORT = 15000  # of Slurm's jobs, which have one each by their number; below those that systems hand out themselves


class Place(NamedTuple):
    """Says where a process is among those of one command, and where the first one can be met."""

    rank: int  # among all, from 0
    local_rank: int  # among those of its machine
    ranks: int  # how many there are of all
    here: int  # of its machine
    host: str
    port: int
    launcher: str  # in words
    hosted: bool = False  # by the launcher itself, and not by the first process
    attempt: str = "0"  # of a launcher that begins again

    @property
    def machines(self) -> int:
        """Returns how many machines there are."""
        return self.ranks // self.here


def find_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Returns the place that a launcher has given this process; None where it is the only one of its command.

    Raises:
        UserError: the launcher's words are none that can be.
    """
    try:
        place = _of_slurm(environment) if "SLURM_STEP_NUM_TASKS" in environment else _by_hand(environment)
    except (KeyError, ValueError) as error:
        raise UserError(
            f"the environment says that several processes work together, and not which this is: {error}; expected "
            f"{', '.join(HAND)} and LOCAL_RANK, as torchrun sets them; start the processes by torchrun or srun, or "
            "unset WORLD_SIZE"
        ) from error
    return place if place is not None and place.ranks > 1 else None


def _by_hand(environment: Mapping[str, str]) -> Place | None:
    if not all(name in environment for name in HAND):
        return None
    rank, count = int(environment["RANK"]), int(environment["WORLD_SIZE"])
    here = int(environment.get("LOCAL_WORLD_SIZE", count))
    if not (0 <= rank < count and 0 < here <= count and count % here == 0):
        raise ValueError(f"RANK={rank} of WORLD_SIZE={count}, LOCAL_WORLD_SIZE={here}")
    of_torchrun = "TORCHELASTIC_RUN_ID" in environment
    return Place(
        rank,
        int(environment.get("LOCAL_RANK", rank % here)),
        count,
        here,
        environment["MASTER_ADDR"],
        int(environment["MASTER_PORT"]),
        "torchrun" if of_torchrun else "the environment (WORLD_SIZE)",
        environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        environment.get("TORCHELASTIC_RESTART_COUNT", "0"),
    )


def _of_slurm(environment: Mapping[str, str]) -> Place | None:
    """Returns the place in a step of srun; the script of a job by itself is one process, whatever it may start."""
    count = int(environment["SLURM_STEP_NUM_TASKS"])
    machines = int(environment.get("SLURM_STEP_NUM_NODES", "1"))
    if count % machines:
        raise ValueError(f"{count} tasks on {machines} nodes")
    nodes = environment.get("SLURM_STEP_NODELIST", "127.0.0.1")
    port = FIRST_PORT + int(environment.get("SLURM_JOB_ID", "0")) % 10000 + int(environment.get("SLURM_STEP_ID", "0"))
    return Place(
        int(environment["SLURM_PROCID"]),
        int(environment["SLURM_LOCALID"]),
        count,
        count // machines,
        environment.get("MASTER_ADDR", first_node(nodes)),
        int(environment.get("MASTER_PORT", port)),
        "srun",
    )


def first_node(nodes: str) -> str:
    """Returns the first host of a list as Slurm writes it: gpu[07-09,12],cpu3 is gpu07."""
    return re.sub(r"\[([^],-]+)[^]]*\]", r"\1", nodes).partition(",")[0]
