"""What a file of Rerun holds, by Rerun's own reader."""

from __future__ import annotations

from pathlib import Path


def rows(path: Path) -> dict[str, list[dict[str, object]]]:
    """Rows by entity, with the last part of their columns' names."""
    import pyarrow as pa
    from rerun.chunk import RrdReader

    found: dict[str, list[dict[str, object]]] = {}
    for chunk in RrdReader(path).stream().to_chunks():
        batch = chunk.to_record_batch()
        columns = {}
        for name, column in zip(batch.schema.names, batch.columns):
            temporal = pa.types.is_temporal(column.type)
            columns[name] = (column.cast(pa.int64()) if temporal else column).to_pylist()
        for row in range(batch.num_rows):
            values = {name: column[row] for name, column in columns.items()}
            found.setdefault(chunk.entity_path, []).append(values)
    for entity in found.values():
        # Chunks come in any order: what is static first, then frame by frame.
        entity.sort(key=lambda values: values.get('frame', -1))
    return found
