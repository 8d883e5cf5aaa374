"""Holds the worlds: what 12 arms score by seed, by epoch and by test image, and what they would score on average.

A recorded world is a table of real short trainings (scripts/record_worlds.py). A race in it draws seeds with
replacement, jointly for all arms, and test images with replacement: the truth is the mean over all that was recorded.

A simulated world has the 12 arms' names, and gains that are dealt to them anew in each race. With standard deviations
in Dice points, val/dice is the arm's mean + 3 of the seed, common to all arms + 1 of the run, its rest. On test image i
an arm has the same mean + a rest of its run of 1 + 1.4 of the image + 1.4 of run and image, so that a difference of two
arms has 1.4, 2 and 2 points. After a share t of its epochs a run has its last score - 10·(1 + late)·(1 - t)² points,
where `late` is 0 for none and 1 for medical_elastic at strength 2, so that strong augmentation pays late; and its rest
then is correlated t with its rest at the end.
"""

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from segtrain.files import bytes_of

POINT = 0.01
SEED_SD, RUN_SD, IMAGE_SD, BOTH_SD = 3 * POINT, 1 * POINT, 1.4 * POINT, 1.4 * POINT
IMAGES, EPOCHS = 30, 9  # of simulated worlds
BEHIND = 10 * POINT  # after no epoch, where an arm is not late
ALIKE = 0.5  # share of the rest's variance that arms of one policy have in common, in worlds with correlated arms
# Arms of conf/sweep/find.yaml, and how late they pay.
LATE = {
    "none": 0.0,
    "flips × 1": 0.1,
    "geometric × 0.5": 0.2,
    "geometric × 1": 0.4,
    "photometric × 0.5": 0.2,
    "photometric × 1": 0.4,
    "medical_elastic × 0.5": 0.3,
    "medical_elastic × 1": 0.6,
    "medical_elastic × 2": 1.0,
    "trivialaugment × 1": 0.7,
    "randaugment × 1": 0.7,
    "cutmix × 1": 0.8,
}
ARMS = tuple(LATE)
# Points that the arms are behind the best.
GAPS = {
    "null": np.zeros(12),
    "clear": np.r_[0, 2 + np.linspace(0, 6, 11)],
    "close": np.r_[0, 0.3, 0.5, 1.5 + np.linspace(0, 6, 9)],
    "flat": np.linspace(0, 2.2, 12),
}


class Drawn(NamedTuple):
    """Holds races of one world. Scores are Dice; seeds and epochs are those that a way may use."""

    arms: tuple[str, ...]
    curves: np.ndarray  # (races, arms, seeds, epochs): val/dice after each
    scores: np.ndarray  # (races, arms, seeds): val/dice of the best checkpoint
    truth: np.ndarray  # (races, arms): what a run scores on average
    best: np.ndarray  # (races,): the arm with the highest truth; where all are equal, any one, named before
    equal: bool  # whether all are
    spread: np.ndarray  # (races, arms): standard deviation of an arm's rest

    @property
    def races(self) -> int:
        return len(self.best)

    @property
    def leads(self) -> float:
        """Returns by how many standard deviations of the rest, pooled over arms, the best leads."""
        second, first = np.sort(self.truth, 1)[:, -2:].T
        return float(((first - second) / np.sqrt((self.spread**2).mean(1))).mean())


class World(Protocol):
    """Draws races, and the test of two arms."""

    name: str

    def draw(self, races: int, seeds: int, rng: np.random.Generator) -> Drawn:
        """Returns races of so many seeds."""

    def test(
        self, drawn: Drawn, ours: np.ndarray, theirs: np.ndarray, seeds: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns differences on the test images of two arms a race, (races, seeds, images), and their true means.

        The seeds are drawn anew: they took no part in the race.
        """


class Recorded:
    """Draws seeds and test images of trainings that were run."""

    def __init__(self, path: Path) -> None:
        rows = list(csv.reader(io.StringIO(gzip.decompress(bytes_of(path)).decode())))
        head, rows = rows[0], rows[1:]
        self.name = path.name.removesuffix(".csv.gz")
        self.arms = tuple(dict.fromkeys(row[0] for row in rows))
        table = np.array([[float(one) for one in row[2:]] for row in rows]).reshape(len(self.arms), -1, len(head) - 2)
        epochs = sum(one.startswith("val/dice after epoch") for one in head)
        self.scores, self.curves, self.tests = table[..., 0], table[..., 1 : epochs + 1], table[..., epochs + 1 :]

    def draw(self, races: int, seeds: int, rng: np.random.Generator) -> Drawn:
        which = rng.integers(self.scores.shape[1], size=(races, seeds))
        truth = np.broadcast_to(self.scores.mean(1), (races, len(self.arms)))
        rest = self.scores - self.scores.mean(1, keepdims=True) - self.scores.mean(0) + self.scores.mean()
        spread = np.broadcast_to(rest.std(1) * (len(self.arms) / (len(self.arms) - 1)) ** 0.5, truth.shape)
        curves, scores = (np.moveaxis(of[:, which], 1, 0) for of in (self.curves, self.scores))
        return Drawn(self.arms, curves, scores, truth, truth.argmax(1), False, spread)

    def test(
        self, drawn: Drawn, ours: np.ndarray, theirs: np.ndarray, seeds: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        races, (_, of_seeds, of_images) = drawn.races, self.tests.shape
        rows = rng.integers(of_seeds, size=(races, seeds))[:, :, None]
        columns = rng.integers(of_images, size=(races, of_images))[:, None]
        one, other = (self.tests[arm[:, None, None], rows, columns] for arm in (ours, theirs))
        means = self.tests.mean((1, 2))
        return one - other, means[ours] - means[theirs]


class Simulated:
    """Draws scores from a model.

    Args:
        gaps: which of `GAPS`.
        rest: what the rest of a run is like: "equal" (Gaussian with one standard deviation), "unequal" (Gaussian, whose
            standard deviations are as 1 to 3 from arm to arm, dealt anew in each race), "noisiest best" (likewise, but
            the best arm has the largest), "skewed" (an exponential's lower tail: now and then a run goes badly),
            "correlated" (half of its variance is common to the arms of a policy).
        scale: factor to all that is chance; 0 for a world without noise.
    """

    def __init__(self, gaps: str, rest: str, scale: float = 1.0) -> None:
        self.name = gaps if rest == "equal" else f"{gaps}, {rest}"
        self.gaps, self.rest, self.scale = GAPS[gaps] * POINT, rest, scale
        sizes = np.linspace(1, 3, len(ARMS)) if rest in ("unequal", "noisiest best") else np.ones(len(ARMS))
        self.sizes = sizes / np.sqrt((sizes**2).mean()) * RUN_SD * scale
        policies = [name.partition(" ")[0] for name in ARMS]
        self.policy = np.array([policies.index(policy) for policy in policies])

    def draw(self, races: int, seeds: int, rng: np.random.Generator) -> Drawn:
        place = rng.permuted(np.tile(np.arange(len(ARMS)), (races, 1)), axis=1)  # of each arm: 0 is the best
        truth = 0.7 - self.gaps[place]
        dealt = rng.permuted(np.tile(self.sizes, (races, 1)), axis=1)
        spread = self.sizes[::-1][place] if self.rest == "noisiest best" else dealt
        common = SEED_SD * self.scale * rng.standard_normal((races, 1, seeds))
        shape = (races, len(ARMS), seeds)
        rest = spread[..., None] * self._rest(shape, rng)
        scores = truth[..., None] + common + rest
        times = np.arange(1, EPOCHS + 1) / EPOCHS
        behind = BEHIND * (1 + np.array([*LATE.values()])[:, None]) * (1 - times) ** 2
        early = spread[..., None, None] * np.sqrt(1 - times**2) * rng.standard_normal((*shape, EPOCHS))
        curves = scores[..., None] - rest[..., None] * (1 - times) + early - behind[:, None]
        return Drawn(ARMS, curves, scores, truth, place.argmin(1), not self.gaps.any(), spread)

    def test(
        self, drawn: Drawn, ours: np.ndarray, theirs: np.ndarray, seeds: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        of = np.arange(drawn.races)
        runs = drawn.spread[..., None] * self._rest((drawn.races, len(ARMS), seeds), rng)
        truth = drawn.truth[of, ours] - drawn.truth[of, theirs]
        images = IMAGE_SD * (self._noise((drawn.races, 2, IMAGES), rng))
        both = BOTH_SD * (self._noise((drawn.races, 2, seeds, IMAGES), rng))
        chance = self.scale * (images[:, :1] - images[:, 1:] + both[:, 0] - both[:, 1])
        return truth[:, None, None] + (runs[of, ours] - runs[of, theirs])[:, :, None] + chance, truth

    def _rest(self, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """Returns the rest of runs, (races, arms, seeds), with a standard deviation of 1."""
        own = self._noise(shape, rng)
        if self.rest != "correlated":
            return own
        return np.sqrt(ALIKE) * self._noise(shape, rng)[:, self.policy] + np.sqrt(1 - ALIKE) * own

    def _noise(self, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        return 1 - rng.exponential(size=shape) if self.rest == "skewed" else rng.standard_normal(shape)


RESTS = ("equal", "unequal", "noisiest best", "skewed", "correlated")


def all_worlds() -> list[World]:
    """Returns those that were recorded, then those that are simulated."""
    recorded = [Recorded(path) for path in sorted(Path(__file__).parent.glob("*.csv.gz"))]
    return [*recorded, *(Simulated(gaps, rest) for rest in RESTS for gaps in GAPS)]
