"""Trains a network, as Lightning asks for it: network, loss, optimizer and scheduler are handed in."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from segtrain.errors import UserError
from segtrain.lightning import L
from segtrain.model.metrics import Evaluation, require_logits
from segtrain.model.normalised_network import NormalisedNetwork
from segtrain.model.ranks import ALONE, Ranks

Batch = dict[str, Tensor]
Precision = L.pytorch.plugins.precision.Precision
GradClipAlgorithmType = L.pytorch.utilities.enums.GradClipAlgorithmType

NEVER = 2**62  # epochs


class Segmentation(NormalisedNetwork, L.LightningModule):
    """Trains a network behind its normalisation, validates and tests it."""

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        *,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        scheduler: Callable[..., Any],
        steps: int,
        classes: Sequence[str],
        ignore_index: int,
        mean: Sequence[float],
        std: Sequence[float],
        supervision: nn.Module | None = None,
        freeze_encoder: int = 0,
        encoder_lr: float = 1.0,
        compiled: bool = False,
    ) -> None:
        """Holds the parts.

        Args:
            network: images (N, C, H, W) float to logits (N, classes, H, W), or (N, 1, H, W) for two classes.
            loss: (logits, mask) to a scalar.
            optimizer: parameters to optimizer.
            scheduler: (optimizer, steps=) to a scheduler stepped after each optimizer step (plateau: each epoch).
            steps: optimizer steps of the whole training.
            classes: names in label order.
            ignore_index: label without meaning, left out of loss and metrics.
            mean, std: a value a channel, in the units of the stored pixels.
            supervision: the loss over further outputs in training (`segtrain.model.supervision.Supervision`).
            freeze_encoder: epochs, from the first, in which the network's encoder stays as it is.
            encoder_lr: factor on the optimizer's lr for the encoder's parameters.
            compiled: whether training steps apply the network by torch.compile; images are of one size then.

        Raises:
            UserError: an option about the encoder, and a network without one.
        """
        super().__init__(network, mean, std)
        self.loss, self.optimizer, self.scheduler, self.steps = loss, optimizer, scheduler, steps
        self.evaluation = Evaluation(classes, ignore_index)  # the newest
        self.supervision, self.freeze_encoder, self.encoder_lr = supervision, freeze_encoder, encoder_lr
        if freeze_encoder:
            encoder_of(network, f"freeze_encoder={freeze_encoder}")
        if encoder_lr != 1:
            encoder_of(network, f"encoder_lr={encoder_lr:g}")
        # A function, no module: it has no weights of its own, and every key of a checkpoint is as it is without it.
        self.compiled = torch.compile(network.__call__, dynamic=False) if compiled else None
        self.keep: frozenset[int] = frozenset()  # test samples whose predictions are kept
        self.predictions: dict[int, Tensor] = {}  # sample index -> predicted labels (H, W) uint8
        self._losses: list[Tensor] = []
        self.ranks: Ranks = ALONE  # that train it together

    def forward(self, image: Tensor) -> Tensor:
        """Returns the logits, as `NormalisedNetwork` does.

        Raises:
            UserError: the network has another number of logits than the data have classes.
        """
        logits = super().forward(image)
        require_logits(logits.shape[1], self.evaluation.classes)
        return logits

    def apply_network(self, image: Tensor) -> Tensor:
        """Returns its logits, in training by what is compiled; an evaluation has the bits of any use of the run."""
        if self.compiled is None or not self.training:
            return super().apply_network(image)
        logits: Tensor = self.compiled(image)
        return logits

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Returns the loss of a batch."""
        if self.freeze_encoder:  # by the epoch alone, so that a resumed training has it as it was
            still = self.current_epoch < self.freeze_encoder
            hold_encoder(encoder_of(self.network, "freeze_encoder"), still)
        loss = self.ranks.pool_loss(lambda: self._loss_of(batch["image"], batch["mask"]), len(batch["mask"]))
        self._losses.append(loss.detach())
        return loss

    def _loss_of(self, image: Tensor, mask: Tensor) -> Tensor:
        if self.supervision is not None:
            loss: Tensor = self.supervision(self.network, lambda: self(image), mask, self.loss)
        else:
            loss = self.loss(self(image), mask)
        return loss

    def on_train_epoch_end(self) -> None:
        """Logs the epoch's mean loss."""
        self.log("train/loss", self.losses().mean())
        self._losses.clear()

    def losses(self, last: int = 0) -> Tensor:
        """Returns the losses of the batches of the running epoch so far, or the `last` of them: (n,), on the CPU."""
        taken = self._losses[-last:]
        return torch.stack([loss.to(self.device) for loss in taken]).cpu() if taken else torch.empty(0)

    def newest_loss(self) -> float:
        """Returns the loss of the batch before, which a GPU must be waited for."""
        return float(self._losses[-1])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the losses of an epoch that is not over."""
        checkpoint["losses"] = self.losses()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes them up again; weights and the optimizer's moments are the checkpoint's, its settings those of now.

        Raises:
            UserError: the checkpoint holds another network.
        """
        self._require_same_network(checkpoint["state_dict"])
        self._losses = list(checkpoint["losses"].unbind())
        asked = self.configure_optimizers()["optimizer"].param_groups
        for saved, group in zip(checkpoint["optimizer_states"][0]["param_groups"], asked, strict=True):
            saved |= {key: value for key, value in group.items() if key not in ("params", "lr")}  # lr: the scheduler's

    def _require_same_network(self, saved: Mapping[str, Tensor]) -> None:
        shapes = [{name: tuple(tensor.shape) for name, tensor in state.items()} for state in (saved, self.state_dict())]
        if shapes[0] != shapes[1]:
            name = min(name for name, _ in {*shapes[0].items()} ^ {*shapes[1].items()})
            there, now = (state.get(name, "none") for state in shapes)
            raise UserError(
                f"the checkpoint holds the weights of another network; expected '{name}' of {now}; got {there}; go on "
                "with the model and the data that the run began with, or begin a new run with name=…"
            )

    def validation_step(self, groups: list[Batch], _: int) -> None:
        """Counts batches of equal size each."""
        for batch in groups:
            pred = self.evaluation.predict(self, batch, self.loss)[1]
            if self.trainer.testing:
                kept = [(k, int(index)) for k, index in enumerate(batch["index"]) if int(index) in self.keep]
                self.predictions |= {index: pred[k].cpu() for k, index in kept}

    test_step = validation_step

    def on_validation_epoch_start(self) -> None:
        """Forgets the last evaluation."""
        self.evaluation = Evaluation(self.evaluation.classes, self.evaluation.ignore_index)
        self.ranks.share_buffers(self)

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_epoch_end(self) -> None:
        """Logs val/*, of the images of all ranks."""
        if not self.ranks.is_alone:
            self.evaluation.gather(self.ranks, self.trainer.datamodule.validated)  # type: ignore[attr-defined]
        scores = self.evaluation.scores()
        self.log_dict({f"val/{key}": value for key, value in scores.items()})
        scheduler = self.lr_schedulers() if self.trainer.state.fn == "fit" else None
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(scores["dice"])

    def on_test_epoch_end(self) -> None:
        """Logs test/*, of the images of all ranks."""
        if not self.ranks.is_alone:
            self.evaluation.gather(self.ranks, self.trainer.datamodule.tested)  # type: ignore[attr-defined]
            gathered = self.ranks.gather(self.predictions)
            self.predictions = {index: pred for one in gathered for index, pred in one.items()}
        self.log_dict({f"test/{key}": value for key, value in self.evaluation.scores().items()})

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips; with bf16-mixed a fused optimizer's too, which Lightning refuses though nothing is scaled there.

        Raises:
            UserError: precision 16-mixed, whose gradients a fused optimizer unscales in its step, after clipping.
        """
        plugin, value = self.trainer.precision_plugin, gradient_clip_val or 0.0
        if getattr(plugin, "scaler", None) and value and getattr(optimizer, "_step_supports_amp_scaling", False):
            raise UserError(
                "trainer.precision=16-mixed scales gradients, and a fused optimizer unscales them only after they "
                "would be clipped; expected one of the two left out; got trainer.gradient_clip_val="
                f"{value:g}; give optimizer.fused=false, or trainer.precision=bf16-mixed"
            )
        algorithm = GradClipAlgorithmType(gradient_clip_algorithm or "norm")
        Precision.clip_gradients(plugin, optimizer, value, algorithm)

    def configure_optimizers(self) -> Any:
        """Returns optimizer and scheduler as handed in; lengths come from `steps`.

        A plateau is stepped by us, after each validation: Lightning steps it after the epoch's checkpoint is written,
        so that a resumed training would lack the step.
        """
        heads = self.supervision.parameters() if self.supervision is not None else ()
        optimizer = self.optimizer(parameter_groups(self.network, heads, self.encoder_lr))
        scale_encoder_lr(optimizer, self.encoder_lr)
        scheduler = self.scheduler(optimizer, steps=self.steps)
        plateau = {"interval": "epoch", "monitor": "val/dice", "frequency": NEVER}
        interval = plateau if isinstance(scheduler, ReduceLROnPlateau) else {"interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, **interval}}


def encoder_of(network: nn.Module, option: str) -> nn.Module:
    """Returns the part of the network that `option`, such as "freeze_encoder=2", is about: its attribute `encoder`.

    Raises:
        UserError: the network has none.
    """
    encoder = getattr(network, "encoder", None)
    if isinstance(encoder, nn.Module):
        return encoder
    raise UserError(
        f"{option} is about the network's encoder; expected a network with an attribute `encoder`, as all of "
        f"segmentation_models_pytorch have; got {type(network).__name__} without one; leave the option out"
    )


def hold_encoder(encoder: nn.Module, still: bool) -> None:
    """Holds the encoder still, or lets it go: no gradient, and evaluation mode, so that its statistics stay too.

    To be asked before each training step: what is as it should be costs nothing.
    """
    if encoder.training is still:
        encoder.train(not still)
        encoder.requires_grad_(not still)


def parameter_groups(network: nn.Module, others: Iterable[nn.Parameter], encoder_lr: float) -> list[Any]:
    """Returns what an optimizer is handed: parameters; or two groups, the encoder's last, if its lr is another one."""
    if encoder_lr == 1:
        return [*network.parameters(), *others]
    own = list(encoder_of(network, f"encoder_lr={encoder_lr:g}").parameters())
    known = {id(parameter) for parameter in own}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in known]
    return [{"params": [*rest, *others]}, {"params": own}]  # the first is the one whose lr metrics.csv shows


def scale_encoder_lr(optimizer: Optimizer, encoder_lr: float) -> None:
    """Scales the lr of the encoder's group; before a scheduler is built, which starts from each group's own."""
    if encoder_lr != 1:
        optimizer.param_groups[-1]["lr"] *= encoder_lr
