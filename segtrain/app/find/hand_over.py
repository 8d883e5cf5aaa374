"""Writes what a find hands over: find.html, find.json, cost.json, figures/, the ensemble best/ and experiment=best."""

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

from segtrain.app.find.allowance import RunTime
from segtrain.app.find.answer import ArmAnswer, Confirmation, Cost, Costs, FindAnswer, LengthPoint, RaceAnswer
from segtrain.app.find.boundary import Boundary, detectable
from segtrain.app.find.next_steps import Asked
from segtrain.app.find.options import FIRST, Options
from segtrain.app.find.page import write_find_page
from segtrain.app.find.race import Standing
from segtrain.app.find.record import Record
from segtrain.app.find.trainings import DONE, Training, Trainings
from segtrain.app.find.words import GRID_SEEDS
from segtrain.app.sweep.best_choice import write_choice
from segtrain.command_line import typed_find
from segtrain.config.composition import choices_of, conf_dir
from segtrain.files import make_own, write_whole
from segtrain.printable import print_text
from segtrain.runs.ensemble import write_ensemble
from segtrain.runs.find_folder import FIRST_CONFIRMING

MEMBERS = 5  # runs of the ensemble: more cost time at every prediction and add little


def answer_of(
    trainings: Trainings,
    standing: Standing,
    boundary: Boundary,
    options: Options,
    confirmation: Confirmation | None,
    points: tuple[LengthPoint, ...],
    is_used_up: bool,
) -> FindAnswer:
    """Returns all that was found, as find.json holds it."""
    names = [arm.name for arm in trainings.arms]
    fewest = min(standing.taken[name] for name in standing.left)
    losses = [_train_loss(trainings, arm, min(fewest, standing.taken[name])) for arm, name in enumerate(names)]
    mild = min(map(names.index, standing.left), key=lambda i: (not trainings.arms[i].plain, _or_last(losses[i])))
    spread = standing.sd if standing.seeds >= FIRST and standing.sd else None  # 0: runs alike to the bit tell none
    race = RaceAnswer(
        arms=tuple(_arm_answer(trainings, standing, i, losses[i]) for i in range(len(names))),
        leader=str(standing.leader),
        left=standing.left,
        mildest=names[mild],
        seeds=standing.seeds,
        first=FIRST,
        last=boundary.last,
        boundary=float(boundary.looks[max(FIRST, standing.seeds)]),
        stages=sum(stage.last < standing.seeds for stage in boundary.stages) + 1,
        residual_sd=spread,
        detectable=None if spread is None else detectable(boundary, standing.seeds, spread),
        end=standing.end or "budget",
        tolerance=options.tolerance,
    )
    dataset = str(choices_of(trainings.first.hydra)["dataset"])
    return FindAnswer(
        trainings.folder.name,
        dataset,
        race,
        confirmation,
        points,
        tuple(_members(trainings, names.index(str(standing.leader)))),
        is_used_up,
    )


def _arm_answer(trainings: Trainings, standing: Standing, arm: int, train_loss: float | None) -> ArmAnswer:
    planned = trainings.arms[arm]
    failed = next((one for one in standing.failures if one.arm == planned.name), None)
    ran = standing.taken[planned.name] + (failed is not None)
    scores = tuple(_known(trainings.score(Training(arm, seed))) for seed in range(ran))
    drop = next((one for one in standing.drops if one.arm == planned.name), None)
    found = ArmAnswer(planned.name, planned.overrides, planned.plain, scores, "left", standing.stakes.get(planned.name))
    found = found._replace(train_loss=train_loss)
    if failed is not None:
        return found._replace(
            state="failed", stake=None, seed=failed.seed, error=trainings.failure(Training(arm, failed.seed))
        )
    if drop is not None:
        dropped = found._replace(state="dropped", stake=None, seed=drop.seeds, behind=drop.behind)
        return dropped._replace(by=drop.by, limit=drop.limit)
    return found


def _or_last(loss: float | None) -> float:
    return math.inf if loss is None else loss


def _train_loss(trainings: Trainings, arm: int, seeds: int) -> float | None:
    """Returns the mean training loss of the last epoch over the arm's seeds of the race; None without one."""
    jobs = [job for job in trainings.outcomes if job.arm == arm and not job.more and job.seed < seeds]
    rows = [trainings.run_folder(job).metrics.rows() for job in jobs if trainings.outcomes[job].answer.state in DONE]
    losses = [row[-1]["train/loss"] for row in rows if row and "train/loss" in row[-1]]
    return _known(sum(losses) / len(losses)) if losses else None


def _members(trainings: Trainings, winner: int) -> list[str]:
    """Returns the names of the winner's run folders that the ensemble is made of: first those that confirmed it."""
    ended = [job for job, outcome in trainings.outcomes.items() if job.arm == winner and outcome.answer.state in DONE]
    usual = sorted((job for job in ended if not job.more), key=lambda job: (job.seed < FIRST_CONFIRMING, job.seed))
    return [trainings.run_folder(job).path.name for job in usual[:MEMBERS]]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def costs_of(trainings: Trainings, record: Record, budget: float, run: RunTime) -> Costs:
    """Returns what the find took, by the run folders, whichever process ran them."""
    took = {job: trainings.seconds(job) or 0.0 for job in trainings.outcomes}
    races = {job: took[job] for job in took if not job.more and job.seed < FIRST_CONFIRMING}
    arms = tuple(
        Cost(arm.name, sum(job.arm == i for job in races), round(sum(s for job, s in races.items() if job.arm == i), 1))
        for i, arm in enumerate(trainings.arms)
    )
    confirming = sum(job.seed >= FIRST_CONFIRMING for job in took)
    longer = sum(any(o.startswith("trainer.max_epochs=") for o in job.more) and not _is_piece(job) for job in took)
    return Costs(
        budget,
        round(record.spent, 1),
        trainings.slots,
        round(run.seconds, 1),
        arms,
        GRID_SEEDS * len(trainings.arms),
        len(races),
        confirming,
        longer,
    )


def _is_piece(job: Training) -> bool:
    return any(override.startswith("outputs=") for override in job.more)


def asked(trainings: Trainings) -> Asked:
    """Returns what the find was asked, as one would type it again."""
    return Asked(trainings.folder, typed_find(sys.argv[1:]), trainings.epochs or None)


def hand_over(trainings: Trainings, answer: FindAnswer, costs: Costs, winner: int) -> None:
    """Writes all files of the find's folder.

    Args:
        trainings: of the find.
        answer: what was found.
        costs: what it took.
        winner: place of the arm that best/ and experiment=best are of.
    """
    folder = trainings.folder
    make_own(folder)
    members = [folder / name for name in answer.members]
    if members and (kept := write_ensemble(folder / "best", members)):
        print_text(f"best/ is of other runs now; the former, in which something was made, is kept as {kept.name}/")
    groups = [path.name for path in conf_dir().iterdir() if path.is_dir()]
    about = f"{trainings.arms[winner].name}: the winner of {answer.title}; train it again, longer, or on all data"
    write_choice(folder / "conf", trainings.arms[winner].overrides, groups, [about])
    write_find_page(answer, costs, asked(trainings))
    write_whole(folder / "cost.json", _json(costs._asdict()))
    write_whole(folder / "find.json", _json(answer._asdict()))  # last: its presence means that the rest is there


def _json(content: dict[str, Any]) -> str:
    return json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Returns named tuples as mappings, and numbers that JSON lacks as null."""
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
