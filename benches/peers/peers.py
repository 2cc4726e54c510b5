"""Times one workload in one peer library (SpikingJelly or snnTorch), on the CPU or on a GPU."""

import argparse
import contextlib
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch
import torch._dynamo  # SpikingJelly loads it in its first forward pass: 150 MiB that no run needs
from torch import Tensor, nn

LEAK = 0.2
THRESHOLD = 0.5
# After average pooling the inputs are few distinct values, some exactly at 0.5.
POOL_THRESHOLD = 0.45
GAIN = 2.0
CLASSES = 10
ATAN = 2.0
WARM_UP = 3
RATE_BOUNDS = (0.02, 0.9)

# time steps, batch size, size
DEFAULTS = {
    "mlp": (30, 100, 800),
    "cnn": (10, 100, 300),
    "lif": (30, 100, 800),
    "onm": (500, 16, 512),
    "infer": (30, 1, 800),
    "zoo": (4, 16, None),
}

# A stage is a layer without state and the threshold of the LIF neurons after it.
Stage = tuple[nn.Module | None, float]


def mlp_stages(layers, size: int) -> list[Stage]:
    return [
        (layers.Linear(784, size), THRESHOLD),
        (layers.Linear(size, CLASSES), THRESHOLD),
    ]


def cnn_stages(layers, size: int) -> list[Stage]:
    return [
        (layers.Conv2d(1, 15, 5), THRESHOLD),
        (layers.AvgPool2d(2), POOL_THRESHOLD),
        (layers.Conv2d(15, 40, 5), THRESHOLD),
        (layers.AvgPool2d(2), POOL_THRESHOLD),
        (nn.Sequential(layers.Flatten(), layers.Linear(640, size)), THRESHOLD),
        (layers.Linear(size, CLASSES), THRESHOLD),
    ]


def lif_stages(layers, size: int) -> list[Stage]:
    return [(None, THRESHOLD)]


def onm_stages(layers, size: int) -> list[Stage]:
    return [(layers.Linear(size, size), THRESHOLD)]


STAGES = {
    "mlp": mlp_stages,
    "cnn": cnn_stages,
    "lif": lif_stages,
    "onm": onm_stages,
    "infer": mlp_stages,
}


class SpikingJelly:
    def __init__(self, workload: str, size: int, surrogate_name: str):
        from spikingjelly.activation_based import layer, neuron, surrogate

        # Its kernels for GPUs have no rectangle: with one they fall back on PyTorch.
        curve = {"rectangular": surrogate.Rect, "atan": surrogate.ATan}[surrogate_name]
        alpha = {"rectangular": 1.0, "atan": ATAN}[surrogate_name]

        def lif(threshold: float) -> nn.Module:
            return neuron.LIFNode(
                tau=1.0 / (1.0 - LEAK),
                decay_input=False,
                v_threshold=threshold,
                v_reset=0.0,
                surrogate_function=curve(alpha=alpha),
                detach_reset=False,
                store_v_seq=False,
            )

        # Multi-step layers fold time into the batch, as SeqToANNContainer does.
        modules: list[nn.Module] = []
        for op, threshold in STAGES[workload](layer, size):
            modules += [] if op is None else [op]
            modules.append(lif(threshold))
        self.prepare(nn.Sequential(*modules), "s" if workload == "infer" else "m")

    @classmethod
    def of_zoo(cls, preset: str, classes: int, image: tuple[int, int, int], width: int | None):
        import zoo

        library = cls.__new__(cls)
        library.prepare(zoo.NETWORKS[preset](classes, image, width), "m")
        return library

    def prepare(self, net: nn.Module, step_mode: str) -> None:
        from spikingjelly.activation_based import functional, neuron

        self.net = net
        self.implementation = lambda device: functional.neuron_implementation("lif", device)
        self.reset = functional.reset_net
        self.neurons = [m for m in net.modules() if isinstance(m, neuron.BaseNode)]
        functional.set_step_mode(net, step_mode)

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.net(x)
        self.reset(self.net)
        return spikes

    def infer(self, x: Tensor) -> Tensor:
        self.reset(self.net)
        count = self.net(x[0])
        for step in x[1:]:
            count = count + self.net(step)
        return count / len(x)


class Step(torch.autograd.Function):
    """A step; its derivative is that of a subclass."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)


class Rectangle(Step):
    """A step with a rectangle of width 1 and height 1 as its derivative."""

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * (x.abs() < 0.5)


class ArcTangent(Step):
    """A step with the derivative of an arc tangent."""

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * (ATAN / 2) / (1 + (math.pi / 2 * ATAN * x).square())


class SnnTorch:
    def __init__(self, workload: str, size: int, surrogate_name: str):
        import snntorch

        curve = {"rectangular": Rectangle, "atan": ArcTangent}[surrogate_name]

        self.per_step = workload == "cnn"
        self.ops: list[nn.Module | None] = []
        self.neurons: list[nn.Module] = []
        for op, threshold in STAGES[workload](nn, size):
            self.ops.append(op)
            # With reset_delay=False the gradient flows through the reset.
            self.neurons.append(
                snntorch.Leaky(
                    beta=LEAK,
                    threshold=threshold,
                    spike_grad=curve.apply,
                    reset_mechanism="zero",
                    reset_delay=False,
                )
            )
        self.net = nn.ModuleList([op for op in self.ops if op is not None] + self.neurons)

    def forward(self, x: Tensor) -> Tensor:
        # Of the two loops the faster: layer by layer but for `cnn`, where it is step by step.
        spikes = self.by_step(x) if self.per_step else self.by_layer(x)
        for lif in self.neurons:
            lif.reset_mem()  # lets go of the graph
        return spikes

    def by_layer(self, x: Tensor) -> Tensor:
        for op, lif in zip(self.ops, self.neurons):
            if op is not None:
                x = op(x.flatten(0, 1)).unflatten(0, x.shape[:2])
            mem = lif.reset_mem()
            spikes = []
            for step in x:
                spike, mem = lif(step, mem)
                spikes.append(spike)
            x = torch.stack(spikes)
        return x

    def by_step(self, x: Tensor) -> Tensor:
        mems = [lif.reset_mem() for lif in self.neurons]
        outputs = []
        for step in x:
            for i, (op, lif) in enumerate(zip(self.ops, self.neurons)):
                step, mems[i] = lif(step if op is None else op(step), mems[i])
            outputs.append(step)
        return torch.stack(outputs)

    def infer(self, x: Tensor) -> Tensor:
        mems = [lif.reset_mem() for lif in self.neurons]
        count = torch.zeros(x.shape[1], CLASSES, device=x.device)
        for step in x:
            for i, (op, lif) in enumerate(zip(self.ops, self.neurons)):
                step, mems[i] = lif(op(step), mems[i])
            count = count + step
        return count / len(x)


DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
LIBRARIES = {"spikingjelly": SpikingJelly, "snntorch": SnnTorch}


def scale_weights(net: nn.Module) -> None:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(GAIN)


def make_input(args: argparse.Namespace, steps: int, batch: int, size: int) -> Tensor:
    if args.workload == "lif":
        return torch.empty(steps, batch, size).normal_(0.2, 0.5).requires_grad_()
    shapes = {"cnn": (1, 28, 28), "onm": (size,), "zoo": args.image}
    density = args.density or (0.5 if args.workload == "zoo" else 0.13)
    shape = shapes.get(args.workload, (784,))
    return torch.empty(steps, batch, *shape).bernoulli_(density)


def make_target(workload: str, batch: int, size: int, classes: int) -> Tensor:
    if workload in ("lif", "onm"):
        return torch.full((batch, size), 0.5)
    labels = torch.randint(classes, (batch,))
    return nn.functional.one_hot(labels, classes).float()


def cross_entropy(outputs: Tensor, target: Tensor) -> Tensor:
    """Of the mean over time, which some models take themselves."""
    mean = outputs if outputs.dim() == 2 else outputs.mean(0)
    return nn.functional.cross_entropy(mean, target)


def stbp_loss(spikes: Tensor, target: Tensor) -> Tensor:
    return 0.5 * (target - spikes.mean(0)).square().sum(1).mean()


@contextlib.contextmanager
def firing_rates(neurons: list[nn.Module]) -> Iterator[list[float]]:
    """Fills the list that it gives with one rate per layer when the block ends."""
    counts = [[0.0, 0] for _ in neurons]
    rates: list[float] = []

    def hook(count):
        def add(_module, _inputs, output):
            spikes = output[0] if isinstance(output, tuple) else output
            count[0] += spikes.detach().sum().item()
            count[1] += spikes.numel()

        return add

    handles = [n.register_forward_hook(hook(c)) for n, c in zip(neurons, counts)]
    yield rates
    for handle in handles:
        handle.remove()
    rates += [spikes / total for spikes, total in counts]


def memory_mib() -> tuple[float, float]:
    """Resident set size now and at its peak."""
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    now, peak = (int(fields[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))
    return now, peak


def reset_memory_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")


def finish(device: torch.device) -> None:
    """Waits until the device has done all of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(iteration: Callable[[], object], runs: int, device: torch.device) -> list[float]:
    """Minimum and median in milliseconds."""
    times = []
    for _ in range(runs):
        finish(device)
        start = time.perf_counter()
        result = iteration()
        finish(device)
        times.append((time.perf_counter() - start) * 1e3)
        del result
    return [round(min(times), 4), round(statistics.median(times), 4)]


def check_implementation(library, device: torch.device, wanted: str) -> str | None:
    """Which of its implementations a library runs on a device; it ends the program unless it is the one that is wanted."""
    if not isinstance(library, SpikingJelly):
        return None
    found = library.implementation(device)
    name = str(found["implementation"])
    if device.type == "cuda" and wanted != "auto" and not name.startswith(wanted):
        sys.exit(f"error: not {wanted} but {name} would run: {found['unavailable']}")
    return name


def check_rates(rates: list[float], workload: str) -> None:
    low, high = RATE_BOUNDS
    if workload == "zoo":
        low = 0.0  # in a deep network some layers may be silent; the gradients tell whether it lives
    if not all(low <= rate <= high for rate in rates):
        sys.exit(f"error: a firing rate is outside {low}..{high}: {rates}")


def check_gradients(named: list[tuple[str, Tensor]]) -> None:
    for name, parameter in named:
        if parameter.grad is None or not parameter.grad.any():
            sys.exit(f"error: the gradient of {name} is zero throughout")


def run(args: argparse.Namespace) -> dict:
    steps, batch, size = (
        default if given is None else given
        for given, default in zip(
            (args.time_steps, args.batch_size, args.size), DEFAULTS[args.workload]
        )
    )
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(args.seed)

    device = torch.device(args.device)
    dtype = DTYPES[args.dtype]
    zoo = args.workload == "zoo"
    if zoo:
        library = SpikingJelly.of_zoo(args.preset, args.classes, args.image, args.size)
        if args.threshold is not None:
            # Those of attention have another.
            for node in library.neurons:
                node.v_threshold = args.threshold if node.v_threshold == 1.0 else node.v_threshold
    else:
        library = LIBRARIES[args.library](args.workload, size, args.surrogate)
        scale_weights(library.net)
    library.net.to(device)
    # Drawn on the CPU, so that they are the same everywhere.
    x = make_input(args, steps, batch, size)
    x = x.detach().to(device, dtype).requires_grad_(x.requires_grad)
    target = make_target(args.workload, batch, size, args.classes).to(device, dtype)
    loss = cross_entropy if zoo else stbp_loss
    parameters = list(library.net.parameters())
    optimizer = torch.optim.SGD(parameters, lr=1e-3) if parameters else None

    def train_step() -> None:
        loss(library.forward(x), target).backward()
        if optimizer is None:
            x.grad = None
        else:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def first_train_step() -> None:
        loss(library.forward(x), target).backward()
        check_gradients(list(library.net.named_parameters()) or [("the input", x)])
        library.net.zero_grad(set_to_none=True)
        x.grad = None

    @torch.inference_mode()
    def infer() -> Tensor:
        return library.forward(x) if zoo else library.infer(x)

    implementation = check_implementation(library, device, args.implementation)

    reset_memory_peak()
    before, _ = memory_mib()

    inference = args.workload == "infer" or args.infer
    if args.infer:
        # The statistics of one batch: in those of many, each with a part of the first ones, deep networks are silent.
        for module in library.net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = 1.0
        with torch.no_grad():
            library.forward(x)
        library.net.eval()
    if args.compile:
        library.net = torch.compile(library.net)
    with firing_rates(library.neurons) as rates:
        infer() if inference else first_train_step()
    check_rates(rates, args.workload)

    def measure(iteration: Callable[[], object]) -> list[float]:
        for _ in range(WARM_UP):
            iteration()
        return timed(iteration, args.runs, device)

    step_ms = measure(infer if inference else train_step)
    fwd_ms = step_ms if inference else measure(lambda: library.forward(x))

    _, peak = memory_mib()
    on_gpu = device.type == "cuda"
    held = torch.cuda.max_memory_reserved(device) / 2**20 if on_gpu else None
    bandwidth = None
    if args.workload == "lif":
        copy_ms = measure(lambda: x.detach() + 1.0)
        moved = 2 * x.numel() * x.element_size()
        bandwidth = {
            "forward": round(moved / fwd_ms[0] / 1e6, 2),
            "copy": round(moved / copy_ms[0] / 1e6, 2),
        }
    return {
        "library": args.library,
        "implementation": implementation,
        "workload": args.workload,
        "preset": args.preset,
        "parameters": sum(p.numel() for p in parameters),
        "time_steps": steps,
        "batch_size": batch,
        "size": size,
        "fwd_ms": fwd_ms,
        "step_ms": step_ms,
        "samples_per_s": round(batch / step_ms[1] * 1e3, 2),
        "peak_rss_mib": round(peak, 2),
        "rss_growth_mib": round(peak - before, 2),
        "device_mib": held and round(held, 2),
        "bandwidth": bandwidth,
        "firing_rates": [round(rate, 4) for rate in rates],
        "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("workload", choices=[*STAGES, "zoo"])
    parser.add_argument("--time-steps", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--preset", help="the network of `zoo`")
    parser.add_argument(
        "--image",
        type=lambda text: tuple(int(size) for size in text.split(",")),
        default=(3, 32, 32),
        help="channels, height and width of the images of `zoo`",
    )
    parser.add_argument("--classes", type=int, default=CLASSES, help="of `zoo`")
    parser.add_argument(
        "--threshold", type=float, help="of the neurons of `zoo`, other than those of attention"
    )
    parser.add_argument("--infer", action="store_true", help="`zoo` without gradients")
    parser.add_argument("--compile", action="store_true", help="`zoo` by torch.compile")
    parser.add_argument("--density", type=float, help="0.13, but for `zoo` 0.5")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda with a number after a colon")
    parser.add_argument("--dtype", choices=DTYPES, default="f32", help="of `lif`")
    parser.add_argument("--surrogate", choices=("rectangular", "atan"), default="rectangular")
    parser.add_argument(
        "--implementation",
        choices=("auto", "torch", "cuda", "triton"),
        default="auto",
        help="of SpikingJelly's neurons on a GPU",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    args = parser.parse_args()
    if args.dtype != "f32" and args.workload != "lif":
        parser.error("--dtype is for lif")
    # It reads this when it is imported.
    os.environ["SJ_LIF_CUDA_IMPLEMENTATION"] = args.implementation
    result = run(args)
    if args.json:
        print(json.dumps(result))
        return
    rates = ", ".join(f"{rate:.3f}" for rate in result["firing_rates"])
    print(
        f"{args.library} {args.preset or args.workload}"
        f" (T {result['time_steps']}, B {result['batch_size']}, size {result['size']}):"
        f" forward {result['fwd_ms'][1]:.2f} ms, step {result['step_ms'][1]:.2f} ms,"
        f" memory +{result['rss_growth_mib']:.0f} MiB, rates {rates}"
    )


if __name__ == "__main__":
    main()
