"""Compares Synfire with SpikingJelly and snnTorch on the CPU and prints a Markdown table."""

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
PEERS = ("spikingjelly", "snntorch")
LIBRARIES = (*PEERS, "synfire")
# Below this a growth of memory is mostly allocator noise, and so is a ratio of it.
LEAST_GROWTH_MIB = 1.0


@dataclass(frozen=True)
class Case:
    workload: str
    title: str
    options: dict[str, int] = field(default_factory=dict)


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


def build_synfire() -> list[str]:
    print("building synfire-bench", file=sys.stderr)
    call(["cargo", "build", "--release", "-p", "synfire-bench"], cwd=ROOT)
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
        line["step_ms"][1], line["rss_growth_mib"]
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


def run_all(args: argparse.Namespace) -> dict:
    python, versions = prepare_venv(args.venv)
    synfire = shlex.split(args.synfire) if args.synfire else build_synfire()
    commands = {peer: [str(python), str(HERE / "peers.py"), peer] for peer in PEERS}
    commands["synfire"] = synfire
    python_version = call([str(python), "-c", "import platform as p; print(p.python_version())"])
    report = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.system(),
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
        case = CASES[name]
        options = ["--threads", str(args.threads), "--json"]
        for option, value in case.options.items():
            options += [f"--{option}", str(value)]
        if args.runs is not None:
            options += ["--runs", str(args.runs)]
        for round_number in range(args.rounds):
            for library in LIBRARIES:
                line = run_one([*commands[library], case.workload, *options], library)
                report["results"].append({"case": name, "round": round_number, **line})
                print(
                    f"{name}, round {round_number + 1} of {args.rounds}, {library}:"
                    f" {line['step_ms'][1]:.2f} ms",
                    file=sys.stderr,
                )
        write(args.out, json.dumps(report, indent=1) + "\n")
    return report


def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def table(report: dict) -> str:
    versions = report["versions"]
    rows = [
        "| Case | Synfire | SpikingJelly | snnTorch | Time: faster peer / Synfire"
        " | Time: SpikingJelly / Synfire | Memory: leaner peer / Synfire |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, case in CASES.items():
        lines = [line for line in report["results"] if line["case"] == name]
        if not lines:
            continue
        ms, mib = {}, {}
        for library in LIBRARIES:
            own = [line for line in lines if line["library"] == library]
            ms[library] = statistics.median(line["step_ms"][1] for line in own)
            mib[library] = statistics.median(line["rss_growth_mib"] for line in own)
        memory = (
            f"{min(mib[peer] for peer in PEERS) / mib['synfire']:.2f}"
            if mib["synfire"] >= LEAST_GROWTH_MIB
            else "–"
        )
        cells = [
            case.title,
            *(
                f"{number(ms[library])} ms, +{mib[library]:.0f} MiB"
                for library in ("synfire", *PEERS)
            ),
            f"{min(ms[peer] for peer in PEERS) / ms['synfire']:.2f}",
            f"{ms['spikingjelly'] / ms['synfire']:.2f}",
            memory,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    names = {"spikingjelly": "SpikingJelly", "snntorch": "snnTorch", "torch": "PyTorch"}
    libraries = ", ".join(f"{title} {versions[key]}" for key, title in names.items())
    rows += [
        "",
        f"{report['date'][:10]}, {report['cpu']}, {report['threads']} threads,"
        f" median of {report['rounds']} rounds; {libraries}.",
    ]
    return "\n".join(rows) + "\n"


def case_list(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in CASES:
            raise argparse.ArgumentTypeError(f"no case {name!r}; cases: {', '.join(CASES)}")
    return names


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
        "--cases", type=case_list, default=list(CASES), help=f"some of {','.join(CASES)}"
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
        metavar="FILE.json",
        help="print the table of an earlier run, running nothing",
    )
    args = parser.parse_args()
    args.venv = args.venv.absolute()
    report = json.loads(args.source.read_text(encoding="utf-8")) if args.source else run_all(args)
    text = table(report)
    write(args.table, text)
    print(text, end="")


if __name__ == "__main__":
    main()
