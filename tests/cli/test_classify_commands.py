"""``isotherm features`` and ``isotherm classify ...`` as a user types them."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import dataset

from isotherm.cli.main import main
from isotherm.core.errors import OutputError
from labelled_pictures import write_pictures
from s3_servers import Bucket

Tell = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_pictures(tmp_path_factory.mktemp("pictures"), 10, parts=["train"])
    return write_pictures(root, 3, parts=["test"], seed=1)


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "model"
    assert main(["classify", "train", str(data), "-o", str(out), "--image-size", "64", "--c", "1"]) == 0
    return out


def test_features_then_train_then_evaluate_then_predict(data: Path, tmp_path: Path, capsys: Tell) -> None:
    features, model, out = tmp_path / "f.h5", tmp_path / "model", tmp_path / "out"
    assert main(["features", str(data), "-o", str(features), "--image-size", "32", "--pooling", "average"]) == 0
    assert "472 features of 39 images in 3 categories" in capsys.readouterr().out
    assert main(["classify", "train", str(features), "-o", str(model)]) == 0
    told = capsys.readouterr().out
    assert "logistic, 3 categories, learnt from 30 images" in told
    assert "test: 9 of 9 right, 100.0% [66.4% 100.0%], balanced 100.0%" in told
    assert "no category below a confidence of 0.5" in told
    assert main(["classify", "evaluate", str(model), str(features), "-o", str(out)]) == 0
    assert "9 of 9 right" in capsys.readouterr().out
    assert (out / "confusion.png").stat().st_size > 5000
    table = tmp_path / "answers.csv"
    words = ["classify", "predict", str(model), str(data / "test"), "-o", str(table), "--min-confidence", "0"]
    assert main([*words, "--no-reject-unknown"]) == 0
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert all(row["answer"] == row["name"].split("/")[0] for row in rows)
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0


def test_answers_in_chunks_are_the_same_table(model: Path, data: Path, tmp_path: Path, capsys: Tell) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    words = ["classify", "predict", str(model), str(data / "test"), str(tmp_path / "torn.png"), "absent.png"]
    assert main([*words, "-o", str(tmp_path / "plain.csv")]) == 3
    assert main([*words, "-o", str(tmp_path / "chunks.csv"), "--executor", "pool", "--chunk", "4"]) == 3
    assert (tmp_path / "chunks.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
    assert not list(tmp_path.glob("*ledger*"))
    assert main([*words, "--executor", "pool"]) == 2
    assert "--executor and --chunk need -o" in capsys.readouterr().err
    assert main([*words, "-o", str(tmp_path / "absent" / "a.csv"), "--executor", "pool"]) == 1
    assert f"there is no folder {tmp_path / 'absent'}" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--executor", "in-process", "--chunk", "2"]])
def test_answers_in_a_bucket_are_the_same_table(
    model: Path, data: Path, tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    words = ["classify", "predict", str(model), str(data / "test")]
    assert main([*words, "-o", str(tmp_path / "plain.csv")]) == 0
    assert main([*words, "-o", f"{bucket.url}/some/answers.csv", *flags]) == 0
    assert bucket.names() == ["some/answers.csv"]
    stored = bucket.server.client().get_object(Bucket=bucket.name, Key="some/answers.csv")["Body"].read()
    assert stored == (tmp_path / "plain.csv").read_bytes()
    assert [path for path in tmp_path.rglob("*ledger*") if path.is_file()] == []


def test_answers_in_a_bucket_are_not_replaced_unasked(
    model: Path, data: Path, bucket: Bucket, capsys: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("answers.csv", b"mine")
    words = ["classify", "predict", str(model), str(data / "test"), "-o", f"{bucket.url}/answers.csv"]
    assert main(words) == 1
    assert f"{bucket.url}/answers.csv is there already" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    assert f"{bucket.url}/answers.csv: " in capsys.readouterr().out
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert main(words) == 2
    assert "needs credentials" in capsys.readouterr().err


def test_answers_as_parquet_are_those_of_the_table(model: Path, data: Path, tmp_path: Path, capsys: Tell) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    words = ["classify", "predict", str(model), str(data / "test"), str(tmp_path / "torn.png")]
    table, place = tmp_path / "answers.csv", tmp_path / "tables"
    assert main([*words, "-o", str(table), "--parquet", str(place)]) == 3
    assert f"{table}, {place}: 10 images, 1 could not be judged" in capsys.readouterr().out
    found = dataset.dataset(place / "answers", format="parquet").to_table()
    assert [str(kind) for kind in found.schema.types] == [
        *("string", "string", "double", "string", "double", "bool", "string", "string"),
        *("double", "double", "double"),
    ]
    shown = list(csv.DictReader(table.read_text().splitlines()))
    assert found.schema.names == list(shown[0])
    for cells, texts in zip(found.to_pylist(), shown, strict=True):
        said = {name: str(value).lower() if isinstance(value, bool) else value for name, value in cells.items()}
        numbers = {name: float(texts[name]) for name, value in said.items() if isinstance(value, float)}
        assert numbers == pytest.approx({name: said[name] for name in numbers}, abs=6e-5)
        assert {name: value or "" for name, value in said.items() if name not in numbers} == {
            name: text for name, text in texts.items() if name not in numbers
        }
    assert main([*words, "--parquet", str(place)]) == 1
    assert "holds tables already: replace them (--overwrite)" in capsys.readouterr().err
    assert main([*words, "--parquet", str(place), "--overwrite", "--executor", "in-process", "-o", str(table)]) == 3


def test_a_table_that_was_begun_with_other_images_is_told(
    model: Path, data: Path, tmp_path: Path, capsys: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["classify", "predict", str(model), "-o", str(tmp_path / "a.csv"), "--executor", "in-process"]

    def full(path: Path) -> None:
        raise OutputError("no room left")

    with monkeypatch.context() as patch:
        patch.setattr("isotherm.workflows.run_place.whole_file", full)
        assert main([*words, str(data / "test" / "bar")]) == 1
    capsys.readouterr()
    assert main([*words, str(data / "test")]) == 1
    assert "a.csv was begun with other images, model or settings; choose another -o" in capsys.readouterr().err
    assert main([*words, str(data / "test" / "bar")]) == 0


def test_bad_files_are_rows_and_give_status_3(model: Path, data: Path, tmp_path: Path, capsys: Tell) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    good = data / "test" / "bar" / "0.png"
    assert main(["classify", "predict", str(model), str(good), str(tmp_path / "torn.png"), "absent.png"]) == 3
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(("0.png: bar (", "0.png: No category (Anomaly): "))
    assert told[1].startswith("torn.png: failed: ")
    assert told[2].startswith("absent.png: failed: ")
    assert main(["classify", "predict", str(model), str(tmp_path / "torn.png")]) == 1


def test_what_is_rejected_says_why(model: Path, data: Path, capsys: Tell) -> None:
    picture = str(data / "test" / "bar" / "0.png")
    assert main(["classify", "predict", str(model), picture, "--min-confidence", "1"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("0.png: No category (Anomaly): confidence ")
    assert told.rstrip().endswith("nearest bar")


def test_testing_with_learnt_images_is_said(model: Path, data: Path, tmp_path: Path, capsys: Tell) -> None:
    assert main(["classify", "evaluate", str(model), str(data / "train"), "-o", str(tmp_path / "out")]) == 0
    assert "note: the model has learnt from all of these images" in capsys.readouterr().out


def test_shared_categories(data: Path, tmp_path: Path, capsys: Tell) -> None:
    shared = write_pictures(tmp_path / "shared", 4, categories=["checks"])
    words = ["classify", "train", str(data), "-o", str(tmp_path / "model"), "--common", str(shared), "--c", "1"]
    assert main([*words, "--image-size", "32"]) == 0
    assert "checks: 4 (4 shared)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["train", "{data}/train/bar", "-o", "{out}"], 1, "no pictures in folders of categories"),
        (["train", "{data}", "-o", "{out}", "--method", "bayes"], 2, "unknown classifier 'bayes'"),
        (["train", "{data}", "-o", "{out}", "--backbone", "vgg99"], 2, "unknown backbone 'vgg99'"),
        (["train", "{data}", "-o", "{out}", "--c", "-1"], 2, "--c must be at least"),
        (["train", "{data}", "-o", "{data}"], 1, "not part of a model"),
        (["train", "{data}/train/bar/0.png", "-o", "{out}"], 1, "no file of features, or damaged"),
        (["train", "{data}", "-o", "{out}", "--common", "{data}/train/bar/0.png"], 2, "must both be folders"),
        (["evaluate", "{data}", "{data}", "-o", "{out}"], 1, "manifest.json is missing"),
        (["predict", "{model}", "{data}/test/bar/0.png", "--min-confidence", "2"], 2, "probability, 0..1, not 2"),
        (["predict", "{model}", "{data}/nowhere"], 1, "no such file or folder"),
        (["predict", "--model", "{model}", "{data}/nowhere"], 1, "no such file or folder"),
        (["predict", "--model", "{model}", "{model}", "{data}/test"], 2, "two models are named"),
        (["predict", "{data}/test/bar/0.png", "{data}/test/bar/1.png"], 2, "name the model with --model"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], status: int, said: str, data: Path, model: Path, tmp_path: Path, capsys: Tell
) -> None:
    filled = [word.format(data=data, out=tmp_path / "out", model=model) for word in words]
    assert main(["classify", *filled]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("isotherm: ")
    assert said in line


def test_the_model_is_named_before_the_images_or_by_a_flag(model: Path, data: Path, capsys: Tell) -> None:
    picture, said = str(data / "test" / "bar" / "0.png"), []
    for words in ([str(model), picture], ["--model", str(model), picture], [picture, f"--model={model}"]):
        assert main(["classify", "predict", *words]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] == said[2] != ""
    for words in ([str(model)], ["--model", str(model)], []):
        with pytest.raises(SystemExit) as left:
            main(["classify", "predict", *words])
        assert left.value.code == 2
        assert "required: " in capsys.readouterr().err


def test_a_classifier_is_used_without_torch_and_scikit_learn(model: Path, data: Path) -> None:
    """In a process of its own, in which neither can be imported."""
    code = (
        "import sys\n"
        "for name in ('torch', 'sklearn', 'sklearn.linear_model', 'h5py'):\n"
        "    sys.modules[name] = None\n"
        "from isotherm.cli.main import main\n"
        f"sys.exit(main(['classify', 'predict', {str(model)!r}, {str(data / 'test' / 'spot' / '0.png')!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0.png: ")
