"""The hidden truth behind the click-through events: who is shown what, and who clicks.

    logit p = bias + taste[group, category] + appeal[item] + device + page + position
              - 0.45 (ln(1 + price) - 3) - 0.2 (ln(1 + age) - 3) + 0.8 (scroll - 0.5)

The taste turns slowly from one random matrix to another, so that a model that stops learning
falls behind.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

USERS: Final = 20_000
ITEMS: Final = 2_000
GROUPS: Final = 12
CATEGORIES: Final = 24
DEVICES: Final = ("mobile", "desktop", "tablet", "tv")
PAGES: Final = ("home", "search", "detail", "basket", "mail")
POSITIONS: Final = 10
CLICK_SHARE: Final = 0.2
DRIFT_EVENTS: Final = 4_000_000  # from one taste to its opposite
CALIBRATION_EVENTS: Final = 20_000

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn per event; one array element per event."""

    user: Integers
    item: Integers
    device: Integers
    page: Integers
    position: Integers
    hour: Integers
    scroll: Floats
    dwell_ms: Integers


class ClickWorld:
    """Users, items and the click probability. Everything follows from the seed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        self.group: Integers = rng.integers(0, GROUPS, USERS)
        self.tenure_days: Integers = (np.exp(rng.normal(5.0, 1.0, USERS))).astype(np.int64)
        self.category: Integers = rng.integers(0, CATEGORIES, ITEMS)
        self.price: Floats = np.round(np.exp(rng.normal(3.0, 0.9, ITEMS)), 2)
        self.age_days: Floats = np.round(rng.exponential(40.0, ITEMS), 1)
        self.tags: Integers = rng.integers(0, 60, (ITEMS, 3))
        self._taste = rng.normal(0.0, 1.25, (2, GROUPS, CATEGORIES))
        self._item = (
            rng.normal(0.0, 0.6, ITEMS)
            - 0.45 * (np.log1p(self.price) - 3.0)
            - 0.2 * (np.log1p(self.age_days) - 3.0)
        )
        self._device = rng.normal(0.0, 0.3, len(DEVICES))
        self._page = rng.normal(0.0, 0.5, len(PAGES))
        self._position = -0.12 * np.arange(POSITIONS)
        self._users_until = _cumulative_zipf(USERS, head=50, exponent=0.7)
        self._items_until = _cumulative_zipf(ITEMS, head=5, exponent=1.0)
        self._bias = 0.0
        self._bias = self._bias_for(CLICK_SHARE, rng)

    def show(self, rng: np.random.Generator, count: int) -> Shown:
        """Draw what `count` events show: users and items by Zipf's law."""
        return Shown(
            user=np.searchsorted(self._users_until, rng.random(count)),
            item=np.searchsorted(self._items_until, rng.random(count)),
            device=np.searchsorted([0.55, 0.85, 0.95], rng.random(count)),
            page=(rng.random(count) * len(PAGES)).astype(np.int64),
            position=(rng.random(count) * POSITIONS).astype(np.int64),
            hour=(rng.random(count) * 24).astype(np.int64),
            scroll=np.round(rng.random(count), 3),
            dwell_ms=(500.0 / (rng.random(count) + 0.005)).astype(np.int64),
        )

    def probability(self, shown: Shown, indices: Integers) -> Floats:
        """Return the true probability of a click for the events with these indices."""
        angle = np.pi * indices / DRIFT_EVENTS
        place = self.group[shown.user], self.category[shown.item]
        logit = (
            self._bias
            + np.cos(angle) * self._taste[0][place]
            + np.sin(angle) * self._taste[1][place]
            + self._item[shown.item]
            + self._device[shown.device]
            + self._page[shown.page]
            + self._position[shown.position]
            + 0.8 * (shown.scroll - 0.5)
        )
        probability: Floats = 1.0 / (1.0 + np.exp(-logit))
        return probability

    def _bias_for(self, share: float, rng: np.random.Generator) -> float:
        """Return the bias at which `share` of the events are clicks, by bisection."""
        shown = self.show(rng, CALIBRATION_EVENTS)
        odds = self.probability(shown, np.zeros(CALIBRATION_EVENTS, np.int64))
        logit = np.log(odds) - np.log1p(-odds)
        low, high = -20.0, 20.0
        for _ in range(50):
            bias = (low + high) / 2
            if np.mean(1.0 / (1.0 + np.exp(-logit - bias))) < share:
                low = bias
            else:
                high = bias
        return low


def _cumulative_zipf(count: int, *, head: int, exponent: float) -> Floats:
    weights = 1.0 / np.arange(head, head + count) ** exponent
    until: Floats = np.cumsum(weights) / weights.sum()
    until[-1] = 1.0
    return until
