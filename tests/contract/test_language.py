"""Words that CONTRIBUTING.md, Language, rules out in texts, and names with one meaning."""

import ast
import io
import json
import re
import tokenize
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest

import inferlog.testing
from tests.kibana.json_paths import walk

ROOT = Path(__file__).parents[2]
PHRASES = {
    "whoever": r"whoever",
    "anew": r"anew",
    "for ever": r"for ever\b",
    "mend": r"mend(?:s|ed|ing)?",
    "told": r"told",
    "says, tells, hears": r"(?:say|tell|hear)s|tell",
    "stands": r"stands?(?!-in)",
    "lies": r"lies?",
    "besides": r"besides",
    "in the midst": r"in the midst",
    "to be had": r"be had",
    "is no X": r"(?<!there )is no (?!longer\b|more\b)[a-z]+",
    "what is/was/it/they": r"what (?:is|was|are|were|it|they)(?= )(?![^.?]*\?)",  # a question may begin so
}
FORBIDDEN = re.compile("|".join(rf"\b(?:{phrase})(?!\w)" for phrase in PHRASES.values()), re.IGNORECASE)
SHOWN_KEYS = {"title", "sub_title", "description", "content", "label", "text", "name"}
# First words of a name that are not verbs. Words that are also verbs, such as record and stream, are not listed.
NOT_A_VERB = re.compile(
    "about|after|all|any|around|at|before|between|by|current|each|every|everything|first|for|in|inside|last|latest|lowest"
    "|many|new|newest|next|no|not|nothing|now|of|old|on|once|one|only|other|over|own|small|through|until|what|when|with"
    "|without|backend|body|box|canary|catalog|cell|chunk|class|client|clock|cluster|column|command|config|container"
    "|content|control|corpus|cost|dashboard|data|definition|dict|dir|directory|disk|duration|endpoint|engine|entry|environ"
    "|error|event|fault|field|figure|folder|header|health|id|instance|int|interval|item|json|key|kind|latency|layer|letter"
    "|level|library|line|message|method|metric|moment|namespace|object|option|output|page|panel|part|path|percentage"
    "|percentile|phase|plain|port|price|program|reason|recorder|response|result|retention|row|rule|runtime|schema|script"
    "|secret|section|server|service|setting|shipper|sidecar|sink|size|socket|source|span|stderr|stdout|strategy|string"
    "|table|template|text|time|token|tree|type|url|usage|user|validator|value|verdict|version|volume|word|worker|workflow"
    "|writer"
    r"|(?!(?:feed|need|exceed|seed|bring|ping|mention|implement|increment|document)$)\w+(?:ed|ing|tion|ment|ness)"
)
PREFIXES_OF_PREDICATES = {"is", "has", "as"}
# Names that users import, that a base class of another package has, functions of Lens formulas, and values of --curve.
GIVEN_NAMES = {
    *inferlog.__all__, *inferlog.testing.__all__, "sink", "exception", "aexception", "new",
    "connection_made", "connection_lost", "data_received", "on_response_complete",
    "latest", "latest_text", "lowest", "percentile", "on_start", "steps",
}  # fmt: skip
DECORATORS_OF_NOUNS = ("property", "fixture", "composite", "command", "callback", "get", "post", "setter")
COMMENT = re.compile(r"(?:^|\s)#+ (.*)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`|\]\([^)]*\)", re.MULTILINE | re.DOTALL)


def read_pages(pattern: str) -> Iterator[str]:
    """Yield the prose of Markdown files, without code, names in backticks and addresses of links."""
    for path in ROOT.glob(pattern):
        yield CODE.sub("…", path.read_text(encoding="utf-8"))


def read_dashboard_texts() -> Iterator[str]:
    for path in [*ROOT.glob("dashboards/**/*.json"), *ROOT.glob("kibana/**/*.json")]:
        for _, node in walk(json.loads(path.read_text(encoding="utf-8"))):
            if isinstance(node, dict):
                yield from (
                    CODE.sub("…", text) for key, text in node.items() if key in SHOWN_KEYS and isinstance(text, str)
                )


def read_query_heads() -> Iterator[str]:
    for path in ROOT.glob("dashboards/queries/*.esql"):
        lines = path.read_text(encoding="utf-8").splitlines()
        yield from (line.partition("//")[2] for line in lines if "//" in line)


def read_sources(folder: str) -> Iterator[str]:
    return (path.read_text(encoding="utf-8") for path in sorted((ROOT / folder).rglob("*.py")))


def find_literals(node: ast.AST) -> Iterator[str]:
    return (each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str))


def read_help_texts() -> Iterator[str]:
    """Yield the texts of `--help`: docstrings and arguments of Typer's commands, and each `help=`."""
    for source in read_sources("app/inferlog_ops/cli"):
        yield from find_literals(ast.parse(source))
    for folder in ("app/inferlog_ops", "app/inferlog_server", "scripts", "benchmarks", "tests"):
        for source in read_sources(folder):
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.keyword) and node.arg == "help":
                    yield from find_literals(node.value)


def read_error_messages() -> Iterator[str]:
    """Yield the string literals in arguments of each call of a name that ends in `Error`."""
    for source in read_sources("app"):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error"):
                yield from find_literals(node)


def read_comments(folder: str) -> Iterator[str]:
    """Yield the docstrings of each module, and its comments as one text."""
    for source in read_sources(folder):
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        yield " ".join(token.string.strip("# ") for token in tokens if token.type == tokenize.COMMENT)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield ast.get_docstring(node) or ""


def read_configuration_comments() -> Iterator[str]:
    """Yield the comments of each YAML and TOML file and of each file of Fluentd, as one text."""
    paths = {
        path
        for pattern in ("*", ".ci/*", ".github/**/*", "infra/**/*", "kibana/*", "tests/kubernetes/**/*")
        for path in ROOT.glob(pattern)
        if path.suffix in {".yml", ".yaml", ".toml"}
    }
    for path in sorted(paths | {path for path in ROOT.glob("fluentd/**/*") if path.is_file()}):
        lines = path.read_text(encoding="utf-8").splitlines()
        yield " ".join(found[1] for line in lines if (found := COMMENT.search(line)))


def read_names_of_tests() -> Iterator[str]:
    """Yield the name of each test as a sentence."""
    for source in read_sources("tests"):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield node.name.replace("_", " ")


TEXTS: dict[str, Callable[[], Iterable[str]]] = {
    "README.md": partial(read_pages, "README.md"),
    "CONTRIBUTING.md": partial(read_pages, "CONTRIBUTING.md"),
    "CHANGELOG.md": partial(read_pages, "CHANGELOG.md"),
    "docs": partial(read_pages, "docs/**/*.md"),
    "dashboards": read_dashboard_texts,
    "query heads": read_query_heads,
    "help": read_help_texts,
    "error messages": read_error_messages,
    "comments of configuration": read_configuration_comments,
    "test names": read_names_of_tests,
}
# Zero is the aim. A number may only become smaller.
MAXIMUM = {
    ".ci": 0,
    "README.md": 0,
    "CONTRIBUTING.md": 0,
    "CHANGELOG.md": 0,
    "docs": 0,
    "dashboards": 0,
    "query heads": 0,
    "help": 0,
    "error messages": 0,
    "comments of configuration": 0,
    "test names": 0,
    "app/inferlog": 0,
    "app/inferlog_server": 2,
    "app/inferlog_ops/cli": 0,
    "app/inferlog_ops/core": 0,
    "app/inferlog_ops/demo": 0,
    "app/inferlog_ops/engine": 0,
    "app/inferlog_ops/preview": 0,
    "app/inferlog_ops/provision": 0,
    "app/inferlog_ops/query": 0,
    "app/inferlog_ops/ship": 0,
    "benchmarks": 0,
    "docs/examples": 0,
    "scripts": 0,
    "tests": 7,
}


@pytest.mark.parametrize("area", MAXIMUM)
def test_text_has_no_more_forbidden_phrases_than_before(area: str) -> None:
    """An area is a kind of user-facing text, or a folder whose comments and docstrings are read."""
    texts = TEXTS[area]() if area in TEXTS else read_comments(area)
    flat = (re.sub(r"\s+", " ", text) for text in texts)
    found = [text[max(match.start() - 50, 0) : match.end() + 30] for text in flat for match in FORBIDDEN.finditer(text)]
    shown = "\n".join(f"  …{each}…" for each in found)
    assert len(found) <= MAXIMUM[area], f"reword, see CONTRIBUTING.md, Language:\n{shown}"
    assert len(found) == MAXIMUM[area], f"lower the number of {area!r} in MAXIMUM to {len(found)}"


@pytest.mark.parametrize(
    "text", ["It is no JSON.", "Whoever reads it", "what was\nrefused", "the key stands there", "it tells why"]
)
def test_forbidden_phrase_is_found(text: str) -> None:
    assert FORBIDDEN.search(re.sub(r"\s+", " ", text))


@pytest.mark.parametrize(
    "text", ["There is no answer.", "What is lost?", "it is no longer there", "a stand-in", "to understand lieutenants"]
)
def test_usual_english_is_not_found(text: str) -> None:
    assert not FORBIDDEN.search(text)


def test_name_of_a_class_has_one_meaning() -> None:
    """Classes of the library, the server and the commands; a leading underscore makes a name one of its module."""
    modules: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].append(str(path.relative_to(ROOT)))
    repeated = {name: where for name, where in modules.items() if len(where) > 1}
    assert not repeated, "rename the less central class"


def starts_with_verb(name: str, returns: str) -> bool:
    """Return whether *name* may be that of a function. Third person (`matches`) is for functions that return a bool."""
    word = name.lstrip("_").partition("_")[0]
    if word.endswith("s") and not word.endswith("ss") and word not in PREFIXES_OF_PREDICATES:
        return returns in {"bool", "bool | None"}
    return NOT_A_VERB.fullmatch(word) is None


def find_functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield functions and methods. A function inside another is a value, a property an attribute: both may be nouns."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = [
                ast.unparse(each.func if isinstance(each, ast.Call) else each) for each in each.decorator_list
            ]
            if not any(decorator.endswith(DECORATORS_OF_NOUNS) for decorator in decorators):
                yield each
        else:
            yield from find_functions(each)


def test_name_of_a_function_starts_with_a_verb() -> None:
    nouns = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for folder in ("app", "benchmarks", "scripts", ".ci", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for function in find_functions(ast.parse(path.read_text(encoding="utf-8")))
        if not function.name.startswith("__")
        and function.name not in GIVEN_NAMES
        and not starts_with_verb(function.name, ast.unparse(function.returns) if function.returns else "")
    ]
    shown = "\n".join(f"  {each}" for each in nouns)
    assert not nouns, f"start with a verb, such as read, build or find; see CONTRIBUTING.md, Language:\n{shown}"


@pytest.mark.parametrize(
    ("name", "returns"),
    [
        ("_price_table", "PriceTable"),
        ("described", "str"),
        ("running_url", "str"),
        ("_stats", "Stats"),
        ("outcomes_of", "list[str]"),
        ("newest_event", "str"),
    ],
)
def test_noun_or_participle_is_not_a_name_of_a_function(name: str, returns: str) -> None:
    assert not starts_with_verb(name, returns)


@pytest.mark.parametrize(
    ("name", "returns"),
    [
        ("_read_price_table", "PriceTable"),
        ("describe_error", "str"),
        ("process", "None"),
        ("feed", "None"),
        ("is_ready", "bool"),
        ("matches", "bool"),
        ("to_json", "bytes"),
    ],
)
def test_verb_is_a_name_of_a_function(name: str, returns: str) -> None:
    assert starts_with_verb(name, returns)
