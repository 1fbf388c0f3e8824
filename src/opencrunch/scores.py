"""The scores of a prediction: every metric of a competition, per key and reduced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from opencrunch.custom_metric import CustomMetric, load
from opencrunch.errors import CompetitionError, OpenCrunchError, OrganiserError, ParticipantError
from opencrunch.matching import Positions, json_text, match
from opencrunch.metrics import BUILT_IN, Floats, KeyScores, Offsets
from opencrunch.reducers import reduce

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"
Key = int | str


class TargetLike(Protocol):
    """A target: its column in the truth and in the prediction."""

    @property
    def input(self) -> str: ...
    @property
    def output(self) -> str: ...


class ColumnsLike(Protocol):
    """The part of a competition's columns that scoring reads."""

    @property
    def moon(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def targets(self) -> Mapping[str, TargetLike]: ...


class MetricLike(Protocol):
    """A metric as the competition file declares it."""

    @property
    def name(self) -> str: ...
    @property
    def function(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def per(self) -> str: ...
    @property
    def reduce(self) -> str: ...
    @property
    def direction(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class MetricScore:
    """What one metric says of a prediction; `value` is None where it is undefined, and `notes` say why."""

    value: float | None
    direction: str
    per_key: Mapping[Key, float | None]
    constant_keys: int
    rows: int
    rows_without_target: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; the keys are strings, as JSON has them."""
        return {
            "value": self.value,
            "direction": self.direction,
            "per_key": {str(key): value for key, value in self.per_key.items()},
            "keys": len(self.per_key),
            "constant_keys": self.constant_keys,
            "rows": self.rows,
            "rows_without_target": self.rows_without_target,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of one prediction, by metric name."""

    metrics: Mapping[str, MetricScore]

    def to_json(self) -> dict[str, Any]:
        """Return what a run's record keeps."""
        return {name: score.to_json() for name, score in self.metrics.items()}


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """The rows of a target that can be scored, sorted by key."""

    positions: Positions
    prediction: Floats
    truth: Floats
    keys: list[Key]
    offsets: Offsets
    without_target: int


def score(
    prediction: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    columns: ColumnsLike,
    metrics: Iterable[MetricLike],
    directory: Path,
) -> Scores:
    """Return the scores of a prediction against the truth of exactly its split.

    Rows are joined by moon and id: missing, extra and duplicate ones are an error (`matching.match`). Rows
    whose target is NaN are left out and counted; a key without any other row is no key.
    """
    order = match(prediction, truth, moon=columns.moon, id=columns.id)
    scorer = _Scorer(prediction.iloc[order], truth, columns, directory)
    return Scores(metrics={metric.name: scorer.score(metric) for metric in metrics})


class _Scorer:
    """Scores metrics on frames whose rows belong together, one by one."""

    def __init__(
        self, prediction: pd.DataFrame, truth: pd.DataFrame, columns: ColumnsLike, directory: Path
    ) -> None:
        moons = _moons(truth, columns.moon)
        order = np.argsort(moons, kind="stable")
        self.prediction = prediction.iloc[order].reset_index(drop=True)
        self.truth = truth.iloc[order].reset_index(drop=True)
        self.moons = moons[order]
        self.columns = columns
        self.directory = directory

    def score(self, metric: MetricLike) -> MetricScore:
        rows = self._rows(metric)
        if metric.function in BUILT_IN:
            function = BUILT_IN[metric.function].function
            # reduceat needs a first row
            found = function(rows.prediction, rows.truth, rows.offsets) if rows.keys else _nothing()
        else:
            found = self._custom(load(metric.function, self.directory), metric, rows)
        reduced = reduce(metric.reduce, found.values)
        values = [value if np.isfinite(value) else None for value in found.values.tolist()]
        return MetricScore(
            value=reduced.value,
            direction=metric.direction,
            per_key=dict(zip(rows.keys, values, strict=True)),
            constant_keys=int(found.constant.sum()),
            rows=len(rows.truth),
            rows_without_target=rows.without_target,
            notes=(reduced.note,) if reduced.note else (),
        )

    def _rows(self, metric: MetricLike) -> _Rows:
        if metric.target not in self.columns.targets:
            targets = ", ".join(self.columns.targets)
            raise CompetitionError(
                f'metric "{metric.name}" scores an unknown target "{metric.target}"; there are: {targets}',
                key="metrics",
            )
        target = self.columns.targets[metric.target]
        prediction = self._numbers(self.prediction, target.output, ParticipantError, "prediction")
        truth = self._numbers(self.truth, target.input, OrganiserError, "truth")
        self._refuse(~np.isfinite(prediction), prediction, target.output, ParticipantError, "prediction")
        self._refuse(np.isinf(truth), truth, target.input, OrganiserError, "truth")
        positions = np.flatnonzero(~np.isnan(truth))
        keys, offsets = _grouped(self.moons[positions], per=metric.per)
        return _Rows(
            positions=positions,
            prediction=prediction[positions],
            truth=truth[positions],
            keys=keys,
            offsets=offsets,
            without_target=len(truth) - len(positions),
        )

    def _custom(self, function: CustomMetric, metric: MetricLike, rows: _Rows) -> KeyScores:
        """Call the organiser's function for one key after the other."""
        values = np.empty(len(rows.keys))
        names = {
            "target_name": metric.target,
            "id_column_name": self.columns.id,
            "moon_column_name": self.columns.moon,
        }
        for number, key in enumerate(rows.keys):
            part = slice(rows.offsets[number], rows.offsets[number + 1])
            given: dict[str, Any] = {
                **names,
                "moon": None if key == ALL else key,
                "prediction": rows.prediction[part].copy(),
                "truth": rows.truth[part].copy(),
            }
            for name, frame in (("prediction_frame", self.prediction), ("truth_frame", self.truth)):
                if name in function.wanted:
                    given[name] = frame.iloc[rows.positions[part]].reset_index(drop=True)
            values[number] = function(given)
        return KeyScores(values=values, constant=np.zeros(len(values), dtype=np.bool_))

    def _numbers(self, frame: pd.DataFrame, name: str, error: type[OpenCrunchError], what: str) -> Floats:
        if name not in frame.columns:
            raise error(f'the {what} has no column "{name}"; it has {list(frame.columns)}')
        try:
            return np.asarray(frame[name].to_numpy(dtype=np.float64, na_value=np.nan))
        except (TypeError, ValueError) as problem:
            raise error(f'column "{name}" of the {what} does not hold numbers: {problem}') from problem

    def _refuse(
        self, bad: npt.NDArray[np.bool_], values: Floats, name: str, error: type[OpenCrunchError], what: str
    ) -> None:
        """Refuse a column with values that cannot be scored, naming the first."""
        if not bad.any():
            return
        row = int(bad.argmax())
        place = f"{self.columns.moon} {self.moons[row]}, {self.columns.id} "
        place += json_text(self.truth[self.columns.id].iloc[row])
        raise error(
            f'column "{name}" of the {what} has {int(bad.sum())} values that are not finite; '
            f"the first is {values[row]} ({place})"
        )


def _moons(truth: pd.DataFrame, name: str) -> npt.NDArray[np.int64]:
    moons = truth[name].to_numpy()
    if moons.dtype.kind not in "iuf" or (moons != np.floor(moons)).any():
        raise OrganiserError(f'column "{name}" of the truth holds {moons.dtype}; moons are integers')
    return np.asarray(moons, dtype=np.int64)


def _grouped(moons: npt.NDArray[np.int64], *, per: str) -> tuple[list[Key], Offsets]:
    """Return the keys and where their rows begin; for one key of all rows there is no moon."""
    if not len(moons):
        return [], np.zeros(1, dtype=np.int64)
    if per == ALL:
        return [ALL], np.array([0, len(moons)], dtype=np.int64)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(moons)) + 1])
    return moons[starts].tolist(), np.append(starts, len(moons)).astype(np.int64)


def _nothing() -> KeyScores:
    return KeyScores(values=np.empty(0), constant=np.empty(0, dtype=np.bool_))
