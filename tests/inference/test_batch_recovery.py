"""What happens when a run is cut short: nothing is lost, nothing is scored twice."""

from __future__ import annotations

import errno
import functools
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framelens import parts
from framelens.batch import Stop
from framelens.cli import main
from framelens.in_order import InOrder
from framelens.input_files import expand_inputs
from framelens.run_files import is_earlier_output, is_of_run

ROWS = 600
PART = 40
INFERENCE = Path(__file__).parents[2] / "inference"


Score = Callable[..., int]
CutShort = Callable[..., None]


@pytest.fixture(scope="module")
def score(model_folder: Path) -> Score:
    """`framelens score` with the tests' model and parts, unless its arguments say otherwise."""

    def run(*arguments: object) -> int:
        options = ["--quiet", "--part-rows", str(PART), "-m", str(model_folder)]
        return main(["score", *options, *map(str, arguments)])

    return run


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "in.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for number in range(ROWS):
            text = f"The mayor said road {number} was closed. " * (number % 9) + "A shameful plan."
            stream.write(json.dumps({"id": str(number), "text": text}) + "\n")
    return path


@pytest.fixture(scope="module")
def unbroken(source: Path, score: Score) -> bytes:
    target = source.with_name("unbroken.jsonl")
    assert score(source, "-o", target) == 0
    return target.read_bytes()


def start(model: Path, source: Path, target: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "framelens.cli", "score", str(source), "-o", str(target)]
    command += ["-m", str(model), "--part-rows", str(PART), "--workers", "2", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(INFERENCE)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def wait_for_part(process: subprocess.Popen[bytes], target: Path) -> None:
    part = target.with_name(target.name + ".partial") / "part-00000.jsonl"
    deadline = time.monotonic() + 60
    while not part.exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    found = []
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return [p for p in found if b"run_child" in Path(f"/proc/{p}/cmdline").read_bytes()]


def kill(process: subprocess.Popen[bytes], whom: str) -> None:
    workers = workers_of(process)
    if whom in ("worker", "both"):
        os.kill(workers[0], signal.SIGKILL)
    if whom in ("parent", "both"):
        process.kill()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers through /proc")
@pytest.mark.parametrize("whom", ["parent", "worker", "both"])
def test_a_killed_run_is_continued(
    whom: str, score: Score, model_folder: Path, source: Path, unbroken: bytes, tmp_path: Path
) -> None:
    target = tmp_path / "out.jsonl"
    process = start(model_folder, source, target)
    wait_for_part(process, target)
    workers = workers_of(process)
    kill(process, whom)
    process.wait(timeout=60)
    if whom == "worker":
        assert process.returncode == 0
        assert target.read_bytes() == unbroken
        return
    assert not target.exists()
    deadline = time.monotonic() + 60
    while any(alive(worker) for worker in workers):  # no worker outlives its parent
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert score(source, "-o", target, "--resume") == 0
    assert target.read_bytes() == unbroken
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_finishes_the_part_in_hand(
    number: int, score: Score, model_folder: Path, source: Path, unbroken: bytes, tmp_path: Path
) -> None:
    target = tmp_path / "out.jsonl"
    process = start(model_folder, source, target)
    wait_for_part(process, target)
    process.send_signal(number)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"--resume" in message
    assert not target.exists()
    partial = tmp_path / "out.jsonl.partial"
    done = sorted(partial.glob("part-*"))
    assert not (partial / parts.TEMPORARY).exists()
    whole = b"".join(path.read_bytes() for path in done)
    assert unbroken.startswith(whole)
    assert whole.count(b"\n") == len(done) * PART < ROWS
    assert score(source, "-o", target, "--resume") == 0
    assert target.read_bytes() == unbroken


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("few") / "in.jsonl"
    rows = ["{bad", *(json.dumps({"text": f"The mayor closed road {n}."}) for n in range(69))]
    path.write_text("".join(row + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize("when", ["_take", "_settle"])
@pytest.mark.parametrize("moment", [0, 1, 7, 39, 40, 41, 60, 68])
def test_an_interrupt_at_any_row_leaves_whole_parts(
    when: str, moment: int, score: Score, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framelens.in_order._FEW_DOCUMENTS", 100)  # in this process: no waiting
    wanted, target = tmp_path / "wanted.jsonl", tmp_path / "out.jsonl"
    assert score(few, "-o", wanted) == 3
    original = getattr(InOrder, when)
    seen = 0

    def interrupted(*arguments: object) -> None:
        nonlocal seen
        if seen == moment:
            signal.raise_signal(signal.SIGTERM)
        seen += 1
        original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(InOrder, when, interrupted)
        code = score(few, "-o", target)
    assert seen > moment
    if code == 130:
        assert not target.exists()
        for part in (tmp_path / "out.jsonl.partial").glob("part-*"):
            assert part.read_bytes().count(b"\n") == PART
        code = score(few, "-o", target, "--resume")
    assert code == 3
    assert target.read_bytes() == wanted.read_bytes()


def test_a_second_interrupt_ends_a_run_at_once() -> None:
    stop = Stop()
    with pytest.raises(KeyboardInterrupt):
        stop()  # no part is in hand
    stop.after_part = True
    stop()
    assert stop.wanted
    with pytest.raises(KeyboardInterrupt):
        stop()


class Stopped(BaseException):
    """As a kill: nothing catches it but what must let go of a resource."""


@pytest.fixture
def cut_short(score: Score, monkeypatch: pytest.MonkeyPatch) -> CutShort:
    """A run that is killed once so many parts are complete."""

    def run(source: Path, target: str | Path, after: int, *options: object) -> None:
        commit = parts.PartStore.commit

        def stop(store: parts.PartStore, counts: dict[str, object]) -> None:
            commit(store, counts)
            if len(store.counts) == after:
                raise Stopped

        with monkeypatch.context() as patched:
            patched.setattr(parts.PartStore, "commit", stop)
            with pytest.raises(Stopped):
                score(source, "-o", target, *options)

    return run


def test_a_directory_whose_parts_were_lost_is_not_complete(
    score: Score, cut_short: CutShort, source: Path, unbroken: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    assert score(source, "-o", f"{folder}/") == 0
    assert not (folder / parts.LOCK).exists()
    (folder / "part-00003.jsonl").unlink()
    damaged = folder / "part-00004.jsonl"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    cut_short(source, f"{folder}/", 4, "--resume")
    assert not (folder / parts.SUCCESS).exists()
    assert score(source, "-o", f"{folder}/", "--resume") == 0
    assert b"".join(path.read_bytes() for path in sorted(folder.glob("part-*"))) == unbroken
    assert {path.name for path in folder.iterdir() if not path.name.startswith("part-")} == {
        parts.MANIFEST, parts.JOURNAL, parts.SUCCESS
    }  # fmt: skip


def test_only_what_is_missing_is_scored_again(
    score: Score, cut_short: CutShort, source: Path, unbroken: bytes, tmp_path: Path
) -> None:
    target, summary = tmp_path / "out.jsonl", tmp_path / "summary.json"
    cut_short(source, target, 5)
    # A torn line, as a crash while the journal is written leaves it, and a temporary part.
    partial = tmp_path / "out.jsonl.partial"
    with (partial / parts.JOURNAL).open("ab") as journal:
        journal.write(b'{"part": "part-00005.jso')
    (partial / parts.TEMPORARY).write_bytes(b"half a row")
    cut_short(source, target, 7, "--resume")
    assert score(source, "-o", target, "--resume", "--summary", summary) == 0
    assert target.read_bytes() == unbroken
    found = json.loads(summary.read_text("utf-8"))
    assert (found["resumed_documents"], found["documents"]) == (7 * PART, ROWS)


def test_a_damaged_part_is_scored_again(
    score: Score, cut_short: CutShort, source: Path, unbroken: bytes, tmp_path: Path
) -> None:
    target = tmp_path / "out.jsonl"
    cut_short(source, target, 5)
    part = tmp_path / "out.jsonl.partial" / "part-00002.jsonl"
    part.write_bytes(part.read_bytes().replace(b"mayor", b"mayer"))
    assert score(source, "-o", target, "--resume") == 0
    assert target.read_bytes() == unbroken


def test_a_directory_of_parts_is_closed_by_success(
    score: Score,
    cut_short: CutShort,
    source: Path,
    unbroken: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "out"
    cut_short(source, f"{folder}/", 3)
    assert not (folder / "_SUCCESS").exists()
    assert score(source, "-o", f"{folder}/") == 1
    assert "--resume" in capsys.readouterr().err
    for _ in range(2):  # the second time there is nothing left to do
        assert score(source, "-o", f"{folder}/", "--resume") == 0
        whole = b"".join(path.read_bytes() for path in sorted(folder.glob("part-*")))
        assert whole == unbroken
        assert json.loads((folder / "_SUCCESS").read_bytes())["documents"] == ROWS


def test_resume_starts_where_there_is_nothing_to_continue(
    score: Score, source: Path, unbroken: bytes, tmp_path: Path
) -> None:
    assert score(source, "-o", tmp_path / "out.jsonl", "--resume") == 0
    assert (tmp_path / "out.jsonl").read_bytes() == unbroken


def test_resume_refuses_another_run(
    score: Score,
    cut_short: CutShort,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from support import write_model

    given = tmp_path / "in.jsonl"
    given.write_bytes(source.read_bytes())
    target = tmp_path / "out.jsonl"
    cut_short(given, target, 2)
    other = write_model(tmp_path / "other", version="1.0.1")
    assert score(given, "-m", other, "-o", target, "--resume", "--unit", "segment") == 1
    message = capsys.readouterr().err
    assert "model version was '1.0.0' and is now '1.0.1'" in message
    assert "options unit was 'article' and is now 'segment'" in message
    given.write_bytes(source.read_bytes() + b'{"text": "more"}\n')
    assert score(given, "-o", target, "--resume") == 1
    assert f"inputs have changed ({given})" in capsys.readouterr().err
    assert score(given, "-o", target, "--overwrite") == 0


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (["--text-field", "body"], "fields text was 'text' and is now 'body'"),
        (["--explode"], "rows was 'document' and is now 'segment'"),
        (["--keep"], "keep was False and is now True"),
        (["--max-segments", "9"], "limits segments was"),
        (["--part-rows", "41"], "part_rows was 40 and is now 41"),
    ],
)
def test_resume_refuses_other_options(
    option: list[str],
    says: str,
    score: Score,
    cut_short: CutShort,
    few: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("framelens.in_order._FEW_DOCUMENTS", 100)  # in this process
    target = tmp_path / "out.jsonl"
    cut_short(few, target, 1)
    assert score(few, "-o", target, "--resume", *option) == 1
    assert says in capsys.readouterr().err


def test_a_run_in_progress_is_left_alone(
    score: Score, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fcntl = pytest.importorskip("fcntl")
    partial = tmp_path / "out.jsonl.partial"
    partial.mkdir()
    with (partial / parts.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert score(source, "-o", tmp_path / "out.jsonl", "--resume") == 1
    assert "another run is writing here" in capsys.readouterr().err


def test_a_refused_run_leaves_the_lock_to_its_holder(
    score: Score, source: Path, tmp_path: Path
) -> None:
    fcntl = pytest.importorskip("fcntl")
    folder = tmp_path / "out"
    assert score(source, "-o", f"{folder}/") == 0
    assert not (folder / parts.LOCK).exists()
    with (folder / parts.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for _ in range(2):
            assert score(source, "-o", f"{folder}/", "--overwrite") == 1
    assert (folder / parts.SUCCESS).is_file()


def test_other_files_are_left_alone(
    score: Score, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert score(source, "-o", f"{tmp_path}/", "--overwrite") == 1
    assert "found thesis.txt" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("names", [("part-00000.jsonl", "_SUCCESS"), ("_SUCCESS",)])
def test_another_programs_parts_are_left_alone(
    names: Sequence[str],
    score: Score,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    for name in names:
        (folder / name).write_text('{"text": "theirs"}\n')
    for options in (["--overwrite"], ["--resume"], []):
        assert score(source, "-o", f"{folder}/", *options) == 1
        assert "expected an empty or new directory" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert (folder / names[0]).read_text() == '{"text": "theirs"}\n'


@pytest.mark.parametrize(
    ("name", "target", "expected"),
    [
        ("out/part-00003.jsonl", "out", True),
        ("out/_SUCCESS", "out", True),
        ("out/notes.json", "out", False),
        ("out/part-3.jsonl", "out", False),
        ("out.jsonl", "out.jsonl", True),
        ("out.jsonl.partial/_manifest.json", "out.jsonl", True),
        ("out.jsonl.partial", "out.jsonl", True),
        ("summary.json", "out.jsonl", False),
    ],
)
def test_which_names_are_a_runs_own(name: str, target: str, expected: bool, tmp_path: Path) -> None:
    assert is_of_run(tmp_path / name, tmp_path / target) is expected


@pytest.mark.parametrize("output", ["in.jsonl", "./in.jsonl", "link.jsonl", "."])
def test_an_output_is_never_one_of_the_inputs(
    output: str,
    score: Score,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    row = '{"text": "A plan."}\n'
    (tmp_path / "in.jsonl").write_text(row)
    (tmp_path / "link.jsonl").symlink_to("in.jsonl")
    assert score("in.jsonl", "-o", output, "--overwrite") == 1
    assert "expected an output apart from the inputs" in capsys.readouterr().err
    assert (tmp_path / "in.jsonl").read_text() == row
    # Patterns and directories leave out what the run writes itself, by whatever name.
    partial = tmp_path / "out.jsonl.partial"
    partial.mkdir()
    (partial / "part-00000.jsonl").write_text(row)
    (tmp_path / "out.jsonl").write_text('{"schema": 1, "id": "a", "status": "ok"}\n')
    own = functools.partial(is_earlier_output, target=tmp_path / "out.jsonl")
    assert expand_inputs(["**/*.jsonl"], own) == ["in.jsonl", "link.jsonl"]
    assert expand_inputs([str(tmp_path)], own) == [
        str(tmp_path / "in.jsonl"), str(tmp_path / "link.jsonl")
    ]  # fmt: skip


@pytest.mark.parametrize("given", [".", "**/*.*"])
@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz", "b.csv", "b.parquet", "b.csv/x.csv"])
def test_an_input_in_a_directory_or_pattern_is_never_left_out_and_written_over(
    given: str,
    name: str,
    score: Score,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("text\nA plan.\n")
    Path(name).parent.mkdir(exist_ok=True)
    if name.endswith(".parquet"):
        pq.write_table(pa.table({"text": ["A plan."]}), name)
    else:
        content = b"text\nA plan.\n" if name.endswith("csv") else b'{"text": "A plan."}\n'
        Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    before = Path(name).read_bytes()
    target = name.split("/")[0]
    for options in ([], ["--overwrite"], ["--resume"]):
        assert score(given, "-o", target, *options) == 1
        assert "expected an output apart from the inputs" in capsys.readouterr().err
    assert Path(name).read_bytes() == before


@pytest.mark.parametrize("target", ["out.jsonl", "out.jsonl.gz", "out.csv", "out.parquet", "out/"])
@pytest.mark.parametrize("shape", [[], ["--explode", "--keep"]])
def test_a_run_reads_nothing_that_it_has_written_before(
    target: str,
    shape: list[str],
    score: Score,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("text\nA plan.\n")
    for options in ([], ["--overwrite"], ["--resume"]):
        assert score(".", "-o", target, *shape, *options) == 0
    Path("a.csv").unlink()
    assert score(".", "-o", target, *shape, "--overwrite") == 1
    assert "found the output of this run and no other file" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe with a name")
def test_what_cannot_be_read_twice_is_refused(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, table = tmp_path / "in.jsonl", tmp_path / "in.csv"
    os.mkfifo(source)
    os.mkfifo(table)
    for arguments in (
        ["score", source, "-o", tmp_path / "out.jsonl"],
        ["score", table],  # of which the columns are looked at first
        ["report", source, "-o", tmp_path / "page.html"],
    ):
        assert main([*map(str, arguments), "-m", str(model_folder)]) == 1
        assert "write it to a file first" in capsys.readouterr().err


def test_an_output_through_a_link_is_written_where_it_leads(
    score: Score, source: Path, unbroken: bytes, tmp_path: Path
) -> None:
    real = tmp_path / "real" / "out.jsonl"
    real.parent.mkdir()
    real.write_text("old")
    link = tmp_path / "link.jsonl"
    link.symlink_to("real/out.jsonl")
    assert score(source, "-o", link) == 0
    assert link.is_symlink()
    assert real.read_bytes() == unbroken
    assert [path.name for path in real.parent.iterdir()] == ["out.jsonl"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks what is open by its path")
def test_an_output_that_is_open_already_is_written_to_as_it_is(
    score: Score, few: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("old\n")
    with log.open("ab") as stream:
        output = f"/dev/fd/{stream.fileno()}"
        assert score(few, "-o", output) == 3
        assert score(few, "-o", tmp_path / "out.jsonl", "--summary", output) == 3
    rows = (tmp_path / "out.jsonl").read_text()
    assert log.read_text().startswith(f"old\n{rows}{{\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "out.jsonl"]
    short = tmp_path / "short.txt"
    short.write_text("A plan.")
    reading, writing = os.pipe()
    assert score(short, "-o", f"/dev/fd/{writing}") == 0
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert json.loads(pipe.read())["id"] == str(short)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/dev/stdout", True), ("/dev/fd/3", True), ("/proc/self/fd/1", True), ("/dev/shm/a", False)],
)
def test_files_in_shared_memory_are_files(path: str, expected: bool) -> None:
    assert parts.is_stream(Path(path)) is expected


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="asks where standard output leads")
def test_a_directory_with_standard_output_in_it_is_read_without_it(
    model_folder: Path, few: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_bytes(few.read_bytes())
    output = tmp_path / "out.jsonl"
    output.write_text('{"text": "A plan."}\n')
    command = [sys.executable, "-m", "framelens.cli", "score", "-m", str(model_folder)]
    environment = {**os.environ, "PYTHONPATH": str(INFERENCE)}
    with output.open("ab") as stream:
        codes = [
            subprocess.run([*command, str(given)], env=environment, stdout=stream).returncode
            for given in (tmp_path, output)
        ]
    assert codes == [3, 1]
    assert len(output.read_text().splitlines()) == 1 + len(few.read_text().splitlines())


def test_a_run_that_never_began_leaves_nothing(score: Score, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("{bad\n" + '{"text": "A plan."}\n', "utf-8")
    assert score(source, "-o", target, "--on-error", "stop") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]
    assert score(source, "-o", target) == 3


def test_errors_of_earlier_parts_count(
    score: Score, cut_short: CutShort, few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.jsonl"
    cut_short(few, target, 1)
    assert score(few, "-o", target, "--resume", "--max-errors", 0) == 1
    assert "found 1; in the parts of the earlier run" in capsys.readouterr().err
    assert score(few, "-o", target, "--resume", "--max-errors", 1) == 3


@pytest.mark.parametrize("moment", [1, 300, 601])
def test_a_full_disk_leaves_nothing_half_written(
    moment: int,
    score: Score,
    source: Path,
    unbroken: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from framelens import writers

    target = tmp_path / "out.jsonl"
    written = 0

    def full(*_: object) -> None:
        nonlocal written
        written += 1
        if written >= moment:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        write = writers._Jsonl.write
        patched.setattr(writers._Jsonl, "write", lambda *a: (full(), write(*a)))
        patched.setattr(writers.Layout, "join", full)
        assert score(source, "-o", target) == 1
    message = capsys.readouterr().err
    assert "No space left on device" in message
    assert "--resume" in message
    assert not target.exists()
    assert not (tmp_path / "out.jsonl.partial" / parts.TEMPORARY).exists()
    assert score(source, "-o", target, "--resume") == 0
    assert target.read_bytes() == unbroken


@pytest.mark.parametrize("name", ["_manifest.json.0123abcd.tmp", "_SUCCESS.0123abcd.tmp"])
def test_what_a_crash_left_unfinished_is_no_other_programs(
    name: str, score: Score, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("{")
    assert score(source, "-o", f"{tmp_path}/out/") == 0


def test_a_file_is_written_over_no_other_and_through_no_link(tmp_path: Path) -> None:
    target, other = tmp_path / "s.json", tmp_path / "other"
    other.write_bytes(b"theirs")
    for ending in (".tmp", ".partial"):
        target.with_name(target.name + ending).symlink_to(other)
    before = {path.name for path in tmp_path.iterdir()}
    parts.write_whole(target, b"{}")
    assert (target.read_bytes(), other.read_bytes()) == (b"{}", b"theirs")
    assert target.stat().st_mode == other.stat().st_mode
    assert {path.name for path in tmp_path.iterdir()} == before | {target.name}
    with pytest.raises(IsADirectoryError):
        parts.write_whole(tmp_path, b"{}")
    with pytest.raises(KeyboardInterrupt), parts.replacing(target):
        raise KeyboardInterrupt
    assert {path.name for path in tmp_path.iterdir()} == before | {target.name}


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_directory_is_named(
    score: Score, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o500)
    assert score(source, "-o", tmp_path / "out.jsonl") == 1
    tmp_path.chmod(0o700)
    assert "Permission denied" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
