"""The organiser's data files: one table from one file or several, read by column or batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencrunch.competition.problems import Problem, Problems, listed

BATCH = 1 << 16
SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file: parquet is read when asked for, CSV when opened."""

    name: str
    path: Path
    source: Any  # pyarrow's ParquetFile or Table
    schema: Any
    rows: int

    def column(self, position: int) -> Any:
        """Return a column as a pyarrow ChunkedArray."""
        if not hasattr(self.source, "iter_batches"):
            return self.source.column(position)
        name = self.schema.names[position]
        with self._reading():
            return self.source.read(columns=[name]).column(name)  # "a" reads "a.b" too

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Yield batches of some columns, in the order of the names."""
        if hasattr(self.source, "iter_batches"):
            yield from self._parquet_batches(list(names))
        else:
            yield from self.source.select(list(names)).to_batches(max_chunksize=BATCH)

    def _parquet_batches(self, names: list[str]) -> Iterator[Any]:
        with self._reading():
            for batch in self.source.iter_batches(BATCH, columns=names, use_threads=False):
                yield batch.select(names)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what pyarrow says of a damaged file into an error that names it."""
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())[:300]
            raise _problem(self.name, f"the file cannot be read: {reason}") from error


@dataclass(frozen=True, kw_only=True)
class Table:
    """The features or the targets; the files' rows one after the other."""

    name: str
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(part.rows for part in self.parts)

    @property
    def names(self) -> list[str]:
        """The column names, in the order of the file; those that pandas made for an index are no columns."""
        return [name for name in self.parts[0].schema.names if not name.startswith("__index_level_")]

    @property
    def file(self) -> str:
        """The first file's name, which errors bear."""
        return self.parts[0].name

    def type(self, name: str) -> Any:
        """Return a column's stored (pyarrow) type."""
        return self.parts[0].schema.field(name).type

    def column(self, name: str) -> Any:
        """Return a column as one pyarrow ChunkedArray."""
        import pyarrow as pa

        pieces = [part.column(part.schema.names.index(name)) for part in self.parts]
        chunks = [chunk for piece in pieces for chunk in piece.chunks]
        return pa.chunked_array(chunks, type=pieces[0].type)

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Yield batches of some columns, all rows."""
        for part in self.parts:
            yield from part.batches(names)

    def missing(self, name: str) -> int:
        """Return how many values of a column are missing, from the file's statistics where it has them."""
        return sum(_missing(part, part.schema.names.index(name)) for part in self.parts)


def open_table(name: str, files: Sequence[str], directory: Path) -> Table:
    """Open the files of a table; raises CompetitionError that names all that is wrong."""
    parts: list[Part] = []
    problems: list[Problem] = []
    for file in files:
        try:
            parts.append(_open(file, directory / file, f"data.{name}"))
        except Problems as error:
            problems.extend(error.problems)
    for part in parts:
        problems.extend(_name_problems(part))
    if not problems:
        problems.extend(_differences(parts))
    if problems:
        raise Problems(problems)
    return Table(name=name, parts=tuple(parts))


def _open(name: str, path: Path, key: str) -> Part:
    if path.suffix.lower() not in SUFFIXES:
        raise _problem(name, f"expected a file whose name ends in {' or '.join(SUFFIXES)}", key)
    try:
        return _read_csv(name, path) if path.suffix.lower() == ".csv" else _read_parquet(name, path)
    except FileNotFoundError:
        raise _problem(name, f'there is no such file in "{path.parent}"', key) from None
    except (OSError, ValueError, RuntimeError) as error:  # pyarrow's errors are among these
        reason = " ".join(str(error).split())[:300]
        raise _problem(name, f"the file cannot be read as {path.suffix[1:]}: {reason}", key) from error


def _problem(file: str, message: str, key: str | None = None) -> Problems:
    return Problems([Problem(file=file, message=message, key=key)])


def _read_parquet(name: str, path: Path) -> Part:
    import pyarrow.parquet as pq

    if path.is_dir():
        raise ValueError("it is a directory; expected one file")
    # Buffered, and read by one thread, a large row group is never in memory as a whole.
    source = pq.ParquetFile(path, buffer_size=1 << 18, pre_buffer=False)
    return Part(
        name=name, path=path, source=source, schema=source.schema_arrow, rows=source.metadata.num_rows
    )


def _read_csv(name: str, path: Path) -> Part:
    """Read the whole file; types are inferred from all of its rows, an empty field is a missing value."""
    from pyarrow import csv

    size = path.stat().st_size
    table = csv.read_csv(
        path,
        read_options=csv.ReadOptions(block_size=min(max(size + 1, 1 << 20), (1 << 31) - 1)),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    return Part(name=name, path=path, source=table, schema=table.schema, rows=table.num_rows)


def _name_problems(part: Part) -> Iterator[Problem]:
    names = part.schema.names
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        yield Problem(file=part.name, message=f"repeated column names: {listed(repeated)}")
    if odd := [name for name in names if not name]:
        yield Problem(
            file=part.name, message=f"{len(odd)} column(s) without a name; expected a name for each"
        )


def _differences(parts: Sequence[Part]) -> Iterator[Problem]:
    first = parts[0]
    for part in parts[1:]:
        if not part.schema.equals(first.schema):
            ours, theirs = set(first.schema.names), set(part.schema.names)
            different = sorted(ours ^ theirs) or [
                name
                for name in first.schema.names
                if first.schema.field(name).type != part.schema.field(name).type
            ]
            what = listed(different) or "their order"
            yield Problem(file=part.name, message=f"its columns differ from those of {first.name}: {what}")


def _missing(part: Part, position: int) -> int:
    if hasattr(part.source, "iter_batches"):
        metadata = part.source.metadata
        if metadata.num_columns == len(part.schema.names):  # no nested column shifts the positions
            counts = [_statistic(metadata, group, position) for group in range(metadata.num_row_groups)]
            if None not in counts:
                return sum(count for count in counts if count is not None)
    return int(part.column(position).null_count)


def _statistic(metadata: Any, group: int, position: int) -> int | None:
    statistics = metadata.row_group(group).column(position).statistics
    if statistics is None or not statistics.has_null_count:
        return None
    return int(statistics.null_count)
