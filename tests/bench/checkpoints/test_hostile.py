"""Checkpoints are data: hostile files end in one line, have no effect, and take no more memory than they are large."""

import os
import subprocess
import sys
from pathlib import Path

import pickled
import pytest

from bench.checkpoints.reading import read_checkpoint
from bench.errors import InputError

MARKER = Path("marker")
FILES = pickled.hostile(MARKER)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_hostile_file_is_refused_in_one_line_and_does_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in" / f"{name}.pkl"
    path.parent.mkdir()
    path.write_bytes(FILES[name])
    with pytest.raises(InputError) as caught:
        read_checkpoint(path)
    said = str(caught.value)
    assert said.startswith(str(path)) and said.isprintable() and len(said) < len(str(path)) + 750
    assert {one.name for one in tmp_path.rglob("*")} == {"in", path.name}


SAID = {
    "system": "asks for posix.system", "eval": "asks for builtins.eval", "zip_bytearray": "asks for builtins.bytearray",
    "inner_system": "the data of mapping.fc0.weight cannot be used", "inner_legacy_system": "asks for posix.system",
    "inner_huge_storage": "is cut off or damaged", "view_beyond_its_data": "larger than its data", "extension": "opcode EXT1",
    "repeated_without_end": "elements or more in a file of", "million_containers": "more than 500000 opcodes",
    "zip_bomb": "is compressed, which torch.save never does", "zip_huge_storage": "but holds 16",
    "zip_shared_dictionaries": "more than 10000 dictionaries",
    "doubled_arguments": "nested without end", "doubled_modules": "nested without end", "module_in_itself": "nested without end",
    "numpy_object": "no plain number", "torchscript": "a TorchScript archive", "legacy_container": "no tensor's data",
    "bytes_beyond_the_file": "damaged or cut off", "terminal_in_a_global": "asks for os?[2J.system",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SAID))
def test_it_is_refused_for_what_it_is(name, tmp_path):
    path = tmp_path / "file.pt"
    path.write_bytes(FILES[name])
    with pytest.raises(InputError, match=".*") as caught:
        read_checkpoint(path)
    assert SAID[name] in str(caught.value)


CHILD = """
import resource, sys
from pathlib import Path
from bench.checkpoints.reading import read_checkpoint
from bench.errors import InputError

pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 512 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(Path("files").iterdir()):
    try:
        read_checkpoint(path)
        print("read", path.name)
    except InputError:
        pass
    except BaseException as error:
        print(type(error).__name__, path.name)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_bounded(tmp_path):
    """All hostile files under a limit of half a gigabyte beyond what the process has; the largest of them is a megabyte."""
    (tmp_path / "files").mkdir()
    for name, data in FILES.items():
        (tmp_path / "files" / name).write_bytes(data)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CHILD]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    *failures, megabytes = done.stdout.split("\n")[:-1]
    assert failures == []
    assert int(megabytes) < 400
    assert sorted(one.name for one in tmp_path.iterdir()) == ["files"]
