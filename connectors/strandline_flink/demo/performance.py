"""The demo from beginning to end: start, learn, drain, prove, stop."""

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from strandline.errors import EnvironmentUnfit
from strandline.reader import Reader
from strandline_flink.demo.interrupts import Interrupts, Phase
from strandline_flink.demo.proof import differences
from strandline_flink.demo.sample import Prediction, Sampler
from strandline_flink.demo.stage import TOPIC, Options, Stage
from strandline_flink.demo.summary import Summary, summarize
from strandline_flink.demo.view import View
from strandline_flink.demo.watch import Watch

LOOK_EVERY_S: Final = 0.01
OPEN_TIMEOUT_S: Final = 180.0
GENERATOR_END_S: Final = 60.0
STALLED_S: Final = 60.0
PREDICT_EVERY_S: Final = 0.25


def perform(options: Options, folder: Path, view: View) -> Summary:
    """Run the demo and return what it has shown; no child is left when this returns or raises.

    Raises
    ------
    EnvironmentUnfit
        If a child ends early or something takes too long; the message names the log file.
    KeyboardInterrupt
        If it is interrupted before events flow, or twice.
    """
    begin_s = time.monotonic()
    interrupts = Interrupts()
    with ExitStack() as stack:
        stack.enter_context(interrupts.listening())
        stack.enter_context(client_log(folder / "demo.log"))
        stack.enter_context(view)
        with Stage(options, folder, interrupts) as stage:
            view.status("starting a Kafka broker")
            watch = Watch(stage.open_store())
            stage.start_broker()
            view.status("starting the job: strandline run")
            stage.start_job(watch.store)
            reader = stage.open_reader(watch.store)
            stage.wait_until(lambda: watch.look() and watch.opened, OPEN_TIMEOUT_S,
                             "the job did not open its stream")  # fmt: skip
            learning_s = Performance(stage, watch, reader, view, interrupts).run()
            stage.job_done()
            view.status("reading the topic again")
            ends = stage.ends(now=True)
            difference = differences(
                watch.store,
                watch.version,
                bootstrap=stage.broker.bootstrap,
                topic=TOPIC,
                ends=ends,
                report=view.status,
            )
            unread = stage.behind(watch.positions)
            produced = stage.produced()
            view.status("stopping the broker")
    summary = summarize(
        watch,
        difference,
        produced=produced,
        unread=unread,
        learning_s=learning_s,
        seconds=time.monotonic() - begin_s,
        folder=folder,
    )
    if summary.exact:  # what could explain a difference stays
        shutil.rmtree(folder / "broker" / "data", ignore_errors=True)
        shutil.rmtree(folder / "tmp", ignore_errors=True)
    return summary


class Performance:
    """The part of the demo in which events flow."""

    def __init__(
        self, stage: Stage, watch: Watch, reader: Reader, view: View, interrupts: Interrupts
    ) -> None:
        self._stage = stage
        self._watch = watch
        self._view = view
        self._interrupts = interrupts
        self._sampler = Sampler(stage.options.seed, reader)
        self._prediction: Prediction | None = None
        self._shown_s = 0.0

    def run(self) -> float:
        """Start the events, show them learned until they end, drain; return the seconds it took."""
        stage = self._stage
        generator = stage.start_generator()
        begin_s = time.monotonic()
        self._interrupts.phase = Phase.RUNNING
        self._view.status("learning from the topic")
        while generator.exit_code is None and not self._interrupts.asked:
            if (
                stage.options.seconds is not None
                and time.monotonic() > begin_s + stage.options.seconds
            ):
                break
            self._step()
        generator.ask_to_end()
        self._view.status("the events have ended: draining")
        generator.wait(GENERATOR_END_S)
        stage.ends(now=True)
        self._watch.changed_s = time.monotonic()
        while stage.behind(self._watch.positions) > 0:
            self._step()
            if time.monotonic() > self._watch.changed_s + STALLED_S:
                assert stage.job is not None
                raise EnvironmentUnfit(
                    f"no new version for {STALLED_S:.0f} s, and"
                    f" {stage.behind(self._watch.positions)} events are in none;"
                    f" see {stage.job.log_file} and {stage.folder / 'tmp'}"
                )
        return time.monotonic() - begin_s

    def _step(self) -> None:
        """Look once, and show what was seen a few times a second."""
        self._watch.look()
        self._stage.check()
        if time.monotonic() > self._shown_s + PREDICT_EVERY_S:
            self._shown_s = time.monotonic()
            if self._watch.versions:
                self._prediction = self._sampler.predict(self._watch.events)
            behind = self._stage.behind(self._watch.positions)
            self._view.update(self._watch, behind, self._prediction)
        time.sleep(LOOK_EVERY_S)


@contextmanager
def client_log(file: Path) -> Iterator[None]:
    """Send what the Kafka client says in this process to a file, not to the terminal."""
    logger = logging.getLogger("kafka")
    handler = logging.FileHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger.addHandler(handler)
    before, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(handler)
        handler.close()
