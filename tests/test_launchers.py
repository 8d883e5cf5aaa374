"""What torchrun, srun and a user's own variables say of a process."""

import pytest

from segtrain.errors import UserError
from segtrain.launchers import Place, find_place, first_node

TORCHRUN = {
    **{"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "a"},
    **{"MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_USE_AGENT_STORE": "True"},
}
SRUN = {
    **{"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "5", "SLURM_LOCALID": "1"},
    **{"SLURM_STEP_NODELIST": "gpu[07-08]", "SLURM_JOB_ID": "123456", "SLURM_STEP_ID": "1"},
}


def test_torchrun_gives_a_place() -> None:
    assert find_place(TORCHRUN) == Place(5, 1, 8, 4, "a", 29500, "torchrun", hosted=True)


def test_srun_gives_a_place_on_the_first_node_and_a_port_of_its_job() -> None:
    place = find_place(SRUN)
    assert place == Place(5, 1, 8, 4, "gpu07", 15000 + 3456 + 1, "srun")
    assert place.machines == 2
    assert find_place({**SRUN, "MASTER_ADDR": "b", "MASTER_PORT": "7"}) == place._replace(host="b", port=7)


def test_a_user_may_set_what_torch_reads() -> None:
    own = {key: TORCHRUN[key] for key in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")}
    place = find_place(own)
    assert place is not None and (place.rank, place.local_rank, place.ranks, place.here) == (5, 5, 8, 8)
    assert not place.hosted


ALONE = {**TORCHRUN, "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
SCRIPT = {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}  # of a job, which srun has not started


@pytest.mark.parametrize("few", [{}, {"LOCAL_RANK": "1"}, ALONE, SCRIPT])
def test_a_process_by_itself_has_none(few: dict[str, str]) -> None:
    assert find_place(few) is None


@pytest.mark.parametrize("wrong", [{"RANK": "8"}, {"WORLD_SIZE": "x"}, {"LOCAL_WORLD_SIZE": "3"}])
def test_words_that_cannot_be_are_told(wrong: dict[str, str]) -> None:
    with pytest.raises(UserError, match="torchrun or srun"):
        find_place({**TORCHRUN, **wrong})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("n1", "n1"), ("n1,n2", "n1"), ("gpu[07-09,12],cpu3", "gpu07"), ("a[3],b", "a3"), ("rack[1-2]x[5-7]", "rack1x5")],
)
def test_the_first_node_of_a_list(nodes: str, first: str) -> None:
    assert first_node(nodes) == first
