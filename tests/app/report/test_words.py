"""Every sentence that the report can say, over sweeps whose truth is known."""

import math

import numpy as np
import pytest

from segtrain.app.report import verdict
from segtrain.app.report.arms import arms_of
from segtrain.app.report.contrasts import contrasts
from segtrain.app.report.design import Design
from segtrain.app.report.read_runs import Run
from tests.app.report.cases import Said, run

SEEDS = range(8)


def images(gain: float, seed: int, many: int = 20, spread: float = 0.004, first: int = 0) -> dict[str, float]:
    rng = np.random.default_rng([seed, int(1e6 * (gain + 1)), many])
    of_image = np.random.default_rng(7).normal(0, 0.02, 1000)[first : first + many]
    return {f"i{first + j}": 0.7 + gain + of_image[j] + spread * rng.normal() for j in range(many)}


def arm(policy: str, gain: float, strength: float = 1.0, seeds: range = SEEDS, **more: object) -> list[Run]:
    return [run(policy, s, images(gain, s), strength=strength, val=0.7 + gain, **more) for s in seeds]


def test_a_gain_is_better_with_an_interval_for_all_arms_at_once() -> None:
    said = Said([*arm("none", 0), *arm("flips", 0.02), *arm("noise", 0.0)])
    assert said.words == {"flips × 1": "better", "noise × 1": "not distinguishable"} or said.words["flips"] == "better"
    chosen = next(c for c in said.contrasts if c.arm.policy == "flips")
    assert chosen.at_once[0] < chosen.estimate.low < chosen.estimate.high < chosen.at_once[1]
    assert verdict.interval(chosen.at_once) in said.sentences[0] and "8 seeds and 20 test images" in said.sentences[0]
    assert "63% to 100%" in said.sentences[0] and said.warnings == []


def test_harm_is_said_only_of_the_strengths_that_harm() -> None:
    def harmful(**gains: float) -> str:
        runs = [one for name, gain in gains.items() for one in arm("geo", gain, float(name.removeprefix("x")) / 2)]
        return "\n".join(s for s in Said([*arm("none", 0), *runs]).sentences if s.startswith("geo harms"))

    assert "from strength 1 on" in harmful(x1=0.02, x2=-0.03, x4=-0.05)
    assert "at every strength" in harmful(x1=-0.02, x2=-0.03, x4=-0.05)
    only = harmful(x1=-0.03, x2=0.0, x4=0.03)
    assert "at strength 0.5" in only and " on, of those tried" not in only
    assert harmful(x1=0.02, x2=0.02, x4=0.02) == ""


def test_an_arm_that_sees_what_is_not_there_is_not_better() -> None:
    """It gains 2 points on 20 images and hallucinates on the 20 that are empty, where the baseline is right."""

    def scores(gain: float, on_empty: float, seed: int) -> dict[str, float]:
        return images(gain, seed) | {f"i{j}_empty": on_empty for j in range(20)}

    runs = [run("none", s, scores(0, math.nan, s)) for s in SEEDS]
    said = Said([*runs, *(run("bad", s, scores(0.02, 0.0, s), val=0.81) for s in SEEDS)])
    assert said.words == {"bad": "worse"} and said.contrasts[0].estimate.units == 40
    assert said.contrasts[0].estimate.mean == pytest.approx((0.02 - 1) / 2, abs=0.005)
    assert said.contrasts[0].left_out == 0


def test_an_image_of_which_no_pixel_counts_is_left_out_and_said() -> None:
    ignored = {"x": {"dice": math.nan, "pixels": 0.0}}
    runs = [run(p, s, images(g, s) | ignored) for p, g in (("none", 0), ("flips", 0.02)) for s in SEEDS]
    said = Said(runs)
    assert said.contrasts[0].left_out == 1 and said.contrasts[0].estimate.units == 20
    assert "no pixel of their masks counts: 1 test image." in said.text


def test_strength_0_is_a_baseline_of_its_own_learning_rate() -> None:
    runs = []
    for lr, base in (("0.0003", 0.6), ("0.001", 0.7), ("0.003", 0.8)):
        for strength in (0.0, 0.5, 1.0):
            more = {"typed": (f"optimizer.lr={lr}",), "config": {"optimizer.lr": float(lr)}}
            for s in SEEDS:
                runs.append(run("elastic", s, images(base - 0.7, s), strength=strength, val=base, **more))
    said = Said(runs)
    assert {(c.arm.others, c.baseline.others, c.baseline.strength) for c in said.contrasts} == {
        ((f"optimizer.lr={lr}",), (f"optimizer.lr={lr}",), 0.0) for lr in ("0.0003", "0.001", "0.003")
    }
    assert max(abs(c.estimate.mean) for c in said.contrasts) < 0.01
    assert "optimizer.lr=0.003 is best on validation" in said.sentences[0] and "no arm beats it" in said.sentences[0]


def test_an_arm_without_a_baseline_that_else_is_the_same_is_compared_with_nothing() -> None:
    runs = []
    for model, base in (("a", 0.6), ("b", 0.8)):
        more = {"typed": (f"model={model}",), "config": {"choices.model": model}, "val": base}
        runs += [run("flips", s, images(base - 0.7, s), **more) for s in SEEDS]
        runs += [run("none", s, images(base - 0.7, s), **more) for s in SEEDS if model == "a"]
    said = Said(runs)
    assert [(c.arm.name, c.baseline.name) for c in said.contrasts] == [("flips, model=a", "none, model=a")]
    assert "flips, model=b is best on validation" in said.sentences[0] and "compared with nothing" in said.sentences[0]
    assert "Compared with nothing" in said.text and "flips, model=b" in said.text


def test_one_policy_typed_in_two_ways_is_one_arm_and_a_second_run_is_said() -> None:
    typed = [run("flips", s, images(0.02, s), config={"dataset.n": 5}) for s in SEEDS]
    plain = [one._replace(typed=("aug=flips",), path=one.path / "again") for one in typed]
    other = [run("flips", s, images(0.02, s), typed=("dataset.n=5",), config={"dataset.n": 5}) for s in range(8, 10)]
    base = [run("none", s, images(0, s), config={"dataset.n": 5}) for s in range(10)]
    said = Said([*base, *typed[:4], *plain[4:], *plain[:1], *other])
    assert {a.name: len(a.runs) for a in said.arms} == {"none": 10, "flips": 10}
    assert "left out: again." in said.text


def test_one_group_of_images_says_nothing_of_others() -> None:
    groups = {f"i{j}": "p1" for j in range(20)}
    said = Said([*arm("none", 0, groups=groups), *arm("flips", 0.02, groups=groups)])
    assert said.contrasts[0].table.design is Design.THESE_IMAGES and said.words == {"flips": "better"}
    assert "On exactly these test images it is better than none" in said.sentences[0]
    assert "8 seeds on 1 group of 20 test images" in said.sentences[0]
    assert "hold for exactly these test images" in said.text and "got 1 group of 20 test images" in said.text
    assert any("at least 5 images" in step for step in said.steps)
    assert not any("Train with" in step for step in said.steps)
    assert not any("test images in all" in step for step in said.steps)


def test_patients_are_counted_as_patients() -> None:
    groups = {f"i{j}": f"p{j // 2}" for j in range(20)}
    said = Said([*arm("none", 0, groups=groups), *arm("flips", 0.02, groups=groups)])
    assert "8 seeds and 10 groups of 20 test images" in said.sentences[0]
    assert said.words == {"flips": "looks better"} and "10 groups of 20 test images: with fewer than 12" in said.text


def test_one_seed_cannot_be_compared_and_nothing_is_to_be_trained_with() -> None:
    said = Said([*arm("none", 0, seeds=range(1)), *arm("flips", 0.1, seeds=range(1))])
    assert said.words == {"flips": "too few seeds"} and "cannot be compared" in said.sentences[0]
    assert not any("Train with" in step for step in said.steps)


def folds(policy: str, gain: float, seeds: range, k: int = 5) -> list[Run]:
    more = {"val": 0.7 + gain}
    return [run(policy, s, images(gain, s, 6, first=6 * f), fold=f, **more) for s in seeds for f in range(k)]


def test_folds_of_a_seed_are_one_repetition() -> None:
    said = Said([*folds("none", 0, range(3)), *folds("flips", 0.02, range(3))])
    contrast = said.contrasts[0]
    assert (contrast.table.design, contrast.estimate.rows, contrast.estimate.units) == (Design.CROSSED, 3, 30)
    assert said.words == {"flips": "looks better"} and "3 seeds and 30 test images" in said.sentences[0]
    assert "Nadeau and Bengio 2003" in said.text


def test_the_folds_of_one_seed_settle_nothing() -> None:
    said = Said([*folds("none", 0, range(1)), *folds("flips", 0.02, range(1))])
    contrast = said.contrasts[0]
    assert (contrast.table.design, contrast.estimate.rows) == (Design.FOLDS, 5)
    assert said.words == {"flips": "looks better"} and "5 folds of one seed" in said.sentences[0]
    assert "the luck" in said.text or "its luck" in said.text


def test_seeds_that_draw_their_own_split_share_images() -> None:
    def own(policy: str, gain: float) -> list[Run]:
        return [run(policy, s, images(gain, s, 10, first=3 * s), deal=s, val=0.7 + gain) for s in SEEDS]

    said = Said([*own("none", 0), *own("flips", 0.02)])
    assert said.contrasts[0].table.design is Design.OWN_SETS and said.words == {"flips": "better"}
    assert "8 seeds, each" in said.sentences[0] and "that they share" in said.text


def test_several_seeds_on_one_draw_of_the_split_count_as_one_repetition() -> None:
    def own(policy: str, gain: float) -> list[Run]:
        more = {"val": 0.7 + gain}
        return [
            run(policy, s, images(gain, s + d, 10, first=3 * d), deal=d, **more) for s in range(3) for d in range(4)
        ]

    said = Said([*own("none", 0), *own("flips", 0.02)])
    assert said.contrasts[0].estimate.rows == 4 and "4 splits" in said.sentences[0]
    assert said.words == {"flips": "looks better"}


def test_neighbours_that_differ_alike_settle_nothing_until_groups_are_named() -> None:
    waves = 0.03 * np.sin(np.arange(40) / 4) + 0.06

    def slices(policy: str, groups: dict[str, str] | None) -> list[Run]:
        made = []
        for s in SEEDS:
            plain = images(0, s, 40)
            gained = {n: v + (waves[int(n[1:])] if policy == "flips" else 0) for n, v in plain.items()}
            noise = np.random.default_rng([s, len(policy)]).normal(0, 0.004, 40)
            scores = {n: v + noise[int(n[1:])] for n, v in gained.items()}
            made.append(run(policy, s, scores, groups=groups, val=0.8 + 0.01 * (policy == "flips")))
        return made

    alone = Said([*slices("none", None), *slices("flips", None)])
    assert alone.words == {"flips": "looks better"} and "neighbours by name differ alike" in alone.text
    blocks = {f"i{j}": f"b{j // 3}" for j in range(40)}
    named = Said([*slices("none", blocks), *slices("flips", blocks)])
    assert named.words == {"flips": "better"} and "neighbours" not in named.text


def test_a_score_that_validation_lacks_is_not_ranked() -> None:
    for lacking in ("none", "flips", "geo"):
        runs = [
            run(p, s, images(g, s), val=math.nan if p == lacking else 0.7 + g)
            for p, g in (("none", 0.0), ("flips", 0.01), ("geo", 0.02))
            for s in range(5)
        ]
        said = Said(runs)
        assert said.choice is not None and said.choice.best.policy == ("flips" if lacking == "geo" else "geo")
        assert f"nothing found): {lacking}." in said.text


def test_the_mildest_is_of_the_best_ones_kind_and_trained_with_only_where_it_is_better() -> None:
    weak = arm("noise", 0.03, 0.5)
    said = Said([*arm("none", 0), *arm("flips", 0.03, 1.0), *arm("flips", 0.03, 2.0), *weak])
    assert said.choice is not None
    assert said.choice.mildest.policy == said.choice.best.policy
    assert said.steps[0].startswith(f"Train with {said.choice.mildest.name} ")


def test_nothing_that_helps_says_to_train_without() -> None:
    said = Said([*arm("none", 0), *arm("flips", -0.02)])
    assert said.steps == [
        "No arm is shown to be better than its baseline: train without augmentation, or sweep other policies."
    ]
    assert "no arm beats it there" in said.sentences[0]


def test_an_interval_lies_within_what_scores_can_differ_by() -> None:
    assert verdict.interval((-1.71, 1.2)) == "-100.00 to +100.00"


def test_seeds_that_the_baseline_lacks_are_said() -> None:
    said = Said([*arm("none", 0, seeds=range(5)), *arm("flips", 0.02, seeds=range(7))])
    assert said.contrasts[0].estimate.rows == 5 and "flips (seed 5, seed 6)" in said.text


def test_an_ops_ablation_has_the_baseline_of_its_policy() -> None:
    def without(op: str, gain: float) -> list[Run]:
        more = {"typed": (f"aug.without=[{op}]",), "config": {"aug.without": [op]}}
        return [run("elastic", s, images(gain, s), val=0.7 + gain, **more) for s in SEEDS]

    whole = [run("elastic", s, images(0.04, s), val=0.74, config={"aug.without": []}) for s in SEEDS]
    base = [run("none", s, images(0, s), val=0.7, config={"aug.without": []}) for s in SEEDS]
    said = Said([*base, *whole, *without("noise", 0.02), *without("bias", 0.03)])
    assert {(c.arm.policy, c.baseline.name) for c in said.contrasts} == {("elastic", "none")}
    assert len(said.contrasts) == 3 and "Compared with nothing" not in said.text
    assert any("aug.without=[noise]" in name for name in said.words)


def test_a_baseline_is_one_that_has_finished() -> None:
    failed = [one._replace(state="failed", images={}) for one in arm("none", 0)]
    runs = [*failed, *arm("geo", 0.02), *arm("geo", 0.0, 0.0), *arm("elastic", 0.0, 0.0, range(3))]
    said = Said(runs)
    assert [(c.arm.name, c.baseline.name, c.estimate.rows) for c in said.contrasts] == [("geo × 1", "geo × 0", 8)]


def test_a_better_arm_that_validation_did_not_choose_is_to_be_confirmed() -> None:
    other = [run("noise", s, images(0.0, s), val=0.9) for s in SEEDS]
    said = Said([*arm("none", 0), *arm("flips", 0.02), *other])
    assert said.words["flips"] == "better" and said.steps[0].startswith("Confirm flips")
    assert not any("train without" in step for step in said.steps)


def test_an_arm_with_few_runs_does_not_decide_which_is_best() -> None:
    said = Said([*arm("none", 0), *arm("flips", 0.03), *arm("geo", 0.02), *arm("new", 0.05, seeds=range(1))])
    assert said.sentences[0].startswith("flips is best on validation (mean of 8 seeds)")
    assert "fewer than half of the others' runs: new." in said.text


def test_arms_without_a_common_seed_are_compared_and_none_is_chosen() -> None:
    runs = [
        *arm("none", 0, seeds=range(10)),
        *arm("flips", 0.02, seeds=range(5)),
        *arm("geo", 0.02, seeds=range(5, 10)),
    ]
    said = Said(runs)
    assert said.choice is None and said.sentences[0].startswith("No arm is chosen")
    assert said.words == {"flips": "better", "geo": "better"} and "Better than the baseline" in said.text


def test_why_nothing_can_be_compared() -> None:
    assert "no arm with augmentation" in Said(arm("none", 0)).sentences[0]
    assert "no arm without augmentation is else the same" in Said(arm("flips", 0)).sentences[0]
    other = [run("flips", s, images(0, s, first=100)) for s in SEEDS]
    apart = [one._replace(images={f"x{n}": row for n, row in one.images.items()}) for one in other]
    said = Said([*arm("none", 0), *apart])
    assert "share a finished seed with a test image" in said.sentences[0] and "Compared with nothing" in said.text


def test_images_that_only_one_of_a_pair_has_are_said() -> None:
    half = [run("flips", s, dict(list(images(0.02, s).items())[:14])) for s in SEEDS]
    said = Said([*arm("none", 0), *half])
    assert said.contrasts[0].unshared == 6 and "left out: flips (6)." in said.text


def test_runs_of_other_data_settle_nothing() -> None:
    said = Said([*arm("none", 0), *(one._replace(fingerprint="g") for one in arm("flips", 0.02))])
    assert said.words == {"flips": "looks better"} and "several fingerprints" in said.text


def test_what_changes_no_result_makes_no_arm() -> None:
    typed = [one._replace(typed=(*one.typed, "trainer.accelerator=cpu")) for one in arm("flips", 0.02)]
    mixed = [one._replace(config={**one.config, "trainer.accelerator": "cpu"}) for one in typed[:4]]
    said = Said([*arm("none", 0), *mixed, *arm("flips", 0.02)[4:]])
    assert {a.name: len(a.runs) for a in said.arms} == {"none": 8, "flips": 8}


def test_runs_with_other_classes_are_compared_in_what_they_share() -> None:
    more = [one._replace(images={n: {**r, "dice/b": 0.5} for n, r in one.images.items()}) for one in arm("flips", 0.02)]
    runs = [*arm("none", 0), *more]
    assert contrasts(arms_of(runs), "dice/b") == []
    assert "do not score the same classes" in Said(runs).text
