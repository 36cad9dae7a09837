"""How an encoder is made trainable: LoRA, DoRA, AdaLoRA, or every weight.

takes  a base encoder and a recipe
gives  `Adapted`: the encoder with its trainable weights, and what its method wants at each step
never  trains
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from peft import AdaLoraConfig, LoraConfig, PeftConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import Tensor, nn
from torch.nn import functional

from models.adapters import CONFIG, FULL, HEADS, WEIGHTS, find_adapter
from models.errors import AdapterDamaged, DataUnusable
from models.running.network import HeadlineNet
from models.training.recipes import METHODS, Recipe

# What AdaLoRA's allocator remembers of every weight: how much it matters, on average, and how sure that is.
_MEMORIES = ("ipt", "exp_avg_ipt", "exp_avg_unc")


@dataclass(frozen=True, slots=True)
class Adapted:
    """An encoder with an adapter in it."""

    encoder: nn.Module
    method: str

    def regularisation(self) -> Tensor | float:
        """What AdaLoRA asks of its factors: to stay orthogonal, so that singular values can be pruned."""
        if self.method != "adalora":
            return 0.0
        penalty: Tensor = torch.zeros(())
        for name, p in self.encoder.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                gram = p @ p.T if "lora_A" in name else p.T @ p
                penalty = penalty.to(p.device) + (gram - torch.eye(len(gram), device=p.device)).norm()
        return 0.1 * penalty

    def after_step(self, step: int) -> None:
        """AdaLoRA moves its budget of ranks to the weights that need it."""
        if self.method == "adalora":
            cast("Any", self.encoder.base_model).update_and_allocate(step)

    def state(self) -> dict[str, Tensor]:
        """What the method remembers from step to step, by name: how much AdaLoRA's ranks mattered, and which remain."""
        if self.method != "adalora":
            return {}
        ranks, config = self._ranks()
        kept = {f"{memory}/{name}": value for memory in _MEMORIES for name, value in getattr(ranks, memory).items()}
        return kept | {f"pattern/{name}": torch.tensor(left) for name, left in (config.rank_pattern or {}).items()}

    def bring_back(self, state: Mapping[str, Tensor]) -> None:
        """Go on with what `state` gave."""
        for key, value in state.items():
            memory, _, name = key.partition("/")
            ranks, config = self._ranks()
            if memory == "pattern":
                config.rank_pattern = (config.rank_pattern or {}) | {name: value.tolist()}
            else:
                getattr(ranks, memory)[name] = value.to(next(self.encoder.parameters()).device)

    def end(self) -> None:
        """Let what is saved be what was measured.

        The pattern is of the last step, and the best epoch another one, of which peft would cut off ranks that it uses.
        """
        if self.method == "adalora":
            _, config = self._ranks()
            config.rank_pattern = None

    def _ranks(self) -> tuple[Any, Any]:
        """AdaLoRA's allocator of ranks, and the configuration that holds its pattern."""
        model = cast("Any", self.encoder.base_model)
        return model.rankallocator, model.peft_config[model.trainable_adapter_name]


def check_length(base: nn.Module, recipe: Recipe) -> None:
    """Refuse texts longer than the encoder can read: the first of them would end whatever scores it.

    Raises:
        DataUnusable: naming the most tokens that the encoder reads.
    """
    most = getattr(base.config, "max_position_embeddings", None)
    places = getattr(getattr(base, "embeddings", None), "position_embeddings", None)
    padding = getattr(places, "padding_idx", None)
    if most and padding is not None:
        # RoBERTa and its kin count the places of a text from behind that of padding.
        most -= padding + 1
    if most and recipe.longest > most:
        raise DataUnusable(f"the recipe's longest is {recipe.longest}, and the encoder reads {most} tokens at most")


def adapted_encoder(base: nn.Module, recipe: Recipe, steps: int) -> Adapted:
    """Put the recipe's adapter into the encoder, or free all its weights; dropout is as the recipe says.

    Args:
        base: the encoder, which is changed.
        recipe: names method, rank and targets.
        steps: of the optimizer, in the whole run.

    Raises:
        DataUnusable: when the recipe names a method that is none, or layers that the encoder does not have.
    """
    common: dict[str, Any] = {"lora_alpha": recipe.alpha, "target_modules": list(recipe.targets), "lora_dropout": 0.0}
    if not torch.cuda.is_available():
        # torch's fused attention is slow backwards in bf16 on CPUs: plain products train nearly twice as fast.
        cast("Any", base).set_attn_implementation("eager")
    for module in base.modules():
        if isinstance(module, nn.Dropout):
            module.p = recipe.dropout
    config: PeftConfig
    if recipe.method == "full":
        return Adapted(base.requires_grad_(True), recipe.method)
    if recipe.method in ("lora", "dora"):
        config = LoraConfig(r=recipe.rank, use_dora=recipe.method == "dora", **common)
    elif recipe.method == "adalora":
        config = AdaLoraConfig(
            init_r=recipe.rank * 3 // 2,
            target_r=recipe.rank,
            total_step=max(steps, 10),
            tinit=steps // 10,
            tfinal=steps // 3,
            deltaT=10,
            **common,
        )
    else:
        raise DataUnusable(f"the recipe's method {recipe.method!r} is none of {', '.join(METHODS)}")
    adapted = _with_layers(base, recipe, config)
    if recipe.method == "lora":
        merge_in_weight_space(adapted)
    return Adapted(cast("nn.Module", adapted), recipe.method)


def _with_layers(base: nn.Module, recipe: Recipe, config: PeftConfig) -> PeftModel:
    """The encoder with layers of the adapter in it.

    Raises:
        DataUnusable: when there is no such layer, or it cannot be adapted.
    """
    layers = [name for name, module in base.named_modules() if isinstance(module, nn.Linear)]
    # peft is content when one of several names is found.
    lacking = [one for one in recipe.targets if not any(f".{name}".endswith(f".{one}") for name in layers)]
    try:
        if lacking:
            raise ValueError(f"it has no linear layer {', '.join(lacking)}")
        return cast("PeftModel", get_peft_model(cast("Any", base), config))
    except ValueError as error:
        known = ", ".join(sorted({name.rpartition(".")[2] for name in layers}))
        raise DataUnusable(
            f"the encoder cannot be adapted in the recipe's targets: {error}; name some of {known}"
        ) from error


def shaped_like(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe, with encoder, method and shape of a finished adapter, so that it can go on from there.

    Raises:
        AdapterMissing, AdapterDamaged: see `find_adapter`; also when its configuration cannot be understood.
    """
    settings = find_adapter(folder).settings
    shape = replace(recipe, encoder=settings.encoder, longest=settings.longest)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if config["peft_type"] == FULL:
            return replace(shape, method="full")
        shape = replace(shape, alpha=int(config["lora_alpha"]), targets=tuple(sorted(config["target_modules"])))
        if config["peft_type"] == "ADALORA":
            return replace(shape, method="adalora", rank=int(config["target_r"]))
        return replace(shape, method="dora" if config.get("use_dora") else "lora", rank=int(config["r"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AdapterDamaged(f"{folder / CONFIG} cannot be understood: {error}; restore it or train again") from error


def started_from(folder: Path, net: HeadlineNet) -> None:
    """Put the weights of a finished adapter in the place of random ones; heads that it lacks stay random.

    Raises:
        AdapterMissing: when there is none.
        AdapterDamaged: when its shapes are not those of this recipe.
    """
    from safetensors.torch import load_file

    find_adapter(folder)
    try:
        weights = load_file(str(folder / WEIGHTS))
        if isinstance(net.encoder, PeftModel):
            # peft passes over what it has no place for, such as DoRA's magnitudes in a plain LoRA.
            if strange := cast("Any", set_peft_model_state_dict(net.encoder, weights)).unexpected_keys:
                raise RuntimeError(f"it has no place for {strange[0]}")
        else:
            net.encoder.load_state_dict(weights)
        net.heads.load_state_dict(load_file(str(folder / HEADS)), strict=False)
    except RuntimeError as error:
        raise AdapterDamaged(
            f"the adapter in {folder} does not fit this recipe: {error}; start from one of the same encoder and rank"
        ) from error


def merge_in_weight_space(adapted: nn.Module) -> None:
    """Let every LoRA layer run one product with W + s·BA instead of three.

    The low-rank update is added to the weight, not to the activations: the same function and gradients, but
    on two CPU cores an epoch takes about a third of the time.
    """
    for layer in adapted.modules():
        if isinstance(layer, LoraLinear):
            layer.forward = _MergedForward(layer)  # type: ignore[method-assign]  # the one place where it is replaced


class _MergedForward:
    def __init__(self, layer: LoraLinear) -> None:
        self.layer = layer

    def __call__(self, x: Tensor) -> Tensor:
        down, up = cast("nn.Linear", self.layer.lora_A["default"]), cast("nn.Linear", self.layer.lora_B["default"])
        base = cast("nn.Linear", self.layer.get_base_layer())
        update = (up.weight @ down.weight) * self.layer.scaling["default"]
        return functional.linear(x, base.weight + update, base.bias)
