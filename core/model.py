"""The base model: from a name to a resident model. Weights are safetensors or GGUF, never pickles; no code from a model's
folder is ever run."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase

from core import calibration, starter
from core.config import STARTER
from core.errors import FlavorError
from core.files import read_json

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
ALLOWED = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
STARTER_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"

Progress = tuple[str, float | None]
"""What is being done, and the share of it that is over."""


@dataclass(frozen=True)
class Base:
    """A loaded base: `model` without adapters, its tokenizer, and how its weights are held."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    fingerprint: str
    device: str
    four_bit: bool
    compute: torch.dtype
    note: str


def fingerprint(folder: Path) -> str:
    """What tells two bases of the same shape apart: a hash of the configuration and of samples of every weight file."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with open(path, "rb") as file:
            for part in range(17):
                file.seek(max(0, size - 65536) * part // 16)
                digest.update(file.read(65536))
    return digest.hexdigest()[:32]


def _check_folder(folder: Path, name: str) -> Path:
    """`folder` if its model may be loaded. Raises FlavorError with the reason where not."""
    settings = read_json(folder / "config.json")
    if "auto_map" in settings or "auto_map" in (read_json(path) if (path := folder / "tokenizer_config.json").exists() else {}):
        raise FlavorError(f"{name} needs code of its own to run, which is never executed here.", "Choose another base.", "model")
    weights = [path for path in folder.glob("*.safetensors") if path.stat().st_size > 1024]
    if not weights:
        other = ", ".join(sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth")))
        reason = f"only pickles ({other})" if other else "no whole .safetensors file"
        raise FlavorError(f"{name} has {reason}.", "Weights must be safetensors or GGUF.", "model")
    index = folder / "model.safetensors.index.json"
    if index.exists():
        missing = sorted({part for part in read_json(index)["weight_map"].values() if not (folder / part).exists()})
        if missing:
            raise FlavorError(f"{name} lacks {missing[0]} ({len(missing)} file(s) missing).", "Load it again to complete it.", "model")
    return folder


def _download(name: str) -> Iterator[Progress | Path]:
    """Bring a hub model into the local Hugging Face cache: progress, and last its folder. Resumes what was begun."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
    from tqdm.auto import tqdm

    with contextlib.suppress(LocalEntryNotFoundError, OSError, FlavorError):
        folder = Path(snapshot_download(name, local_files_only=True, allow_patterns=ALLOWED))
        yield _check_folder(folder, name)  # cached and whole: no network
        return

    bars: list[Any] = []

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": False, "file": _Nowhere()})
            if kwargs.get("unit") == "B":
                bars.append(self)

    outcome: list[Path | BaseException] = []

    def work() -> None:
        try:
            outcome.append(Path(snapshot_download(name, allow_patterns=ALLOWED, tqdm_class=Bar)))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)  # a cancelled download ends with the worker; the parts stay
    thread.start()
    while thread.is_alive():
        total = sum(bar.total or 0 for bar in bars)
        done = sum(bar.n for bar in bars)
        yield f"downloading {name}" + (f", {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else ""), done / total if total else None
        time.sleep(0.2)
    match outcome[0]:
        case Path() as folder:
            yield _check_folder(folder, name)
        case GatedRepoError():
            raise FlavorError(
                f"{name} is gated: your account has no access.", "Accept its licence on its page, then `hf auth login`.", "access"
            )
        case RepositoryNotFoundError():
            raise FlavorError(f"There is no model {name!r} on the hub, or it is private.", "Check the id, or `hf auth login`.", "missing")
        case HfHubHTTPError() as error if error.response is not None and error.response.status_code in (401, 403):
            raise FlavorError(f"The hub refused access to {name}.", "`hf auth login`, then try again.", "access")
        case error:
            reason = " ".join(str(error).split())[:120]
            raise FlavorError(
                f"{name} could not be downloaded: {reason}.", "Check the network; what came stays, and is resumed.", "network"
            )


class _Nowhere:
    """A file that takes a progress bar's drawing and shows none."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


def locate(name: str) -> Iterator[Progress | Path]:
    """From a base's name to a folder that `from_pretrained` reads: progress, and last the folder. Raises FlavorError."""
    path = Path(name).expanduser()
    if name == STARTER or path.suffix.lower() == ".gguf":
        gguf = starter.find() if name == STARTER else path
        if not gguf.is_file():
            raise FlavorError(f"{name} is not there.", "Check the path of the GGUF file.", "missing")
        if not starter.converted_folder(gguf).is_dir():
            yield "converting the GGUF file (once)", None
        yield starter.convert(gguf)
    elif path.is_dir():
        yield _check_folder(path.resolve(), name)
    elif HUB_ID.fullmatch(name) and not name.startswith("."):
        yield from _download(name)
    else:
        raise FlavorError(f"{name!r} is no model.", "Give `starter`, a hub id like org/name, a folder, or a .gguf file.", "missing")


def hardware() -> tuple[str, torch.dtype]:
    """The device to use, and the type to compute in: bfloat16 where the hardware multiplies it, else the next wider one."""
    if torch.cuda.is_available():
        return "cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if torch.backends.mps.is_available():
        return "mps", torch.bfloat16
    supported: Callable[[], bool] = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return "cpu", torch.bfloat16 if supported() else torch.float32


def four_bit_problem(device: str) -> str:
    """Why bitsandbytes cannot hold 4 bits on this device; empty where it can."""
    if device not in ("cuda", "cpu"):
        return f"bitsandbytes has no 4-bit kernels for {device}"
    try:
        import bitsandbytes  # noqa: F401
    except Exception as error:
        return f"bitsandbytes does not start ({type(error).__name__}: {str(error)[:80]})"
    return ""


def load(name: str, quantization: str, calibrate: bool = False) -> Iterator[Progress | Base]:
    """Make a base resident: progress, and last the `Base`. Raises FlavorError with a remedy."""
    folder: Path | None = None
    for step in locate(name):
        if isinstance(step, Path):
            folder = step
        else:
            yield step
    assert folder is not None
    device, compute = hardware()
    note = ""
    four_bit = quantization == "nf4"
    if four_bit and (problem := four_bit_problem(device)):
        four_bit, note = False, f"4 bits cannot run here: {problem}. Using 16 bits."
    yield f"loading {name}", None
    options: dict[str, Any] = {"dtype": compute, "trust_remote_code": False, "use_safetensors": True, "local_files_only": True}
    if four_bit:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute, bnb_4bit_use_double_quant=True
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(folder, device_map={"": device}, **options)
    except torch.OutOfMemoryError:
        raise FlavorError(f"{name} does not fit into the memory of the {device}.", "Choose a smaller base.", "memory") from None
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FlavorError(f"{name} cannot be loaded: {reason}.", "Is it a whole causal language model?", "model") from error
    if tokenizer.eos_token_id is None:
        raise FlavorError(f"{name} has no end token, so it could never learn to end.", "Choose another base.", "model")
    model.requires_grad_(False)
    model.eval()
    mark = fingerprint(folder)
    if four_bit and calibrate and model.num_parameters() <= calibration.LARGEST:
        yield from calibration.calibrated(model, tokenizer, folder, mark)
    yield Base(name, model, tokenizer, mark, device, four_bit, compute, note)
