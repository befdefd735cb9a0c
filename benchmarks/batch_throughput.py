"""Throughput of `framelens score` on articles and on sentences, beside what else could run it.

    python benchmarks/batch_throughput.py [--articles 200] [--sentences 3000] [--runs 5]
                                          [--model DIR] [--defer-to DIR [--defer-within D]]
                                          [--peer DIR] [--fp32 GRAPH] [--quick]

Systems, one after another in each run, every other run the other way round:

* `framelens score` with a worker on each usable core, and with one worker: from exec to exit, the
  loading of the model included, as a cascade where `--defer-to` names a second model;
* Hugging Face `pipeline("text-classification", batch_size=32)`: the same encoder and head for
  segments in torch (fp32), one padded sentence a row, a thread on each core. Loading and a first
  batch are not counted; what a process takes that opens it and scores one sentence, from exec to
  exit, stands apart, and a second ratio counts it. It gets an article's sentences one by one, as
  its users give them, and finds no spans. `--peer` names another model for it, such as the one
  that taught a smaller one;
* ONNX Runtime alone: the windows of framelens, read one after another by one process and by one
  on each core, without tokenising or decoding.

The share of sgemm's peak is the floating point operations that the network's shape asks for,
over what a product of two square matrices reaches here with as many threads. Integer products
may pass 1. Of a cascade's own runs it is not told, nor are tokens: two models read them.

Run it on a machine that does nothing else.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import batch_common as common
import batch_texts
from framelens.artifact import Artifact
from framelens.deferral import DEFER_WITHIN, Deferral
from framelens.features import Featurizer, WindowFeatures
from framelens.network import Network
from framelens.segmentation import TextSegment, segment_article, segment_unit
from framelens.workers import usable_cores

if TYPE_CHECKING:
    from batch_pipeline import Peer

# torch is imported where it is used: the processes that read windows import this module.

MATRIX = 1536
REQUIRED = 3.3
REQUIRED_FAST = 10.0


def main() -> None:
    """Run everything and print JSON."""
    import torch
    from transformers.utils import logging as transformers_logging

    from batch_pipeline import Peer, shape_of

    parser = common.arguments(__doc__, runs=5, quick=True)
    parser.add_argument("--articles", type=int, default=200)
    parser.add_argument("--sentences", type=int, default=3000)
    parser.add_argument("--defer-to", type=Path, help="framelens's second model")
    parser.add_argument("--defer-within", type=float, default=DEFER_WITHIN, help="with --defer-to")
    parser.add_argument("--peer", type=Path, help="pipeline's model; default: the same")
    parser.add_argument("--fp32", type=Path, help="its fp32 graph; default: beside it")
    options = parser.parse_args()
    if options.quick:
        options.articles, options.sentences, options.runs = 12, 64, 1
    transformers_logging.set_verbosity_error()
    cores = usable_cores()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        artifact = Artifact.open(Path(options.model) if options.model else _bundled())
        torch.set_num_threads(cores)
        theirs = Artifact.open(options.peer) if options.peer else artifact
        peer = Peer(theirs, _fp32(options.fp32, theirs))
        peaks = {threads: _sgemm(threads) for threads in sorted({1, cores})}
        torch.set_num_threads(cores)
        peer.save(folder / "pipeline")
        second = Artifact.open(options.defer_to) if options.defer_to else None
        deferral = None if second is None else Deferral(second, options.defer_within)
        found: dict[str, Any] = {
            "machine": common.machine(),
            "model": artifact.manifest.name,
            "version": artifact.manifest.version,
            "deferral": None if deferral is None else deferral.to_dict(),
            "encoder": artifact.manifest.encoder,
            "precision": artifact.manifest.precision,
            "shape": shape_of(artifact.model),
            "pipeline_model": f"{theirs.manifest.name} {theirs.manifest.version}",
            "pipeline_weights": peer.weights,
            "sgemm_gflops": {str(threads): round(peak / 1e9, 1) for threads, peak in peaks.items()},
            "runs": options.runs,
        }
        for unit, (corpus, rows) in (
            ("articles", batch_texts.articles(options.articles)),
            ("sentences", batch_texts.sentences(options.sentences)),
        ):
            found[unit] = _measured(
                unit, corpus, rows, folder, artifact, deferral, peer, peaks, options.runs
            )
    print(json.dumps(found, indent=1))


def _bundled() -> Path:
    from framelens.artifact import resolve

    return resolve(None)


def _fp32(named: Path | None, artifact: Artifact) -> Path | None:
    beside = artifact.path.parent / "fp32.onnx"
    return named if named is not None else beside if beside.is_file() else None


def _sgemm(threads: int) -> float:
    """Floating point operations a second of the best of ten products of square matrices."""
    import torch

    torch.set_num_threads(threads)
    one, other = torch.rand(MATRIX, MATRIX), torch.rand(MATRIX, MATRIX)
    best = float("inf")
    for _ in range(10):
        begun = time.perf_counter()
        torch.mm(one, other)
        best = min(best, time.perf_counter() - begun)
    return 2 * MATRIX**3 / best


def _measured(
    unit: str,
    corpus: str,
    rows: list[batch_texts.Article],
    folder: Path,
    artifact: Artifact,
    deferral: Deferral | None,
    peer: Peer,
    peaks: dict[int, float],
    runs: int,
) -> dict[str, Any]:
    from batch_pipeline import BATCH

    split = segment_article if unit == "articles" else segment_unit
    documents = [split(str(row["text"]), row.get("headline")) for row in rows]
    texts = [segment.text for segments in documents for segment in segments]
    windows = _windows(artifact, documents)
    cores = max(peaks)
    source = common.write_jsonl(folder / f"{unit}.jsonl", iter(rows))
    target = folder / f"{unit}.out.jsonl"
    summary = folder / f"{unit}.summary.json"
    cascade: tuple[object, ...] = ("--summary", summary)
    if deferral is not None:
        cascade += ("--defer-to", deferral.artifact.path, "--defer-within", deferral.within)
    answers: list[Any] = []

    def framelens(workers: int) -> Callable[[], float]:
        kind = "article" if unit == "articles" else "segment"
        line = common.command(
            source,
            "-o",
            target,
            "-m",
            artifact.path,
            "--unit",
            kind,
            "--workers",
            workers,
            *cascade,
        )
        return lambda: common.completed(line)

    def pipeline() -> float:
        begun = time.perf_counter()
        answers[:] = peer(texts)
        return time.perf_counter() - begun

    script = Path(__file__).with_name("batch_pipeline.py")
    start = [sys.executable, str(script), str(folder / "pipeline")]

    ours_all, ours_one = f"framelens, workers {cores}", "framelens, workers 1"
    alone_all, alone_one = (f"ONNX Runtime alone, processes {n}" for n in (cores, 1))
    theirs_all, theirs_start = f"pipeline, threads {cores}", "pipeline, start and one sentence"
    # With one core the first two of each kind are the same.
    systems: dict[str, Callable[[], float]] = {
        ours_all: framelens(cores),
        ours_one: framelens(1),
        theirs_all: pipeline,
        theirs_start: lambda: common.completed(start),
        alone_all: lambda: _alone(artifact, windows, cores),
        alone_one: lambda: _alone(artifact, windows, 1),
    }
    peer(texts[:BATCH])
    seconds = common.alternated(systems, runs)
    starts = seconds.pop(theirs_start)
    with_start = [sum(pair) for pair in zip(seconds[theirs_all], starts, strict=True)]
    ours = [
        segment["label"]
        for line in target.read_text("utf-8").splitlines()
        for segment in json.loads(line)["segments"]
    ]
    theirs = [peer.label(scores) for scores in answers]
    same = [a == b for a, b in zip(ours, theirs, strict=True)]
    tokens = sum(len(window.input_ids) for window in windows)
    uncounted = {theirs_all} if deferral is None else {theirs_all, ours_all, ours_one}
    work = _work(artifact, windows)
    return {
        "corpus": corpus,
        "documents": len(rows),
        "segments": len(texts),
        "windows": len(windows),
        "tokens": tokens,
        "deferred": json.loads(summary.read_text("utf-8"))["deferred"],
        "systems": {
            name: _figures(times, len(rows), len(texts))
            | ({} if name in uncounted else _reading(times, tokens, work, peaks[_number(name)]))
            for name, times in seconds.items()
        },
        "pipeline_start_s": round(statistics.median(starts), 3),
        "framelens_over_started_pipeline": common.paired_ratio(with_start, seconds[ours_all]),
        "framelens_over_pipeline": common.paired_ratio(seconds[theirs_all], seconds[ours_all]),
        "required": {"news-en": REQUIRED, "news-en-fast": REQUIRED_FAST},
        "two_workers_over_one": common.paired_ratio(seconds[ours_one], seconds[ours_all]),
        "share_of_onnxruntime_alone": (
            common.paired_ratio(seconds[alone_all], seconds[ours_all]) if deferral is None else None
        ),
        "equal_labels": round(sum(same) / len(same), 4) if peer.compared else None,
        "equal_labels_note": (
            "the same sentence, alone, int8 against fp32"
            if unit == "sentences"
            else "framelens reads a sentence in its article, pipeline alone"
        ),
    }


def _number(name: str) -> int:
    return int(name.split()[-1])


def _figures(times: Sequence[float], documents: int, segments: int) -> dict[str, Any]:
    median = statistics.median(times)
    return {
        "seconds": [round(value, 3) for value in times],
        "median_s": round(median, 3),
        "documents_per_second": round(documents / median, 2),
        "segments_per_second": round(segments / median, 1),
    }


def _reading(times: Sequence[float], tokens: int, work: float, peak: float) -> dict[str, Any]:
    median = statistics.median(times)
    return {
        "tokens_per_second": round(tokens / median),
        "share_of_sgemm_peak": round(work / median / peak, 3),
    }


def _windows(artifact: Artifact, documents: Sequence[list[TextSegment]]) -> list[WindowFeatures]:
    featurizer = Featurizer.from_file(artifact.tokenizer, artifact.manifest.features)
    return [
        window
        for segments in documents
        for window in featurizer.featurize(
            [segment.text for segment in segments], [segment.role for segment in segments]
        ).windows
    ]


def _work(artifact: Artifact, windows: Sequence[WindowFeatures]) -> float:
    """Floating point operations of all windows: products with weights, and attention."""
    from batch_pipeline import shape_of

    shape = shape_of(artifact.model)
    lengths = [len(window.input_ids) for window in windows]
    attention = 4 * shape["width"] * shape["layers"]
    return float(sum(n * shape["flop"] + n * n * attention for n in lengths))


def _alone(artifact: Artifact, windows: Sequence[WindowFeatures], processes: int) -> float:
    """Seconds in which the processes, once they are ready, read their shares of the windows."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes + 1)
    children = [
        context.Process(
            target=_read_windows, args=(artifact.model, windows[number::processes], barrier)
        )
        for number in range(processes)
    ]
    for child in children:
        child.start()
    barrier.wait()
    begun = time.perf_counter()
    for child in children:
        child.join()
        if child.exitcode:
            raise SystemExit(f"ONNX Runtime alone ended with {child.exitcode}")
    return time.perf_counter() - begun


def _read_windows(model: Path, windows: Sequence[WindowFeatures], barrier: Any) -> None:
    network = Network(model)
    network(windows[0])
    barrier.wait()
    for window in windows:
        network(window)


if __name__ == "__main__":
    main()
