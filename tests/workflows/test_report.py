"""`isotherm report`: inspections are read back, their pictures again; what cannot be shown is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from isotherm.cli import report as report_command
from isotherm.cli.main import main
from isotherm.core.errors import DataError, OutputError, UsageError
from isotherm.reports.document import LAYOUTS
from isotherm.reports.document.layout import Template
from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.report import ReportSettings, form_of, read_inspection, report
from small_pictures import csv


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(3):
        (pictures / f"joint{number}.csv").write_bytes(csv("joint", number))
    (pictures / "broken.csv").write_bytes(b"")
    inspect(pictures, folder / "run", settings=InspectSettings(reports=("json",)))
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """Return the folder of a run of its own, with its pictures beside it."""
    shutil.copytree(made, tmp_path / "here")
    return tmp_path / "here" / "run"


def page(path: Path, **settings: object) -> str:
    return report(path, "html", ReportSettings(**settings)).data.decode()  # type: ignore[arg-type]


@pytest.mark.parametrize("form", LAYOUTS.names())
def test_a_run_becomes_a_report_of_every_form_with_the_same_bytes_twice(made: Path, form: str) -> None:
    first = report(made / "run", form)

    assert first.data == report(made / "run", form).data
    assert first.notes == ()


def test_the_folder_and_its_results_give_the_same_report(made: Path) -> None:
    folder, results = read_inspection(made / "run"), read_inspection(made / "run" / "results.json")

    of_folder, of_file = list(folder.results), list(results.results)
    assert [result.findings for result in of_file] == [result.findings for result in of_folder]
    assert folder.source == results.source == (made / "pictures").resolve()
    # JSON for people has emissivities and temperatures in their own units and rounds them to 1e-6.
    for one, other in zip(of_folder, of_file, strict=True):
        assert one.scene.keys() == other.scene.keys()
        for name, param in one.scene.items():
            assert other.scene[name].value == pytest.approx(param.value, abs=1e-5)


def test_pictures_are_read_again_with_their_temperatures(made: Path) -> None:
    shown = page(made / "run")

    assert shown.count('<figure class="live"') == 3
    assert "broken.csv" in shown


def test_pictures_that_have_moved_are_found_where_the_user_says(run: Path) -> None:
    elsewhere = run.parent / "elsewhere"
    elsewhere.mkdir()
    for path in Path(json.loads((run / "run.json").read_text())["source"]).glob("*.csv"):
        shutil.copy(path, elsewhere)

    assert page(run, images=elsewhere).count('<figure class="live"') == 3


def test_without_the_pictures_the_panels_are_shown_and_the_reason(run: Path) -> None:
    shown = page(run, images=run.parent / "nowhere")

    assert '<figure class="live"' not in shown
    assert shown.count("Panel of joint") > 0
    assert "The picture cannot be shown:" in shown


def test_a_picture_that_has_changed_is_not_shown(run: Path) -> None:
    pictures = run.parent / "pictures"
    (pictures / "joint0.csv").write_bytes(csv("joint", 7))

    shown = page(run, images=pictures)
    assert "The picture cannot be shown: the file has changed since the inspection" in shown
    assert shown.count('<figure class="live"') == 2


def test_a_name_that_leads_out_of_the_folder_is_not_followed(run: Path) -> None:
    (run.parent / "secret.csv").write_bytes(csv("joint", 0))
    results = (run / "results.json").read_text().replace('"joint0.csv"', '"../secret.csv"')
    results = results.replace('"panels/joint0.csv.png"', '"../../etc/passwd"')
    (run / "results.json").write_text(results)

    shown = page(run / "results.json", images=run.parent / "pictures")
    assert "its name leads out of the folder of the pictures" in shown


def test_a_name_that_no_file_can_have_costs_its_picture_alone(run: Path) -> None:
    results = (run / "results.json").read_text().replace('"joint0.csv"', '"joint\\u0000.csv"')
    (run / "results.json").write_text(results.replace('"panels/joint0.csv.png"', '"panels/\\u0000"'))

    shown = page(run / "results.json", images=run.parent / "pictures")
    assert "its name is none that a file can have" in shown
    assert shown.count('<figure class="live"') == 2


def changed(path: Path, **members: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **members}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run / "run.json").unlink(), "was not finished; continue it with --resume"),
        (lambda run: (run / "journal.jsonl").unlink(), "holds no inspection: name the folder"),
        (lambda run: (run / "run.json").write_text("{"), "run.json is damaged"),
        (lambda run: (run / "run.json").write_text("[]"), "run.json is damaged: it must be an object"),
        (lambda run: (run / "run.json").write_text("{}"), "title, started_at, settings, .* missing"),
        (lambda run: changed(run / "run.json", settings=[], model="m"), "settings, model missing or of a wrong type"),
    ],
)
def test_a_folder_that_is_no_finished_inspection_is_refused(run: Path, spoil: object, message: str) -> None:
    spoil(run)  # type: ignore[operator]

    with pytest.raises(DataError, match=message):
        report(run, "csv")


def test_a_file_that_is_no_inspection_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"results": [{"image": 5}]}')

    with pytest.raises(DataError, match=r"x.json is no results.json of an inspection: KeyError 'scene'"):
        report(tmp_path / "x.json", "csv")
    with pytest.raises(DataError, match="no such file or folder"):
        report(tmp_path / "y.json", "csv")
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match=r"x.jpg is no inspection: name the folder that isotherm inspect"):
        report(tmp_path / "x.jpg", "csv")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff{}", r"no UTF-8 text \(byte 0\)"),
        (b"[" * 200_000, "nested too deeply"),
        (b" " * 2001, "has 2001 bytes, the most that is read is 2000; name the folder of the run instead"),
    ],
)
def test_what_is_no_results_json_is_told_with_what_would_be_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, words: str
) -> None:
    if len(data) == 2001:
        monkeypatch.setattr("isotherm.workflows.report.MOST_BYTES", 2000)
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(DataError, match=rf"/x\.json .*{words}.* (make the inspection again|line by line)$"):
        report(tmp_path / "x.json", "csv")


def test_the_suffix_says_the_form() -> None:
    assert [form_of(Path(name)) for name in ("a.pdf", "b.HTM", "c.docx")] == ["pdf", "html", "docx"]
    with pytest.raises(UsageError, match=r"the suffix says the kind of report: .pdf, .html, .docx, .json, .csv"):
        form_of(Path("a.xls"))


def test_a_template_of_another_form_is_refused(made: Path, tmp_path: Path) -> None:
    for form, message in (("pdf", "a template of a pdf report ends in .typ"), ("csv", "csv follows no template")):
        with pytest.raises(UsageError, match=message):
            report(made / "run", form, ReportSettings(template=Template(path=tmp_path / "x.html")))


def test_the_command_writes_a_report_and_says_where(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r.csv"
    (tmp_path / "about.toml").write_text('[images."joint0.csv"]\ncause = "Loose clamp"\n')
    asked = ["report", str(made / "run"), "-o", str(out), "--about", str(tmp_path / "about.toml")]

    assert main(asked) == 0
    assert "Loose clamp" in out.read_text()
    assert f"written   {out}" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        # Said at once, not after all has been drawn.
        patch.setattr(report_command, "report", None)
        assert main(asked) == 1
    assert "is there already: name another file, or replace it with --overwrite" in capsys.readouterr().err
    assert main([*asked, "--overwrite", "--lang", "de"]) == 0


def test_the_command_writes_templates_to_start_from(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.typ"

    assert main(["report", "--write-template", str(mine)]) == 0
    assert (tmp_path / "parts.typ").is_file()
    mine.write_text(mine.read_text() + "\n#let broken = \n")
    assert main(["report", str(made / "run"), "-o", str(tmp_path / "r.pdf"), "--template", str(mine)]) == 2
    said = capsys.readouterr().err
    assert f"template {mine}, line" in said
    assert "Without --template, the built-in one is used." in said
    assert not (tmp_path / "r.pdf").exists()
    assert main(["report", "--write-template", str(tmp_path / "x.csv")]) == 2
    assert main(["report", "--write-template", str(tmp_path / "x")]) == 2
    assert f"{tmp_path / 'x'}: a template is .typ for PDF, .html or .docx" in capsys.readouterr().err
    assert main(["report", str(made / "run")]) == 2


@pytest.mark.real_data
def test_a_real_picture_has_its_photo_beside_it(data: Path, tmp_path: Path) -> None:
    inspect(data / "camera_files/thermal_parser/FLIR_T640.jpg", tmp_path / "run")

    shown = page(tmp_path / "run", language="de")
    assert "Foto (Bild-in-Bild-Daten der Datei)" in shown
    assert "Wärmebild: 25,4 … 97,7 °C" in shown
    assert np.isclose(next(iter(read_inspection(tmp_path / "run").results)).temperatures.max_c, 97.7, atol=0.05)  # type: ignore[union-attr]


def test_output_that_cannot_be_written_is_said(made: Path, tmp_path: Path) -> None:
    from isotherm.workflows.report import write_report

    with pytest.raises(OutputError, match="cannot write"):
        write_report(tmp_path / "none" / "r.csv", report(made / "run", "csv"), overwrite=False)


@pytest.mark.parametrize("form", ["pdf", "html", "docx"])
def test_the_short_report_draws_no_picture(run: Path, form: str) -> None:
    shutil.rmtree(run / "drawn", ignore_errors=True)

    report(run, form, ReportSettings(template=Template("brief")))

    assert not (run / "drawn").exists()


def test_the_worst_are_shown_and_the_others_counted(made: Path) -> None:
    shown = page(made / "run", worst=1)

    assert shown.count('<article id="fault-') == 1
    assert "This report shows the worst faults: 1 of 3." in shown
