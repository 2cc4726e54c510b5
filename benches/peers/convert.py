"""Converts a network of rectifiers with SpikingJelly, for the table of docs/conversion.md.

    cargo run --release --example conversion -- --run RUN --samples /tmp/samples.safetensors
    python convert.py --run RUN --samples /tmp/samples.safetensors --figures docs/results/conversion.json

The network is a `spiking-vgg` of `relu` neurons. Both libraries get the same weights, training and test samples.
"""

import argparse
import json
import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from spikingjelly.activation_based import functional
from spikingjelly.activation_based.ann2snn import Converter
from spikingjelly.activation_based.ann2snn.recipes import LocalThresholdBalancingRecipe, RateCodingRecipe
from torch import nn

TIME_STEPS = [4, 8, 16, 32]
# All samples are one batch where of several a moving average would be taken; balancing adjusts thresholds batch by batch.
METHODS = {
    "SpikingJelly, maximum": lambda data: RateCodingRecipe([data], mode="Max"),
    "SpikingJelly, percentile 99.9": lambda data: RateCodingRecipe([data], mode="99.9%"),
    "SpikingJelly, percentile 99.9 of channels, half a threshold": lambda data: RateCodingRecipe(
        [data], mode="99.9%", channel_wise=True, half_threshold=True
    ),
    "SpikingJelly, local threshold balancing": lambda data: LocalThresholdBalancingRecipe(data.split(10)),
}


def network(config: dict, weights: dict) -> nn.Module:
    """The same network in PyTorch."""
    layers, channels = [], config["image"][0]
    for stage in config["stages"]:
        for outputs in stage:
            layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
            channels = outputs
        layers.append(nn.AvgPool2d(2) if config["pooling"] == "average" else nn.MaxPool2d(2))
    layers.append(nn.Flatten())
    size = [side >> len(config["stages"]) for side in config["image"][1:]]
    inputs = channels * math.prod(size)
    for outputs in config["hidden"]:
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        inputs = outputs
    layers.append(nn.Linear(inputs, config["classes"]))
    net = nn.Sequential(*layers)
    load(net, weights)
    return net.eval()


def load(net: nn.Sequential, weights: dict) -> None:
    """Copies all tensors of the file."""
    convs = [layer for layer in net if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in net if isinstance(layer, nn.BatchNorm2d)]
    linear = [layer for layer in net if isinstance(layer, nn.Linear)]
    state = {}
    for i, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
        state[conv.weight] = weights.pop(f"features.{i}.conv.weight")
        state[conv.bias] = weights.pop(f"features.{i}.conv.bias")
        names = {"gamma": norm.weight, "beta": norm.bias, "running_mean": norm.running_mean, "running_var": norm.running_var}
        for name, tensor in names.items():
            state[tensor] = weights.pop(f"features.{i}.norm.norm.{name}")
    for i, layer in enumerate(linear):
        state[layer.weight] = weights.pop(f"classifier.layers.{i}.weight").T
        state[layer.bias] = weights.pop(f"classifier.layers.{i}.bias")
    if weights:
        raise ValueError(f"not of this network: {sorted(weights)}")
    with torch.no_grad():
        for tensor, values in state.items():
            tensor.copy_(values)


@torch.no_grad()
def accuracy(net: nn.Module, images: torch.Tensor, labels: torch.Tensor, time_steps: int) -> dict[int, float]:
    """Accuracies of the sum of the outputs, by time steps."""
    correct = dict.fromkeys(TIME_STEPS if time_steps > 1 else [1], 0)
    for start in range(0, len(images), 200):
        batch, of = images[start : start + 200], labels[start : start + 200]
        functional.reset_net(net)
        outputs = 0
        for step in range(1, time_steps + 1):
            outputs = outputs + net(batch)
            if step in correct:
                correct[step] += (outputs.argmax(1) == of).sum().item()
    return {steps: count / len(images) for steps, count in correct.items()}


def network_of(report: dict, options: argparse.Namespace) -> nn.Module:
    return network(report["config"]["network"], load_file(options.run / "model.safetensors"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--only", help="methods with this in their name")
    options = parser.parse_args()
    report = json.loads((options.run / "report.json").read_text())
    samples = load_file(options.samples)
    images, labels, training = samples["test"], samples["test labels"], samples["training"]
    net = network_of(report, options)
    found = accuracy(net, images, labels, 1)[1]
    print(f"rectifiers: {found}, in the report {report['test_accuracy']}")
    if abs(found - report["test_accuracy"]) > 0.0005:
        raise ValueError("this is another network")
    figures = json.loads(options.figures.read_text())
    name = f"relu, {report['config']['preset']}-{report['dataset']}"
    for method, recipe in METHODS.items():
        if options.only and options.only not in method:
            continue
        spiking = Converter(recipe(training), device="cpu").convert(network_of(report, options))
        row = accuracy(spiking.eval(), images, labels, TIME_STEPS[-1])
        print(method, row)
        figures[name]["spikes"][method] = row
    options.figures.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
