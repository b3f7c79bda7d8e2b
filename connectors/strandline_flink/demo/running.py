"""The demo from beginning to end: start, learn, drain, prove, stop."""

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from strandline.errors import EnvironmentUnfit
from strandline.reading.reader import Reader
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
PRIME_EVENTS: Final = 100
PREDICT_EVERY_S: Final = 0.25


def run_demo(options: Options, folder: Path, view: View) -> Summary:
    """Run the demo and return what it has shown; no child is left when this returns or raises.

    Raises
    ------
    EnvironmentUnfit
        If a child ends early or something takes too long; the message names the log file.
    KeyboardInterrupt, Terminated
        If it is asked to end before events flow, or twice.
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
            primed = stage.prime(PRIME_EVENTS)  # the job's Python starts with the first event
            reader = stage.open_reader(watch.store)
            stage.wait_until(lambda: watch.look() and watch.opened, OPEN_TIMEOUT_S,
                             "the job did not open its stream")  # fmt: skip
            EventFlow(stage, watch, reader, view, interrupts).run(primed)
            view.status("stopping the job")
            stage.job_done()
            watch.look()
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
        seconds=time.monotonic() - begin_s,
        folder=folder,
    )
    if summary.exact:  # what could explain a difference stays
        shutil.rmtree(folder / "broker" / "data", ignore_errors=True)
        shutil.rmtree(folder / "tmp", ignore_errors=True)
    return summary


class EventFlow:
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

    def run(self, first: int) -> None:
        """Let the events from `first` on flow until their end, and wait for their versions.

        Freshness is that of a job at work: it is measured once those before are in a version.
        """
        self._interrupts.phase = Phase.RUNNING
        self._view.status("the job's stream is open: waiting for its first version")
        self._drain()
        self._watch.begin_flow()
        self._flow(first)
        self._view.status("the events have ended: draining")
        self._drain()

    def _flow(self, first: int) -> None:
        """Produce the other events and show them learned, until their end or an interrupt."""
        options = self._stage.options
        left = None if options.events is None else options.events - first
        if left == 0 or self._interrupts.asked:
            return
        generator = self._stage.start_generator(first, left, options.rate)
        self._view.status("learning from the topic")
        begin_s = time.monotonic()
        while generator.exit_code is None and not self._interrupts.asked:
            if options.seconds is not None and time.monotonic() > begin_s + options.seconds:
                break
            self._step()
        generator.ask_to_end()
        generator.wait(GENERATOR_END_S)

    def _drain(self) -> None:
        """Wait until every event of the topic is in a version."""
        self._stage.ends(now=True)
        self._watch.changed_s = time.monotonic()
        while self._stage.behind(self._watch.positions) > 0:
            self._step()
            if time.monotonic() > self._watch.changed_s + STALLED_S:
                raise EnvironmentUnfit(
                    f"no new version for {STALLED_S:.0f} s, and"
                    f" {self._stage.behind(self._watch.positions)} events are in none;"
                    f" the job's logs are in {self._stage.folder}"
                )
        self._shown_s = 0.0
        self._step()

    def _step(self) -> None:
        """Look once, and show what was seen a few times a second."""
        self._watch.look()
        self._stage.check()
        if time.monotonic() > self._shown_s + PREDICT_EVERY_S:
            self._shown_s = time.monotonic()
            if self._watch.total.versions:
                self._prediction = self._sampler.predict(self._watch.total.events)
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
