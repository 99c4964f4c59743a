"""The Python in the docs runs, and their links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_runs(page, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if blocks:
        code = "\n".join(blocks)
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_figure_is_left_open(page):
    assert not re.findall(r"@[A-Z]+(?:_[A-Z]+)*@", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_readme_names_what_the_zoo_has():
    import zoo
    from zoo.data import list_datasets
    from zoo.models.norms import NORM_NAMES

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = {
        row[0]: row[1]
        for row in re.findall(r"^\| (models|norms|data sets|detectors|video models) \| (.*) \|$", readme, re.MULTILINE)
    }
    assert set(re.findall(r"\w+", listed["data sets"])) == set(list_datasets())
    short = {name.removeprefix("resnet") for name in zoo.list_models() if re.fullmatch(r"resnet\d+", name)}
    models = set(re.findall(r"\w+", listed["models"]))
    assert {name.removeprefix("resnet") if name == "resnet18" else name for name in models} == short | {
        name for name in zoo.list_models() if not re.fullmatch(r"resnet\d+", name)
    }
    assert set(listed["detectors"].split(", ")) == set(zoo.list_models("detection"))
    assert set(listed["video models"].split(", ")) == set(zoo.list_models("video_classification"))
    norms = set(re.findall(r"\w+", listed["norms"])) - {"each", "with", "ws", "groups", "channels_per_group", "16"}
    assert norms == {name for name in NORM_NAMES if "+" not in name}
