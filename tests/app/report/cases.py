"""Sweeps whose truth is known, without folders."""

from collections.abc import Mapping
from pathlib import Path

from segtrain.app.report import cautions, verdict
from segtrain.app.report.arms import arms_of, choice
from segtrain.app.report.contrasts import Contrast, contrasts
from segtrain.app.report.read_runs import Repetition, Run

Images = Mapping[str, float]


def run(
    policy: str,
    seed: int,
    images: Mapping[str, float | Mapping[str, float]],
    *,
    strength: float = 1.0,
    typed: tuple[str, ...] = (),
    val: float = 0.8,
    fold: int = 0,
    deal: int = 0,
    groups: Mapping[str, str] | None = None,
    config: Mapping[str, object] | None = None,
    place: str = "",
) -> Run:
    """One run; an image's score is its Dice, or a row of scores."""
    said = [f"aug={policy}", *([] if policy == "none" else [f"aug.strength={strength:g}"]), *typed]
    rows = {name: dict(one) if isinstance(one, Mapping) else {"dice": one} for name, one in images.items()}
    return Run(
        path=Path(f"/x/{place}{','.join(said)},{seed},{deal},{fold}"),
        state="finished",
        repetition=Repetition(seed, deal, fold),
        policy=policy,
        strength=strength,
        typed=tuple(said),
        config={"seed": seed, "choices.aug": policy, "aug.strength": strength, **(config or {})},
        results={"val/dice": val},
        images=rows,
        epochs=[],
        versions={},
        fingerprint="f",
        test=tuple(rows),
        groups=dict(groups or {}),
        minutes=1.0,
        error="",
    )


class Said:
    """What the report says of some runs."""

    def __init__(self, runs: list[Run]) -> None:
        """Over the runs."""
        self.arms = arms_of(runs)
        self.contrasts: list[Contrast] = contrasts(self.arms, "dice")
        self.choice = choice(self.arms)
        self.sentences = verdict.verdict_sentences(self.choice, self.contrasts, self.arms)
        self.warnings = cautions.warnings(runs, self.arms, self.contrasts)
        self.steps = verdict.next_steps(self.choice, self.contrasts)

    @property
    def words(self) -> dict[str, str]:
        """Arm's name to its verdict."""
        return {c.arm.name: c.verdict for c in self.contrasts}

    @property
    def text(self) -> str:
        """Everything."""
        return "\n".join([*self.sentences, *self.warnings, *self.steps])
