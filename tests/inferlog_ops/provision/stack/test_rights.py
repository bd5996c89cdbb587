"""
What each key and user may do is what its program needs, and nothing else: decided by Elasticsearch's own security.

Always by the real security of 8.19, and also by the cluster that TEST_ELASTICSEARCH_URL names, if it is set:
TEST_ELASTICSEARCH_PASSWORD_FILE holds the superuser's password and TEST_ELASTICSEARCH_CA_FILE the authority. Without
it, no test of that cluster is collected: each would add a line to the summary of skipped tests.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import STREAMS
from inferlog_ops.preview.answers import PanelScope, run_page_query
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.provision.stack import roles
from inferlog_ops.query.dashboards import slo
from inferlog_ops.query.library import load_all as load_queries
from inferlog_ops.query.notes import NoteKind
from inferlog_ops.query.rules.evaluate import evaluate
from inferlog_ops.query.rules.rules import load_all as load_rules
from inferlog_ops.query.run import run_query
from inferlog_ops.summarize.job import SummarizeSettings, check
from inferlog_ops.summarize.summary import SummaryInterval
from tests.support.indexing import index
from tests.support.store_calls import Call, build_document, create, send_call
from tests.support.summarizing import NOON, build_event, list_documents, run

NAMED = "TEST_ELASTICSEARCH_URL" in os.environ
READERS = [roles.DASHBOARDS, roles.RULES, roles.OPERATOR]
WRITERS_OF_ALERTS = [roles.RULES, roles.OPERATOR]
EVERYBODY = [roles.FLUENTD, roles.REDRIVE, roles.SUMMARIZE, *READERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """
    A store with security.

    Attributes:
        superuser: As the superuser sees it, with a namespace for these tests.
        admin: The superuser's client.
        keys: As the holder of an API key with a role's rights sees it, by role.
        clients: The clients of these.
        index: The index behind the stream of events.
    """

    superuser: Cluster
    admin: Elasticsearch
    keys: dict[str, Cluster]
    clients: dict[str, Elasticsearch]
    index: str

    @property
    def events(self) -> str:
        return f"logs-inference.events-{self.superuser.namespace}"

    @property
    def alerts(self) -> str:
        return f"inferlog-alerts-{self.superuser.namespace}"

    def send(self, role: str, call: Call) -> int:
        return send_call(self.clients[role], call)


def get_named_cluster() -> Cluster:
    return Cluster(
        url=os.environ["TEST_ELASTICSEARCH_URL"],
        user_and_password=("elastic", Path(os.environ["TEST_ELASTICSEARCH_PASSWORD_FILE"]).read_text().strip()),
        ca_file=os.environ.get("TEST_ELASTICSEARCH_CA_FILE"),
    )


@pytest.fixture(scope="module", params=["engine", "cluster"] if NAMED else ["engine"])
def store(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    found = request.getfixturevalue("stack").superuser if request.param == "engine" else get_named_cluster()
    superuser = replace(found, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(superuser)
    name, private = f"inferlog-test-keys-{superuser.namespace}", f"private-{superuser.namespace}"
    with ExitStack() as opened:
        admin = opened.enter_context(superuser.build_client())
        made = {
            role: admin.security.create_api_key(name=name, role_descriptors={role: roles.load_rights(role)})
            for role in EVERYBODY
        }
        opened.callback(admin.security.invalidate_api_key, name=name)
        keys = {role: replace(superuser, user_and_password=None, api_key=key["encoded"]) for role, key in made.items()}
        admin.indices.create(index=private)
        events = f"logs-inference.events-{superuser.namespace}"
        admin.bulk(index=events, operations=[{"create": {"_id": "known"}}, build_document("known")], refresh=True)
        (index,) = admin.indices.get_mapping(index=events).body
        if request.param == "cluster":
            opened.callback(admin.indices.delete, index=private)
            opened.callback(admin.indices.delete_data_stream, name=f"*-{superuser.namespace}*")
        clients = {role: opened.enter_context(key.build_client()) for role, key in keys.items()}
        yield Deployment(superuser=superuser, admin=admin, keys=keys, clients=clients, index=index)


def list_forbidden(store: Deployment, elsewhere: str = "elsewhere") -> list[Call]:
    """Return what none of them may do."""
    name = f"inferlog-test-{store.superuser.namespace}"
    user = {"password": "a password", "roles": [], "enabled": False}
    settings = {"persistent": {"cluster.routing.allocation.enable": None}}
    return [
        Call(
            what="overwrites an event",
            method="PUT",
            path=f"/{store.index}/_doc/known?if_seq_no=0&if_primary_term=1",
            body=build_document("known"),
        ),
        Call(
            what="changes an event", method="POST", path=f"/{store.index}/_update/known", body={"doc": {"status": "x"}}
        ),
        Call(what="deletes an event", method="DELETE", path=f"/{store.index}/_doc/absent"),
        Call(what="begins a new index", method="POST", path=f"/{store.events}/_rollover?dry_run=true"),
        Call(what="adds a field", method="PUT", path=f"/{store.events}/_mapping", body={"_meta": {}}),
        Call(
            what="changes a setting", method="PUT", path=f"/{store.events}/_settings", body={"index": {"priority": 1}}
        ),
        create("makes a stream", f"{store.events}.{elsewhere}", "a"),
        create("writes to a stream of others", f"logs-other-{store.superuser.namespace}", "a"),
        create("writes to an index of others", f"private-{store.superuser.namespace}", elsewhere),
        Call(what="reads an index of others", method="GET", path=f"/private-{store.superuser.namespace}/_search"),
        Call(what="reads the users' index", method="GET", path="/.security/_search"),
        Call(what="lists users", method="GET", path="/_security/user"),
        Call(what="makes a user", method="PUT", path=f"/_security/user/{name}", body=user),
        Call(what="makes an API key", method="POST", path="/_security/api_key", body={"name": name}),
        Call(what="makes a role", method="PUT", path=f"/_security/role/{name}", body={}),
        Call(what="makes a template", method="PUT", path=f"/_component_template/{name}", body={"template": {}}),
        Call(what="changes the cluster", method="PUT", path="/_cluster/settings", body=settings),
        Call(what="reads the cluster's state", method="GET", path="/_cluster/state"),
        Call(what="lists the nodes", method="GET", path="/_nodes"),
    ]


def list_reads(store: Deployment) -> list[Call]:
    query = {"query": f"FROM {store.events} | STATS COUNT(*) | LIMIT 1"}
    return [
        Call(what="searches events", method="GET", path=f"/{store.events}/_search"),
        Call(what="counts events", method="GET", path=f"/{store.events}/_count"),
        Call(what="asks in ES|QL", method="POST", path="/_query", body=query),
        Call(what="gets an event", method="GET", path=f"/{store.index}/_doc/known"),
        Call(what="lists fields", method="GET", path=f"/{store.events}/_field_caps?fields=*"),
        Call(what="reads the mapping", method="GET", path=f"/{store.events}/_mapping"),
        Call(what="searches alerts", method="GET", path=f"/{store.alerts}/_search"),
    ]


@pytest.mark.parametrize("role", EVERYBODY)
def test_no_role_changes_documents_or_reads_foreign_indices(store: Deployment, role: str) -> None:
    assert {call.what: store.send(role, call) for call in list_forbidden(store)} == dict.fromkeys(
        (call.what for call in list_forbidden(store)), 403
    )


def test_superuser_is_not_refused_any_of_these_calls(store: Deployment) -> None:
    """So missing rights are the only reason why the roles above are refused."""
    name = f"inferlog-test-{store.superuser.namespace}"
    try:
        for call in [*list_forbidden(store, "superuser"), *list_reads(store)]:
            # Other errors are allowed: an object does not exist, or a data stream rejects the request of every user.
            assert send_call(store.admin, call) not in {400, 401, 403, 405}, call
    finally:
        store.admin.security.invalidate_api_key(name=name)
        cleaning = store.admin.options(ignore_status=404)
        cleaning.security.delete_user(username=name)
        cleaning.security.delete_role(name=name)
        cleaning.perform_request("DELETE", f"/_component_template/{name}", headers={"accept": "application/json"})


@pytest.mark.parametrize("stream", STREAMS)
def test_fluentd_creates_each_document_once_in_every_stream(store: Deployment, stream: str) -> None:
    event_id = uuid4().hex
    call = create("writes", f"logs-inference.{stream}-{store.superuser.namespace}", event_id)
    assert [store.send(roles.FLUENTD, call) for _ in range(2)] == [201, 409]


def test_fluentd_can_read_no_document_not_even_its_own(store: Deployment) -> None:
    assert {call.what: store.send(roles.FLUENTD, call) for call in list_reads(store)} == dict.fromkeys(
        (call.what for call in list_reads(store)), 403
    )


def test_fluentd_has_one_right_on_one_pattern() -> None:
    assert roles.load_rights(roles.FLUENTD) == {
        "indices": [{"names": ["logs-inference.*"], "privileges": ["create_doc"]}]
    }


def test_redrive_role_reads_and_creates_documents(store: Deployment) -> None:
    known = {"query": {"ids": {"values": ["known"]}}}
    search = Call(what="finds ids", method="POST", path=f"/{store.events}/_search", body=known)
    assert store.send(roles.REDRIVE, search) == 200
    call = create("writes", store.events, uuid4().hex)
    assert [store.send(roles.REDRIVE, call) for _ in range(2)] == [201, 409]


@pytest.mark.parametrize("role", READERS)
def test_readers_read(store: Deployment, role: str) -> None:
    assert {call.what: store.send(role, call) for call in list_reads(store)} == dict.fromkeys(
        (call.what for call in list_reads(store)), 200
    )


@pytest.mark.parametrize("role", READERS)
def test_readers_write_no_events(store: Deployment, role: str) -> None:
    assert store.send(role, create("writes", store.events, uuid4().hex)) == 403


def test_dashboards_role_can_run_every_saved_query_also_as_the_preview_page_does(store: Deployment) -> None:
    end = datetime.now(UTC) + timedelta(minutes=1)
    scope = PanelScope(start=end - timedelta(hours=1), end=end, within=None)
    for query in load_queries().values():
        run_query(store.keys[roles.DASHBOARDS], query, scope.start, scope.end)
        run_page_query(store.keys[roles.DASHBOARDS], query, scope)


def test_reader_without_failure_stores_gets_the_dead_letters_and_a_note(store: Deployment) -> None:
    """The server itself leaves the failure stores out silently."""
    query, end = load_queries()["refused_of_late"], datetime.now(UTC) + timedelta(minutes=1)
    rights = {"indices": [{"names": ["logs-inference.*"], "privileges": ["read", "view_index_metadata"]}]}
    name = f"inferlog-test-reader-{store.superuser.namespace}"
    key = store.admin.security.create_api_key(name=name, role_descriptors={name: rights})
    reader = replace(store.superuser, user_and_password=None, api_key=key["encoded"])
    try:
        answer = run_query(reader, query, end - timedelta(hours=1), end)
        evaluation = evaluate(reader, [load_rules()["refused_documents"]], slo.load(), load_queries(), end)
    finally:
        store.admin.security.invalidate_api_key(name=name)
    everything = run_query(store.keys[roles.DASHBOARDS], query, end - timedelta(hours=1), end)
    (note,) = answer.notes
    assert (note.kind, "read_failure_store" in note.text) == (NoteKind.UNREAD_FAILURE_STORES, True)
    assert (answer.columns, answer.rows) == (everything.columns, everything.rows)
    assert everything.notes == ()
    assert evaluation.failures == {}
    assert evaluation.not_counted == {"refused_documents": note.text}


def test_rules_role_can_evaluate_every_rule(store: Deployment) -> None:
    rules = list(load_rules().values())
    evaluation = evaluate(store.keys[roles.RULES], rules, slo.load(), load_queries(), datetime.now(UTC))
    assert evaluation.failures == {}


@pytest.mark.parametrize("role", EVERYBODY)
def test_only_rules_and_operator_roles_write_alerts(store: Deployment, role: str) -> None:
    # As Kibana's index connector does it.
    lines = [{"index": {"op_type": "create", "_index": store.alerts}}, {"@timestamp": "2026-11-23T09:00:00Z"}]
    call = Call(what="writes an alert", method="POST", path="/_bulk", body=lines)
    assert store.send(role, call) == (201 if role in WRITERS_OF_ALERTS else 403)


def test_summarize_role_runs_the_job_and_writes_no_events(store: Deployment) -> None:
    """It creates summaries, replaces one, and deletes a surplus copy, in a stream with two backing indices."""
    cluster, summaries = store.keys[roles.SUMMARIZE], f"inferlog-summaries-{store.superuser.namespace}"
    start, end = NOON - timedelta(days=1), NOON + timedelta(days=1)
    index(store.superuser, "events", [build_event(NOON)])
    assert run(cluster, end, start=start, end=end).created == 2
    documents = list_documents(store.superuser)
    hit = next(each for each in documents if each["_source"]["interval_seconds"] == SummaryInterval.MINUTE.value)
    store.admin.indices.rollover(alias=summaries)
    store.admin.create(index=summaries, id=hit["_id"], document=hit["_source"], refresh=True)
    index(store.superuser, "events", [build_event(NOON)])
    changed = run(cluster, end, start=start, end=end)
    assert (changed.replaced, changed.deleted) == (2, 1)
    assert check(cluster, SummarizeSettings(start=start, end=end), end) == (1, [])
    assert store.send(roles.SUMMARIZE, create("writes an event", store.events, uuid4().hex)) == 403


@pytest.mark.parametrize("role", EVERYBODY)
def test_only_the_summarize_role_writes_summaries(store: Deployment, role: str) -> None:
    summaries = f"inferlog-summaries-{store.superuser.namespace}"
    # Neither a minute nor an hour: the job of the test above reads it in no order of the tests.
    line = {"@timestamp": "2026-11-23T09:00:00Z", "interval_seconds": 1, "requests": 1}
    call = Call(what="writes", method="POST", path="/_bulk", body=[{"create": {"_index": summaries}}, line])
    assert store.send(role, call) == (201 if role == roles.SUMMARIZE else 403)


def test_no_role_has_cluster_wide_or_all_space_privileges() -> None:
    for role in EVERYBODY:
        rights = roles.load_rights(role)
        assert "cluster" not in rights
        assert {space for each in rights.get("applications", []) for space in each["resources"]} <= {"space:default"}
