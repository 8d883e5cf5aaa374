"""env.json says what the code and the machine were, and nothing about who ran it."""

import getpass
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import segtrain
from segtrain.runs.environment import environment


def git(folder, *command):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *command], cwd=folder, check=True, capture_output=True)


TRACKED = ("conf/aug/flips.yaml", "segtrain/files.py", "pyproject.toml", "README.md")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git checkout with a package in it that stands for segtrain."""
    (tmp_path / "segtrain").mkdir()
    (tmp_path / "segtrain" / "__init__.py").write_text("")
    (tmp_path / "conf" / "aug").mkdir(parents=True)
    for tracked in TRACKED:
        (tmp_path / tracked).write_text("first\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    monkeypatch.setattr(segtrain, "__file__", str(tmp_path / "segtrain" / "__init__.py"))
    return tmp_path


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@needs_git
def test_commit_and_changes_of_the_checkout(checkout):
    clean = environment({})
    assert len(clean["segtrain_commit"]) == 40 and clean["segtrain_dirty"] is False
    (checkout / "segtrain" / "__init__.py").write_text("changed = True")
    assert environment({})["segtrain_dirty"] is True


@needs_git
@pytest.mark.parametrize("change", ["write", "delete", "stage"])
@pytest.mark.parametrize("tracked", TRACKED)
def test_a_change_counts_where_it_is_of_our_code(checkout, tracked, change):
    file = checkout / tracked
    file.unlink() if change == "delete" else file.write_text("second\n")
    if change == "stage":
        git(checkout, "add", ".")
    assert environment({})["segtrain_dirty"] is (tracked != "README.md")


@needs_git
@pytest.mark.parametrize(
    "own", ["my_conf/dataset/cells.yaml", "data/images/p01.png", "outputs/a/b/config.yaml", "x.py"]
)
def test_what_the_user_keeps_in_the_clone_is_no_change_of_ours(checkout, own):
    (checkout / own).parent.mkdir(parents=True, exist_ok=True)
    (checkout / own).write_text("mine\n")
    assert environment({})["segtrain_dirty"] is False


@needs_git
def test_package_installed_at_the_top_of_another_repository_is_no_checkout(checkout, monkeypatch):
    other = checkout / "elsewhere"
    (other / "segtrain").mkdir(parents=True)
    (other / "segtrain" / "__init__.py").write_text("")
    git(other, "init", "-q")
    git(other, "commit", "-q", "-m", "theirs", "--allow-empty")
    monkeypatch.setattr(segtrain, "__file__", str(other / "segtrain" / "__init__.py"))
    found = environment({})
    assert found["segtrain_commit"] is None and found["segtrain_dirty"] is None


@needs_git
def test_surrounding_git_hook_does_not_mislead(checkout, monkeypatch, tmp_path_factory):
    commit = environment({})["segtrain_commit"]
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("other")))
    assert environment({})["segtrain_commit"] == commit


@needs_git
def test_package_installed_inside_another_repository_is_no_checkout(checkout, monkeypatch):
    site = checkout / "venv" / "site-packages" / "segtrain"
    site.mkdir(parents=True)
    monkeypatch.setattr(segtrain, "__file__", str(site / "__init__.py"))
    monkeypatch.chdir(checkout)
    found = environment({})
    assert found["segtrain_commit"] is None and found["segtrain_dirty"] is None
    assert len(found["working_directory_commit"]) == 40


def test_without_git_or_checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = environment({})
    assert found["segtrain_commit"] is found["segtrain_dirty"] is found["working_directory_commit"] is None


def test_versions_machine_and_extra():
    found = environment({"device": "cpu", "seed": 3})
    assert found["packages"]["numpy"] and found["packages"]["torch"]
    assert found["python"] == sys.version.split()[0] and found["cpu"] and found["cpu_count"] >= 1
    assert list(found)[-2:] == ["device", "seed"] and found["seed"] == 3


def test_tells_nothing_about_who_ran_it():
    text = json.dumps(environment({}))
    assert str(Path.home()) + "/" not in text and socket.gethostname() not in text
    assert getpass.getuser() == "root" or getpass.getuser() not in text


def test_imports_none_of_the_packages_it_names():
    code = (
        "import sys; from segtrain.runs.environment import environment; environment({});"
        "print(sorted({'torch', 'numpy', 'lightning', 'albumentations', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
