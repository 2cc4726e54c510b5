"""Networks of the zoo in SpikingJelly: its own models, or twins of its layers where it has none."""

from collections.abc import Callable

import torch
from spikingjelly.activation_based import layer, neuron, surrogate
from spikingjelly.activation_based.model import (
    ms_resnet,
    parametric_lif_net,
    qkformer,
    sew_resnet,
    spike_driven_transformer,
    spikformer,
)
from torch import Tensor, nn

# Classes and channels, height and width of an image.
Build = Callable[[int, tuple[int, int, int], int | None], nn.Module]


def spiking(**options) -> Callable[[], nn.Module]:
    """A factory of `LIFNode`s with an arc tangent and a detached reset."""
    options = {"surrogate_function": surrogate.ATan(), "detach_reset": True, **options}
    return lambda: neuron.LIFNode(**options)


def awake(linear: nn.Linear) -> nn.Linear:
    """With weights drawn as Synfire's are: with PyTorch's the neurons of a linear layer would be silent."""
    bound = 4 / linear.in_features**0.5
    for parameter in linear.parameters():
        nn.init.uniform_(parameter, -bound, bound)
    return linear


def sew_resnet18(classes: int, image: tuple[int, int, int], width: int | None) -> nn.Module:
    return sew_resnet.sew_resnet18(
        cnf="ADD",
        spiking_neuron=neuron.IFNode,
        num_classes=classes,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
    )


def ms_resnet18(classes: int, image: tuple[int, int, int], width: int | None) -> nn.Module:
    net = ms_resnet.MSResNet(
        in_channels=image[0], num_classes=classes, base_channels=width or 64, stem_kernel_size=7
    )
    # They start at 0, so that the branch of a block would add nothing and its weights would get no gradient.
    for module in net.modules():
        if isinstance(module, ms_resnet._MSBlock):
            nn.init.constant_(module.bn2.weight, module.bn_weight)
    return net


def vgg(
    stages: list[list[int]],
    pool: Callable[[], nn.Module],
    node: Callable[[], nn.Module],
    hidden: list[int],
    dropout: float,
) -> Build:
    def build(classes: int, image: tuple[int, int, int], width: int | None) -> nn.Module:
        channels, height, rest = image
        modules: list[nn.Module] = []
        for stage in stages:
            for outputs in stage:
                modules += [
                    layer.Conv2d(channels, outputs, 3, padding=1),
                    layer.BatchNorm2d(outputs),
                    node(),
                ]
                channels = outputs
            modules.append(pool())
            height, rest = height // 2, rest // 2
        modules.append(layer.Flatten())
        inputs = channels * height * rest
        for outputs in hidden:
            modules += [awake(layer.Linear(inputs, outputs)), node(), layer.Dropout(dropout)]
            inputs = outputs
        return nn.Sequential(*modules, layer.Linear(inputs, classes))

    return build


def plif(model: Callable) -> Build:
    def build(classes: int, image: tuple[int, int, int], width: int | None) -> nn.Module:
        net = model(
            channels=width or 128,
            spiking_neuron=neuron.ParametricLIFNode,
            init_tau=2.0,
            surrogate_function=surrogate.ATan(),
            detach_reset=True,
        )
        for module in net.modules():
            if isinstance(module, nn.Linear):
                awake(module)
        return net

    return build


class TdBlock(nn.Module):
    """Two convolutions, normalised to the threshold; both branches are added before the last neurons."""

    def __init__(self, inputs: int, outputs: int, stride: int, node, norm):
        super().__init__()
        self.first = nn.Sequential(
            layer.Conv2d(inputs, outputs, 3, stride, 1, bias=False), norm(outputs, 1.0), node()
        )
        self.second = nn.Sequential(
            layer.Conv2d(outputs, outputs, 3, padding=1, bias=False), norm(outputs, 0.5**0.5)
        )
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                layer.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs, 0.5**0.5)
            )
        self.node = node()

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.shortcut is None else self.shortcut(x)
        return self.node(self.second(self.first(x)) + residual)


def td_resnet19(classes: int, image: tuple[int, int, int], width: int | None) -> nn.Module:
    threshold = 0.5
    node = spiking(
        tau=4.0 / 3.0,
        decay_input=False,
        v_threshold=threshold,
        surrogate_function=surrogate.Rect(),
        detach_reset=False,
    )

    def norm(channels: int, scale: float) -> nn.Module:
        module = layer.BatchNorm2d(channels)
        nn.init.constant_(module.weight, scale * threshold)
        return module

    width = width or 128
    modules = [layer.Conv2d(image[0], width, 3, padding=1, bias=False), norm(width, 1.0), node()]
    inputs = width
    for stage, blocks in enumerate([3, 3, 2]):
        for block in range(blocks):
            outputs, stride = width * 2**stage, 2 if stage > 0 and block == 0 else 1
            modules.append(TdBlock(inputs, outputs, stride, node, norm))
            inputs = outputs
    modules += [layer.AdaptiveAvgPool2d(1), layer.Flatten()]
    modules += [awake(layer.Linear(inputs, 256)), node(), layer.Linear(256, classes)]
    return nn.Sequential(*modules)


def transformer(model: Callable, **options) -> Build:
    def build(classes: int, image: tuple[int, int, int], width: int | None) -> nn.Module:
        net = model(in_channels=image[0], num_classes=classes, detach_reset=True, **options)
        if model is spikformer.Spikformer:
            # The paper's biases before normalisations, which SpikingJelly leaves out.
            for block in net.blocks:
                for conv in (block.attn.proj_conv_bn[0], block.mlp.fc1[0], block.mlp.fc2[0]):
                    conv.bias = nn.Parameter(torch.zeros(conv.out_channels))
        return net

    return build


NETWORKS: dict[str, Build] = {
    "spikformer-4-384": transformer(
        spikformer.Spikformer,
        img_size_h=32,
        img_size_w=32,
        patch_size=4,
        embed_dims=384,
        num_heads=12,
        depths=4,
    ),
    "qkformer-10-384": transformer(qkformer.QKFormer, num_heads=(6, 6, 6)),
    "spike-driven-transformer-2-512": transformer(
        spike_driven_transformer.SpikeDrivenTransformer,
        embed_dims=512,
        depths=2,
        pooling_stat="0011",
    ),
    "sew-resnet18": sew_resnet18,
    "ms-resnet18": ms_resnet18,
    "td-resnet19": td_resnet19,
    "vgg9": vgg(
        [[64, 64], [128, 128], [256, 256, 256]],
        lambda: layer.MaxPool2d(2),
        spiking(),
        [1024],
        0.5,
    ),
    "vggsnn": vgg(
        [[64, 128], [256, 256], [512, 512], [512, 512]],
        lambda: layer.AvgPool2d(2),
        spiking(decay_input=False),
        [],
        0.0,
    ),
    "plif-fashion-mnist": plif(parametric_lif_net.FashionMNISTNet),
    "plif-dvs-gesture": plif(parametric_lif_net.DVSGestureNet),
}
