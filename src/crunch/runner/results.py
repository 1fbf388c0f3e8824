"""What a call returned, as a header and raw buffers: nothing that the engine would have to unpickle."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import pandas as pd

from crunch.runner.channel import Buffer

Encoded = tuple[dict[str, Any], list[Buffer]]

NAME_LIMIT = 200  # characters of a name or of a value that an error may quote


def encode(value: Any, *, rows: int, columns: int) -> Encoded:
    """Return the header and buffers of a result; of a frame over the limits only its size."""
    if value is None:
        return {"type": "none"}, []
    if isinstance(value, pd.DataFrame):
        return _encode_frame(value, rows, columns)
    return {"type": "other", "name": _type_name(value)}, []


def _encode_frame(frame: pd.DataFrame, rows: int, columns: int) -> Encoded:
    header: dict[str, Any] = {"type": "frame", "rows": len(frame), "width": frame.shape[1], "columns": []}
    if len(frame) > rows or frame.shape[1] > columns:
        return header, []  # the sizes alone make the engine refuse it
    buffers: list[Buffer] = []
    for position, name in enumerate(frame.columns):
        column, parts = _encode_column(frame.iloc[:, position])
        label = name if isinstance(name, str) else repr(name)
        header["columns"].append({"name": str(label)[:NAME_LIMIT], "text": isinstance(name, str), **column})
        buffers.extend(parts)
    return header, buffers


def _encode_column(series: pd.Series) -> Encoded:
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf" and dtype.itemsize <= 8:
        return _encode_numbers(series.to_numpy())
    if isinstance(dtype, pd.CategoricalDtype):
        return _encode_objects(series.astype(object).to_numpy(), "category")
    if isinstance(dtype, np.dtype) and dtype.kind in "Mmc":
        return {"dtype": "other", "of": str(dtype)}, []
    if dtype.kind in "biuf":  # nullable and Arrow numbers
        missing = series.isna().to_numpy(bool)
        if not missing.any():
            return _encode_numbers(np.asarray(series.to_numpy(dtype=dtype.kind + str(_size(dtype)))))
        return _encode_numbers(series.to_numpy(dtype="float64", na_value=np.nan))
    return _encode_objects(series.to_numpy(dtype=object), str(dtype))


def _size(dtype: Any) -> int:
    return 1 if dtype.kind == "b" else int(getattr(dtype, "itemsize", 8))


def _encode_numbers(values: np.ndarray[Any, Any]) -> Encoded:
    values = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    return {"dtype": values.dtype.str}, [values.data.cast("B") if values.size else b""]


def _encode_objects(values: np.ndarray[Any, Any], of: str) -> Encoded:
    """Encode objects: all numbers become float64 (or int64), all strings text; anything else is named."""
    missing = pd.isna(values) if values.size else np.zeros(0, bool)
    present = values[~missing]
    if all(isinstance(value, str) for value in present):
        return _encode_strings(values, missing)
    if all(isinstance(value, numbers.Real | np.bool_) for value in present):
        whole = not missing.any() and all(isinstance(value, numbers.Integral) for value in present)
        try:
            return _encode_numbers(np.array(values.tolist(), dtype="int64" if whole else "float64"))
        except (OverflowError, TypeError, ValueError):
            filled = [np.nan if gone else float(value) for value, gone in zip(values, missing, strict=True)]
            return _encode_numbers(np.array(filled, dtype="float64"))
    odd = next(value for value in present if not isinstance(value, numbers.Real | np.bool_))
    return {"dtype": "other", "of": of, "holds": _type_name(odd)}, []


def _encode_strings(values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any]) -> Encoded:
    texts = [
        b"" if gone else str(value).encode("utf-8", "replace")
        for value, gone in zip(values, missing, strict=True)
    ]
    offsets = np.zeros(len(texts) + 1, "<i8")
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    valid = (~missing).astype(np.uint8)
    return {"dtype": "string"}, [offsets.tobytes(), b"".join(texts), valid.tobytes()]


def _type_name(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return name[:NAME_LIMIT]
