"""The cross-sectional format: one test moon after the other, trained on what was known by then."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opencrunch.context import Context


def run(run: Context) -> None:
    """Train where the schedule says so, on moons strictly before the embargo; predict every test moon."""
    for step in run.schedule:
        known = step.moon - run.embargo
        if step.trains:
            X, y = run.X.before(known), run.y.before(known)
            run.call("train", key=step.moon, X_train=X, y_train=y, moon=step.moon, has_trained=True)
        run.predict(X_test=run.X.at(step.moon), moon=step.moon, has_trained=step.trains)
