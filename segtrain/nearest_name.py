"""Finds the known name that is most like one that nobody knows: the one home of "did you mean …?"."""

import difflib
from collections.abc import Collection, Iterable, Sequence

ALIKE, CANDIDATES = 0.6, 5  # the ratio of difflib from which on a word may be meant, and how many such are looked at


def nearest_name(name: str, known: Iterable[str], alike: float = ALIKE) -> str:
    """Returns the known name that is most alike; "" where none is as alike as that, from 0 to 1."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, alike)), "")


def nearest_key(key: str, known: Collection[str]) -> str:
    """Returns the known dotted key that is most alike, in its last part too; "" where none is."""
    last = key.rpartition(".")[2]

    def is_near(other: str) -> bool:
        return difflib.SequenceMatcher(None, last, other.rpartition(".")[2]).ratio() >= ALIKE

    return next(filter(is_near, difflib.get_close_matches(key, known, CANDIDATES, ALIKE)), "")


def did_you_mean(meant: str) -> str:
    """Returns the question "did you mean …? ", with a blank behind it; "" where nothing is meant."""
    return f"did you mean {meant}? " if meant else ""


# What other programs call a key.
SYNONYMS = {
    "trainer.max_epochs": ("epochs", "num_epochs", "n_epochs", "max_epoch", "epoch", "ep"),
    "optimizer.lr": ("learning_rate", "lr0", "base_lr", "init_lr", "lrate"),
    "data.crop": ("imgsz", "img_size", "image_size", "input_size", "size", "patch_size", "crop_size", "resolution"),
    "data.batch_size": ("batch", "batchsize", "bs", "train_batch_size", "samples_per_gpu"),
    "data.num_workers": ("workers", "n_workers", "loaders", "num_threads"),
    "data.steps_per_epoch": ("steps", "iterations", "iters", "num_iterations", "max_steps", "max_iters"),
    "trainer.accelerator": ("device", "gpu", "gpus", "cuda", "cpu"),
    "trainer.precision": ("amp", "fp16", "bf16", "half", "mixed_precision"),
    "trainer.accumulate_grad_batches": ("accumulate", "accumulation", "grad_accum", "gradient_accumulation_steps"),
    "trainer.gradient_clip_val": ("clip", "grad_clip", "clip_grad", "max_norm"),
    "model.encoder_weights": ("pretrained", "weights", "pretrain", "imagenet"),
    "model.encoder_name": ("encoder", "backbone"),
    "model": ("arch", "architecture", "network", "net"),
    "dataset.root": ("root", "data_root", "data_dir", "data_path", "datadir", "dataroot", "root_dir", "path"),
    "dataset.classes": ("classes", "num_classes", "n_classes", "nc", "labels"),
    "dataset.split.fold": ("k", "folds", "kfold", "n_folds", "n_splits"),
    "dataset.split.val": ("val_split", "val_ratio", "val_size", "validation_split"),
    "dataset.split.test": ("test_split", "test_ratio", "test_size"),
    "optimizer.weight_decay": ("wd", "decay", "l2"),
    "optimizer": ("optim", "opt"),
    "scheduler": ("lr_scheduler", "sched", "lrf"),
    "loss": ("criterion", "loss_fn"),
    "aug": ("augment", "augmentation", "augmentations", "transforms", "transform"),
    "aug.strength": ("magnitude", "intensity"),
    "early_stopping": ("patience", "early_stop"),
    "outputs": ("project", "out", "out_dir", "output", "output_dir", "save_dir", "results", "log_dir"),
    "name": ("exp", "exp_name", "experiment_name", "run_name", "tag"),
    "init_from": ("ckpt", "checkpoint_path", "load_from", "finetune", "resume_from_weights"),
    "run": ("model_path", "ckpt_path"),
    "input": ("source", "images", "files"),
}


def synonym(key: str, known: Sequence[str]) -> str:
    """Returns the known key that a word of other programs means, or that ends with it; "" for none."""
    first, _, last = key.lstrip("+~").replace("-", "_").casefold().rpartition(".")
    word = last if first in ("", "data", "trainer", "optimizer") else key
    ends = [one for one in known if one.rpartition(".")[2] == word]
    meant = [one for one, words in SYNONYMS.items() if word in words]
    return next((one for one in [*ends[:1], *meant] if one in known), "")
