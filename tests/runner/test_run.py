"""Runs of plain programs: what is loaded, what is persisted, what it is called, whatever goes wrong."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from killing import processes_with
from plain_programs import TAP, TARGET

from singerkit.clock import utc_now
from singerkit.runner.job import Job, Limits, Program, Retention
from singerkit.runner.keeper import Keeper
from singerkit.runner.report.summary import summary
from singerkit.runner.running import as_known
from singerkit.runner.store.base import ConflictError, FencedError, LockedError, RunRecord, StoreAwayError, StoreError
from singerkit.runner.units import Unit, unit_job

PROGRAM = Program(name="x", argv=("x",))

LAST = {"bookmarks": {"s": {"n": 10}}}
#: Ends after five records, as `how` says.
BREAKING_TAP = TAP.replace("range(begin + 1, 11)", "range(begin + 1, begin + 6)")
ROW = '{"type": "RECORD", "stream": "s", "record": {"id": 99}'


def test_a_success_loads_all_and_persists_the_last_state(bench):
    record = bench.run()
    assert (record.status, record.exit_code, bench.ids, bench.state) == ("success", 0, list(range(1, 11)), LAST)
    assert record.streams["s"]["records"] == 10
    assert record.streams["s"]["bytes"] > 300
    assert bench.store.run(record.id) == record


def test_a_run_goes_on_from_the_state_of_the_one_before(bench):
    before = bench.run(tap=BREAKING_TAP).revision_after
    record = bench.run()
    assert record.revision_before == before < record.revision_after
    assert (bench.ids, bench.state) == (list(range(1, 11)), LAST)


def test_a_full_refresh_gives_the_tap_no_bookmark_of_that_stream(bench):
    bench.run()
    bench.run(full_refresh=frozenset({"s"}))
    bench.run(full_refresh=frozenset({"*"}))
    assert bench.ids == list(range(1, 11)) * 3


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        ("sys.exit(1)", "tap_failed", 1),
        ("os.kill(os.getpid(), 9)", "tap_failed", 1),
        (f"write('{ROW}', end=''); sys.exit(1)", "tap_failed", 1),
        ("write('Traceback (most recent call last):')", "tap_failed", 1),
    ],
)
def test_a_tap_that_breaks_leaves_what_was_acknowledged(bench, end, status, code):
    record = bench.run(tap=BREAKING_TAP + end)
    assert (record.status, record.exit_code) == (status, code), record
    assert bench.ids == [1, 2, 3, 4, 5]
    assert bench.state == {"bookmarks": {"s": {"n": 5}}}
    again = bench.run()
    assert (again.status, bench.ids) == ("success", list(range(1, 11)))


def test_a_last_line_without_an_end_is_passed_on_if_its_tap_succeeded(bench):
    record = bench.run(tap=BREAKING_TAP + f"write('{ROW}}}', end='')")
    assert (record.status, bench.ids) == ("success", [1, 2, 3, 4, 5, 99])


def test_a_cut_line_is_told(bench):
    record = bench.run(tap=BREAKING_TAP + f"write('{ROW}', end=''); sys.exit(1)")
    assert f"last line was cut off ({len(ROW)} bytes)" in record.failure


def test_what_is_no_message_is_told_with_its_line_and_without_its_content(bench):
    record = bench.run(tap=BREAKING_TAP + "write('password=hunter2')")
    assert "no Singer message" in record.failure
    assert "line 12" in record.failure
    assert "hunter2" not in record.failure


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("if message['type'] == 'STATE' and message['value'] == stop: sys.exit(3)", "target_failed"),
        ("if message['type'] == 'STATE' and message['value'] == stop: os.kill(os.getpid(), 9)", "target_failed"),
        ("if message['type'] == 'STATE' and message['value'] == stop: sys.exit(0)", "target_quit_early"),
    ],
)
def test_a_target_that_breaks_leaves_what_it_acknowledged(bench, end, status):
    endless = TAP.replace("range(begin + 1, 11)", "range(begin + 1, 10**9)")
    target = "stop = {'bookmarks': {'s': {'n': 5}}}\n" + TARGET + f"        {end}\n"
    record = bench.run(tap=endless, target=target)
    assert (record.status, record.exit_code) == (status, 1), record
    assert bench.state == {"bookmarks": {"s": {"n": 5}}}


def test_a_target_that_quits_is_to_blame_though_all_ended_while_nobody_looked(bench, monkeypatch):
    monkeypatch.setattr(bench.shown, "progress", lambda progress: time.sleep(1), raising=False)
    endless = TAP.replace("range(begin + 1, 11)", "range(begin + 1, 10**9)")
    record = bench.run(tap=endless, target="time.sleep(0.3)\nsys.stdin.readline()")
    assert record.status == "target_quit_early", record


def test_a_target_that_does_not_acknowledge_is_no_success(bench):
    record = bench.run(target=TARGET.replace("write(message", "0 and write(message"))
    assert (record.status, record.exit_code, bench.state) == ("unacknowledged", 1, None)
    assert "did not print the last state" in record.failure


def test_what_a_target_prints_besides_states_is_shown_and_changes_nothing(bench):
    record = bench.run(target="write('Loading ...')\n" + TARGET)
    assert (record.status, bench.state) == ("success", LAST)
    assert any("no state; it is left out: Loading" in line for _, line in bench.shown.lines)


def test_a_tap_in_the_place_of_the_target_is_told_of_and_its_states_count_for_nothing(bench):
    record = bench.run(tap=TARGET, target=TAP)
    assert (record.status, record.exit_code, bench.state) == ("config", 2, None)
    assert "target wrote a SCHEMA message, as taps do, and was given none" in record.failure
    assert "the tap comes first, the target last" in record.failure


def test_a_target_that_repeats_its_input_does_not_vouch_for_it(bench):
    record = bench.run(target="for line in sys.stdin: write(line, end='')")
    assert (record.status, bench.state) == ("unacknowledged", None)


def test_a_tap_without_states_has_nothing_to_acknowledge(bench):
    record = bench.run(tap=TAP.replace('write({"type": "STATE"', '0 and write({"type": "STATE"'))
    assert (record.status, bench.state, len(bench.ids)) == ("success", None, 10)


def test_states_of_a_mapper_s_output_are_what_is_acknowledged(bench):
    mapper = """
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "RECORD":
            message["record"]["id"] *= 2
        write(message)
    """
    record = bench.run(mappers=[mapper])
    assert (record.status, bench.ids, bench.state) == ("success", list(range(2, 21, 2)), LAST)


def test_a_mapper_that_breaks_is_named(bench):
    record = bench.run(mappers=["sys.stdin.readline(); sys.exit(7)"])
    assert record.status == "tap_failed"
    assert "mapper0 ended with exit code 7" in record.failure
    assert summary(bench.store.run(record.id))[0].startswith("p FAILED: the mapper mapper0 (after ")


@pytest.mark.parametrize("side", ["tap", "target"])
def test_bad_setup_is_not_tried_again(bench, side):
    record = bench.run(**{side: "print('unknown setting', file=sys.stderr); sys.exit(2)"}, limits=Limits(retries=3))
    assert (record.status, record.exit_code, record.attempt) == ("config", 2, 1)
    assert list(record.last_lines[side]) == ["unknown setting"]


def test_a_program_that_is_not_there_is_told(bench):
    record = bench.run(tap=Program(name="tap-none", argv=("tap-none",)))
    assert (record.status, record.exit_code) == ("config", 2)
    assert "'tap-none' was not found" in record.failure


def test_a_failure_that_passes_is_tried_again_from_the_newest_state(bench):
    tap = BREAKING_TAP + "sys.exit(0 if begin else 1)"
    record = bench.run(tap=tap, limits=Limits(retries=2, retry_wait_s=0.01))
    assert (record.status, record.attempt, bench.ids) == ("success", 2, list(range(1, 11)))
    assert [ending.status for ending in bench.shown.retries] == ["tap_failed"]


def test_a_run_counts_what_all_its_attempts_moved(bench):
    metric = 'METRIC: {"type": "counter", "metric": "http_request_count", "value": 3}'
    body = TAP.replace("11)", "begin + 6)")
    tap = f"print({metric!r}, file=sys.stderr)\n{body}\nif begin == 0: sys.exit(1)\nwrite({ROW!r} + '}}')"
    record = bench.run(tap=tap, limits=Limits(retries=2, retry_wait_s=0.01))
    assert (record.status, record.attempt, record.streams["s"]["records"]) == ("success", 2, 11)
    assert record.facts["read"]["s"] == record.streams["s"]
    assert record.facts["metrics"]["tap"] == {"http_request_count": 6}
    assert "  Records sent to the target, in 2 attempts: 11 in 1 stream" in summary(record)


@pytest.mark.parametrize(
    ("end", "will_recur"),
    [("sys.exit(1)", False), ("sys.exit(2)", True), ("sys.exit(4)", True), ("print('not Singer')", True)],
)
def test_what_is_bound_to_fail_again_has_to_be_mended_first(bench, end, will_recur):
    record = bench.run(tap=f"{TAP}\nsys.stdout.flush()\n{end}")
    what_to_do = next(line for line in summary(record, None, bench.store.get("p")) if "What to do" in line)
    assert record.status == "tap_failed"
    assert ("Mend what is named above first" in what_to_do) == will_recur
    assert "safe to run again: it goes on from the bookmarks above" in what_to_do


def test_without_a_bookmark_nothing_is_said_to_go_on_from_one(bench):
    lines = "\n".join(summary(bench.run(tap="sys.exit(1)")))
    assert "It is safe to run again: it begins from the start" in lines
    assert "bookmarks above" not in lines


def test_metrics_do_not_push_the_reason_out_of_the_last_lines(bench):
    metric = json.dumps({"type": "counter", "metric": "record_count", "value": 1, "tags": {"stream": "s"}})
    body = f"print('the reason', file=sys.stderr)\nfor n in range(30): print('METRIC: ' + {metric!r}, file=sys.stderr)"
    record = bench.run(tap=f"{body}\nsys.exit(1)")
    assert list(record.last_lines["tap"]) == ["the reason"]
    assert record.facts["metrics"]["tap"] == {"record_count/s": 30}


def test_what_the_target_refused_is_in_the_summary(bench):
    log = 'METRIC: {"type": "counter", "metric": "refused_record_count", "value": 2, "tags": {"stream": "s"}}'
    record = bench.run(target=f"{TARGET}\nprint({log!r}, file=sys.stderr)")
    lines = summary(record)
    assert "  Of these the target refused, and left out: 2 (see its log, or its quarantine)" in lines
    assert record.facts["refused"] == {"s": 2}


def test_a_signal_stops_the_tap_and_the_target_drains(bench):
    endless = TAP.replace("11):", "10**9):\n    time.sleep(0.001)")
    threading.Thread(target=lambda: (time.sleep(0.5), os.kill(os.getpid(), signal.SIGTERM))).start()
    record = bench.run(tap=endless)
    assert (record.status, record.exit_code) == ("cancelled", 143)
    assert bench.ids == list(range(1, bench.state["bookmarks"]["s"]["n"] + 1))


@pytest.mark.parametrize("limits", [Limits(timeout_s=0.5), Limits(idle_timeout_s=0.5)])
def test_time_that_is_up_stops_the_tap(bench, limits):
    record = bench.run(tap=TAP + "time.sleep(60)", limits=limits)
    assert (record.status, record.exit_code, bench.state) == ("timed_out", 124, LAST)


def test_who_ignores_signals_is_ended(bench):
    tap = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + TAP + "time.sleep(60)"
    target = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + TARGET + "time.sleep(60)"
    record = bench.run(tap=tap, target=target, limits=Limits(timeout_s=0.5, grace_s=1.0, drain_s=1.0))
    assert record.status == "timed_out"
    assert bench.state == LAST


def test_what_programs_leave_behind_is_ended_too(bench):
    pid_file = bench.folder / "pid"
    tap = f"""
    if os.fork() == 0:
        open({str(pid_file)!r}, "w").write(str(os.getpid()))
        time.sleep(600)
    while not os.path.exists({str(pid_file)!r}): time.sleep(0.01)
    """
    assert bench.run(tap=tap + TAP.replace("\n", "\n    ").rstrip()).status == "success"
    pid = int(pid_file.read_text())
    until = time.monotonic() + 10
    while _is_running(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _is_running(pid)


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_flood_of_log_lines_blocks_nothing_and_only_its_end_is_kept(bench):
    record = bench.run(tap="for n in range(20000): print('line', n, file=sys.stderr)\n" + TAP)
    assert (record.status, len(bench.ids)) == ("success", 10)
    assert record.last_lines["tap"][-1] == "line 19999"
    assert len(record.last_lines["tap"]) == 20


def test_secrets_are_masked_everywhere(bench):
    tap = Program(
        name="tap",
        argv=bench.program("tap", "print('my hunter2!', file=sys.stderr); write('hunter2'); sys.exit(1)").argv,
        secrets=frozenset({"hunter2"}),
    )
    record = bench.run(tap=tap)
    assert "hunter2" not in repr(record) + repr(bench.shown.lines) + repr(bench.store.runs())
    assert ("tap", "my ***!") in bench.shown.lines


def test_configs_are_private_files_that_go_with_the_run(bench):
    look = """
    path = option("--config")
    write({"type": "STATE", "value": {"mode": os.stat(path).st_mode, "folder": os.stat(os.path.dirname(path)).st_mode,
                                      "config": given("--config")}})
    """
    config = {"token": "x", "count": 3}
    bench.run(tap=bench.program("tap", look, config=config))
    assert bench.state["config"] == config
    assert stat.S_IMODE(bench.state["mode"]) == 0o600
    assert stat.S_IMODE(bench.state["folder"]) == 0o700
    assert not [path for path in (bench.folder / "private" / "run").iterdir() if path.is_dir()]


ROTATE = """
config = given("--config")
write({"type": "STATE", "value": {"had": config["token"]}})
json.dump({**config, "token": config["token"] + "+"}, open(option("--config"), "w"))
"""


def test_rotated_tokens_are_kept_until_their_user_changes_them(bench):
    had = []
    for token in ("a", "a", "a", "b"):
        bench.run(tap=bench.program("tap", ROTATE, config={"token": token}, writes_back=True))
        had.append(bench.state["had"])
    assert had == ["a", "a+", "a++", "b"]


def test_a_rotated_token_that_can_not_be_kept_is_kept_by_the_next_run(bench):
    kept = bench.folder / "private" / "kept"
    blocked = ROTATE + f"os.rename({str(kept)!r}, {str(kept)!r} + '-before'); open({str(kept)!r}, 'w').close()"
    bench.run(tap=bench.program("tap", blocked, config={"token": "a"}, writes_back=True))
    kept.unlink()
    bench.run(tap=bench.program("tap", ROTATE, config={"token": "a"}, writes_back=True))
    assert bench.state["had"] == "a+"
    assert not [path for path in (bench.folder / "private" / "run").iterdir() if path.is_dir()]


def test_what_a_crash_left_is_swept_and_what_was_written_back_is_kept(bench):
    folder = bench.folder / "private" / "run"
    config = {"token": "a"}
    pid = os.fork()
    if pid == 0:
        killer = ROTATE + "sys.stdout.flush(); os.kill(os.getppid(), 9); time.sleep(60)"
        bench.run(tap=bench.program("tap", killer, config=config, writes_back=True))
        os._exit(0)
    os.waitpid(pid, 0)
    assert [path for path in folder.iterdir() if path.is_dir()]
    # Its lease stands for a while yet.
    bench.run(tap=bench.program("tap", ROTATE, config=config, writes_back=True), state_key="q")
    assert bench.store.get("q").state == {"had": "a+"}
    assert not [path for path in folder.iterdir() if path.is_dir()]


def test_a_run_whose_runner_was_killed_is_known_as_crashed(bench):
    pid = os.fork()
    if pid == 0:
        bench.run(tap=TAP + "os.kill(os.getppid(), 9); time.sleep(60)")
        os._exit(0)
    os.waitpid(pid, 0)
    (record,) = bench.store.runs()
    assert record.status == "running"
    assert as_known(record).status == "running"
    assert as_known(record, record.started + timedelta(minutes=10)).status == "crashed"
    bench.store.release(bench.store.acquire("p", "next", 60, force=True))
    bench.run()
    assert [run.status for run in bench.store.runs()] == ["success", "crashed"]


@pytest.mark.parametrize(("failures", "status"), [(2, "success"), (10**6, None)])
def test_a_store_that_is_away_for_a_while_ends_no_run(bench, monkeypatch, failures, status):
    monkeypatch.setenv("SINGERKIT_LEASE_SECONDS", "2")
    renew, left = bench.store.renew, [failures]

    def flaky(lease, seconds):
        left[0] -= 1
        if left[0] >= 0:
            raise StoreError("no route")
        return renew(lease, seconds)

    monkeypatch.setattr(bench.store, "renew", flaky)
    if status is None:
        with pytest.raises(StoreError, match="no route"):
            bench.run(tap=TAP + "time.sleep(60)")
        return
    assert bench.run(tap=TAP + "time.sleep(3)").status == status
    assert any("trying again" in line for _, line in bench.shown.lines)


@pytest.mark.parametrize("what", ["put", "log", "release"])
@pytest.mark.parametrize("is_done", [True, False])
def test_a_store_that_is_away_when_a_run_ends_takes_nothing_of_it_back(bench, monkeypatch, what, is_done):
    real, left = getattr(bench.store, what), [2]

    def flaky(*arguments, **said):
        if what == "log" and arguments[0].status == "running":
            return real(*arguments, **said)
        left[0] -= 1
        if left[0] >= 0:
            if is_done:  # and only its answer is lost
                real(*arguments, **said)
            raise StoreAwayError("no route")
        return real(*arguments, **said)

    monkeypatch.setattr(bench.store, what, flaky)
    assert bench.run().status == "success"
    assert (bench.state, [run.status for run in bench.store.runs()]) == (LAST, ["success"])
    assert any("no route" in line for _, line in bench.shown.lines)


def test_a_newer_state_follows_one_whose_answer_was_lost(bench, monkeypatch):
    real = bench.store.put
    keeper = Keeper(bench.store, bench.job(), run="r", listener=bench.shown)

    def lost(*arguments, **said):
        real(*arguments, **said)
        raise StoreAwayError("no route")

    keeper.acknowledge({"bookmarks": {"s": {"n": 1}, "t": {"n": 1}}})
    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "put", lost)
        with pytest.raises(StoreAwayError):
            keeper.persist()
    keeper.acknowledge(LAST)
    keeper.persist()
    keeper.close()
    assert bench.state == {"bookmarks": {"s": {"n": 10}, "t": {"n": 1}}}
    assert (keeper.stored, bench.store.get("p").revision) == (bench.store.get("p"), 2)


def test_a_state_that_another_run_stored_since_is_not_taken_for_ours(bench, monkeypatch):
    real = bench.store.put

    def overtaken(key, state, *, expected, lease, run):
        real(key, state, expected=expected, lease=lease, run="another")
        return real(key, state, expected=expected, lease=lease, run=run)

    monkeypatch.setattr(bench.store, "put", overtaken)
    with pytest.raises(ConflictError):
        bench.run()


def test_a_second_run_of_the_same_key_is_refused(bench):
    bench.store.acquire("p", "another:1:x", 60)
    with pytest.raises(LockedError, match="another:1:x"):
        bench.run()
    assert bench.ids == []
    assert bench.store.runs() == []


def test_old_runs_are_forgotten_now_and_then_and_the_last_success_stays(bench):
    retention = Retention(runs=3)
    success = bench.run(retention=retention)
    for _ in range(49):
        bench.store.release(bench.store.acquire("p", "x", 60))
    failed = [bench.run(tap="sys.exit(1)", retention=retention) for _ in range(5)]
    assert len(bench.store.runs()) == 6
    for _ in range(100 - 55 - 1):
        bench.store.release(bench.store.acquire("p", "x", 60))
    failed.append(bench.run(tap="sys.exit(1)", retention=retention))
    assert [run.id for run in bench.store.runs()] == [*(run.id for run in failed[:2:-1]), success.id]


@pytest.mark.parametrize(("kept", "left"), [(7, 7), (0, 100)])
def test_old_revisions_are_forgotten_now_and_then(bench, kept, left):
    lease = bench.store.acquire("p", "x", 60)
    for revision in range(99):
        bench.store.put("p", {"n": revision}, expected=revision or None, lease=lease, run="r")
    bench.store.release(lease)
    bench.run(tap='write({"type": "STATE", "value": {"n": 99}})', retention=Retention(revisions=kept))
    assert (bench.store.get("p").revision, len(bench.store.history("p"))) == (100, left)


def test_steps_follow_a_success_only_and_know_the_run(bench):
    facts = bench.folder / "facts"
    step = f"env | grep ^SINGERKIT_ > {facts}"
    bench.run(tap=BREAKING_TAP + "sys.exit(1)", after=(step,))
    assert not facts.exists()
    record = bench.run(after=(step, "echo done"))
    assert f"SINGERKIT_RUN_ID={record.id}" in facts.read_text()
    assert "SINGERKIT_RECORDS=5\n" in facts.read_text()
    assert ("after", "done") in bench.shown.lines
    failed = bench.run(after=("exit 3", f"rm {facts}"))
    assert (failed.status, failed.exit_code, facts.exists()) == ("after_failed", 1, True)


def stopped_once_there_is(path):
    """Have this process get a SIGTERM when a file is there; give its path."""

    def stop():
        while not path.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    return path


def test_a_signal_ends_a_step_that_follows_even_one_that_ignores_it(bench):
    begun = stopped_once_there_is(bench.folder / "begun")
    step = f"trap '' TERM; touch {begun}; while true; do sleep 0.1; done"
    record = bench.run(after=(step, "echo never"), limits=Limits(grace_s=1))
    assert (record.status, record.exit_code, bench.state) == ("cancelled", 143, LAST)
    assert ("after", "never") not in bench.shown.lines


def test_a_step_that_is_to_end_is_told_once_and_can_clean_up(bench):
    begun = stopped_once_there_is(bench.folder / "begun")
    step = f"trap 'sleep 0.3 && echo cleaned; exit 0' TERM; touch {begun}; sleep 30 & wait"
    bench.run(after=(step,), limits=Limits(grace_s=20))
    assert ("after", "cleaned") in bench.shown.lines


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes below /proc")
def test_a_step_is_not_left_behind_when_the_lease_is_lost(bench, monkeypatch):
    monkeypatch.setenv("SINGERKIT_LEASE_SECONDS", "1")
    begun = bench.folder / "begun"

    def take():
        while not begun.exists():
            time.sleep(0.01)
        bench.store.acquire("p", "another", 60, force=True)

    threading.Thread(target=take).start()
    with pytest.raises(FencedError):
        bench.run(after=(f"trap '' TERM; touch {begun}; while true; do sleep 0.1; done",))
    assert not processes_with(str(begun))


def test_old_runs_and_revisions_of_units_are_forgotten_too(bench):
    job = Job(name="p", state_key="p", tap=PROGRAM, target=PROGRAM, retention=Retention(runs=20, revisions=20))
    unit = Unit("p", "s", ("s",))
    of_unit = unit_job(job, unit)
    for number in range(110):
        whole = Keeper(bench.store, job, run=f"whole{number}", listener=bench.shown)
        run = f"unit{number}"
        keeper = Keeper(bench.store, of_unit, run=run, listener=bench.shown)
        bench.store.log(
            RunRecord(id=run, pipeline=of_unit.name, state_key=of_unit.state_key, started=utc_now(), status="success")
        )
        keeper.acknowledge({"bookmarks": {"s": {"replication_key_value": number}}})
        keeper.persist()
        keeper.forget_old_runs()
        keeper.close()
        whole.gather([unit])
        whole.close()
    assert len(bench.store.history("p")) <= 100
    assert len(bench.store.history(of_unit.state_key)) <= 100
    assert len(bench.store.runs(of_unit.name, limit=1000)) <= 50


def test_metrics_in_logs_are_kept(bench):
    metric = {"type": "counter", "metric": "record_count", "value": 4, "tags": {"stream": "s"}}
    log = f"print('INFO METRIC: ' + json.dumps({metric}), file=sys.stderr)\n"
    record = bench.run(tap=log + log + TAP)
    assert record.facts["metrics"] == {"tap": {"record_count/s": 8}}


def test_the_catalog_is_discovered_and_changed_by_rules(bench):
    tap = """
    if "--discover" in sys.argv:
        write({"streams": [{"tap_stream_id": "s"}]})
    else:
        write({"type": "STATE", "value": given("--catalog")})
    """
    bench.run(tap=tap, catalog_rules=lambda catalog: {"streams": [*catalog["streams"], {"tap_stream_id": "t"}]})
    assert [entry["tap_stream_id"] for entry in bench.state["streams"]] == ["s", "t"]


SLOW_DISCOVERY = """
if "--discover" in sys.argv:
    open("discovering", "w").close()
    time.sleep(SECONDS)
    write({"streams": []})
"""


def test_the_lease_is_kept_while_a_tap_discovers(bench, monkeypatch):
    monkeypatch.setenv("SINGERKIT_LEASE_SECONDS", "1")
    monkeypatch.chdir(bench.folder)
    taken = []

    def take():
        with suppress(LockedError):
            taken.append(bench.store.acquire("p", "another", 60))

    threading.Timer(2, take).start()
    record = bench.run(tap=SLOW_DISCOVERY.replace("SECONDS", "3"), catalog_rules=lambda catalog: catalog)
    assert (record.status, taken) == ("success", [])


def test_a_signal_ends_a_discovery(bench, monkeypatch):
    monkeypatch.chdir(bench.folder)

    def stop():
        while not (bench.folder / "discovering").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    record = bench.run(tap=SLOW_DISCOVERY.replace("SECONDS", "600"), catalog_rules=lambda catalog: catalog)
    assert (record.status, record.exit_code) == ("cancelled", 143)


def test_a_discovery_that_fails_is_told(bench):
    record = bench.run(tap="print('no access', file=sys.stderr); sys.exit(1)", catalog_rules=lambda catalog: catalog)
    assert record.status == "tap_failed"
    assert "could not discover" in record.failure
    assert "no access" in record.failure


def test_exact_numbers_of_states_stay_exact(bench):
    tap = """write('{"type": "STATE", "value": {"n": 12345678901234567890.123456789}}')"""
    bench.run(tap=tap, target="for line in sys.stdin: write(line[26:-2])")
    bench.run(tap="write(json.dumps({'type': 'STATE', 'value': {'text': open(option('--state')).read()}}))")
    assert json.loads(bench.state["text"]) == {"n": 12345678901234567890.123456789}
    assert "12345678901234567890.123456789" in bench.state["text"]


def test_what_a_program_wrote_back_in_place_of_a_secret_is_one(bench):
    rotate = """
        path = option("--config")
        config = json.load(open(path))
        print(*config.values(), file=sys.stderr)
        config = {"api_token": config["api_token"] + "+new", "login": config["login"] + "+new", "n": config["n"] + 1}
        json.dump(config, open(path, "w"))
    """
    config = {"api_token": "token-of-mine", "login": "value-of-a-variable", "n": 7}
    for _ in range(3):
        tap = bench.program(
            "tap", rotate, config=config, writes_back=True, secrets=frozenset(list(config.values())[:2])
        )
        record = bench.run(tap=tap)
        bench.shown.lines.clear()
    assert list(record.last_lines["tap"]) == ["*** *** 9"]
