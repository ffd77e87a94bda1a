"""The adapter in the model and those of the checkpoints: read and checked, put in, kept at hand, published."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import torch
from peft import get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file

from core import checkpoints, runfiles
from core.checkpoints import Place
from core.config import STARTER_HUB_ID, Lora
from core.errors import FlavorError
from core.files import now
from core.protocol import Gauges
from core.runfiles import CheckpointInfo, RunSpec
from core.text import short
from core.worker.forms import ADAPTER, Forms
from core.worker.model import Base
from core.worker.training import EpochDone

MORE = 1 << 20
"""Bytes of the names in a file of weights, at most."""
KEPT = 4
"""Adapters kept in memory, so that switching back and forth reads no file."""

State = dict[str, torch.Tensor]
"""An adapter's tensors, by PEFT's names."""


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether all numbers are finite: by their sums, a tenth of the time of asking each. A sum that overflows is looked at again."""
    return all(bool(torch.isfinite(tensor.float().sum())) or bool(torch.isfinite(tensor).all()) for tensor in tensors)


class Adapters:
    """Switches the one adapter of a loaded base between checkpoints."""

    def __init__(self, base: Base, forms: Forms, lora: Lora) -> None:
        self._base = base
        self._forms = forms
        self._lora = lora
        self._current = ""
        """What the adapter in the model holds: a checkpoint's folder, `base` (a silent one), or nothing known."""
        self._kept: dict[str, State] = {}

    @property
    def place(self) -> Place:
        """What a checkpoint must have been made for to be used here."""
        return Place(self._base.name, self._base.fingerprint, self._base.tokenizer_hash, self._lora)

    def use(self, folder: Path | None) -> None:
        """Put the adapter of a checkpoint (None: a silent one) into the model. Raises FlavorError where it is damaged or another base's."""
        wanted = str(folder) if folder else runfiles.BASE
        if wanted == self._current:
            return
        self._current = ""
        if folder is None:
            self._forms.silence_adapter()
        else:
            self._copy_in(self._read(folder), checkpoints.title(folder))
        self._current = wanted

    def changed(self) -> None:
        """The adapter in the model is not that of any checkpoint any more: the next use puts a whole one in."""
        self._current = ""

    def _copy_in(self, state: State, name: str) -> None:
        own = get_peft_model_state_dict(self._forms.peft, adapter_name=ADAPTER)
        if set(own) != set(state) or any(own[key].shape != tensor.shape for key, tensor in state.items()):
            raise FlavorError(
                f"{name} has other layers or another rank than this model.", "Was [lora] r changed? Retrain with T.", "foreign"
            )
        with torch.no_grad():
            for key, tensor in state.items():
                own[key].copy_(tensor, non_blocking=True)

    def _read(self, folder: Path) -> State:
        """A checkpoint's tensors, after its hash, its base and its numbers were checked: PEFT itself checks none of them."""
        key = str(folder)
        if key in self._kept:
            return self._kept[key]
        own = sum(tensor.numel() for tensor in self._forms.parameters())
        info, data = checkpoints.read(folder, self.place, 8 * own + MORE)  # no adapter of this shape is larger, in any type
        try:
            state: State = load_tensors(data)
        except (SafetensorError, ValueError, RuntimeError) as error:
            raise FlavorError(f"{info.name} is damaged: {short(str(error), 80)}.", checkpoints.CHOOSE, "damaged") from None
        if not all_finite(state.values()):
            raise FlavorError(f"{info.name} holds numbers that are not finite.", checkpoints.CHOOSE, "damaged")
        self.keep(folder, state)
        return state

    def keep(self, folder: Path, state: State) -> None:
        """Have a checkpoint's tensors at hand."""
        if self._base.device == "cuda":  # from pinned memory the card fetches it several times faster
            state = {name: tensor.pin_memory() for name, tensor in state.items()}
        self._kept[str(folder)] = state
        while len(self._kept) > KEPT:
            self._kept.pop(next(iter(self._kept)))

    def drop_kept(self) -> None:
        """The next use of each checkpoint reads its file."""
        self._kept.clear()

    def save(self, folder: Path, name: str, event: EpochDone, spec: RunSpec, gauges: Gauges, seen: float) -> None:
        """Publish what is in the model as a checkpoint of the run in `folder`: staged, synced, renamed. It is whole or absent."""
        peft = self._forms.peft
        state = {key: tensor.detach().cpu().clone() for key, tensor in get_peft_model_state_dict(peft, adapter_name=ADAPTER).items()}

        def fill(staging: Path) -> CheckpointInfo:
            save_file(state, staging / checkpoints.WEIGHTS)
            config = peft.peft_config[ADAPTER]
            config.base_model_name_or_path = STARTER_HUB_ID if spec.base == "starter" else spec.base
            config.inference_mode = True
            config.save_pretrained(str(staging))
            config.inference_mode = False
            return CheckpointInfo(
                name=name, epoch=event.epoch, base=spec.base, fingerprint=self._base.fingerprint, sha256="", loss=event.loss, created=now(),
                seen=seen, manifest=checkpoints.manifest(self.place, spec),
                measured_by=runfiles.measured_by(name) if runfiles.is_refit(name) else None, **msgspec.structs.asdict(gauges),
            )  # fmt: skip

        final = runfiles.checkpoint_folder(folder.parent, name)
        try:
            checkpoints.publish(final, fill)
        except (OSError, SafetensorError) as error:  # which also wraps what the system says of a full disk
            why = error.strerror if isinstance(error, OSError) else short(str(error), 200)
            raise FlavorError(
                f"The checkpoint could not be written: {why}.", "Make room; the checkpoints that are there still serve.", "disk"
            ) from None
        self.keep(final, state)
