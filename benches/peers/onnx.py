"""Compares Synfire with ONNX Runtime on models that Synfire wrote: the same networks, on the CPU. Prints a Markdown table."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import onnxruntime

from compare import DEEP, ROOT, THRESHOLDS

THREADS = 2
SMALL = [("stbp-mlp", "1,28,28", 10, 16), ("stbp-cnn", "1,28,28", 8, 16)]
# Large ones, to keep the run short.
LEFT_OUT = ("vggsnn", "plif-dvs-gesture", "qkformer-10-384")


def synfire(bench: Path, preset: str, image: str, steps: int, batch: int, model: Path) -> dict:
    command = [str(bench), "zoo", "--preset", preset, "--image", image, "--classes", "10", "--json"]
    command += ["--time-steps", str(steps), "--batch-size", str(batch), "--runs", "15", "--infer"]
    command += ["--threads", str(THREADS), "--onnx", str(model)]
    if preset == "td-resnet19":
        command += ["--size", "64"]
    if preset in THRESHOLDS:
        command += ["--threshold", str(THRESHOLDS[preset])]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def onnx(model: Path) -> float:
    """The median time of a batch in milliseconds. The input is that of synfire-bench: half of the numbers are 1."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    inputs = (numpy.random.default_rng(20).random(shape) < 0.5).astype(numpy.float32)
    times = []
    for _ in range(18):
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
        for preset, image, steps, _ in SMALL + [case for case in DEEP if case[0] not in LEFT_OUT]:
            for batch in (16, 1):
                model = Path(folder) / "model.onnx"
                report = synfire(arguments.bench, preset, image, steps, batch, model)
                rows.append(
                    {
                        "preset": preset,
                        "image": image,
                        "time_steps": steps,
                        "batch_size": batch,
                        "synfire_ms": report["fwd_ms"][0],
                        "onnx_ms": onnx(model),
                        "model_bytes": model.stat().st_size,
                        "firing_rates": report["firing_rates"],
                    }
                )
                print(rows[-1]["preset"], batch, rows[-1]["synfire_ms"], rows[-1]["onnx_ms"], file=sys.stderr)
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
