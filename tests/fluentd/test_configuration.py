"""Settings of Fluentd's configuration, each with the measured effect of its absence."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fluentd.syntax import Section, read

FOLDER = Path(__file__).parents[2] / "fluentd"
PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
STREAMS = ("events", "app", "health", "content")
TAILS = tuple(f"tail_{stream}" for stream in STREAMS)
OUTPUTS = ("store", "store_health")
ABSENT = None
NUMBER = re.compile(r"\d+(\.\d+)?[a-z]?")

CONFIGURATION = read(FOLDER / "fluent.conf")
PLUGINS = {each.id: each for each in CONFIGURATION.walk() if each.id}


class Rule(NamedTuple):
    """
    Required value of a setting.

    Attributes:
        plugins: ``@id`` of the plugins.
        section: Section within the plugin; empty for the plugin itself.
        setting: Name of the setting.
        wanted: Its default value; None if it must not be set.
        why: Effect of another value.
    """

    plugins: tuple[str, ...]
    section: str
    setting: str
    wanted: str | None
    why: str


RULES = [
    Rule(OUTPUTS, "", "@type", "inferlog_elasticsearch", "a rotated key is not taken up without a restart"),
    Rule(
        OUTPUTS, "", "write_operation", "create", "a data stream takes nothing else, and a repeated create is harmless"
    ),
    Rule(
        OUTPUTS, "", "id_key", "event.id", "a record without an id is dropped, and a repeated one would be there twice"
    ),
    Rule(("store",), "", "emit_error_for_missing_id", "true", "a line without event.id vanishes"),
    Rule(("store",), "", "index_name", "logs-inference.${tag[1]}-default", "the tag names the stream"),
    Rule(("store_health",), "", "index_name", "logs-inference.health-default", "the monitor's tag is another"),
    Rule(("store_health",), "", "include_timestamp", "true", "the monitor's records have no timestamp"),
    Rule(("store",), "", "include_timestamp", ABSENT, "it parses a time per line that the service has written already"),
    Rule(OUTPUTS, "", "verify_es_version_at_startup", "false", "Fluentd ends when Elasticsearch is away at its start"),
    Rule(OUTPUTS, "", "default_elasticsearch_version", "9", "without the check the headers are those of version 5"),
    Rule(OUTPUTS, "", "suppress_type_name", ABSENT, "it switches the headers of version 9 off"),
    Rule(OUTPUTS, "", "reload_connections", "false", "the nodes' own addresses cannot be reached from here"),
    Rule(OUTPUTS, "", "reload_on_failure", "false", "the same"),
    Rule(OUTPUTS, "", "reconnect_on_error", "true", "a renewed certificate or key is not taken up"),
    Rule(OUTPUTS, "", "request_timeout", "30s", "after 5 s a request still in progress is sent again"),
    Rule(OUTPUTS, "", "ssl_verify", "true", "anyone could pose as Elasticsearch"),
    Rule(OUTPUTS, "", "user", ABSENT, "an API key has only the rights that it needs"),
    Rule(OUTPUTS, "", "password", ABSENT, "the same"),
    Rule(OUTPUTS, "", "log_es_400_reason", "true", "the log lacks the reason of a rejection"),
    Rule(("store",), "buffer", "@type", "file", "a buffer in memory is lost with the process"),
    Rule(("store",), "buffer", "chunk_limit_size", "4m", "256 MiB would be one request"),
    Rule(("store",), "buffer", "total_limit_size", "1g", "a full disk loses lines, a full buffer does not"),
    Rule(("store",), "buffer", "overflow_action", "block", "everything else sends lines astray or drops them"),
    Rule(("store",), "buffer", "flush_mode", "interval", "events are searchable within seconds"),
    Rule(("store",), "buffer", "flush_interval", "1s", "the default is a minute"),
    Rule(("store",), "buffer", "flush_thread_interval", "0.1", "a line waits a second more, twice"),
    Rule(("store",), "buffer", "flush_thread_burst_interval", "0.1", "a backlog leaves at one chunk a second"),
    Rule(("store",), "buffer", "retry_forever", "true", "after 72 h what waits is thrown away"),
    Rule(("store",), "buffer", "retry_max_interval", "30s", "after an outage of a day it would wait for hours more"),
    Rule(TAILS, "", "@type", "inferlog_tail", "files are the record of truth"),
    Rule(TAILS, "", "follow_inodes", "true", "files would be read twice or not at all"),
    Rule(TAILS, "", "read_from_head", "true", "lines written before the start of Fluentd are skipped"),
    Rule(TAILS, "", "refresh_interval", "2s", "a new file is noticed after a minute"),
    Rule(TAILS, "", "rotate_wait", ABSENT, "0 lost whole files; the default of 5 s lost none"),
    Rule(TAILS, "", "emit_unmatched_lines", "true", "a line that is not valid JSON vanishes"),
    Rule(TAILS, "", "max_line_size", "1m", "a file without ends of lines fills the memory"),
    Rule(TAILS, "", "pos_file_compaction_interval", "1h", "the position file grows forever"),
    Rule(TAILS, "parse", "@type", "json", "a line is a JSON object"),
    Rule(TAILS, "parse", "time_key", "fluentd_reads_no_time", "a time that cannot be read would drop the line"),
    Rule(("dead_letters",), "", "@type", "inferlog_dead_letters", "dead letters are read by people"),
    Rule(("dead_letters",), "", "append", "true", "a restart would begin another file each time"),
    Rule(("dead_letters",), "buffer", "@type", "file", "a buffer in memory is lost with the process"),
    Rule(("dead_letters",), "buffer", "overflow_action", "block", "dropped dead letters are lost"),
    Rule(("dead_letters",), "buffer", "retry_forever", "true", "the same"),
    Rule(("dead_letters",), "buffer", "flush_interval", "1s", "a day's letters would be written at its end"),
    Rule(("monitor",), "", "bind", "127.0.0.1", "by default everyone in the network may ask"),
    Rule(("monitor",), "", "tag", "fluentd.health", "the pipeline dashboard would show nothing of Fluentd"),
    Rule(("store_health",), "buffer", "overflow_action", "drop_oldest_chunk", "its own health must not stop the rest"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.plugins[0]}-{rule.section}-{rule.setting}")
def test_setting_has_the_required_value(rule: Rule) -> None:
    for plugin in rule.plugins:
        section = PLUGINS[plugin].get_inner(rule.section) if rule.section else PLUGINS[plugin]
        found = section.settings.get(rule.setting)
        assert (found and found.text) == rule.wanted, f"{plugin}: {rule.why}"


def find_plugins(*names: str) -> list[Section]:
    return [each for each in CONFIGURATION.walk() if each.name in names]


def test_every_plugin_has_a_name_of_its_own() -> None:
    """The id names a plugin in the log, in the metrics, and in the folder of broken chunks."""
    ids = [each.id for each in find_plugins("source", "filter", "match")]
    assert all(ids)
    assert len(ids) == len(set(ids))


def test_persistent_state_is_on_volumes() -> None:
    assert CONFIGURATION.get_inner("system")["root_dir"] == "/fluentd/state/root"
    buffers = [each["path"] for each in find_plugins("buffer") if each["@type"] == "file"]
    assert len(set(buffers)) == len(buffers) == 2
    assert all(path and path.startswith("/fluentd/state/buffer/") for path in buffers)
    positions = [PLUGINS[each]["pos_file"] for each in TAILS]
    assert positions == [f"/var/log/inferlog/.shipped/fluentd-{stream}.pos" for stream in STREAMS]


def test_stream_is_derived_from_file_name() -> None:
    for stream in STREAMS:
        tail = PLUGINS[f"tail_{stream}"]
        assert (tail["path"], tail["tag"]) == (f"/var/log/inferlog/{stream}-*.jsonl", f"inferlog.{stream}")
    assert PLUGINS["store"].argument == "inferlog.**"
    assert PLUGINS["store"].get_inner("buffer").argument == "tag", "the index's name takes a part of it"


def test_monitor_starts_before_plugins_that_may_block() -> None:
    """Plugins start from the last to the first; with a full buffer, the start of the first tail blocks."""
    assert [each.id for each in find_plugins("source")] == [*TAILS, "monitor"]


def test_events_are_not_parsed_on_the_way() -> None:
    assert {each.argument for each in find_plugins("filter")} == {"fluentd.health"}
    assert all(set(PLUGINS[each].get_inner("parse").settings) == {"@type", "time_key"} for each in TAILS)


def test_temporary_rejection_is_retried_with_backoff() -> None:
    for output in OUTPUTS:
        types = json.loads(PLUGINS[output]["unrecoverable_error_types"] or "")
        assert {
            "out_of_memory_error",
            "es_rejected_execution_exception",
            "circuit_breaking_exception",
            "cluster_block_exception",
            "unavailable_shards_exception",
            "security_exception",
            "index_not_found_exception",
        } <= set(types)


def test_only_dead_letters_go_to_the_dead_letter_files() -> None:
    (label,) = find_plugins("label")
    assert label.argument == "@ERROR"
    assert [(each.id, each.argument) for each in label.sections] == [("dead_letters", "**")]
    assert PLUGINS["dead_letters"]["path"] == "/fluentd/state/dead_letters/${tag}.%Y%m%d"
    assert PLUGINS["dead_letters"].get_inner("buffer")["timekey"] == "1d"


def test_every_number_is_an_environment_variable() -> None:
    fixed = {
        f"{value.place} {name}"
        for section in CONFIGURATION.walk()
        for name, value in section.settings.items()
        if value.text and NUMBER.fullmatch(value.text) and not value.variables and name != "timekey"
    }
    assert not fixed


def find_variables() -> dict[str, str | None]:
    """Return the default of each environment variable; None without one."""
    programs = "".join((FOLDER / name).read_text() for name in ("healthcheck.rb", "drain.rb"))
    found: dict[str, str | None] = dict(re.findall(r'ENV\["(\w+)"\] \|\| "([^"]*)"', programs))
    for section in CONFIGURATION.walk():
        for value in section.settings.values():
            for name in value.variables:
                found[name] = value.text if len(value.variables) == 1 else None
    return found


def test_every_environment_variable_is_documented() -> None:
    part = PAGE.read_text().partition("\n## Fluentd\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (\S+) \|", part, re.MULTILINE))
    assert rows.keys() == find_variables().keys()
    numbers = {name: text for name, text in find_variables().items() if text and NUMBER.fullmatch(text)}
    assert {name: rows[name] for name in numbers} == {name: f"`{text}`" for name, text in numbers.items()}


def test_secrets_come_from_files() -> None:
    for output in OUTPUTS:
        value = PLUGINS[output].settings["api_key_file"]
        assert (value.text, value.variables) == (None, ("ELASTICSEARCH_API_KEY_FILE",))
