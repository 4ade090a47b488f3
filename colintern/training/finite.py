"""Ending a round at the first step whose loss or gradient is not finite."""

import torch
import torch.distributed as dist
from torch import Tensor

from colintern.errors import NonFiniteError
from colintern.training.worker import Worker

_LOOK_STEPS_ON_GPU = 16


class FiniteGuard:
    """Holds back the update of the first step that is not finite, and every one after it.

    What was found stays on the device. On the CPU it is looked at in every step. On a GPU the host
    would have to wait for each step: there the optimiser skips its updates on the device, and the
    host looks every `look_steps` steps and at the end.

    Args:
        worker: this worker; all workers of the group find the same.
        look_steps: in place of what fits the device.
    """

    def __init__(self, worker: Worker, look_steps: int | None = None) -> None:
        self._worker = worker
        on_device = 1 if worker.device == "cpu" else _LOOK_STEPS_ON_GPU
        self._look_steps = look_steps or on_device
        # The failed step (0: none), its loss, its gradient norm.
        self._failed = torch.zeros(3, dtype=torch.float64, device=worker.device)

    def admit(self, loss: Tensor, grad_norm: Tensor, step: int) -> Tensor:
        """Judge a step before its update, together with all workers.

        Returns:
            A bool on the device: whether the heads may be updated.

        Raises:
            NonFiniteError: as `look` does, in a step in which the host looks.
        """
        finite = torch.isfinite(loss) & torch.isfinite(grad_norm)
        if self._worker.world_size > 1:
            flag = finite.to(torch.int32)
            dist.all_reduce(flag, op=dist.ReduceOp.MIN)  # finite on all workers
            finite = flag.bool()
        is_first = ~finite & (self._failed[0] == 0)
        found = torch.stack([torch.full_like(loss, step), loss, grad_norm]).double()
        self._failed = torch.where(is_first, found, self._failed)
        if step % self._look_steps == 0:
            self.look()
        return self._failed[0] == 0

    def look(self) -> None:
        """Fetch what was found.

        Raises:
            NonFiniteError: a step was not finite; no worker has updated its heads since.
        """
        step, loss, grad_norm = self._failed.tolist()
        if step:
            raise NonFiniteError(
                f"step {step:.0f}: loss {loss}, gradient norm {grad_norm}; the heads were not "
                "updated; lower training.learning_rate or training.max_grad_norm"
            )
