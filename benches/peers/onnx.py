"""Compares Synfire with ONNX Runtime on models that Synfire wrote: the same networks, on the CPU. Prints a Markdown table."""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy
import onnxruntime

from compare import CASES, ROOT, call, zoo_case

THREADS = 2
SMALL = {"stbp-mlp": 10, "stbp-cnn": 8}
# The others are large.
DEEP = (
    "sew-resnet18",
    "ms-resnet18",
    "td-resnet19",
    "vgg9",
    "plif-fashion-mnist",
    "spikformer-4-384",
    "spike-driven-transformer-2-512",
)
RUNS = 15


def cases(batch: int) -> list:
    """The cases of inference with this many samples."""
    small = [zoo_case(preset, "1,28,28", steps, batch, infer=True) for preset, steps in SMALL.items()]
    return small + [CASES[f"{preset}-infer-{batch}"] for preset in DEEP]


def onnx(model: Path) -> float:
    """The median time of a batch in milliseconds. The input is that of synfire-bench: half of the numbers are 1."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    inputs = (numpy.random.default_rng(20).random(shape) < 0.5).astype(numpy.float32)
    times = []
    for _ in range(3 + RUNS):
        start = time.perf_counter()
        session.run(None, {"input": inputs})
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[3:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results/onnx.json")
    parser.add_argument("--bench", type=Path, required=True, help="synfire-bench, built with --release")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        options = ["--threads", str(THREADS), "--json", "--onnx", str(model)]
        for case in cases(16) + cases(1):
            command = [str(arguments.bench), case.workload, *case.arguments(RUNS), *options]
            report = json.loads(call(command))
            rows.append(
                {
                    "preset": case.options["preset"],
                    "image": case.options["image"],
                    "time_steps": case.options["time-steps"],
                    "batch_size": case.options["batch-size"],
                    "synfire_ms": report["fwd_ms"][0],
                    "onnx_ms": onnx(model),
                    "model_bytes": model.stat().st_size,
                    "firing_rates": report["firing_rates"],
                }
            )
            print(case.title, rows[-1]["synfire_ms"], rows[-1]["onnx_ms"], file=sys.stderr)
    result = {"onnxruntime": onnxruntime.__version__, "threads": THREADS, "rows": rows}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print("| network | file | B | Synfire | ONNX Runtime | ONNX Runtime / Synfire |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in sorted(rows, key=lambda row: row["onnx_ms"] / row["synfire_ms"]):
        size, ours, theirs = row["model_bytes"] / 1e6, row["synfire_ms"], row["onnx_ms"]
        image = row["image"].replace(",", "x")
        print(
            f"| {row['preset']} (T {row['time_steps']}, {image}) | {size:.1f} MB | {row['batch_size']}"
            f" | {ours:.3g} ms | {theirs:.3g} ms | {theirs / ours:.2f} |"
        )


if __name__ == "__main__":
    main()
