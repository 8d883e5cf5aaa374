"""Writes what `python -m segtrain --help` prints: verbs, examples, keys asked for first, groups and their choices.

It is our own text: Hydra's copies its whole config repository twice for each group, which costs more than a bare app.
"""

from collections.abc import Sequence

from segtrain.config.composition import conf_dir, given_folders

VERBS = {
    "train": "train a model, or several with -m; resume=RUN goes on with an unfinished one",
    "find": "which augmentation is best within a budget of time, how sure that is, and the model: find budget=2h",
    "find_lr": "which learning rate to train with: 100 steps in which it grows, a figure and a number; trains nothing",
    "preview": "look at an augmentation on your data without training; replay=RUN sample=ID shows what a run saw",
    "evaluate": "score a run again from its folder, on its test images, shifted ones, or other data: evaluate run=RUN",
    "serve": "a page on this machine on which an image is dropped and its prediction looked at: serve run=RUN",
    "predict": "label images of files, folders, stacks and scans, of any size: predict run=RUN input=PATH",
    "export": "a run's network as one file for other programs, checked, with a model card: export run=RUN format=onnx",
    "report": "what the runs of a sweep say together, and how sure that is: report outputs/NAME",
    "compare": "one arm against another by the report's statistics, for scripts with --json: compare RUNS RUNS",
    "diff": "in what two runs differ: config, environment, data and results: diff RUN RUN",
    "new": "a config for your folder of images and masks, guessed from what is in it, and checked: new NAME ROOT",
    "convert": "write a dataset as chunks that stream from a folder or an object store: convert dataset=X to=FOLDER",
    "check": "audit an augmentation on your data without training; exit status 1 when a verdict is fail",
}

TEXT = """\
segtrain - which augmentation, and how much of it, helps your segmentation data

python -m segtrain [verb] [key=value ...]          or, the same:  segtrain [verb] [key=value ...]

Verbs
{verbs}

Examples
  python -m segtrain aug=medical_elastic                              train, elastic augmentation
  python -m segtrain aug=medical_elastic aug.strength=0.5 seed=1      half of it, another seed
  python -m segtrain preview aug=medical_elastic                      look at it, without training
  python -m segtrain -m aug=none,flips,medical_elastic seed=0,1,2     nine runs and a report; says how long
  python -m segtrain report outputs/NAME                              which of them is better, and how sure that is
  python -m segtrain find budget=2h                                   a race: the best, how sure, and the model
  python -m segtrain new cells data/cells                             your data: writes my_conf/dataset/cells.yaml
  python -m segtrain --config-dir my_conf dataset=cells               and trains on it
  python -m segtrain resume=outputs/brain_tissue/aug=medical_elastic  go on, from the run's own config

Keys that are asked for first
{keys}

Groups and their choices (group=choice)
{groups}

All keys with their values:  python -m segtrain --cfg job      Hydra's own flags:  --hydra-help"""


# Key, and what it is; their places are those of conf/train.yaml and of the files of its groups.
KEYS = {
    "trainer.max_epochs=50": "epochs; data.steps_per_epoch=100 batches each, null one pass; early_stopping=10",
    "optimizer.lr=1e-3": "learning rate, its peak: the scheduler moves it",
    "data.crop=256": "image size: pixels, side of the random training crop; images are never resized",
    "data.batch_size=8": "samples a batch; trainer.accumulate_grad_batches=2 batches a step",
    "trainer=gpu": "an NVIDIA GPU, and an error without one; auto, the default, takes one where torch sees one",
    "data.num_workers=4": "loader processes; never change results",
    "model.encoder_name=resnet34": "smp's encoders, or tu-NAME for any of timm",
    "model.encoder_weights=imagenet": "pretrained, downloaded; offline: HF_HOME names their folder, or init_from=FILE",
    "+model.classes=1": "one logit for two classes",
    "loss.class_weights=median_frequency": "rare classes; data.crop_class=0.33, data.sampling=classes",
    "split=folds": "cross-validation, with dataset.split.fold=0; dataset.split.group keeps patients whole",
    "outputs=outputs": "folder of all runs, outputs/NAME/RUN; predictions: outputs/predict, or its output=FOLDER",
}


def help_text(arguments: Sequence[str]) -> str:
    """Returns the text; a user's own folder (--config-dir) adds its choices."""
    choices: dict[str, set[str]] = {}
    for folder in (conf_dir(), *given_folders(arguments)):
        for path in folder.glob("*/*.yaml"):
            choices.setdefault(path.parent.name, set()).add(path.stem)
    choices.pop("hydra", None)
    groups = [f"  {group:10s} {', '.join(sorted(names))}" for group, names in sorted(choices.items())]
    keys = "\n".join(f"  {key:36s} {what}" for key, what in KEYS.items())
    return TEXT.format(
        keys=keys, verbs="\n".join(f"  {verb:10s} {what}" for verb, what in VERBS.items()), groups="\n".join(groups)
    )
