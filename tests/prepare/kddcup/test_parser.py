import numpy as np
import pytest

from rawfile import HEADER, LABELS, WIDTH, RawRow, encode, many_rows, raw_bytes
from shopsight.errors import InputError
from shopsight.prepare.kddcup.line_reader import CHUNK_BYTES
from shopsight.prepare.kddcup.parser import feature_width_of, header_size, parse_rows, read_labels
from shopsight.prepare.kddcup.regions import RowRules
from shopsight.prepare.kddcup.rows import KINDS

RULES = RowRules(WIDTH, frozenset(range(33)))


def parse(rows, rules=RULES, known=None, end=b"\n"):
    return parse_rows(raw_bytes(rows, end)[len(HEADER) :], rules, (known or {}).get)


def test_good_rows_come_out_as_they_went_in():
    rows = many_rows(40, products=7, queries=11)
    parsed = parse(rows)
    assert parsed.errors == []
    assert parsed.line_count == 40
    assert parsed.product_ids.tolist() == [row.product_id for row in rows]
    assert parsed.query_ids.tolist() == [row.query_id for row in rows]
    assert parsed.queries == [row.query for row in rows]
    firsts = [rows[i] for i in parsed.new]
    assert [row.product_id for row in firsts] == list(dict.fromkeys(r.product_id for r in rows))
    np.testing.assert_array_equal(parsed.boxes, np.vstack([row.boxes() for row in firsts]))
    np.testing.assert_array_equal(
        parsed.features, np.vstack([row.features() for row in firsts]).astype(np.float16)
    )
    assert parsed.labels.tolist() == [label for row in firsts for label in row.labels()]
    assert parsed.region_counts.tolist() == [row.regions for row in firsts]
    assert parsed.image_sizes.tolist() == [[100, 80]] * len(firsts)


def test_known_products_are_not_decoded_again_but_changed_ones_are():
    first = parse([RawRow(), RawRow(product_id=2, seed=3)])
    known = dict(zip(first.product_ids.tolist(), first.digests.tolist(), strict=True))
    again = parse([RawRow(query=b"other"), RawRow(product_id=2, seed=4)], known=known)
    assert again.new.tolist() == [1]
    assert again.digests[0] == first.digests[0]
    assert again.digests[1] != first.digests[1]


def test_float32_is_exact():
    parsed = parse([RawRow(seed=9)], RowRules(WIDTH, None, "float32"))
    np.testing.assert_array_equal(parsed.features, RawRow(seed=9).features())


@pytest.mark.parametrize(
    "query",
    [
        b'18" "gold" chain',
        b'"',
        b"stray tabs\t\t",
        b"",
        b" , comma first",
        "кружка 咖啡".encode(),
        b"nul \x00 byte",
    ],
)
def test_odd_queries_are_data(query):
    parsed = parse([RawRow(query=query)])
    assert parsed.errors == []
    assert parsed.queries == [query]


def test_crlf_and_missing_last_line_end_are_data():
    assert parse([RawRow(), RawRow(product_id=2)], end=b"\r\n").query_ids.tolist() == [5, 5]
    data = raw_bytes([RawRow(), RawRow(product_id=2)])[len(HEADER) : -1]
    parsed = parse_rows(data, RULES, {}.get)
    assert (len(parsed.lines), parsed.errors, parsed.is_complete) == (2, [], False)


def boxes(*numbers):
    return {"boxes": encode(np.array(numbers, "<f4"))}


def features(value):
    numbers = RawRow().features()
    numbers[1, 2] = value
    return {"features": encode(numbers)}


BAD_ROWS = {
    "too few columns": (b"1\t2\t3", "columns", "", "3 columns instead of 9"),
    "too many columns": (RawRow(query=b"a\tb"), "columns", "", "10 columns instead of 9"),
    "blank line": (b"", "columns", "", "a blank line instead of 9 columns"),
    "id": (RawRow(product_id="12a"), "integer", "product_id", "'12a'"),
    "negative id": (RawRow(product_id=-4), "integer", "product_id", "'-4'"),
    "underscore id": (RawRow(product_id="1_0"), "integer", "product_id", "'1_0'"),
    "huge id": (RawRow(product_id=10**30), "integer", "product_id", "with more than 18 digits"),
    "leading zeros": (
        RawRow(product_id="00123"),
        "integer",
        "product_id",
        "leading zeros: '00123'",
    ),
    "one column": (b"123", "columns", "", "1 column instead of 9"),
    "huge image": (RawRow(image_h=10**11), "image-size", "image_h", "image size 100000000000 x 80"),
    "float size": (RawRow(image_h="10.5"), "integer", "image_h", "'10.5'"),
    "query id": (RawRow(query_id=""), "integer", "query_id", "''"),
    "no height": (RawRow(image_h=0), "image-size", "image_h", "image size 0 x 80"),
    "no width": (RawRow(image_w=0), "image-size", "image_w", "image size 100 x 0"),
    "no regions": (RawRow(regions=0), "no-regions", "num_boxes", "has no regions"),
    "base64 boxes": (RawRow(columns={"boxes": b"!!!!"}), "base64", "boxes", "bad base64"),
    "base64 features": (
        RawRow(columns={"features": b"AAA"}),
        "base64",
        "features",
        "bad base64",
    ),
    "base64 labels": (
        RawRow(columns={"class_labels": "é".encode() * 4}),
        "base64",
        "class_labels",
        "bad base64",
    ),
    "short features": (
        RawRow(columns={"features": encode(np.zeros(WIDTH, "<f4"))}),
        "length",
        "features",
        "16 bytes, but num_boxes 2 needs 32 (4 float32 each)",
    ),
    "long boxes": (RawRow(columns=boxes(*range(12))), "length", "boxes", "48 bytes"),
    "short labels": (RawRow(columns={"class_labels": b""}), "length", "class_labels", "0 bytes"),
    "absurd num_boxes": (
        RawRow(columns={"num_boxes": b"9" * 18}),
        "length",
        "boxes",
        "num_boxes 999999999999999999",
    ),
    "nan": (RawRow(columns=features(np.nan)), "not-finite", "features", "NaN or infinity"),
    "infinity": (RawRow(columns=features(np.inf)), "not-finite", "features", "NaN or infinity"),
    "-infinity": (RawRow(columns=features(-np.inf)), "not-finite", "features", "NaN or"),
    "beyond float16": (
        RawRow(columns=features(70000)),
        "range",
        "features",
        "70000 does not fit float16 (65504 at most); use --dtype float32",
    ),
    "below float16": (RawRow(columns=features(-70000)), "range", "features", "70000 does not"),
    "nan box": (
        RawRow(columns=boxes(0, 0, 5, np.nan, 0, 0, 5, 5)),
        "box",
        "boxes",
        "is not finite",
    ),
    "box outside": (
        RawRow(columns=boxes(0, 0, 5, 5, 0, 0, 101, 5)),
        "box",
        "boxes",
        "box (0, 0, 101, 5) lies outside the 100 x 80 image",
    ),
    "negative box": (RawRow(columns=boxes(-1, 0, 5, 5, 0, 0, 5, 5)), "box", "boxes", "outside"),
    "flat box": (
        RawRow(columns=boxes(3, 0, 3, 5, 0, 0, 5, 5)),
        "box",
        "boxes",
        "box (3, 0, 3, 5) has no area",
    ),
    "label": (
        RawRow(columns={"class_labels": encode(np.array([1, 33], "<i8"))}),
        "label",
        "class_labels",
        "label 33 is not in the label file",
    ),
    "huge label": (
        RawRow(columns={"class_labels": encode(np.array([1, 1 << 40], "<i8"))}),
        "label",
        "class_labels",
        "is not in the label file",
    ),
    "utf8": (RawRow(query=b"caf\xe9 mug"), "utf8", "query", "invalid UTF-8 (byte 4 of the query)"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_invalid_rows_are_reported_with_line_column_and_reason(name):
    row, kind, column, reason = BAD_ROWS[name]
    parsed = parse([RawRow(product_id=50), row, RawRow(product_id=51)])
    assert [(error.kind, error.line, error.column) for error in parsed.errors] == [
        (kind, 2, column)
    ]
    assert reason in parsed.errors[0].reason
    assert parsed.errors[0].kind in KINDS
    assert parsed.product_ids.tolist() == [50, 51]
    assert parsed.region_counts.tolist() == [2, 2]
    assert len(parsed.features) == 4
    sentence = str(parsed.errors[0].at("raw/train.tsv"))
    assert sentence.startswith("raw/train.tsv, line 2")
    assert "\n" not in sentence


def test_every_row_kind_is_tested():
    file_kinds = {"truncated", "conflict", "empty", "header"}  # tested in test_ingest
    assert {kind for _, kind, _, _ in BAD_ROWS.values()} | file_kinds == set(KINDS)


def test_all_errors_of_a_chunk_are_reported_in_order():
    rows = [row for row, *_ in BAD_ROWS.values()]
    parsed = parse(rows)
    assert [error.line for error in parsed.errors] == list(range(1, len(rows) + 1))
    assert len(parsed.lines) == 0


def test_repeated_invalid_products_are_reported_at_each_line():
    bad = RawRow(columns=features(np.nan))
    parsed = parse([bad, RawRow(product_id=3), bad])
    assert [(error.kind, error.line) for error in parsed.errors] == [
        ("not-finite", 1),
        ("not-finite", 3),
    ]


def test_cut_last_line_says_so():
    data = raw_bytes([RawRow(), RawRow(product_id=2)])[len(HEADER) : -30]
    parsed = parse_rows(data, RULES, {}.get)
    assert [(error.kind, error.line) for error in parsed.errors] == [("truncated", 2)]
    assert "the last line is cut off" in parsed.errors[0].reason


def test_lines_can_be_numbered_from_the_file():
    parsed = parse([RawRow(), b"bad", RawRow(product_id=2)])
    parsed.shift_lines(100)
    assert parsed.lines.tolist() == [101, 103]
    assert parsed.errors[0].line == 102


def test_any_label_passes_without_a_label_file():
    row = RawRow(columns={"class_labels": encode(np.array([1, 1000], "<i8"))})
    assert parse([row], RowRules(WIDTH, None)).errors == []
    row = RawRow(columns={"class_labels": encode(np.array([1, 40_000], "<i8"))})
    assert parse([row], RowRules(WIDTH, None)).errors[0].reason == "label 40000 is beyond 32767"


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (HEADER + b"row", len(HEADER)),
        (b"\xef\xbb\xbf" + HEADER, len(HEADER) + 3),
        (HEADER[:-1] + b"\r\nrow", len(HEADER) + 1),
        (HEADER[:-1], len(HEADER) - 1),
        (b"1\t2\t3\n", 0),
        (HEADER.replace(b"query_id", b"id"), 0),
    ],
)
def test_header_is_recognised(data, size):
    assert header_size(data) == size


def test_feature_width_is_that_of_the_first_row_that_decodes():
    halved = RawRow(columns={"num_boxes": b"4"})  # features would fit, but not the boxes
    rows = [b"junk", RawRow(columns={"features": b"??"}), halved, RawRow(regions=3)]
    assert feature_width_of(raw_bytes(rows)[len(HEADER) :]) == WIDTH
    assert feature_width_of(b"junk\n") == 0


def test_labels_are_read(tmp_path):
    path = tmp_path / "multimodal_labels.txt"
    path.write_bytes(b"\xef\xbb\xbf" + LABELS.replace("\n", "\r\n").encode())
    assert read_labels(path) == {i: f"label {i}" for i in range(33)}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("category_id\tcategory_name\n", "no labels"),
        ("", "the file is empty"),
        ("0 shoes\n", "line 1: not 'category_id<TAB>category_name'"),
        ("category_id\tcategory_name\nx\tshoes\n", "line 2: not"),
        ("0\ta\n0\tb\n", "line 2: duplicate label 0"),
        ("99999\ta\n", "line 1: not"),
    ],
)
def test_invalid_label_files_raise(tmp_path, content, reason):
    path = tmp_path / "multimodal_labels.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=reason):
        read_labels(path)


def test_huge_label_files_raise(tmp_path):
    path = tmp_path / "train.tsv"
    with open(path, "wb") as file:
        file.truncate(CHUNK_BYTES + 1)
    with pytest.raises(InputError, match=f"larger than {CHUNK_BYTES} bytes"):
        read_labels(path)


def test_label_file_that_is_not_utf8_raises(tmp_path):
    path = tmp_path / "multimodal_labels.txt"
    path.write_bytes(b"0\tcaf\xe9\n")
    with pytest.raises(InputError, match="line 1: not UTF-8"):
        read_labels(path)


def test_digest_covers_every_product_column():
    plain = parse([RawRow()]).digests[0]
    changed = [
        RawRow(image_h=101),
        RawRow(image_w=81),
        RawRow(columns={"boxes": encode(RawRow(seed=1).boxes())}),
        RawRow(columns={"features": encode(RawRow(seed=1).features())}),
        RawRow(columns={"class_labels": encode(np.array([5, 5], "<i8"))}),
    ]
    for row in changed:
        assert parse([row]).digests[0] != plain
