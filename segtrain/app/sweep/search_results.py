"""What a search leaves: its best trial as a choice of the group experiment, and two figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from segtrain import plain_yaml
from segtrain.app.report import figures
from segtrain.app.sweep.search_space import GOAL, needed
from segtrain.files import make_own, write_whole

if TYPE_CHECKING:
    import optuna


FLATTERED = "The best of many is lucky too, so its score is too high: compare it with none on seeds of its own."


def write_best(study: "optuna.Study", groups: Sequence[str], fixed: Sequence[str], to: Path) -> Path | None:
    """The best trial as a choice of the group experiment; None before the first score."""
    state = needed().trial.TrialState
    if not study.get_trials(deepcopy=False, states=(state.COMPLETE,)):
        return None
    best = study.best_trial
    chosen = {**dict(o.lstrip("+").split("=", 1) for o in fixed if "=" in o), **best.params}
    chosen.pop("name", None)
    defaults = [{f"override /{key}": value} for key, value in chosen.items() if key in groups]
    tree: dict[str, Any] = {"defaults": [*defaults, "_self_"]}
    for key, value in chosen.items():
        if key not in groups:
            _put(tree, key.lstrip("+").split("."), plain_yaml.read(str(value), key))
    said = f"{GOAL} {best.value:.4f}: trial {best.number} of {len(study.trials)}, {study.study_name}"
    head = f"# @package _global_\n# {said}\n# {FLATTERED}\n"
    path = to / "experiment" / "best.yaml"
    make_own(path.parent, to)
    write_whole(path, head + yaml.safe_dump(tree, sort_keys=False))
    return path


def write_figures(study: "optuna.Study", folder: Path) -> None:
    """History and importance (PED-ANOVA, Watanabe et al. 2023, arXiv 2304.10255), each as PNG and SVG."""
    optuna = needed()
    make_own(folder)
    scored = [t for t in study.get_trials(deepcopy=False) if t.state == optuna.trial.TrialState.COMPLETE]
    points = [(trial.number, trial.value or 0.0) for trial in scored]
    drawn = [figures.draw_history(points, GOAL)]
    if len(scored) > 3 and len(study.best_trial.params) > 1:
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
        drawn.append(figures.draw_importance(shares))
    for one in drawn:
        figures.write_drawn(one, folder)


def _put(tree: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    for part in parts[:-1]:
        tree = tree.setdefault(part, {})
    tree[parts[-1]] = value
