"""Runs `python -m segtrain find`: within a budget, which augmentation is best, how sure that is, and the model.

It says what the budget can see, races the arms over seeds, confirms the winner with seeds of its own, trains the best
arms longer where time is left, and hands over the answer with an ensemble. The same command goes on.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hydra.plugins.launcher import Launcher

from segtrain.app.find import allowance, lengths, words
from segtrain.app.find.allowance import Allowance, RunTime
from segtrain.app.find.answer import Confirmation, LengthPoint
from segtrain.app.find.arms import plan_arms
from segtrain.app.find.boundary import Boundary, calibrate, extend
from segtrain.app.find.compared import has_answer
from segtrain.app.find.confirm import choose_pair, confirm
from segtrain.app.find.hand_over import answer_of, asked, costs_of, hand_over
from segtrain.app.find.next_steps import next_steps_of
from segtrain.app.find.options import FIRST, LEAST_CONFIRMING, LENGTH_SEEDS, Options
from segtrain.app.find.progress import batch_line, plan_lines, progress_line
from segtrain.app.find.race import Standing, judge_race
from segtrain.app.find.record import Record
from segtrain.app.find.timing import time_run
from segtrain.app.find.trainings import DONE, Training, Trainings
from segtrain.app.sweep.plan import Composer
from segtrain.app.sweep.processes import Limits
from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.printable import print_text
from segtrain.runs.duration import time_in_words
from segtrain.runs.lock import Lock

LOCK = ".find.lock"
SLACK = 0.05  # of the budget, for the fewest runs that confirm: without them nothing is known of the gain


def find(
    composer: Composer, params: Mapping[str, Any], arguments: Sequence[str], options: Options, engine: Limits | Launcher
) -> None:
    """Runs what is missing of a find, as far as the budget goes, and writes its answer.

    Args:
        composer: makes the jobs' configs.
        params: of the sweep's file, which names the arms.
        arguments: what was typed beside find's own keys.
        options: find's own keys.
        engine: the limits of jobs that run on this machine, or the launcher of another engine.

    Raises:
        UserError: no budget, arms that cannot be compared, or a budget that allows too little to say anything.
    """
    budget = options.seconds
    trainings = Trainings(composer, engine, plan_arms(composer, params, arguments, options.arms), options.n_jobs)
    with Lock(trainings.folder, LOCK):
        record = Record(trainings.folder)
        record.require_same(trainings.arms)
        trainings.prepare(Training(arm, 0) for arm in range(len(trainings.arms)))  # a mistake in any is told at once
        if record.run is None:
            record.run = time_run(trainings, record)
        run = record.run
        found = Find(trainings, options, record, budget, run)
        found.say_plan()
        record.write()
        standing = found.race()
        if standing.leader is None:
            raise UserError(
                f"budget={options.budget} is used up before every arm had one seed ({time_in_words(record.spent)} are "
                "used); expected room for three; give the same command with a larger budget"
            )
        raced = answer_of(trainings, standing, found.boundary, options, None, (), found.is_used_up)
        confirmation = found.confirm_winner(standing) if has_answer(raced.race) else None
        points = found.train_longer(standing)
        answer = answer_of(trainings, standing, found.boundary, options, confirmation, points, found.is_used_up)
        costs = costs_of(trainings, record, budget, run)
        hand_over(trainings, answer, costs, [arm.name for arm in trainings.arms].index(standing.leader))
        for line in words.summary(answer, costs):
            print_text(line)
        for step in next_steps_of(answer, costs, asked(trainings))[:1]:
            print_text(f"next: {step.words} {step.command}")
        print_text(f"the whole answer, and what else to do: {trainings.folder / 'find.html'}")


class Find:
    """Holds a find under way: what it may still spend, and how its race stands."""

    def __init__(self, trainings: Trainings, options: Options, record: Record, budget: float, run: RunTime) -> None:
        """Reckons what the budget allows, and calibrates the boundary of the race.

        Raises:
            UserError: it allows fewer than three seeds of every arm, and nothing has been run yet.
        """
        self.trainings, self.options, self.record, self.budget, self.run = trainings, options, record, budget, run
        self.is_used_up = False
        most = max([options.seeds, *record.lasts])  # a race that has begun keeps its looks
        kept = allowance.length_runs(options.factors) if options.keeps_time_for_lengths and trainings.epochs else 0.0
        self.allowed: Allowance = allowance.allow(
            budget - record.timing, trainings.slots, run, len(trainings.arms), most, options.confirm, kept
        )
        if not record.lasts:  # what has begun may end with less
            allowance.require_enough(
                self.allowed,
                [arm.name for arm in trainings.arms],
                str(options.budget),
                budget - record.timing,
                record.timing,
                trainings.slots,
                run,
            )
        record.add_stage(options.seeds)
        self.boundary: Boundary = calibrate(len(trainings.arms), FIRST, record.lasts[0])
        for last in record.lasts[1:]:
            self.boundary = extend(self.boundary, last)

    def say_plan(self) -> None:
        """Prints what the budget can see, and what will be done."""
        trainings, options, spent = self.trainings, self.options, self.record.spent
        names = [arm.name for arm in trainings.arms]
        lines = plan_lines(
            names, self.allowed, self.run, self.budget, trainings.slots, self.boundary, options.seeds, options.spread
        )
        lines[0] = f"{trainings.folder}: {lines[0]}"
        if spent > 0:
            left = max(0.0, self.budget - spent)
            rest = time_in_words(left) if left else "nothing"
            lines.append(f"{time_in_words(spent)} are used already, {rest} is left.")
        for line in lines:
            print_text(line, flush=True)

    def race(self) -> Standing:
        """Runs seed after seed of the arms that are left, until the race ends or the budget does."""
        trainings = self.trainings
        there = [
            job
            for seed in range(self.boundary.last)
            for arm in range(len(trainings.arms))
            if trainings.is_there(job := Training(arm, seed))
        ]
        if there:
            print_text(
                f"{counted(len(there), 'run')} of the race {'is' if len(there) == 1 else 'are'} there", flush=True
            )
            trainings.run(there, None)
            self._measure()
        before = None
        while True:
            standing = self.standing()
            if standing.seeds and (before is None or standing.runs > before.runs):
                print_text(progress_line(standing, before, max(0.0, self.budget - self.record.spent)), flush=True)
                before = standing
            jobs = self._next(standing)
            if not jobs:
                return standing
            if not self._fits(len(jobs), self.run.seconds, kept=self._kept_runs()):
                self.is_used_up = True
                return standing
            names = [trainings.arms[job.arm].name for job in jobs]
            print_text(batch_line([job.seed for job in jobs], names, standing, self.boundary.last), flush=True)
            trainings.run(jobs, self.record)
            self._measure()

    def standing(self) -> Standing:
        """Returns how the race stands by the runs that have ended."""
        trainings = self.trainings
        scores = np.full((len(trainings.arms), self.boundary.last), math.nan)
        failed = np.zeros(scores.shape, bool)
        for job in trainings.outcomes:
            if not job.more and job.seed < self.boundary.last:
                scores[job.arm, job.seed] = trainings.score(job)
                failed[job.arm, job.seed] = math.isnan(scores[job.arm, job.seed])
        names = tuple(arm.name for arm in trainings.arms)
        return judge_race(names, scores, failed, self.boundary, self.options.tolerance)

    def confirm_winner(self, standing: Standing) -> Confirmation | None:
        """Returns what the test set says of the winner; None where the budget has no room for five seeds of both arms.

        How many seeds confirm is decided once, so that a look at the test set is never taken twice.
        """
        pair, record = choose_pair(self.trainings, standing), self.record
        if pair is None:
            return None
        if record.confirming is None:
            seeds = self.allowed.confirming
            while seeds > LEAST_CONFIRMING and not self._fits(2 * seeds, self.run.seconds):
                seeds -= 1
            if not self._fits(2 * seeds, self.run.seconds, slack=SLACK):
                self.is_used_up = True
                return None
            record.confirming = seeds
            record.write()
        elif record.confirming != self.options.confirm:
            print_text(f"{record.confirming} seeds confirm, as was decided before: the test set is looked at once")
        ours, theirs = (self.trainings.arms[place].name for place in pair)
        print_text(f"confirming: {ours} against {theirs}, {record.confirming} seeds of their own:", flush=True)
        return confirm(self.trainings, pair, record.confirming, record)

    def train_longer(self, standing: Standing) -> tuple[LengthPoint, ...]:
        """Runs the best arms at other lengths, as far as the budget goes, and returns what they gain."""
        trainings, factors = self.trainings, lengths.possible_factors(self.options.factors, self.trainings.epochs)
        most = None if self.options.keeps_time_for_lengths else lengths.BY_ITSELF
        arms = lengths.choose_arms(trainings, standing, most)
        if len(arms) < 2 or standing.seeds < LENGTH_SEEDS:
            return ()
        run = []
        for factor in factors:
            jobs = lengths.plan_length(trainings, arms, factor)
            new = [job for job in jobs if not trainings.is_there(job)]
            if new and not self._fits(len(new), self.run.at(factor)):
                self.is_used_up = True
                break
            print_text(f"{factor:g} × the training length:", flush=True)
            lengths.run_length(trainings, jobs, self.record)
            run.append(factor)
        return lengths.measure_lengths(trainings, standing, arms, run) if run else ()

    def _kept_runs(self) -> float:
        """Returns the runs for which time is kept: those that confirm a winner, a new one alone, and longer ones."""
        arms = 1 if self.record.confirming else 2
        return arms * (self.record.confirming or self.allowed.confirming) + self.allowed.length_runs

    def _next(self, standing: Standing) -> list[Training]:
        """Returns the trainings of the next seed; of several, where fewer arms run it than jobs run at a time."""
        if standing.halted is not None:
            raise self._halted(standing)
        if standing.end is not None:
            return []
        place = {arm.name: i for i, arm in enumerate(self.trainings.arms)}
        jobs: list[Training] = []
        for seed, arms in standing.coming:
            if jobs and len(jobs) + len(arms) > self.trainings.slots:
                break
            jobs += [job for arm in arms if (job := Training(place[arm], seed)) not in self.trainings.outcomes]
        return jobs

    def _fits(self, runs: int, seconds: float, kept: float = 0.0, slack: float = 0.0) -> bool:
        """Returns whether so many runs, each of so many seconds, fit into what is left beside `kept` usual runs.

        `slack` is the share of the budget by which it may be overrun.
        """
        slots = self.trainings.slots
        needed = math.ceil(runs / slots) * seconds + kept * self.run.seconds / slots
        return self.record.spent + needed <= self.budget * (1 + slack)

    def _measure(self) -> None:
        """Puts what runs really took in the place of what was reckoned."""
        outcomes = self.trainings.outcomes
        ended = [job for job, outcome in outcomes.items() if not job.more and outcome.answer.state in DONE]
        took = [seconds for job in ended if (seconds := self.trainings.seconds(job))]
        if took:
            ratio = float(np.mean(took)) / self.run.seconds
            self.run = self.run._replace(fixed=self.run.fixed * ratio, an_epoch=self.run.an_epoch * ratio)

    def _halted(self, standing: Standing) -> UserError:
        left = [i for i, arm in enumerate(self.trainings.arms) if arm.name in standing.left]
        at = [job for job in self.trainings.outcomes if job.seed == standing.halted and not job.more]
        job = next(job for job in at if job.arm in left and math.isnan(self.trainings.score(job)))
        return UserError(
            f"every arm left that ran seed {standing.halted} failed, which is not the augmentation's doing: "
            f"{self.trainings.failure(job)}; expected trainings that end; see {self.trainings.run_folder(job).path}; "
            "then give the same command"
        )
