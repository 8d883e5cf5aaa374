"""Tells Lightning how ranks train together: each with the whole network, or each with a part of its weights."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from segtrain.launchers import Place
from segtrain.lightning import L

# What torch calls it: another name from 2.13 on.
_KNOWN = inspect.signature(DistributedDataParallel).parameters
_BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in _KNOWN else "broadcast_buffers"
ENVIRONMENT: Any = L.fabric.plugins.environments.ClusterEnvironment  # type: ignore[attr-defined]
DDP: Any = L.pytorch.strategies.DDPStrategy


class KnownRanks(ENVIRONMENT):  # type: ignore[misc]
    """Says to Lightning which rank this is: the processes are there, and their group is made."""

    def __init__(self, place: Place) -> None:
        """Takes the place of this process."""
        self.place = place

    creates_processes_externally = True

    @property
    def main_address(self) -> str:
        """Returns where the first process is."""
        return self.place.host

    @property
    def main_port(self) -> int:
        """Returns its port."""
        return self.place.port

    @staticmethod
    def detect() -> bool:
        """Returns that it is never found by itself: it is handed in."""
        return False

    def world_size(self) -> int:
        """Returns the number of ranks."""
        return self.place.ranks

    def set_world_size(self, size: int) -> None:
        """Leaves the number what it is."""

    def global_rank(self) -> int:
        """Returns the rank among all."""
        return self.place.rank

    def set_global_rank(self, rank: int) -> None:
        """Leaves the rank what it is."""

    def local_rank(self) -> int:
        """Returns the rank on its machine."""
        return self.place.local_rank

    def node_rank(self) -> int:
        """Returns the number of its machine."""
        return self.place.rank // self.place.here


class Together(DDP):  # type: ignore[misc]
    """Trains with the whole network on each rank; torch's DistributedDataParallel averages the gradients."""

    def __init__(self, looks: bool = False) -> None:
        """Looks at each step which parameters the loss reaches where it may leave some out, as of a frozen encoder."""
        # Buffers are shared by `Ranks.share_buffers`, before they are used: each evaluation.
        super().__init__(find_unused_parameters=looks, **{_BUFFERS: False})

    def _configure_launcher(self) -> None:
        self._launcher = None  # which would choose the number of threads, on which bits depend

    def validation_step(self, *arguments: Any, **more: Any) -> Any:
        """Validates by the module itself: ranks have unequal batches, and need not wait for each other."""
        with self.precision_plugin.val_step_context():
            return self.lightning_module.validation_step(*arguments, **more)


class Sharded(Together):
    """Trains with a part of the weights, gradients and optimizer states on each rank: torch's fully_shard (FSDP2).

    All of the network's weights come together for a forward and backward pass, and for an evaluation. Checkpoints are
    those of one process: whole tensors, so that they go on anywhere.
    """

    def configure_ddp(self) -> None:
        """Shards the network; its optimizer is made after this."""
        kind = self.root_device.type
        network = self.lightning_module.network
        if not isinstance(network, FSDPModule):
            for weight in network.parameters():
                weight.data = weight.data.contiguous()  # which channels_last is not, and what torch divides must be
            fully_shard(network, mesh=init_device_mesh(kind, (self.world_size,)))

    def setup(self, trainer: Any) -> None:
        """Sets a training up as its base does; a test goes on with the parts as they are."""
        if trainer.state.fn == "fit":
            super().setup(trainer)
            return
        self.accelerator.setup(trainer)
        self.precision_plugin.convert_module(self.model)
        self.model_to_device()
        self.setup_precision_plugin()

    def on_validation_start(self) -> None:
        """Brings all weights together on every rank: from here to the end each predicts by itself."""
        self._network.unshard()

    def on_validation_end(self) -> None:
        """Leaves each rank its part."""
        self._network.reshard()

    def on_test_start(self) -> None:
        """Brings all weights together, as for a validation."""
        self._network.unshard()

    def on_test_end(self) -> None:
        """Leaves each rank its part."""
        self._network.reshard()

    @property
    def _network(self) -> FSDPModule:
        network = self.lightning_module.network
        assert isinstance(network, FSDPModule)
        return network

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Returns the whole weights on the first rank; on the others nothing to be written."""
        state: dict[str, Any] = self._whole(self.lightning_module.state_dict())
        return state

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:
        """Returns the whole state of the optimizer likewise."""
        state: dict[str, Any] = self._whole(super().optimizer_state(optimizer))
        return state

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Takes up whole weights, of which each rank keeps its part where the network is sharded by now."""
        there = self.lightning_module.state_dict()
        state = {name: _part_like(there.get(name), tensor) for name, tensor in checkpoint["state_dict"].items()}
        self.lightning_module.load_state_dict(state, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Takes up the whole state of the optimizer, of which each rank keeps the part of its weights."""
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            state = {
                number: {key: _part_like(weights[number], value) for key, value in known.items()}
                for number, known in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": state})

    def _whole(self, value: Any) -> Any:
        """Returns a tree with whole tensors in place of parts; every rank must ask."""
        if isinstance(value, DTensor):
            tensor = value.full_tensor().detach()
            return tensor if self.is_global_zero else torch.empty(0)
        if isinstance(value, Mapping):
            return {key: self._whole(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._whole(item) for item in value]
        return value


def _part_like(there: Any, tensor: Any) -> Any:
    """Returns this rank's part of a tensor where what is there is such a part of one of its size, else the tensor."""
    if not isinstance(there, DTensor) or not isinstance(tensor, Tensor) or there.shape != tensor.shape:
        return tensor
    return distribute_tensor(tensor.to(there.device), there.device_mesh, there.placements, src_data_rank=None)
