"""Suites: what YAML may say, and the one line that says what is wrong with it."""

import pytest

from bench.errors import InputError
from bench.suite import load_suite, parse_suite, shipped

GOOD = """
name: mine
generators: [heads-oracle]
methods: [random, {interfacegan: {space: w, hold: [glasses]}}, {sefa: }]
tasks: {editing: {targets: [smile]}}
"""


def test_short_and_long_methods_and_defaults():
    suite = parse_suite(GOOD, "mine.yaml")
    assert [(m.name, m.options) for m in suite.methods] == [
        ("random", {}),
        ("interfacegan", {"space": "w", "hold": ["glasses"]}),
        ("sefa", {}),
    ]
    assert (suite.fit_seeds, suite.seed, suite.metrics, suite.version) == (1, 0, None, 1)
    assert parse_suite(GOOD.replace("editing: {targets: [smile]}", "editing: "), "x").tasks == {"editing": {}}
    assert type(suite)(**suite.model_dump()) == suite


def test_quick_holds_what_the_issue_asks():
    suite = load_suite("quick")
    assert suite.generators == ("heads-stylegan2", "heads-oracle") and suite.fit_seeds == 1
    entries = [(m.name, m.options.get("space"), "hold" in m.options) for m in suite.methods]
    wanted = {("random", None, False), ("sefa", None, False), ("ganspace", "w", False), ("oracle", None, False)}
    assert wanted | {("interfacegan", "w", False), ("interfacegan", "w", True), ("interfacegan", "z", False)} == set(entries)
    assert suite.tasks["editing"]["targets"] == ["smile", "glasses", "beard", "yaw", "age"]
    assert (suite.tasks["editing"]["test_codes"], suite.tasks["editing"]["effects"]) == (64, [0.5, 1.0])


@pytest.mark.parametrize(
    "change, message",
    [
        (("name: mine", "name: mine\nname: yours"), "line 3, column 1: not well-formed YAML: the key 'name' is given twice"),
        (("[smile]", "[smile"), "line 5, column 34: not well-formed YAML"),
        (("name: mine", "name: ../up"), "name: String should match"),
        (("name: mine", "name: mine\nmetod: 3"), "unknown key 'metod': did you mean methods"),
        (("name: mine", "name: mine\nbank: -1"), "bank: Input should be greater than or equal to 16 (got -1)"),
        (("name: mine", "name: mine\nfit_seeds: 0"), "fit_seeds: Input should be greater than or equal to 1 (got 0)"),
        (("[heads-oracle]", "[]"), "generators: Tuple should have at least 1 item"),
        (("[heads-oracle]", "[a, a]"), "generators lists a twice"),
        (("[random,", "[random, random,"), "methods lists random twice"),
        (("{sefa: }", "{sefa: 3}"), "the options of sefa are a mapping, not 3"),
        (("{sefa: }", "{sefa: , random: }"), "a method is a name or {name: {option: value}}"),
        ((GOOD, "- a\n- b"), "a suite is a mapping"),
        (("[heads-oracle]", "[a/x.pt, b/x.pt]"), "generators lists x twice"),
        (("[heads-oracle]", "[x, ./x.pt]"), "generators lists x twice"),
        (("[heads-oracle]", "[{domain: heads}]"), "a generator is a name, a checkpoint's path, or {path: FILE"),
        (("[heads-oracle]", "[{path: x.pt, domian: heads}]"), "a generator's file has no key 'domian'"),
        (("[heads-oracle]", "['my net (1).pt']"), "'my net (1)' cannot name a generator in tables"),
        (("[heads-oracle]", "[{path: x.pt, part: 3}]"), "checkpoints.x.part: Input should be a valid string (got 3)"),
        (("[heads-oracle]", "[{path: ''}]"), "'' cannot name a generator in tables"),
        (("name: mine", "name: mine\ncheckpoints: 3"), "checkpoints: Input should be a valid dictionary (got 3)"),
        (("name: mine", "name: mine\ncheckpoints: {x: {path: x.pt}}"), "checkpoints has x, which generators does not list"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(change, message):
    with pytest.raises(InputError) as caught:
        parse_suite(GOOD.replace(*change), "mine.yaml")
    text = str(caught.value)
    assert message in text and text.startswith("mine.yaml") and "\n" not in text


def test_unknown_suites_and_unreadable_files(tmp_path):
    with pytest.raises(InputError, match="unknown suite 'quik': did you mean quick"):
        load_suite("quik")
    with pytest.raises(InputError, match="no suite file .*absent.yaml; the shipped suites are: .*quick"):
        load_suite(tmp_path / "absent.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        load_suite(tmp_path / "bytes.yaml")
    (tmp_path / "code.yaml").write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(InputError, match="not well-formed YAML"):
        load_suite(str(tmp_path / "code.yaml"))
    (tmp_path / "good.yaml").write_text(GOOD)
    assert load_suite(tmp_path / "good.yaml").name == "mine" and set(shipped()) >= {"quick"}


def test_generators_that_are_files(tmp_path):
    entry = "[heads-oracle, nets/ffhq.pkl, far.pt, {path: b.pth, domain: heads, name: mine.v2, part: G_ema}]"
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "ffhq.pkl").touch()
    (tmp_path / "good.yaml").write_text(GOOD.replace("[heads-oracle]", entry))
    suite = load_suite(tmp_path / "good.yaml")
    assert suite.generators == ("heads-oracle", "ffhq", "far", "mine.v2") and suite.registered == ("heads-oracle",)
    # From the suite's folder where the file lies there, else from the working directory.
    assert suite.checkpoints["ffhq"].path == str(tmp_path / "nets" / "ffhq.pkl") and suite.checkpoints["far"].path == "far.pt"
    mine = suite.checkpoints["mine.v2"]
    assert (mine.path, mine.domain, mine.part, suite.checkpoints["far"].domain) == ("b.pth", "heads", "G_ema", None)
    assert type(suite)(**suite.model_dump()) == suite
