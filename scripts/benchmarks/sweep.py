"""What a sweep costs beside its trainings.

The start of a job: seconds from its launch to its own first line of work, in a process of the sweep's pool that has
imported what a training needs, its config unpickled; for jobs after the first. Against a fresh Python that imports the
same, and against one that imports nothing.

A whole sweep: the command with 20 short trainings of unet_resnet18, one at a time, from a fresh process to the report;
against the same 20 by the train page in one fresh process, one after the other; 20 minutes on 2 cores. With --quick
there are two trainings of a few steps, which shows that it works; its figure means nothing.
"""

import tempfile
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from benchmarks import Comparison
from benchmarks._product import composed
from benchmarks._starts import Timed, of_job, of_python, work
from benchmarks.startup import seconds
from segtrain.app.sweep import job
from segtrain.app.train.train import train

START_AIM = 0.3  # s later than a Python that imports nothing
IMPORTS_AIM = 0.1  # times the imports
WHOLE_AIM = 1.1  # times the same trainings in one process
SHORT = ["dataset=shapes", "dataset.size=96", "trainer.max_epochs=2", "data.steps_per_epoch=10", "threads=1"]
TINY = ["dataset=shapes", "model=unet_shallow", "trainer=smoke", "threads=1"]
POLICIES = ("none", "flips", "geometric", "photometric", "medical_elastic")
SCRIPTS = Path(__file__).resolve().parents[1]
IN_TURN = (
    f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); from benchmarks.sweep import in_turn; in_turn(*sys.argv[1:])"
)


def run(quick: bool) -> list[Comparison]:
    """Two comparisons of a start, one of a whole sweep."""
    return [*starts(3 if quick else 10), whole(quick)]


def starts(repeats: int) -> list[Comparison]:
    payload = composed(SHORT), HydraConfig.instance().cfg
    pool = Timed(work, [None], preload=job.PRELOAD)
    of_job(pool, payload)  # the first waits for the imports
    taken = [(of_job(pool, payload), of_python(job.PRELOAD), of_python([])) for _ in range(repeats)]
    jobs, importing, empty = (list(column) for column in zip(*taken, strict=True))
    name, setting = "start of a job", "to its first line, jobs after the first"
    return [
        Comparison(name, setting, "a fresh Python that imports the same", "s", "ratio", IMPORTS_AIM, jobs, importing),
        Comparison(name, setting, "a Python that imports nothing", "s", "difference", START_AIM, jobs, empty),
    ]


def whole(quick: bool) -> Comparison:
    kind = TINY if quick else SHORT
    policies, seeds = POLICIES[:2] if quick else POLICIES, 1 if quick else 4
    swept = [f"aug={','.join(policies)}", f"seed=range({seeds})", "hydra.launcher.n_jobs=1"]
    each = [" ".join([f"aug={policy}", f"seed={seed}"]) for seed in range(seeds) for policy in policies]
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(2):
            ours = seconds(["-m", "segtrain", "-m", *kind, *swept, f"name=sweep{turn}"], Path(folder))
            common = " ".join([*kind, f"name=plain{turn}"])
            taken.append((ours, seconds(["-c", IN_TURN, common, *each], Path(folder))))
    return Comparison(
        name="a whole sweep",
        setting=f"{len(each)} jobs of {' '.join(kind)}, to the end of its report",
        alternative_name="the trainings in one process",
        unit="s",
        figure="ratio",
        aim=WHOLE_AIM,
        ours=[sweep for sweep, _ in taken],
        alternative=[plain for _, plain in taken],
    )


def in_turn(common: str, *each: str) -> None:
    """Train with the common overrides and each one's own, in this process."""
    for own in each:
        train(composed([*common.split(), *own.split()]))
