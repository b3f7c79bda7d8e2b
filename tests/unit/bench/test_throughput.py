"""How the throughput bench compares its contenders."""

from functools import partial

from bench.exactly_once_cost import figures, to_table
from bench.speed import Speed
from bench.strandline_run import Run
from bench.throughput import Results, compare, take_turns
from bench.throughput import to_table as throughput_table


def ours(seconds: float) -> Run:
    return Run(Speed(100, seconds, 0.5, seconds), start_s=3.0, whole_s=seconds + 4, versions=7)


def peer(seconds: float) -> Speed:
    return Speed(100, seconds, 0.6, seconds)


FOUND: Results = {
    "thread_1": [ours(2.0), ours(4.0), ours(2.0)],
    "process_1": [ours(4.0), ours(8.0), ours(4.0)],
    "kcat_vw": [peer(6.0), peer(12.0), peer(8.0)],
}


def test_a_ratio_is_made_within_a_turn_with_our_best_mode() -> None:
    compared = compare(FOUND)
    assert compared["best"] == "thread_1"
    assert compared["ratio_kcat_vw"] == 3.0
    assert compared["ratios"]["kcat_vw"] == {"median": 3.0, "min": 3.0, "max": 4.0, "runs": 3}
    assert compared["ratio_process_thread"] == 0.5


def test_without_ours_nothing_is_compared() -> None:
    assert compare({"kcat_vw": FOUND["kcat_vw"]}) == {}


def test_a_table_has_a_row_for_each_contender() -> None:
    table = throughput_table(FOUND).splitlines()
    assert len(table) == 2 + len(FOUND)
    assert "3.00 (3.00–4.00)" in table[-1]


def test_the_order_moves_on_from_turn_to_turn() -> None:
    called: list[str] = []

    def contender(name: str, seconds: float) -> Speed:
        called.append(name)
        return peer(seconds)

    names = ("kcat_vw", "vw_text")
    found = take_turns({name: partial(contender, name, 1.0) for name in names}, 2)
    assert called == ["kcat_vw", "vw_text", "vw_text", "kcat_vw"]
    assert {name: len(done) for name, done in found.items()} == {"kcat_vw": 2, "vw_text": 2}


def test_an_interval_stands_beside_the_runs_without_checkpoints() -> None:
    none, often = [ours(2.0), ours(4.0)], [ours(2.5), ours(5.0)]
    intervals = {"none": figures(none, none), "1s": figures(often, none)}
    assert intervals["1s"]["ratio_none"]["median"] == 0.8
    assert "| every 1s |" in to_table({"intervals": intervals})
