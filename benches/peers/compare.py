"""Compares Synfire with SpikingJelly and snnTorch on the CPU or a GPU and prints a Markdown table."""

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
REQUIREMENTS = HERE / "requirements.txt"
PEERS = {"spikingjelly": "SpikingJelly", "snntorch": "snnTorch"}
# On an NVIDIA GPU SpikingJelly has its neurons in three ways.
GPU_PEERS = {
    "spikingjelly cuda": "SpikingJelly, CUDA",
    "spikingjelly triton": "SpikingJelly, Triton",
    "spikingjelly torch": "SpikingJelly, PyTorch",
}
# Below this a growth of memory is mostly allocator noise, and so is a ratio of it.
LEAST_GROWTH_MIB = 1.0


# The mean firing rate of a network may differ by so much between libraries: their weights are not the same.
RATES_DIFFER = 0.15


@dataclass(frozen=True)
class Case:
    workload: str
    title: str
    options: dict[str, int | str | bool] = field(default_factory=dict)

    def peers(self, all_peers: dict[str, str]) -> dict[str, str]:
        """Those that have the workload: only SpikingJelly has deep networks."""
        if self.workload != "zoo":
            return all_peers
        return {name: title for name, title in all_peers.items() if name == "spikingjelly"}

    def arguments(self, runs: int | None) -> list[str]:
        options = dict(self.options)
        if runs is not None:
            options["runs"] = runs
        arguments = []
        for option, value in options.items():
            arguments += [f"--{option}"] if value is True else [f"--{option}", str(value)]
        return arguments


def zoo_case(
    preset: str, image: str, steps: int, batch: int, infer: bool = False, **options: float
) -> Case:
    title = f"{preset} (T {steps}, B {batch}, {image.replace(',', 'x')})"
    sizes = {"preset": preset, "image": image, "time-steps": steps, "batch-size": batch}
    if infer:
        options["infer"] = True
        title += ", inference"
    return Case("zoo", title, {**sizes, "classes": 10, "runs": 7, **options})


# Preset, image, time steps and batch size of a training step.
DEEP = [
    ("sew-resnet18", "3,64,64", 4, 8),
    ("ms-resnet18", "3,64,64", 4, 8),
    ("td-resnet19", "3,32,32", 4, 8),
    ("vgg9", "3,32,32", 4, 16),
    ("vggsnn", "2,48,48", 10, 8),
    ("plif-fashion-mnist", "1,28,28", 8, 16),
    ("plif-dvs-gesture", "2,128,128", 10, 2),
    ("spikformer-4-384", "3,32,32", 4, 8),
    ("qkformer-10-384", "3,128,128", 4, 4),
    ("spike-driven-transformer-2-512", "3,32,32", 4, 8),
]
# With random weights and their own threshold, 1, attention hardly fires.
THRESHOLDS = {
    "spikformer-4-384": 0.6,
    "qkformer-10-384": 0.8,
    "spike-driven-transformer-2-512": 0.6,
}


def deep_cases() -> dict[str, Case]:
    cases = {}
    for preset, image, steps, batch in DEEP:
        # The narrow one.
        options = {"size": 64} if preset == "td-resnet19" else {}
        # Its classes have ten voters each, of 110.
        if preset == "plif-dvs-gesture":
            options["classes"] = 11
        if preset in THRESHOLDS:
            options["threshold"] = THRESHOLDS[preset]
        cases[preset] = zoo_case(preset, image, steps, batch, **options)
        for batch in (16, 1):
            case = zoo_case(preset, image, steps, batch, infer=True, **options)
            cases[f"{preset}-infer-{batch}"] = case
    large = zoo_case("sew-resnet18", "3,224,224", 4, 2)
    return {**cases, "sew-resnet18-224": large}


def gpu_lif(exponent: int, dtype: str) -> Case:
    options = {"time-steps": 32, "batch-size": 1, "size": 2**exponent, "dtype": dtype}
    return Case("lif", f"lif (T 32, 2^{exponent} neurons, {dtype})", options)


GPU_CASES = {
    **{
        f"lif-{exponent}-{dtype}": gpu_lif(exponent, dtype)
        for exponent in (20, 22, 24)
        for dtype in ("f32", "f16")
    },
    "mlp": Case("mlp", "mlp (T 30, B 100)"),
    "cnn": Case("cnn", "cnn (T 10, B 100)"),
    **{
        f"onm-{size}": Case("onm", f"onm (T 500, B 16, size {size})", {"size": size})
        for size in (4096, 8192, 16384)
    },
}
CASES = {
    "mlp": Case("mlp", "mlp (T 30, B 100)"),
    "cnn": Case("cnn", "cnn (T 10, B 100)"),
    "cnn-t20": Case("cnn", "cnn (T 20, B 100)", {"time-steps": 20}),
    "cnn-t40": Case("cnn", "cnn (T 40, B 100)", {"time-steps": 40}),
    "lif": Case("lif", "lif (T 30, B 100, size 800)"),
    "lif-6400": Case(
        "lif", "lif (T 15, B 100, size 6400)", {"time-steps": 15, "size": 6400}
    ),
    "onm": Case("onm", "onm (T 500, B 16, size 512)"),
    "infer": Case("infer", "infer (T 30, B 1)"),
    **deep_cases(),
}


def call(command: list[str], **options) -> str:
    """Runs a command and returns what it prints; a failure ends the program."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )
    except OSError as error:
        sys.exit(f"error: cannot run {shlex.join(command)}: {error}")
    if done.returncode != 0:
        sys.exit(
            f"error: {shlex.join(command)} ended with {done.returncode}:\n{done.stderr}"
        )
    return done.stdout


def required_versions() -> dict[str, str]:
    lines = REQUIREMENTS.read_text().split()
    return dict(line.split("==") for line in lines)


def installed_versions(python: Path) -> dict[str, str]:
    code = (
        "import importlib.metadata as m, json, sys\n"
        "print(json.dumps({d.metadata['Name'].lower(): d.version"
        " for d in m.distributions()}))"
    )
    return json.loads(call([str(python), "-c", code]))


def prepare_venv(folder: Path) -> tuple[Path, dict[str, str]]:
    """Makes the virtual environment where it is missing or does not meet the requirements."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        print(f"making {folder}", file=sys.stderr)
        call([sys.executable, "-m", "venv", str(folder)])
    required = required_versions()

    def found() -> dict[str, str]:
        installed = installed_versions(python)
        return {name: installed.get(name, "") for name in required}

    def met(versions: dict[str, str]) -> bool:
        # A local part as in 2.15.0+cpu names a build of the same version.
        return all(versions[n].split("+")[0] == v for n, v in required.items())

    versions = found()
    if not met(versions):
        print("installing the requirements", file=sys.stderr)
        call([str(python), "-m", "pip", "install", "-r", str(REQUIREMENTS)])
        versions = found()
    return python, versions


def build_synfire(features: str) -> list[str]:
    print("building synfire-bench", file=sys.stderr)
    build = ["cargo", "build", "--release", "-p", "synfire-bench"]
    call([*build, "--features", features], cwd=ROOT)
    metadata = call(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=ROOT
    )
    target = Path(json.loads(metadata)["target_directory"])
    suffix = ".exe" if os.name == "nt" else ""
    return [str(target / "release" / f"synfire-bench{suffix}")]


def synfire_revision() -> str | None:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    except OSError:
        return None
    return done.stdout.strip() or None


def cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def run_one(command: list[str], library: str) -> dict:
    output = call(command, cwd=ROOT).strip()
    try:
        line = json.loads(output)
        line["step_ms"][1], line["rss_growth_mib"], line["device_mib"]
    except (ValueError, LookupError, TypeError):
        sys.exit(
            f"error: {shlex.join(command)} did not print the expected line, but:\n{output}"
        )
    return {**line, "library": library}


def write(path: Path | None, text: str) -> None:
    """Writes under another name first, so that a reader never sees half a file."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def check_equal(lines: list[dict]) -> None:
    """A network of the zoo is the same in all libraries: as many parameters, and about as many spikes."""
    counts = {line["library"]: line["parameters"] for line in lines}
    rates = {line["library"]: statistics.mean(line["firing_rates"]) for line in lines}
    if len(set(counts.values())) > 1:
        sys.exit(f"error: the numbers of parameters differ: {counts}")
    if max(rates.values()) > (1 + RATES_DIFFER) * min(rates.values()):
        sys.exit(f"error: the firing rates differ: {rates}")


def run_all(args: argparse.Namespace) -> dict:
    python, versions = prepare_venv(args.venv)
    on_gpu = args.device != "cpu"
    features = "cuda,autotune" if on_gpu else "flex"
    synfire = shlex.split(args.synfire) if args.synfire else build_synfire(features)
    commands = {"synfire": synfire}
    for peer in GPU_PEERS if on_gpu else PEERS:
        name, *implementation = peer.split()
        commands[peer] = [str(python), str(HERE / "peers.py"), name]
        for which in implementation:
            commands[peer] += ["--implementation", which]
    # The peers' kernels for GPUs have no rectangle.
    common = ["--device", args.device, "--surrogate", "atan"] if on_gpu else []
    python_version = call([str(python), "-c", "import platform as p; print(p.python_version())"])
    report = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "device": args.device,
        "threads": args.threads,
        "rounds": args.rounds,
        "versions": {
            "python": python_version.strip(),
            **versions,
            "synfire": synfire_revision(),
        },
        "results": [],
    }
    for name in args.cases:
        case = (GPU_CASES if on_gpu else CASES)[name]
        arguments = case.arguments(args.runs)
        options = ["--threads", str(args.threads), "--json", *common, *arguments]
        for round_number in range(args.rounds):
            lines = []
            for library in ("synfire", *case.peers(GPU_PEERS if on_gpu else PEERS)):
                command = commands[library]
                line = run_one([*command, case.workload, *options], library)
                lines.append(line)
                report["results"].append({"case": name, "round": round_number, **line})
                print(
                    f"{name}, round {round_number + 1} of {args.rounds}, {library}:"
                    f" {line['step_ms'][1]:.2f} ms",
                    file=sys.stderr,
                )
            if case.workload == "zoo":
                check_equal(lines)
        write(args.out, json.dumps(report, indent=1) + "\n")
    return report


def one_report(paths: list[Path]) -> dict:
    """The reports of several runs as one, if machine and peers were the same."""
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    def same(report: dict) -> dict:
        versions = {n: v for n, v in report["versions"].items() if n != "synfire"}
        return {key: report.get(key) for key in ("cpu", "device", "threads")} | versions

    first, *others = reports
    for path, other in zip(paths[1:], others):
        if same(other) != same(first):
            sys.exit(f"error: {path} has {same(other)}, but {paths[0]} {same(first)}")
    rounds = sorted({report["rounds"] for report in reports})
    results = [line for report in reports for line in report["results"]]
    return {**first, "rounds": " or ".join(map(str, rounds)), "results": results}


def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def table(report: dict) -> str:
    versions = report["versions"]
    on_gpu = report.get("device", "cpu") != "cpu"
    peers = GPU_PEERS if on_gpu else PEERS
    # Of a GPU: what its allocator holds.
    memory = "device_mib" if on_gpu else "rss_growth_mib"
    head = ["Case", "Synfire", *peers.values(), "Time: faster peer / Synfire"]
    if not on_gpu:
        head += ["Time: SpikingJelly / Synfire"]
    head += ["Memory: leaner peer / Synfire"]
    rows = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for name, case in (GPU_CASES if on_gpu else CASES).items():
        lines = [line for line in report["results"] if line["case"] == name]
        if not lines:
            continue
        ms, mib, copied = {}, {}, {}
        own_peers = case.peers(peers)
        for library in ("synfire", *own_peers):
            own = [line for line in lines if line["library"] == library]
            ms[library] = statistics.median(line["step_ms"][1] for line in own)
            mib[library] = statistics.median(line[memory] or 0.0 for line in own)
            parts = [line["bandwidth"] for line in own if line.get("bandwidth")]
            if on_gpu and parts:
                part = statistics.median(part["forward"] / part["copy"] for part in parts)
                copied[library] = f", forward at {100 * part:.0f} % of a copy"
        leaner = (
            f"{min(mib[peer] for peer in own_peers) / mib['synfire']:.2f}"
            if mib["synfire"] >= LEAST_GROWTH_MIB
            else "–"
        )
        sign = "" if on_gpu else "+"
        cells = [
            case.title,
            *(
                f"{number(ms[library])} ms, {sign}{mib[library]:.0f} MiB"
                f"{copied.get(library, '')}"
                if library in ms
                else "–"
                for library in ("synfire", *peers)
            ),
            f"{min(ms[peer] for peer in own_peers) / ms['synfire']:.2f}",
        ]
        if not on_gpu:
            cells += [f"{ms['spikingjelly'] / ms['synfire']:.2f}"]
        rows.append(f"| {' | '.join([*cells, leaner])} |")
    names = {"spikingjelly": "SpikingJelly", "snntorch": "snnTorch", "torch": "PyTorch"}
    libraries = ", ".join(f"{title} {versions[key]}" for key, title in names.items())
    where = f"{report['cpu']}, {report['threads']} threads"
    if on_gpu and report["results"]:
        devices = (line["device"] for line in report["results"] if line["library"] != "synfire")
        where = f"{next(devices)}, {where}"
    rows += [
        "",
        f"{report['date'][:10]}, {where}, median of {report['rounds']} rounds; {libraries}.",
    ]
    return "\n".join(rows) + "\n"


def case_list(text: str) -> list[str]:
    return text.split(",")


def count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=HERE / ".venv", help="made where missing")
    parser.add_argument(
        "--synfire",
        metavar="CMD",
        help="run from the root of the repository; default: build synfire-bench and call it",
    )
    parser.add_argument(
        "--device", default="cpu", help="cpu, or cuda with a number after a colon (with an NVIDIA GPU)"
    )
    parser.add_argument(
        "--cases",
        type=case_list,
        help=f"some of {','.join(CASES)}; on a GPU of {','.join(GPU_CASES)}; default: all",
    )
    parser.add_argument("--rounds", type=count, default=3)
    parser.add_argument("--runs", type=count, help="iterations a process; default: its own")
    parser.add_argument("--threads", type=count, default=2)
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="every line of every round")
    parser.add_argument("--table", type=Path, metavar="FILE.md")
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        nargs="+",
        metavar="FILE.json",
        help="print one table of earlier runs on a machine, running nothing",
    )
    args = parser.parse_args()
    args.venv = args.venv.absolute()
    cases = CASES if args.device == "cpu" else GPU_CASES
    args.cases = args.cases or list(cases)
    for name in args.cases:
        if name not in cases:
            parser.error(f"no case {name!r}; cases: {', '.join(cases)}")
    report = one_report(args.source) if args.source else run_all(args)
    text = table(report)
    write(args.table, text)
    print(text, end="")


if __name__ == "__main__":
    main()
