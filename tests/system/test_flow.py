"""Graphs whose nodes are never idle, wait long, or feed each other: they are heard, served and end."""

from __future__ import annotations

from pathlib import Path

from .graphs import graph_run, interrupt

BUSY = """\
name: busy
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 2000}}}}
  end: {{use: "tests.system.actors:SlowCollect", in: {{x: {{from: src.out, depth: 2000}}}}, with: {{file: "{file}"}}}}
  boss: {{use: "tests.system.actors:Breaks", with: {{count: 100, every_ms: 20}}, restart: never, critical: true}}
"""


def test_a_node_with_much_to_do_hears_that_the_graph_stops_and_leaves_cleanly(tmp_path: Path) -> None:
    with graph_run(tmp_path, BUSY.format(file=tmp_path / "heard.txt")) as run:
        assert run.wait() == 1
        assert "error: boss: unplugged" in run.stderr
        assert (tmp_path / "heard.txt").exists(), "it was deaf and had to be killed"
        run.all_gone()


JOBS = """\
name: jobs
nodes:
  stream: {{use: "tests.system.actors:Count", with: {{count: 1500, every_ms: 1}}}}
  jobs: {{use: "tests.system.actors:Count", with: {{count: 100}}}}
  mid:
    use: "tests.system.actors:Mixed"
    in: {{x: {{from: stream.out, depth: 5, when_full: drop_oldest}}, y: {{from: jobs.out, link: queue, depth: 1}}}}
    with: {{ms: 4}}
  end: {{use: "tests.system.actors:Collect", in: {{x: {{from: mid.out, depth: 2000}}}}, with: {{file: "{file}"}}}}
"""


def test_jobs_are_acknowledged_although_a_stream_leaves_no_rest(tmp_path: Path) -> None:
    with graph_run(tmp_path, JOBS.format(file=tmp_path / "heard.txt")) as run:
        assert run.wait() == 0, run.stderr
        numbers = [int(line.split()[1]) for line in (tmp_path / "heard.txt").read_text().splitlines()]
        last_of_the_stream = max(k for k, n in enumerate(numbers) if n > 0)
        assert sum(n < 0 for n in numbers[:last_of_the_stream]) > 20, "the queue starved beside the stream"


LOOP = """\
name: loop
nodes:
  src: {use: "tests.system.actors:Count", with: {count: 300}}
  mid: {use: "tests.system.actors:Echo", in: {x: {from: src.out}, back: {from: late.out, link: queue, depth: 2}}}
  late: {use: "tests.system.actors:Slow", in: {x: {from: mid.out}}, with: {ms: 2}}
"""


def test_a_node_that_has_ended_holds_up_nobody_who_still_feeds_it(tmp_path: Path) -> None:
    with graph_run(tmp_path, LOOP) as run:
        assert run.wait() == 0, run.stderr
        back = run.edge("late.out->mid.back")
        assert back["sent"] == 300 == back["delivered"] + back["dropped"]
        run.all_gone()


SELDOM = """\
name: seldom
nodes:
  src: {use: "tests.system.actors:Count", with: {count: 3, every_ms: 600000}}
drain_within: 5s
"""


def test_a_source_that_waits_long_for_its_next_message_is_woken_to_stop(tmp_path: Path) -> None:
    with graph_run(tmp_path, SELDOM) as run:
        run.running()
        interrupt(run)
        assert run.wait() == 0, run.stderr
        run.all_gone()


ALARM = """\
name: alarm
nodes:
  alarm: {{use: "tests.system.actors:Alarm"}}
  count: {{use: "tests.system.actors:Count", with: {{count: 0}}}}
  end: {{use: "tests.system.actors:Startled", in: {{interrupt: alarm.out, x: count.out}}, with: {{file: "{file}"}}}}
"""


def test_interruptions_that_pile_up_are_handled_in_their_order(tmp_path: Path) -> None:
    with graph_run(tmp_path, ALARM.format(file=tmp_path / "heard.txt")) as run:
        assert run.wait() == 0, run.stderr
        turns = [int(line.split()[1]) for line in (tmp_path / "heard.txt").read_text().splitlines()]
        assert turns == list(range(1, 51))


LATER = """\
name: later
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 40, every_ms: 10}}}}
  mid: {{use: "tests.system.actors:Later", in: {{x: src.out}}}}
  end: {{use: "tests.system.actors:Collect", in: {{x: mid.out}}, with: {{file: "{file}"}}}}
"""


def test_what_has_to_happen_at_a_time_happens_between_two_messages(tmp_path: Path) -> None:
    with graph_run(tmp_path, LATER.format(file=tmp_path / "heard.txt")) as run:
        assert run.wait() == 0, run.stderr
        numbers = [int(line.split()[1]) for line in (tmp_path / "heard.txt").read_text().splitlines()]
        later = [n for n in numbers if n >= 0]
        assert later == list(range(len(later)))
        assert 10 < len(later) < 40, "but not after the end"
        assert numbers.index(0) > 1, "others are heard meanwhile"
