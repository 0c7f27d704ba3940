import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barbot.errors import FeedError
from barbot.feeds.csvfile import CsvTable
from barbot.feeds.table import Chunk


def read(path: Path, *columns: str, rows: int = 3) -> list[Chunk]:
    return list(CsvTable(str(path)).chunks(columns, rows))


def refusal(path: Path) -> str:
    with pytest.raises(FeedError) as error:
        read(path, CsvTable(str(path)).columns[0])
    return str(error.value)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_is_read_in_chunks(tmp_path: Path, delimiter: str, ending: str, mark: str) -> None:
    lines = [["a", "b", "c"], *([f"{row}a", f"{row}b", f"{row}c"] for row in range(5))]
    path = tmp_path / "f.csv"
    path.write_bytes((mark + ending.join(delimiter.join(line) for line in lines)).encode())
    assert read(path, "a", "c") == [
        Chunk(1, 3, {"a": ["0a", "1a", "2a"], "c": ["0c", "1c", "2c"]}),
        Chunk(4, 2, {"a": ["3a", "4a"], "c": ["3c", "4c"]}),
    ]


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "f.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert read(path, "b") == [Chunk(1, 1, {"b": ["2"]})]
    assert CsvTable(str(path)).rows_hint is None


def test_quoted_cells_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text('"a","b"\n1,2\n3,4\n5,"6,\n""7"""\n8,9\n', encoding="utf-8")
    assert read(path, "b", rows=2) == [Chunk(1, 2, {"b": ["2", "4"]}), Chunk(3, 2, {"b": ['6,\n"7"', "9"]})]


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("\na,b\n\n1,2\n\n3,4\n\n\n", encoding="utf-8")
    chunks = read(path, "a", rows=2)
    assert [cell for chunk in chunks for cell in chunk.cells["a"]] == ["1", "3"]
    assert [chunk.first_row for chunk in chunks] == [1, 2]


def test_the_number_of_rows_is_guessed(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("a,b\n" + "1,2\n" * 5000, encoding="utf-8")
    assert CsvTable(str(path)).rows_hint == pytest.approx(5000, rel=0.01)


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=4)


@given(st.lists(st.tuples(_CELL, _CELL, _CELL), max_size=12), st.integers(1, 5))
def test_cells_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], size: int
) -> None:
    path = tmp_path_factory.mktemp("csv") / "f.csv"
    quoted = (",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [("a", "b", "c"), *rows])
    path.write_bytes("\n".join(quoted).encode())
    chunks = read(path, "a", "b", "c", rows=size)
    assert [(cell, other) for cell, _, other in rows] == [
        pair for chunk in chunks for pair in zip(chunk.cells["a"], chunk.cells["c"], strict=True)
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty. Give a file with a header line and at least one row"),
        (b"\n \n", "is empty. Give a file with a header line and at least one row"),
        (
            b"1649667600,1,2\n",
            "has no header line (it begins with '1649667600,1,2'). "
            "Put one first, such as timestamp,open,high,low,close,volume",
        ),
        (b"a,b\n1,2\n3\n", "row 2 has 1 cells where the header has 2. Correct the row"),
        (b"a,b\n1\n2,3,4\n", "row 1 has 1 cells where the header has 2. Correct the row"),
        (b'a,b\n"1",2\n3\n', "row 2 has 1 cells where the header has 2. Correct the row"),
        (b"a,b\n\xff\xfe,1\n", "is neither CSV in UTF-8 nor Parquet"),
        (b"\x00\x01\x02\x03", "is neither CSV in UTF-8 nor Parquet"),
        (b"(\xb5/\xfd\x00\x01", "is neither CSV in UTF-8 nor Parquet"),
        (b"\x1f\x8b" + b"a,b\n" * 9, "is a damaged gzip file"),
        (gzip.compress(b"a,b\n1,2\n" * 99)[:-20], "is a damaged gzip file"),
        (b'a,b\n"' + b"x" * 200_000, "cannot be read after row 0: field larger than field limit (131072)"),
    ],
)
def test_what_is_no_table_says_why(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(content)
    assert refusal(path).startswith(f"{path}: {message}")
